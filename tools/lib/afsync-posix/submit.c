// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The commands to a ring: submitting a sync and cancelling it; start.c starts it. They are
 * given as the backend takes them, not by libafsync's functions for programs, which leave it
 * to the program that only one thread at a time submits.
 *
 * The user_data of a request is the address of its op, which stays allocated as long as
 * the request is in flight.
 */
#include <errno.h>

#include "rings.h"

/* Reserves the resources that an op needs beyond the submit: the ring, and its reaper. */
static int ring_get(struct op *op, struct ring **ringp)
{
	struct ring *ring;
	int ret;

	lock();
	ret = __ring_current(&ring);
	/* A pool may have a thread. */
	if (!ret && __reaper_start(ring))
		ret = ring->threads ? ENODEV : EAGAIN;
	if (!ret)
		__ring_take(ring, op);
	unlock();
	*ringp = ring;
	return ret;
}

static int submit(const struct op *op, const struct ring *ring, unsigned int ioprio,
		  bool held)
{
	struct afsync_sqe sqe = {
		.user_data = (uintptr_t)op,
		.fd = op->fd,
		.op = op->kind == OP_FSYNC ? AFSYNC_OP_FSYNC : AFSYNC_OP_FDATASYNC,
		.flags = (op->writable ? AFSYNC_SQE_WRITABLE : 0) |
			 (held ? AFSYNC_SQE_HOLD : 0),
		.ioprio = ioprio,
	};
	struct afsync_submit args = {
		.sqes = (uintptr_t)&sqe,
		.nr = 1,
		.sqe_size = sizeof(sqe),
		.ring = ring->handle->id,
	};
	int ret;

	ret = ring->handle->backend->submit(ring->handle, &args);
	return ret == 1 ? 0 : -ret;
}

/* Is that an error of the ring? Else it is one of the file. */
static bool is_lost(const struct op *op, const struct ring *ring, int error)
{
	if (!afsync_ring_reachable(ring->handle))
		return true;
	/* Threads that could not be reached may have ended since, and others will come. */
	return error == EBADF && sync_acceptable(op);
}

/*
 * Submits an op. ENODEV if there is no ring that can take it; otherwise the error of the
 * request. Called without the lock; the caller has a reference of its own.
 */
int ring_submit(struct op *op, unsigned int ioprio, bool held)
{
	struct ring *ring;
	bool lost, threads;
	int ret, tries;

	for (tries = 0; tries < 3; tries++) {
		ret = ring_get(op, &ring);
		if (ret)
			return ret;
		threads = ring->threads;
		/* If that succeeds the op may end, and the ring with it. */
		ret = submit(op, ring, ioprio, held);
		if (!ret) {
			dropin_count(DROPIN_ELSEWHERE, threads);
			return 0;
		}
		lost = is_lost(op, ring, ret);
		lock();
		__ring_put(op);
		if (lost)
			__ring_lose(ring);
		unlock();
		/* There can be no threads. */
		if (ret == ENOSYS)
			return ENODEV;
		if (!lost)
			return ret == ENOMEM ? EAGAIN : ret;
	}
	return ENODEV;
}

/* The meaning of an error other than EALREADY for ring_cancel(). */
static int why_not_cancelled(struct ring *ring, int error)
{
	if (!ring->threads && !afsync_ring_reachable(ring->handle))
		return ENODEV;
	if (error != ENOENT)
		return EALREADY;
	/* A completed op usually has its entry, but its end may not be seen yet. */
	reaper_await(ring);
	return ENOENT;
}

/*
 * Cancels a submitted op, if it is for the open file of @fd; -1 allows any. Returns 0:
 * it will end, with ECANCELED if it was cancelled; EALREADY: it runs; ENOENT: it has ended, or
 * is for another file; ENODEV: the ring is lost.
 */
int ring_cancel(struct op *op, int fd)
{
	struct afsync_cancel args = {
		.user_data = (uintptr_t)op,
		.match = AFSYNC_CANCEL_USER_DATA,
	};
	struct ring *ring = ring_pin(op);
	int ret;

	/* It has ended, or its ring was lost and it continues without one. */
	if (!ring)
		return __atomic_load_n(&op->done, __ATOMIC_ACQUIRE) ? ENOENT : EALREADY;
	args.ring = ring->handle->id;
	/* See ring_wants_identity(): of threads it is known already, as a rule. */
	if (fd >= 0 && !(ring->threads && op->id.mode)) {
		args.fd = fd;
		args.match |= AFSYNC_CANCEL_FD;
	}
	ret = ring->handle->backend->cancel(ring->handle, &args);
	ret = ret < 0 ? -ret : 0;
	if (ret == ENOENT && !(args.match & AFSYNC_CANCEL_FD) && ring->threads)
		/* It is done, or cancelled already. */
		ret = 0;
	else if (ret && ret != EALREADY)
		ret = why_not_cancelled(ring, ret);
	ring_unpin(ring);
	return ret;
}
