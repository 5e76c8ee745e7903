// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching requests to kernel AIO, cancelling the AIO and destroying its context.
 */
#include "world.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long sys(long ret)
{
	return ret < 0 ? -errno : ret;
}

void aio_open(struct world *w)
{
	memset(&w->aio, 0, sizeof(w->aio));
	must(w, !syscall(SYS_io_setup, NR_AIOS * 2, &w->aio.ctx));
}

static struct aio_op *free_op(struct world *w)
{
	unsigned int i;

	for (i = 0; i < NR_AIOS; i++)
		if (!w->aio.ops[i].busy)
			return &w->aio.ops[i];
	return NULL;
}

/* Makes the attach invalid, in its fields or in the write. */
static void spoil(struct aio_op *op, unsigned int dice, unsigned int which)
{
	static const __s64 offsets[] = { 0, 4096, -8192 };
	static const __u64 sizes[] = { 0, 8, 15, 17, 64 };
	struct iocb *iocb = &op->iocb;

	switch (dice) {
	case 0:
		op->args.flags |= 2U << which % 31;
		op->may = ERRNO(EINVAL);
		break;
	case 1:
		iocb->aio_offset = offsets[which % 3];
		op->may = ERRNO(EINVAL);
		break;
	case 2:
		iocb->aio_nbytes = sizes[which % 5];
		op->may = ERRNO(EINVAL);
		break;
	case 3:
		iocb->aio_buf = 8;
		op->may = ERRNO(EFAULT);
		break;
	default:
		op->args.ring = ~op->args.ring;
		op->may = ERRNO(ESTALE);
		break;
	}
}

static void prepare(struct aio_op *op, struct ring *ring, __u64 user_data, __u32 flags)
{
	*op = (struct aio_op) {
		.args = { .user_data = user_data, .flags = flags, .ring = ring->id },
		.iocb = {
			.aio_lio_opcode = IOCB_CMD_PWRITE,
			.aio_fildes = ring->fd,
			.aio_offset = AFSYNC_ATTACH_OFFSET,
			.aio_nbytes = sizeof(op->args),
		},
	};
	op->iocb.aio_buf = (uintptr_t)&op->args;
}

/* Updates the book for the attach. Returns the possible results of io_submit(). */
static struct may plan(struct ring *ring, struct aio_op *op, bool bad)
{
	struct want *want = NULL;

	if (ring->fd < 0 || !ring->writable)
		return may_fail(ERRNO(EBADF));
	if (!ring->is_set_up) {
		op->may = ERRNO(ENXIO);
	} else if (ring->trust == RING_SCRIBBLED) {
		op->may = documented | ERRNO(ECANCELED) | ERRNO(EIO);
		op->may_succeed = true;
	} else if (!bad) {
		book_held(&ring->book, op->args.user_data, op->args.user_data, false, &want, 1);
		op->may = want ? ERRNO(ECANCELED) : ERRNO(ENOENT);
	}
	if (want) {
		op->may_succeed = true;
		op->may |= want->may_fail ? ERRNO(EIO) : 0;
		op->want = want;
		op->ring = ring;
		want->attached = true;
		if (op->args.flags & AFSYNC_ATTACH_START)
			want->held = false;
	}
	return may_return(1, 1);
}

void call_attach(struct world *w)
{
	struct ring *ring = ring_pick(w);
	unsigned int which = below(w, BOOK_ROOM), dice = below(w, 80), flags = below(w, 2);
	struct aio_op *op = free_op(w);
	bool bad = dice < 5;
	struct iocb *iocb;
	struct may may;
	__u64 user_data;

	/* The book does not know which of several with the same user data is the oldest. */
	if (!op || ring->trust == RING_SHARED)
		return;
	user_data = book_some_held(&ring->book, which);
	if (ring->trust == RING_SCRIBBLED)
		user_data = which % SCRIBBLED_GROUPS;
	else if (user_data & BOOK_SHARED)
		user_data = ~0ULL;
	prepare(op, ring, user_data, flags);
	if (bad)
		spoil(op, dice, which);
	may = plan(ring, op, bad);
	iocb = &op->iocb;
	op->busy = expect(w, CMD_ATTACH, sys(syscall(SYS_io_submit, w->aio.ctx, 1, &iocb)),
			  may) == 1;
}

