// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The reaper: a thread that waits for the completions of a ring and ends their ops. It
 * alone reads the ring. It ends when nothing has been in flight for a while, and is made
 * again with the next sync. When the ring is lost (rings.c) it stays until all requests
 * queued there have ended, and then frees the ring. To wait for the device it needs the
 * descriptor, so it naps when that is lost; to wait for threads it needs none.
 */
#include <errno.h>
#include <time.h>

#include "rings.h"
#include "../afsync/ring.h"

#define IDLE_NS		1000000000ULL
/* How soon a lost descriptor is noticed, while requests are stranded by it. */
#define LOOK_NS		100000000ULL
#define NAP_MIN_NS	1000000
#define NAP_MAX_NS	64000000

/* Ends the completed ops. Returns false if there were none. */
static bool drain(struct ring *ring)
{
	struct afsync_ring *handle = ring->handle;
	struct afsync_cqe *entry, cqe;
	bool any = false;
	struct op *op;

	while (!afsync_peek_cqe(handle, &entry)) {
		any = true;
		cqe = *entry;
		/* Before the end of the op, so that a thread that sees it finds the slot free. */
		afsync_cqe_seen(handle, entry);
		op = (struct op *)(uintptr_t)cqe.user_data;
		if (cqe.flags & AFSYNC_CQE_MERGED && !ring->threads)
			dropin_count(DROPIN_POSIX_MERGED, 1);
		op_end(op, -cqe.res, 0);
		/* Sequentially consistent, as the next: pairs with reaper_await(). */
		__atomic_store_n(&ring->seen, afsync_cq_head(handle), __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&ring->watchers, __ATOMIC_SEQ_CST))
			futex_wake(&ring->seen);
	}
	return any;
}

/* Waits until the ops of all entries that are in the ring now have ended. */
void reaper_await(struct ring *ring)
{
	uint32_t tail = load_acquire(&ring->handle->hdr->tail);
	uint32_t seen;

	__atomic_add_fetch(&ring->watchers, 1, __ATOMIC_SEQ_CST);
	while ((seen = __atomic_load_n(&ring->seen, __ATOMIC_SEQ_CST)) != tail &&
	       (int32_t)(tail - seen) > 0)
		futex_wait(&ring->seen, seen, NULL);
	__atomic_sub_fetch(&ring->watchers, 1, __ATOMIC_SEQ_CST);
}

/*
 * The end of a lost ring, which only the reaper still uses. With the mapping the
 * kernel drops the held requests; these are started again without a ring.
 */
static void ring_end(struct ring *ring, struct link *stranded)
{
	struct op *op;

	ring_free(ring);
	while (!link_empty(stranded)) {
		op = element(stranded->next, struct op, link);
		link_del(&op->link);
		sync_restart(op);
		op_put(op);
	}
}

/* Takes the stranded ops off their ring, so that no thread finds the ring by them. */
static void __take_stranded(struct ring *ring, struct link *list)
{
	struct op *op;

	while (!link_empty(&ring->strand)) {
		op = element(ring->strand.next, struct op, link);
		link_del(&op->link);
		link_add(list, &op->link);
		op->stranded = false;
		op->ring = NULL;
	}
}

/* Waits for an entry, no longer than a while. Another error than -ETIME: it cannot wait. */
static int await_entry(const struct ring *ring, bool held)
{
	struct afsync_wait wait = {
		.min_complete = 1,
		.flags = AFSYNC_WAIT_TIMEOUT,
		.timeout_ns = held && !ring->threads ? LOOK_NS : IDLE_NS,
	};
	int ret;

	if (!ring->threads && !afsync_ring_reachable(ring->handle))
		return -EBADF;
	ret = ring->handle->backend->wait(ring->handle, &wait);
	return ret == -EINTR ? 0 : ret;
}

static void *reaper(void *arg)
{
	struct ring *ring = arg;
	struct timespec nap = { .tv_nsec = NAP_MIN_NS };
	struct link stranded = LINK_INIT(stranded);
	bool end, lost, held = false, deaf = false;
	int ret = 0;

	do {
		if (deaf)
			nanosleep(&nap, NULL);
		else
			ret = await_entry(ring, held);
		deaf = deaf || (ret < 0 && ret != -ETIME);
		if (drain(ring))
			nap.tv_nsec = NAP_MIN_NS;
		else if (nap.tv_nsec < NAP_MAX_NS)
			nap.tv_nsec *= 2;

		lock();
		if (deaf)
			__ring_lose(ring);
		lost = ring->lost;
		deaf = deaf || (lost && !ring->threads);
		held = ring->held;
		end = lost ? ring->in_flight == ring->stranded :
			     ret == -ETIME && !ring->in_flight;
		if (end) {
			ring->reaped = false;
			__take_stranded(ring, &stranded);
		}
		unlock();
	} while (!end);
	if (lost)
		ring_end(ring, &stranded);
	return NULL;
}

/* Makes sure that a ring has a reaper. */
int __reaper_start(struct ring *ring)
{
	int ret;

	if (ring->reaped)
		return 0;
	ret = thread_start(reaper, ring);
	ring->reaped = !ret;
	return ret;
}
