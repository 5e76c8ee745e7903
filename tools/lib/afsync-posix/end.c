// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The end of a request: its status, the requests that waited for it, the threads that wait
 * for it, the notification.
 */
#include <errno.h>

#include "posix.h"

static void count_end(const struct op *op, int error)
{
	if (!op_is_sync(op))
		return;
	if (error == ECANCELED)
		dropin_count(DROPIN_POSIX_CANCELLED, 1);
	else if (error)
		dropin_count(DROPIN_POSIX_FAILED, 1);
}

/* Ends one op. Those that waited for it and cannot have a thread are moved to @refused. */
static void op_end_one(struct op *op, int error, ssize_t value, struct link *refused)
{
	struct aiocb *block;
	struct file *file;

	lock();
	block = op->block;
	if (!error && op->error)
		error = op->error;
	op->error = error;
	file = op->file;
	if (op->state == OP_HELD)
		__stream_unhold(op);
	else if (file && !op_is_sync(op))
		__stream_failed(op, error);
	__ring_put(op);

	__block_end(op, value);
	__atomic_store_n(&op->done, 1, __ATOMIC_RELEASE);
	count_end(op, error);

	if (file && !op_is_sync(op))
		__stream_leave(op, refused);
	unlock();

	futex_wake(&op->done);
	suspend_wake(block);
	notice_send(&op->notice);
	if (op->group)
		group_end(op->group, error);
	op_put(op);
}

/*
 * Ends a request: its status, the streams, the waiters, the notification. @error is
 * 0 with a @value, or the error. A sync that succeeded takes the error of a request
 * that it waited for. Called without the lock, once for each op, by the thread that moved
 * it out of reach of all others; takes over the reference of being in flight.
 */
void op_end(struct op *op, int error, ssize_t value)
{
	struct link refused = LINK_INIT(refused);

	op_end_one(op, error, value, &refused);
	/* With so few threads left, their calls would have returned the same error. */
	while (!link_empty(&refused)) {
		op = element(refused.next, struct op, link);
		link_del(&op->link);
		op_end_one(op, EAGAIN, -1, &refused);
	}
}
