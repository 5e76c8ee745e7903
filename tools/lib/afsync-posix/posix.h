/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Shared declarations of the files of libafsync-posix. calls.c has the overview.
 *
 * Locking: there is one lock, posix_lock. It protects the table of requests in flight
 * (op.c), the files, their epochs and order (stream.c, order.c), the queues and threads of
 * the pools (pool.c), which ring is in use (rings.c), and the notifier (notifier.c). A
 * field without a word about it below is under that lock; "fixed" means set before the op
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
#include "../afsync/list.h"

#define LINK_INIT(name)	{ &(name), &(name) }

#define LIBRARY		"libafsync-posix"

/* Marks the exports of the library; the rest is hidden. */
#define EXPORT		__attribute__((visibility("default")))

/* As in <limits.h>, where it is named only for some standards. */
#define PRIO_DELTA_MAX	20

/* Which file: the same for all its descriptors. */
struct identity {
	uint64_t dev;
	uint64_t ino;
	mode_t mode;		/* not 0 */
	/* Not to find it by: a number is used again at once when a file is removed. */
	int64_t born_sec;	/* 0 where the filesystem does not know */
	uint32_t born_nsec;
};

struct op;

/* Threads, and their queue; see pool.c. */
struct pool {
	struct link queue[PRIO_DELTA_MAX + 1];	/* ops, QUEUED */
	unsigned int queued;
	unsigned int threads;
	unsigned int idle;		/* of them waiting, or about to wake up */
	unsigned int limit;
	void (*run)(struct op *op);	/* fixed */
	pthread_cond_t work;
};

/* The notification at the end; copied from the program's sigevent at the call. */
struct notice {
	int kind;			/* sigev_notify */
	int signo;
	pid_t tid;
	union sigval value;
	struct notice_thread *thread;	/* SIGEV_THREAD: owned until it is sent */
};

enum op_kind { OP_READ, OP_WRITE, OP_FSYNC, OP_FDATASYNC };

/*
 *	state		where the op is, and its link	who moves it on
 *
 *	OP_NEW		nowhere				the caller
 *	OP_WAITING	a follower of another op	the end of that one (order.c)
 *	OP_QUEUED	in the queue of a pool		a thread of the pool
 *	OP_RUNNING	with a thread of the pool	that thread
 *	OP_HELD		a sync, in its epoch		whoever ends the epoch (stream.c)
 *	OP_STARTED	a sync, with its ring		the reaper (reaper.c)
 *	OP_ENDING	nowhere				the thread that set this state
 *
 * aio_cancel() cancels WAITING or QUEUED ops itself, and lets the ring cancel
 * HELD or STARTED ones. op_end() ends an op in any state.
 */
enum op_state {
	OP_NEW, OP_WAITING, OP_QUEUED, OP_RUNNING, OP_HELD, OP_STARTED, OP_ENDING,
};

/*
 * A request, from the call to the end of its notification.
 *
 * References: one for being in flight, dropped at the end of op_end(); one of a caller
 * that still uses it after others may end it: sync_queue(), aio_cancel(), the thread that
 * starts the syncs of an epoch.
 */
struct op {
	unsigned int refs;		/* atomic */
	uint32_t done;			/* futex; 1 when the status is out */
	struct aiocb *block;		/* fixed; not touched once the status is out */
	enum op_kind kind;		/* fixed */
	int fd;				/* fixed */
	int prio;			/* fixed; aio_reqprio */
	struct identity id;		/* fixed; of a sync on the device perhaps not there */
	void *buffer;			/* fixed, as the next two */
	size_t size;
	off64_t offset;
	struct notice notice;		/* fixed; sent by op_end() */
	struct group *group;		/* fixed; of lio_listio(), or NULL */
	int bad;			/* fixed; not begun, but ended with this error; or 0 */

	uint64_t call;			/* number of the call, in their order */
	enum op_state state;
	struct link link;		/* see enum op_state */
	struct link hash;		/* in the table */
	struct file *file;		/* of what counts in a stream, else NULL */
	struct epoch *epoch;		/* as file */
	/* Of a read or write, for its order (order.c): */
	struct link transfer;		/* in the list of its file */
	uint64_t from;			/* fixed; first byte of the range */
	uint64_t to;			/* fixed; byte after the range */
	bool placed;			/* fixed; the file is seekable, it has a range */
	bool writes;			/* fixed */
	struct op *left;		/* in the tree of the file, as the next (range.c) */
	struct op *right;
	uint64_t reach;
	uint64_t reach_write;
	uint32_t weight;
	struct link followers;		/* ops, WAITING for this one */

