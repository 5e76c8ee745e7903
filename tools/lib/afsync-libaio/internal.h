/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libafsync-libaio: the shared declarations of its files.
 *
 * A context of libaio stays a context of kernel AIO. Other requests than syncs go to the kernel
 * unchanged. A sync is queued on /dev/afsync, held, and an AIO write in the same context
 * takes over its completion (struct afsync_attach), so that its event comes where the
 * program looks for all its events: in io_getevents(), in the ring that the kernel maps,
 * or on an eventfd. It is started when the requests that were submitted before it, in that
 * context and for that descriptor, have ended. The library sees that in the kernel's ring,
 * whose events can still be read when the program has taken them.
 *
 * Locks, outer first:
 *
 *	context.lock	a context: what is outstanding in it. A mutex that is held over
 *			system calls, but none that waits for I/O.
 *	  device lock	device.c: the ring of the device
 *	  watch lock	watch.c: whether the watcher runs
 *	table lock	context.c: for changes of the table of contexts; inside none
 *
 * Signals are blocked while a lock is held, because programs call io_getevents() in
 * handlers. No lock is held while the kernel runs reads and writes, or waits for events.
 */
#ifndef _AFSYNC_LIBAIO_INTERNAL_H
#define _AFSYNC_LIBAIO_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <linux/afsync.h>
#include <linux/aio_abi.h>

#include "dropin.h"

#define LIBRARY		"libafsync-libaio"

/* The start of what the kernel maps for a context; its address is the context's name. */
struct aio_ring {
	__u32 id;
	__u32 nr;		/* events; constant */
	__u32 head;		/* written by the thread that takes events */
	__u32 tail;		/* the kernel writes it, after the event */
	__u32 magic;
	__u32 compat_features;
	__u32 incompat_features;
	__u32 header_length;
	struct io_event events[];
};

#define AIO_RING_MAGIC	0xa10a10a1

/* iocbs taken at a time. */
#define BATCH	64

/* Where submit.c makes what it submits, so that a small stack is enough. */
struct batch_room {
	struct afsync_sqe sqes[BATCH];
	struct afsync_attach attach[BATCH];
	struct iocb writes[BATCH];
};

struct order;

/*
 * struct context - a context of kernel AIO
 *
 * References: the table, until the context is destroyed, and each call that works on it.
 * With the last one it becomes free to be another context. Its memory stays what it is,
 * for context_get(), which comes with no lock.
 */
struct context {
	aio_context_t id;	/* constant while there are references; else atomic */
	const struct aio_ring *ring;	/* same; mapped until dead */
	__u32 nr;		/* same; events of the ring */
	struct order *order;	/* same; order.c */
	unsigned int refs;	/* atomic */
	unsigned int held;	/* atomic: syncs that wait for earlier requests. Changed under
				 * the lock; others may see it stale.
				 */
	struct context *chain;	/* table lock, and read with no lock: in its bucket */
	pthread_mutex_t lock;

	/* under lock: */
	bool dead;		/* being destroyed: the ring may not be looked at */
	__u32 pos;		/* first event of the ring not looked at */
};

/* The state of the thread before it took a lock. */
struct lock_mask {
	sigset_t signals;
	int cancel_state;
};

/*
 * What a program's timeout points to. TIME_LONG is struct __kernel_old_timespec, two longs;
 * TIME_64 is struct __kernel_timespec, half of whose tv_nsec may be garbage, and exists only
 * where long has 32 bits. Never the struct timespec of the C library, which depends on how
 * this library was built.
 */
enum time_kind { TIME_LONG, TIME_64 };

/* syscall.c: system calls that return -errno and leave errno alone */

long sys_io_setup(unsigned int nr, aio_context_t *id);
long sys_io_destroy(aio_context_t id);
long sys_io_submit(aio_context_t id, long nr, struct iocb **iocbs);
long sys_io_cancel(aio_context_t id, struct iocb *iocb, struct io_event *event);
long sys_io_getevents(aio_context_t id, long min_nr, long nr, struct io_event *events,
		      const void *timeout, enum time_kind kind);
long sys_io_pgetevents(aio_context_t id, long min_nr, long nr, struct io_event *events,
		       const void *timeout, enum time_kind kind, const sigset_t *sigmask);
long sys_ioctl(int fd, unsigned long command, void *arg);
/*
 * Sleeps for less than a second. Not by a function of the C library, which a program may
 * have replaced by one with a time of its own: all waits of this library are the kernel's.
 */
void nap(long ns);
void masked_lock(pthread_mutex_t *mutex, struct lock_mask *mask);
void masked_unlock(pthread_mutex_t *mutex, const struct lock_mask *mask);

