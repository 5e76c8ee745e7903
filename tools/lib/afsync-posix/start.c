// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Starts a sync when nothing is before it any more (stream.c): by its ring, or by a pool if there
 * is none.
 */
#include "rings.h"

/* The ring of a held op turned out to be lost; the reaper will start it again. */
static void strand(struct op *op, struct ring *ring)
{
	lock();
	/* It may have ended after all: cancelled, by a completion that was there before. */
	if (op->ring) {
		__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
		link_add(&ring->strand, &op->link);
		op->stranded = true;
		ring->stranded++;
		__ring_lose(ring);
	}
	unlock();
}

/*
 * Starts a held op. It is no error if the op has been cancelled: then its completion is
 * on the way.
 */
static void ring_start(struct op *op)
{
	struct afsync_start args = { .user_data = (uintptr_t)op };
	struct ring *ring = ring_pin(op);

	/* An op that has ended has no ring, and is not to be started. */
	if (!ring)
		return;
	args.ring = ring->handle->id;
	if (ring->handle->backend->start(ring->handle, &args) < 0 && !ring->threads &&
	    !afsync_ring_reachable(ring->handle))
		strand(op, ring);
	lock();
	__ring_unhold(op);
	unlock();
	ring_unpin(ring);
}

/*
 * Starts a sync that its ring holds or that has been waiting for a pool. Called without
 * the lock, by the thread that took it out of its epoch; has a reference. EAGAIN if there is no
 * thread: the caller has to end it.
 */
int sync_start(struct op *op)
{
	int ret;

	if (!op->ringless) {
		ring_start(op);
		return 0;
	}
	lock();
	ret = __pool_add(op->pool, op);
	unlock();
	return ret;
}
