/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a request consists of, and what it is in: a pool, the order of a file. The rules of the
 * lock are in posix.h, which includes this.
 */
#ifndef _AFSYNC_POSIX_OP_H
#define _AFSYNC_POSIX_OP_H

#include <aio.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../afsync/list.h"

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
 *	OP_HELD		a sync, in its epoch		the end of the epoch (stream.c)
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

#endif /* _AFSYNC_POSIX_OP_H */