/*
 * Copies between our memory and the memory that the program names, element by element,
 * and returns how many could be copied: like the kernel, this must not be killed by a bad
 * pointer.
 */
long memory_read(void *to, void *const *from, size_t size, long nr);
/* Of what was read before; each of at least 8 bytes. */
long memory_write(void *const *to, const void *from, size_t size, long nr);

/* context.c */

/* Is this a context of io_setup() that has not been destroyed? False proves nothing. */
bool context_mapped(aio_context_t id);
/* Adds a context that the kernel made; not without memory for it, or without the device. */
void context_add(aio_context_t id);
/* A reference, or NULL for a context that is not ours. Waits at most for a change's end. */
struct context *context_get(aio_context_t id);
void context_put(struct context *ctx);
/* Forgets it, before the kernel destroys it. */
void context_remove(aio_context_t id);
/* Forgets this one, whose ring is gone. By now there may be another with its address. */
void context_drop(struct context *ctx);
/* Looks after each context with held syncs. */
void contexts_look(void);

/* device.c */

/* A ring of the process, of which there is one at a time. */
struct device_ring {
	int fd;
	__u32 id;
	bool starts_ranges;	/* else the module is too old */
};

/* Opens the ring; false if it cannot be opened. */
bool device_ready(void);
/*
 * Queues syncs held, with user data of its own: how many, or -errno for the first; -ENODEV
 * if the program has closed the ring, and there is no other. *which gets the ring to attach
 * to.
 */
long device_hold(struct afsync_sqe *sqes, unsigned int nr, struct device_ring *which);
/* Has the program closed the ring? Then there is another one, or will be. */
bool device_lost(const struct device_ring *which);
/*
 * Starts the held syncs with user data from @first to @last, all of one ring. Returns @last + 1,
 * even if they were cancelled before. When the ring is gone: the first that was not started.
 */
__u64 device_start(__u64 first, __u64 last);
/* Cancels one without an attached AIO. */
void device_cancel(__u64 user_data);
void device_forget(void);

/* order.c: all under context.lock */

size_t order_size(__u32 nr);
/* In zeroed memory of that size. */
struct order *order_make(void *memory, __u32 nr);
/* Room for requests, all in all. */
__u32 order_room(const struct context *ctx);
struct batch_room *order_batch_room(const struct context *ctx);
/* Is nothing outstanding? */
bool order_idle(const struct context *ctx);
/*
 * A read, write or the like that the kernel is about to be given; there must be room.
 * @name is where the program has the iocb.
 */
void order_add(struct context *ctx, const struct iocb *iocb, const struct iocb *name);
/* The kernel did not take it. */
void order_drop(struct context *ctx, const struct iocb *iocb, const struct iocb *name);
/* A sync whose completion is attached. It is ready when nothing is before it. */
void order_add_sync(struct context *ctx, const struct iocb *iocb,
		    const struct iocb *name, __u64 user_data);
/* Is there an earlier request that a sync of this descriptor has to wait for? */
bool order_waits(const struct context *ctx, int fd);
void order_event(struct context *ctx, const struct io_event *event);
/* Starts the syncs that are ready. */
void order_start(struct context *ctx);

static inline void context_lock(struct context *ctx, struct lock_mask *mask)
{
	masked_lock(&ctx->lock, mask);
}

static inline void context_unlock(struct context *ctx, const struct lock_mask *mask)
{
	order_start(ctx);
	masked_unlock(&ctx->lock, mask);
}

/* events.c */

/* Does the context still exist? The program may have destroyed it with a system call. */
bool ring_there(const struct context *ctx);
/* Looks at the events since the last look: which syncs are ready? Locked. */
void events_look(struct context *ctx);

/* submit.c: io_submit() of a context that is ours */

long context_submit(struct context *ctx, long nr, struct iocb **iocbs);

/*
 * reap.c: io_getevents() and io_pgetevents(), of any context. With no mask they still
 * differ: the kernel lets a process that is stopped and continued wait on in the second.
 */

long events_get(aio_context_t id, long min_nr, long nr, struct io_event *events,
		const void *timeout, enum time_kind kind);
long events_pget(aio_context_t id, long min_nr, long nr, struct io_event *events,
		 const void *timeout, enum time_kind kind, const sigset_t *sigmask);

/* watch.c */

/*
 * Makes sure that the watcher starts syncs that are held from now on: 0 or -errno. Each
 * call needs a watch_started() when they can be seen in context.held.
 */
int watch_start(void);
void watch_started(void);
/* So many more, or fewer, syncs are held in all contexts. */
void watch_count(unsigned int n);
bool watch_any(void);
void watch_forget(void);

#endif /* _AFSYNC_LIBAIO_INTERNAL_H */
