/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of the library share. Nothing here is exported; functions with
 * external linkage still carry the prefix, for users of the static library.
 */
#ifndef AFSYNC_INTERNAL_H
#define AFSYNC_INTERNAL_H

#include "libafsync.h"

#define AFSYNC_DEVICE	"/dev/afsync"

/* Marks what the shared library exports; the rest is hidden. */
#define AFSYNC_API	__attribute__((visibility("default")))

/*
 * A ring. Everything down to map_size is set once before the caller sees the ring;
 * the last three belong to the submitter. The reader and the kernel share what hdr and
 * cqes point to.
 *
 * entries, mask and the ids are copies: the header of a ring that came from another
 * process may be overwritten at any time, and must not lead us out of the mapping or to
 * another ring.
 *
 * A program may close fd, which it has not opened, and the number may become another
 * ring's. So every command says which ring it means.
 */
struct afsync_ring {
	int fd;
	uint32_t entries;
	uint32_t mask;
	uint32_t id;
	uint32_t wait_id;	/* the same for waits and eventfds, 0 if the module is too old */
	struct afsync_ring_header *hdr;
	struct afsync_cqe *cqes;
	size_t map_size;
	struct afsync_sqe *sqes;	/* entries elements, the first nr_sqes prepared */
	uint32_t nr_sqes;
	int wait_result;		/* of the last submit */
};

/* setup.c */
int afsync_ring_alloc(int fd, struct afsync_ring_header *hdr, size_t map_size,
		      struct afsync_ring **ringp);
void afsync_ring_free(struct afsync_ring *ring);
void afsync_copy_out(void *to, size_t to_size, const void *from, size_t from_size);

/* syscall.c */
int afsync_sys_open(int flags);
int afsync_sys_ioctl(int fd, unsigned long cmd, void *arg);
int afsync_sys_map(int fd, size_t size, void **addr);
void afsync_sys_unmap(void *addr, size_t size);
void afsync_sys_close(int fd);

/* reap.c */
int afsync_wait_args(struct afsync_wait *wait, unsigned int wait_nr,
		     const struct __kernel_timespec *ts, unsigned int ts_flags,
		     const sigset_t *sigmask);
int afsync_ring_wait(struct afsync_ring *ring, struct afsync_wait *wait);

#endif /* AFSYNC_INTERNAL_H */
