/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The files of libafsync-posix, and the functions that they share. The highest is first: a file
 * calls only files that are below it in this list.
 *
 *	calls.c		the public functions
 *	list.c		lio_listio: queues its elements in one step
 *	cancel.c	aio_cancel
 *	sync.c		aio_fsync: to a ring, which finds the errors
 *	glibc.c		who serves the process: we or, for its whole life, glibc
 *	process.c	the child of a fork starts anew; exit
 *	transfer.c	aio_read, aio_write: to the threads of a pool
 *	submit.c	what goes into a ring
 *	reaper.c	what comes out of it
 *	divert.c	syncs that no ring can take
 *	run.c		the two pools, and what their threads do
 *	end.c		the end of a request, from which others follow
 *	stream.c	a sync waits for the reads and writes queued before it
 *	start.c		starts a sync when nothing is before it any more
 *	rings.c		a ring of the device or of libafsync's threads
 *	order.c		reads and writes that overlap keep their order
 *	range.c		the tree by which it finds them
 *	pool.c		a queue of requests, and its threads
 *	suspend.c	aio_suspend
 *	op.c		requests in flight, and the control blocks
 *	group.c		the one end of the elements of a list
 *	notify.c	notifications
 *	notifier.c	those by thread
 *	descriptor.c	what a descriptor refers to, now
 *	futex.c		waiting for a word in memory
 *	lock.c		the lock, and no signal handler in a thread that may have it
 *
 * One call goes up, by a pointer: a thread of a pool runs a request as run.c has it.
 *
 * Locking: there is one lock, posix_lock. It protects the table of requests in flight
 * (op.c), the files, their epochs and order (stream.c, order.c), the queues and threads of
 * the pools (pool.c), which ring is in use (rings.c), and the notifier (notifier.c). A
 * field of op.h without a word about it is under that lock; "fixed" means set before the op
 * can be found. Under it nothing waits: no command of a ring except the check whether it can
 * still be reached, no read, write or sync, no notification. Threads are created under
 * it, except those of notifications. It is held across fork(), so that the child finds a
 * consistent state (process.c).
 *
 * aio_error(), aio_return(), aio_suspend() and fork(2) may be called in a signal handler,
 * and must not wait for the thread that the handler interrupts. So no handler
 * runs in a thread that has the lock, or is about to move a request on: our own threads
 * block all signals, the program's do during their calls of the library (lock.c),
 * except where these wait for the end of a request.
 */
#ifndef _AFSYNC_POSIX_H
#define _AFSYNC_POSIX_H

#include <aio.h>
#include <linux/time_types.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../afsync-dropin/dropin.h"
#include "../afsync/internal.h"
#include "op.h"

#define LINK_INIT(name)	{ &(name), &(name) }

#define LIBRARY		"libafsync-posix"

/* Marks the exports of the library; the rest is hidden. */
#define EXPORT		__attribute__((visibility("default")))

/*
 * Functions return 0 or a positive error number, and leave errno to calls.c, unless
 * their comment says otherwise. __name: the caller holds the lock.
 */

struct mask;

/* list.c */
int list_queue(int mode, struct aiocb *const list[], int count,
	       const struct sigevent *event, bool wide, const struct mask *mask);

/* cancel.c */
int cancel_block(int fd, struct aiocb *block, int *answer);
int cancel_fd(int fd, int *answer);

/* sync.c */
int sync_queue(int operation, struct aiocb *block);

/* glibc.c: the engine of this process, and what it has to expect */
struct glibc_calls {
	int (*fsync)(int operation, struct aiocb *block);
	int (*read)(struct aiocb *block);
	int (*read64)(struct aiocb *block);
	int (*write)(struct aiocb *block);
	int (*write64)(struct aiocb *block);
	int (*listio)(int mode, struct aiocb *const list[], int count,
		      struct sigevent *event);
	int (*listio64)(int mode, struct aiocb *const list[], int count,
			struct sigevent *event);
	int (*error)(const struct aiocb *block);
	ssize_t (*result)(struct aiocb *block);
	int (*cancel)(int fd, struct aiocb *block);
	int (*suspend)(const struct aiocb *const list[], int count,
		       const struct __kernel_old_timespec *timeout);
	/* NULL where the C library has none; see calls.c. */
	int (*suspend_time64)(const struct aiocb *const list[], int count,
			      const struct __kernel_timespec *timeout);
	void (*init)(const struct aioinit *init);
};