	struct pool *pool;		/* whose queue it is, or will be, in */
	struct ring *ring;		/* that has a slot for it */
	int error;			/* of a sync: of one that it waited for; then its own */
	bool held;			/* of a sync: counted as such by its ring */
	bool stranded;			/* of a sync: its ring was lost before its start */
	bool submitted;			/* of a sync: the ring, or a pool, took it */
	bool ready;			/* of a sync: its epoch was done before that */
	bool writable;			/* of a sync: fixed; for a file open for writing only */
	bool ringless;			/* of a sync: there is no ring; a pool runs it */

	bool late;			/* ended, with error and value kept for the block */
	ssize_t value;			/* if late */

	/* What the block held before: put back if the request is refused. */
	int old_error;
	int old_mark;
	ssize_t old_value;
};

/* The reads and writes in flight of a file, by age; those with a range also in a tree. */
struct order {
	struct link transfers;
	struct op *ranges;
};

/* An op that aio_cancel() is to cancel, with a reference, and what to do (cancel.c). */
enum step { STEP_NONE, STEP_END, STEP_ASK, STEP_AWAIT, STEP_RUNS };

struct victim {
	struct op *op;
	enum step step;
};

static inline bool op_is_sync(const struct op *op)
{
	return op->kind == OP_FSYNC || op->kind == OP_FDATASYNC;
}

/*
 * Functions return 0 or a positive error number, and leave errno to calls.c, unless
 * their comment says otherwise. __name: the caller holds the lock.
 */

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

/* futex.c */
int futex_wait(const uint32_t *word, uint32_t value,
	       const struct __kernel_timespec *deadline);
void futex_wake(const uint32_t *word);
int deadline_after(const struct __kernel_timespec *timeout,
		   struct __kernel_timespec *deadline);

/* descriptor.c */
int identity_of(int fd, struct identity *id);
int same_file(const struct op *op);
bool sync_acceptable(const struct op *op);

/* group.c */
int group_new(bool waits, const struct sigevent *event, struct group **groupp);
void group_get(struct group *group);
void group_put(struct group *group);
void group_end(struct group *group, bool failed);
int group_wait(struct group *group, const struct mask *mask);

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

/* end.c */
void op_end(struct op *op, int error, ssize_t value);

/* run.c */
extern struct pool disk_pool, pipe_pool;

/* transfer.c: reads and writes */
off64_t block_offset(const struct aiocb *block, bool wide);
int transfer_make(struct aiocb *block, enum op_kind kind, off64_t offset, int bad,
		  struct op **opp);
int __transfer_add(struct op *op);
void transfer_added(struct op *op, int refused);
int transfer_queue(struct aiocb *block, enum op_kind kind, off64_t offset);

/* divert.c */
int sync_divert(struct op *op);
void sync_restart(struct op *op);

/* sync.c */
int sync_queue(int operation, struct aiocb *block);

/* stream.c */
bool stream_any(void);
int __stream_add(struct op *op);
int __stream_hold(struct op *op);
void __stream_unhold(struct op *op);
void __stream_failed(struct op *op, int error);
void __stream_leave(struct op *op, struct link *refused);
void __stream_forget_all(void);

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

/* rings.c */
bool ring_wants_identity(void);
bool device_available(int *reason);
void __ring_put(struct op *op);
void __rings_forget(void);

/* start.c */
int sync_start(struct op *op);

/* submit.c */
int ring_submit(struct op *op, unsigned int ioprio, bool held);
int ring_cancel(struct op *op, int fd);

/* notify.c */
int notice_copy(const struct sigevent *event, struct notice *notice);
void notice_send(struct notice *notice);
void notice_drop(struct notice *notice);

/* notifier.c */
int notice_thread_copy(const struct sigevent *event, struct notice_thread **threadp);
void notice_thread_send(struct notice_thread *thread);
void notice_thread_drop(struct notice_thread *thread);
void __notifier_forget(void);

/* suspend.c */
int suspend(const struct aiocb *const list[], int count,
	    const struct __kernel_timespec *timeout);
void suspend_wake(const struct aiocb *block);

/* cancel.c */
int cancel_block(int fd, struct aiocb *block, int *answer);
int cancel_fd(int fd, int *answer);

/* list.c */
int list_queue(int mode, struct aiocb *const list[], int count,
	       const struct sigevent *event, bool wide, const struct mask *mask);

/* process.c */
int process_prepare(void);

#endif /* _AFSYNC_POSIX_H */