static void end_op(struct world *w, struct aio_op *op, long res)
{
	struct ring *ring = op->ring;

	expect(w, CMD_EVENT, res,
	       op->may_succeed ? (struct may) { 0, 0, op->may } : may_fail(op->may));
	op->busy = false;
	if (!op->want)
		return;
	if (res != -ECANCELED && op->want->must_cancel)
		fail(w, "an attached request that was cancelled says that it was synced");
	if (res == -ECANCELED && !op->want->may_cancel)
		fail(w, "-ECANCELED of an attached request that was not cancelled");
	if (op->want->held)
		fail(w, "an attached request that is held has ended");
	w->tally->completed++;
	w->tally->cancelled += res == -ECANCELED;
	ring->book.cancelled_events += res == -ECANCELED;
	book_drop(&ring->book, op->want);
}

static unsigned int take_events(struct world *w, unsigned int min)
{
	struct timespec patience = { .tv_sec = min ? options.patience : 0 };
	struct io_event events[NR_AIOS];
	struct aio_op *op;
	long i, count;

	count = sys(syscall(SYS_io_getevents, w->aio.ctx, min, NR_AIOS, events, &patience));
	if (count < (long)min)
		fail(w, "LOST: of %u AIOs %ld have ended", min, count);
	for (i = 0; i < count; i++) {
		for (op = w->aio.ops; op < w->aio.ops + NR_AIOS; op++)
			if ((uintptr_t)&op->iocb == events[i].obj)
				break;
		if (op == w->aio.ops + NR_AIOS || !op->busy || events[i].res2)
			fail(w, "an event that belongs to no AIO, or the second of one");
		end_op(w, op, events[i].res);
	}
	return count;
}

void call_aio_events(struct world *w)
{
	take_events(w, 0);
}

static void cancel_op(struct world *w, struct aio_op *op)
{
	errnos may = ERRNO(EINPROGRESS) | ERRNO(EAGAIN) | ERRNO(EINVAL);
	struct io_event event;

	if (op->want && op->want->held) {
		may = ERRNO(EINPROGRESS);
		op->want->must_cancel = true;
		op->want->held = false;
	}
	if (op->want)
		op->want->may_cancel = true;
	expect(w, CMD_AIO_CANCEL, sys(syscall(SYS_io_cancel, w->aio.ctx, &op->iocb, &event)),
	       may_fail(may));
}

void call_aio_cancel(struct world *w)
{
	struct aio_op *op = &w->aio.ops[below(w, NR_AIOS)];

	if (op->busy)
		cancel_op(w, op);
}

static unsigned int busy_ops(struct world *w)
{
	unsigned int i, count = 0;

	for (i = 0; i < NR_AIOS; i++)
		count += w->aio.ops[i].busy;
	return count;
}

void aio_drain(struct world *w)
{
	unsigned int i, left;

	for (i = 0; i < NR_AIOS; i++)
		if (w->aio.ops[i].busy)
			cancel_op(w, &w->aio.ops[i]);
	for (left = busy_ops(w); left; left -= take_events(w, left))
		;
}

/* The requests continue: an AIO holds the ring open. */
void aio_forget(struct world *w, const struct ring *ring)
{
	struct aio_op *op;

	for (op = w->aio.ops; op < w->aio.ops + NR_AIOS; op++) {
		if (!op->want || op->ring != ring)
			continue;
		op->ring = NULL;
		op->want = NULL;
	}
}

/* Cancels held and queued requests, and waits for the running ones; no event is seen. */
void call_aio_destroy(struct world *w)
{
	struct aio_op *op;

	must(w, !syscall(SYS_io_destroy, w->aio.ctx));
	for (op = w->aio.ops; op < w->aio.ops + NR_AIOS; op++) {
		if (!op->busy || !op->want)
			continue;
		w->tally->abandoned++;
		op->ring->book.cancelled_events++;
		book_drop(&op->ring->book, op->want);
	}
	aio_open(w);
}
