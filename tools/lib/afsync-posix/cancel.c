// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * aio_cancel. What has not begun can be taken back; what runs goes on. A request that
 * was cancelled has the status ECANCELED when the call returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "posix.h"

/* What became of one request, in the order in which they make the answer for all. */
enum fate { DONE, CANCELLED, RUNS };

static int answer_of(enum fate fate)
{
	if (fate == RUNS)
		return AIO_NOTCANCELED;
	return fate == CANCELLED ? AIO_CANCELED : AIO_ALLDONE;
}

/* Takes back what only we know of. Returns whether it did; then op_end() is due. */
static bool __take_back(struct op *op)
{
	switch (op->state) {
	case OP_WAITING:
		link_del(&op->link);
		/* It was not the lane's turn: nobody is to follow it. */
		op->lane = NULL;
		return true;
	case OP_QUEUED:
		__pool_del(op);
		return true;
	case OP_HELD:
		if (!op->elsewhere || !op->submitted)
			return false;
		__stream_unhold(op);
		return true;
	default:
		return false;
	}
}

static void await_end(struct op *op)
{
	while (!__atomic_load_n(&op->done, __ATOMIC_ACQUIRE))
		futex_wait(&op->done, 0, NULL);
}

/* Cancels what the device has; @fd is -1, or a descriptor whose open file must match. */
static enum fate cancel_sync(struct op *op, int fd)
{
	bool ours;

	switch (device_cancel(op, fd)) {
	case 0:
		/* The reaper will have its completion in a moment. */
		await_end(op);
		return CANCELLED;
	case EALREADY:
		return RUNS;
	case ENODEV:
		lock();
		ours = op->state == OP_HELD;
		if (ours)
			__stream_unhold(op);
		unlock();
		if (!ours)
			return RUNS;
		op_end(op, ECANCELED, -1);
		return CANCELLED;
	default:
		/*
		 * It is done, cancelled already, or for another open file. In the first
		 * two cases its end is near, but may not be seen yet.
		 */
		if (fd < 0)
			await_end(op);
		return __atomic_load_n(&op->done, __ATOMIC_ACQUIRE) ? DONE : RUNS;
	}
}

/* Cancels one request that the caller has a reference on. */
static enum fate cancel_op(struct op *op, int fd)
{
	bool taken, device, done;

	lock();
	done = __atomic_load_n(&op->done, __ATOMIC_RELAXED);
	taken = !done && __take_back(op);
	device = op_is_sync(op) && !op->elsewhere && op->submitted;
	unlock();
	if (done)
		return DONE;
	if (taken) {
		op_end(op, ECANCELED, -1);
		return CANCELLED;
	}
	/* A call that is still going on has promised nothing yet. */
	return device ? cancel_sync(op, fd) : RUNS;
}

int cancel_block(int fd, struct aiocb *block, int *answer)
{
	enum fate fate = DONE;
	struct op *op;

	if (fcntl(fd, F_GETFL) < 0)
		return EBADF;
	if (block->aio_fildes != fd)
		return EINVAL;
	lock();
	op = __op_find(block);
	if (op)
		__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
	unlock();
	if (op) {
		fate = cancel_op(op, -1);
		op_put(op);
	}
	*answer = answer_of(fate);
	return 0;
}

/* Whether a read or write that was queued for this number is for the file it has now. */
static bool is_for(const struct op *op, const struct identity *id)
{
	if (op_is_sync(op) && !op->elsewhere)
		return true;		/* the device will know */
	return op->id.dev == id->dev && op->id.ino == id->ino;
}

int cancel_fd(int fd, int *answer)
{
	enum fate fate, worst = DONE;
	struct op **ops = NULL, **more;
	size_t i, found, room = 0;
	struct identity id;

	if (fcntl(fd, F_GETFL) < 0 || identity_of(fd, &id))
		return EBADF;
	lock();
	for (;;) {
		found = __op_list(fd, NULL, 0);
		if (found <= room)
			break;
		unlock();
		room = found;
		more = realloc(ops, room * sizeof(*ops));
		if (!more) {
			free(ops);
			/* Not one has been cancelled, which is an answer there is. */
			*answer = AIO_NOTCANCELED;
			return 0;
		}
		ops = more;
		lock();
	}
	found = __op_list(fd, ops, room);
	unlock();

	for (i = 0; i < found; i++) {
		fate = is_for(ops[i], &id) ? cancel_op(ops[i], fd) : DONE;
		if (fate > worst)
			worst = fate;
		op_put(ops[i]);
	}
	free(ops);
	*answer = answer_of(worst);
	return 0;
}
