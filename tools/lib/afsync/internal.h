/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Shared declarations of the library's files. Nothing here is exported; functions with
 * external linkage still carry the prefix, for users of the static library.
 */
#ifndef AFSYNC_INTERNAL_H
#define AFSYNC_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "libafsync.h"

#define AFSYNC_DEVICE	"/dev/afsync"

/* Marks the exports of the shared library; the rest is hidden. */
#define AFSYNC_API	__attribute__((visibility("default")))

struct afsync_ring;

/*
 * The backend of a ring, which the documentation calls its engine: the device, or threads of
 * the library. The arguments are those of the ioctls, checked for all errors that a program can
 * see; the results are theirs as well.
 */
struct afsync_backend {
	/* With nothing to submit: an error if the ring is not reachable. */
	int (*submit)(struct afsync_ring *ring, struct afsync_submit *arg);
	int (*wait)(struct afsync_ring *ring, struct afsync_wait *arg);
	int (*cancel)(struct afsync_ring *ring, struct afsync_cancel *arg);
	int (*start)(struct afsync_ring *ring, struct afsync_start *arg);
	int (*eventfd)(struct afsync_ring *ring, struct afsync_eventfd *arg);
	/* The descriptor that is readable while completions are unread. */
	int (*fd)(struct afsync_ring *ring);
	/* The reader has given entries back. NULL: the backend ignores that. */
	void (*advanced)(struct afsync_ring *ring);
	/* Ends the work and frees the memory, except for the handle. */
	void (*exit)(struct afsync_ring *ring);
};

/*
 * A ring. Everything down to cqes is set once before the caller sees the ring; sqes and what
 * follows belong to the submitter. The reader and the backend share the memory that hdr and
 * cqes point to.
 *
 * entries, mask and the ids are copies: the header of a ring that came from another
 * process may be overwritten at any time, and must not lead us out of the mapping or to
 * another ring.
 *
 * A program may close fd, which it has not opened, and the number may become another
 * ring's. So every command names its ring.
 */
struct afsync_ring {
	const struct afsync_backend *backend;
	int fd;
	uint32_t entries;
	uint32_t mask;
	uint32_t id;
	uint32_t wait_id;	/* the same for waits and eventfds, 0 if the module is too old */
	size_t map_size;
	struct afsync_threads *threads;	/* what that backend needs, else NULL */
	struct afsync_ring_header *hdr;
	struct afsync_cqe *cqes;
	struct afsync_sqe *sqes;	/* entries elements, the first nr_sqes prepared */
	uint32_t nr_sqes;
	int wait_result;		/* of the last submit */
};

/* setup.c */
size_t afsync_header_extent(const struct afsync_ring_header *hdr, uint32_t *entries,
			    uint32_t *offset, size_t size);
int afsync_ring_alloc(int fd, struct afsync_ring_header *hdr, size_t map_size,
		      struct afsync_ring **ringp);
void afsync_ring_free(struct afsync_ring *ring);
bool afsync_ring_reachable(struct afsync_ring *ring);
void afsync_copy_out(void *to, size_t to_size, const void *from, size_t from_size);

/* device.c */
extern const struct afsync_backend afsync_device;
int afsync_device_open(unsigned int entries, unsigned int flags,
		       struct afsync_ring **ringp);
int afsync_device_info(struct afsync_info *info);

/* An internal flag: if there can be no threads, a submit is -ENOSYS. */
#define AFSYNC_THREADS_ALONE	(1U << 31)

/* threads.c */
int afsync_threads_open(unsigned int entries, unsigned int flags,
			struct afsync_ring **ringp);
void afsync_threads_info(struct afsync_info *info);

/* lock.c */
void afsync_handle_forks(void);

/* object.c */
#define AFSYNC_OBJECT_MAX	512

void *afsync_map(size_t size);
void afsync_unmap(void *memory, size_t size);
void *afsync_object_new(size_t size);
void afsync_object_free(void *object, size_t size);
void afsync_objects_hold(void);
void afsync_objects_let_go(void);

/* thread.c */
int afsync_thread_start(void *(*function)(void *), void *arg, int inherit);

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
