/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A FUSE filesystem with one file in its root, served by a process of its own that speaks
 * the kernel's protocol. It counts the syncs of each open file, can hold them and can
 * make those of one open file fail. Any number of further files have the same contents:
 * "file1", "file2" ...
 *
 * The server is a process of its own so that the kernel can end it, and with it
 * everything that waits for it, when the test is gone.
 */
#ifndef AFSYNC_SELFTEST_FS_FUSE_H
#define AFSYNC_SELFTEST_FS_FUSE_H

#include "fs_dm.h"

#include <sys/uio.h>

#include <linux/fuse.h>

#define FUSE_HANDLES	16
#define FUSE_DATA	(64 * 1024)
#define FUSE_FILE	2ULL	/* its inode; the root is 1, "file7" is 7 more */

/* Shared by the test and the server. Handles are numbered from 1 as they are opened. */
struct fuse_state {
	bool hold;			/* [test] keep the answers to syncs back */
	bool hold_reads;		/* [test] never answer reads */
	bool hold_dirs;			/* [test] keep the answers to readdir back */
	unsigned int dirs_held;
	unsigned int reads_held;
	unsigned int syncs_held;
	int error[FUSE_HANDLES];	/* [test] the answer to syncs, 0 or -errno */
	unsigned int fsyncs[FUSE_HANDLES];
	unsigned int fdatasyncs[FUSE_HANDLES];
	unsigned int dirsyncs;
	unsigned int opened;
	unsigned int released;
	unsigned int size;
	char data[FUSE_DATA];
};

struct fuse_fs {
	struct fuse_state *state;
	pid_t server;
	int control;		/* a byte: answer all held requests; closed: end */
	char dir[32];
	char file[48];
};

struct fuse_server {
	struct fuse_state *state;
	int dev;
	int held_count;
	struct { uint64_t unique; int error; } held[64];
};

static inline void fuse_answer(struct fuse_server *s, uint64_t unique, int error,
			       const void *body, size_t size)
{
	struct fuse_out_header head = {
		.len = sizeof(head) + (error ? 0 : size),
		.error = error,
		.unique = unique,
	};
	struct iovec iov[2] = {
		{ &head, sizeof(head) },
		{ (void *)body, error ? 0 : size },
	};

	/* The kernel refuses an answer to an interrupted request, which does no harm. */
	if (writev(s->dev, iov, 2) < 0)
		return;
}

static inline struct fuse_attr fuse_attr_of(const struct fuse_server *s, uint64_t ino)
{
	struct fuse_attr attr = {
		.ino = ino,
		.mode = ino >= FUSE_FILE ? S_IFREG | 0666 : S_IFDIR | 0777,
		.nlink = 1,
		.blksize = PAGE,
		.size = ino >= FUSE_FILE ? s->state->size : 0,
	};

	return attr;
}

static inline void fuse_sync(struct fuse_server *s, const struct fuse_in_header *in,
			     const struct fuse_fsync_in *arg)
{
	struct fuse_state *state = s->state;
	unsigned int nr = arg->fh % FUSE_HANDLES;

	if (in->opcode == FUSE_FSYNCDIR)
		state->dirsyncs++;
	else if (arg->fsync_flags & FUSE_FSYNC_FDATASYNC)
		state->fdatasyncs[nr]++;
	else
		state->fsyncs[nr]++;
	if (state->hold) {
		state->syncs_held++;
		/* Further ones are answered only by the end of the server. */
		if (s->held_count == ARRAY_SIZE(s->held))
			return;
		s->held[s->held_count].unique = in->unique;
		s->held[s->held_count++].error = state->error[nr];
		return;
	}
	fuse_answer(s, in->unique, state->error[nr], NULL, 0);
}

static inline void fuse_write(struct fuse_server *s, const struct fuse_in_header *in,
			      const struct fuse_write_in *arg)
{
	struct fuse_state *state = s->state;
	struct fuse_write_out out = { .size = arg->size };

	if (arg->offset + arg->size > FUSE_DATA) {
		fuse_answer(s, in->unique, -EFBIG, NULL, 0);
		return;
	}
	memcpy(state->data + arg->offset, arg + 1, arg->size);
	if (arg->offset + arg->size > state->size)
		state->size = arg->offset + arg->size;
	fuse_answer(s, in->unique, 0, &out, sizeof(out));
}

static inline void fuse_init(struct fuse_server *s, const struct fuse_in_header *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = FUSE_DATA,
		.time_gran = 1,
	};

	fuse_answer(s, in->unique, 0, &out, sizeof(out));
}