extern struct glibc_calls glibc;
bool engine_is_ours(void);
bool engine_is_glibc(void);
bool program_links_us(void);

/* process.c */
int process_prepare(void);

/* transfer.c: reads and writes */
off64_t block_offset(const struct aiocb *block, bool wide);
int transfer_make(struct aiocb *block, enum op_kind kind, off64_t offset, int bad,
		  struct op **opp);
int __transfer_add(struct op *op);
void transfer_added(struct op *op, int refused);
int transfer_queue(struct aiocb *block, enum op_kind kind, off64_t offset);

/* submit.c */
int ring_submit(struct op *op, unsigned int ioprio, bool held);
int ring_cancel(struct op *op, int fd);

/* divert.c */
int sync_divert(struct op *op);
void sync_restart(struct op *op);

/* run.c */
extern struct pool disk_pool, pipe_pool;

/* end.c */
void op_end(struct op *op, int error, ssize_t value);

/* stream.c */
bool stream_any(void);
int __stream_add(struct op *op);
int __stream_hold(struct op *op);
void __stream_unhold(struct op *op);
void __stream_failed(struct op *op, int error);
void __stream_leave(struct op *op, struct link *refused);
void __stream_forget_all(void);

/* start.c */
int sync_start(struct op *op);

/* rings.c */
bool ring_wants_identity(void);
bool device_available(int *reason);
void __ring_put(struct op *op);
void __rings_forget(void);

/* order.c */
int __order_add(struct order *order, struct op *op);
void __order_del(struct order *order, struct op *op, struct link *refused);

/* range.c */
struct op *__range_add(struct op *tree, struct op *op);
struct op *__range_del(struct op *tree, const struct op *op);
bool __range_conflicts(const struct op *tree, const struct op *op);

/* pool.c */
int __pool_add(struct pool *pool, struct op *op);
void __pool_del(struct op *op);
void __pool_forget(struct pool *pool);
void pool_configure(struct pool *pool, const struct aioinit *init);

/* suspend.c */
int suspend(const struct aiocb *const list[], int count,
	    const struct __kernel_timespec *timeout);
void suspend_wake(const struct aiocb *block);

/* op.c */
int op_alloc(struct aiocb *block, enum op_kind kind, struct op **opp);
void op_put(struct op *op);
int __op_add(struct op *op);
void __op_refuse(struct op *op);
struct op *__op_find(const struct aiocb *block);
size_t __op_list(int fd, struct victim *victims, size_t max);
void __op_forget_all(void);
void __block_end(struct op *op, ssize_t value);
void __block_keep_all(void);
int block_error(const struct aiocb *block);
int block_result(struct aiocb *block, ssize_t *value);
void __block_refused(struct aiocb *block, int error);

/* group.c */
int group_new(bool waits, const struct sigevent *event, struct group **groupp);
void group_get(struct group *group);
void group_put(struct group *group);
void group_end(struct group *group, bool failed);
int group_wait(struct group *group, const struct mask *mask);

/* notify.c */
int notice_copy(const struct sigevent *event, struct notice *notice);
void notice_send(struct notice *notice);
void notice_drop(struct notice *notice);

/* notifier.c */
int notice_thread_copy(const struct sigevent *event, struct notice_thread **threadp);
void notice_thread_send(struct notice_thread *thread);
void notice_thread_drop(struct notice_thread *thread);
void __notifier_forget(void);

/* descriptor.c */
int identity_of(int fd, struct identity *id);
int same_file(const struct op *op);
bool sync_acceptable(const struct op *op);

/* futex.c */
int futex_wait(const uint32_t *word, uint32_t value,
	       const struct __kernel_timespec *deadline);
void futex_wake(const uint32_t *word);
int deadline_after(const struct __kernel_timespec *timeout,
		   struct __kernel_timespec *deadline);

/* lock.c */
extern pthread_mutex_t posix_lock;

static inline void lock(void)
{
	pthread_mutex_lock(&posix_lock);
}

static inline void unlock(void)
{
	pthread_mutex_unlock(&posix_lock);
}

struct mask {
	sigset_t signals;
	int cancel_state;
};

void signals_block(struct mask *mask);
void signals_restore(const struct mask *mask);
int thread_start(void *(*function)(void *arg), void *arg);

#endif /* _AFSYNC_POSIX_H */
