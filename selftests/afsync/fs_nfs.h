/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NFS over loopback: the kernel's own server and client, in a network namespace
 * of the test, so that a server that the machine runs is not touched.
 *
 * The server's daemons only answer the kernel's questions about which clients may mount
 * which exports. The answers are known here, so the test gives them in advance, and no
 * package is needed.
 */
#ifndef AFSYNC_SELFTEST_FS_NFS_H
#define AFSYNC_SELFTEST_FS_NFS_H

#include "fs_dm.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#define NFS_CLIENT	"afsync-test"
/* of the export: insecure ports, root stays root, no subtree check, it is the root */
#define NFS_FLAGS	(0x2 | 0x400 | 0x2000)
#define NFS_NEVER	2147483647

struct nfs {
	bool served;
	char dir[32];		/* the client's mount point */
};

/* The reason why there is no NFS here, or NULL. */
static inline const char *nfs_missing(void)
{
	load_module("nfsd");
	load_module("nfsv4");
	if (!filesystem_known("nfsd"))
		return "this kernel has no NFS server";
	if (!filesystem_known("nfs4"))
		return "this kernel has no NFSv4 client";
	return NULL;
}

static inline void nfs_tell(const char *cache, const char *fmt, ...)
{
	char path[96], text[256];
	va_list ap;

	snprintf(path, sizeof(path), "/proc/net/rpc/%s/channel", cache);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	need(text_write(path, text) == 0);
}

static inline void nfs_own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	need(unshare(CLONE_NEWNET) == 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	need(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	close(fd);
}

/* A listening socket for the server, on loopback; the server keeps it. */
static inline void nfs_listen(void)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(2049),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[16];

	need(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0);
	snprintf(text, sizeof(text), "%d\n", fd);
	need(text_write("/mnt/nfsd/portlist", text) == 0);
	close(fd);
}

/* Serves the directory and mounts it under /mnt/NAME. */
static inline void nfs_up(struct nfs *n, const char *export, const char *name)
{
	static const char * const served[] = { "-2\n", "-3\n", "+4\n", "+4.1\n" };
	static const char * const versions[] = { "4.1", "4.0" };
	char options[128];
	size_t i;

	nfs_own_network();
	need(mkdir("/mnt/nfsd", 0755) == 0);
	need(mount("nfsd", "/mnt/nfsd", "nfsd", 0, NULL) == 0);
	/* Older versions would ask for a port mapper. Some kernels lack some versions. */
	for (i = 0; i < 4; i++)
		text_write("/mnt/nfsd/versions", served[i]);
	/*
	 * A server that starts waits for the clients it had before, and opens nothing for
	 * others meanwhile. These are the shortest times it accepts.
	 */
	need(text_write("/mnt/nfsd/nfsv4leasetime", "10\n") == 0);
	need(text_write("/mnt/nfsd/nfsv4gracetime", "10\n") == 0);
	nfs_listen();
	need(text_write("/mnt/nfsd/threads", "2\n") == 0);
	n->served = true;
	nfs_tell("auth.unix.ip", "nfsd 127.0.0.1 %d %s\n", NFS_NEVER, NFS_CLIENT);
	nfs_tell("nfsd.export", "%s %s %d %d 65534 65534 0\n", NFS_CLIENT, export, NFS_NEVER,
		 NFS_FLAGS);
	nfs_tell("nfsd.fh", "%s 1 \\x00000000 %d %s\n", NFS_CLIENT, NFS_NEVER, export);

	snprintf(n->dir, sizeof(n->dir), "/mnt/%.20s", name);
	need(mkdir(n->dir, 0755) == 0);
	for (i = 0; i < 2; i++) {
		snprintf(options, sizeof(options), "vers=%s,proto=tcp,sec=sys,%s", versions[i],
			 "addr=127.0.0.1,clientaddr=127.0.0.1");
		if (!mount("127.0.0.1:/", n->dir, "nfs4", 0, options))
			return;
	}
	need(!"mount over NFS");
}

/*
 * Ends client and server, and unmounts the exported filesystem. The server releases that
 * a moment after it has ended.
 */
static inline void nfs_down(struct nfs *n, const char *export)
{
	static const char * const caches[] = { "nfsd.fh", "nfsd.export", "auth.unix.ip" };
	char path[96];
	size_t i;

	if (!n->served)
		return;
	umount2(n->dir, 0);
	need(text_write("/mnt/nfsd/threads", "0\n") == 0);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/net/rpc/%s/flush", caches[i]);
		text_write(path, "2147483647\n");
	}
	need(umount2("/mnt/nfsd", 0) == 0);
	WAIT_UNTIL(umount2(export, 0) == 0 || errno != EBUSY);
	n->served = false;
}

#endif /* AFSYNC_SELFTEST_FS_NFS_H */