/* One request of the kernel. */
static inline void fuse_serve(struct fuse_server *s, const struct fuse_in_header *in)
{
	const void *arg = in + 1;
	struct fuse_entry_out entry = { 0 };
	struct fuse_attr_out attr = { .attr = fuse_attr_of(s, in->nodeid) };
	struct fuse_open_out opened = { 0 };
	struct fuse_statfs_out statfs = { .st = { .bsize = PAGE, .namelen = 255 } };
	const struct fuse_read_in *read = arg;

	switch (in->opcode) {
	case FUSE_INIT:
		return fuse_init(s, in);
	case FUSE_LOOKUP:
		entry.nodeid = FUSE_FILE + atoi((const char *)arg + strcspn(arg, "0123456789"));
		entry.attr = fuse_attr_of(s, entry.nodeid);
		return fuse_answer(s, in->unique, strncmp(arg, "file", 4) ? -ENOENT : 0,
				   &entry, sizeof(entry));
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		return fuse_answer(s, in->unique, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		opened.fh = ++s->state->opened;
		return fuse_answer(s, in->unique, 0, &opened, sizeof(opened));
	case FUSE_OPENDIR:
		return fuse_answer(s, in->unique, 0, &opened, sizeof(opened));
	case FUSE_WRITE:
		return fuse_write(s, in, arg);
	case FUSE_READ:
		if (s->state->hold_reads) {
			s->state->reads_held++;
			return;
		}
		if (read->offset >= s->state->size)
			return fuse_answer(s, in->unique, 0, NULL, 0);
		return fuse_answer(s, in->unique, 0, s->state->data + read->offset,
				   read->size < s->state->size - read->offset ?
				   read->size : s->state->size - read->offset);
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return fuse_sync(s, in, arg);
	case FUSE_RELEASE:
		s->state->released++;
		return fuse_answer(s, in->unique, 0, NULL, 0);
	case FUSE_STATFS:
		return fuse_answer(s, in->unique, 0, &statfs, sizeof(statfs));
	case FUSE_READDIR:
		if (s->state->hold_dirs && s->held_count < (int)ARRAY_SIZE(s->held)) {
			s->held[s->held_count].unique = in->unique;
			s->held[s->held_count++].error = 0;
			s->state->dirs_held++;
			return;
		}
		return fuse_answer(s, in->unique, 0, NULL, 0);
	case FUSE_FLUSH:
	case FUSE_RELEASEDIR:
	case FUSE_DESTROY:
		return fuse_answer(s, in->unique, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return fuse_answer(s, in->unique, -ENOSYS, NULL, 0);
	}
}

static inline void fuse_server_run(struct fuse_state *state, int dev, int control)
{
	static char buffer[FUSE_DATA + PAGE];
	struct fuse_server s = { .state = state, .dev = dev };
	struct pollfd fds[2] = {
		{ .fd = dev, .events = POLLIN },
		{ .fd = control, .events = POLLIN },
	};
	ssize_t n;
	int i;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents) {
			if (read(control, buffer, 1) != 1)
				return;
			for (i = 0; i < s.held_count; i++)
				fuse_answer(&s, s.held[i].unique, s.held[i].error, NULL, 0);
			s.held_count = 0;
		}
		if (fds[0].revents) {
			n = read(dev, buffer, sizeof(buffer));
			if (n < 0 && errno == ENODEV)
				return;		/* unmounted */
			if (n > 0)
				fuse_serve(&s, (void *)buffer);
		}
	}
}

/* Mounts it under /mnt/NAME. Before any ring is set up: the server must not hold one. */
static inline void fuse_up(struct fuse_fs *f, const char *name)
{
	int dev, ends[2];
	char options[96];

	snprintf(f->dir, sizeof(f->dir), "/mnt/%.20s", name);
	snprintf(f->file, sizeof(f->file), "%s/file", f->dir);
	f->state = mmap(NULL, sizeof(*f->state), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(f->state != MAP_FAILED);
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	need(dev >= 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 dev);
	need(mkdir(f->dir, 0755) == 0);
	need(mount("afsync-test", f->dir, "fuse", MS_NOSUID | MS_NODEV, options) == 0);
	need(pipe2(ends, O_CLOEXEC) == 0);
	f->server = fork();
	need(f->server >= 0);
	if (f->server == 0) {
		setsid();
		close(ends[1]);
		fuse_server_run(f->state, dev, ends[0]);
		_exit(0);
	}
	close(dev);
	close(ends[0]);
	/* A process that dies closes its highest descriptors first. */
	f->control = fcntl(ends[1], F_DUPFD_CLOEXEC, 900);
	need(f->control >= 0);
	close(ends[1]);
}

/* Answers the syncs that are held, and holds no more. */
static inline void fuse_let_go(struct fuse_fs *f)
{
	f->state->hold = false;
	f->state->hold_dirs = false;
	need(write(f->control, "", 1) == 1);
}

/* Ends the filesystem; every descriptor on it is closed. */
static inline void fuse_down(struct fuse_fs *f)
{
	int status;

	if (!f->server)
		return;
	need(umount2(f->dir, 0) == 0);
	close(f->control);
	need(waitpid(f->server, &status, 0) == f->server);
	munmap(f->state, sizeof(*f->state));
	f->server = 0;
}

#endif /* AFSYNC_SELFTEST_FS_FUSE_H */
