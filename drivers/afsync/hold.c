// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that were accepted and wait to be started. Every step that can fail has been
 * done: the file, the credentials, the slot and the memory are there. They are in no queue
 * yet, so no request waits for them, and the start determines their place in the order.
 */
#include "afsync.h"
#include "fileq.h"

/* Holds a request in state NEW. */
void afsync_hold(struct afsync_req *req)
{
	spin_lock(&req->ring->lock);
	afsync_fileq_hold(req);
	spin_unlock(&req->ring->lock);
}

/*
 * Moves the held requests with user data from @first to @last to @started, oldest first. They
 * are still held there: a cancel takes them out.
 */
static void take_held(struct afsync_ring *ring, u64 first, u64 last, struct list_head *started)
{
	struct afsync_req mark = {};
	struct list_head *place, *next;
	struct afsync_req *req;
	unsigned int looked = 0;

	lockdep_assert_held(&ring->lock);

	for (place = ring->held.next; place != &ring->held; place = next) {
		req = list_entry(place, struct afsync_req, link);
		next = place->next;
		if (req->ring && req->user_data >= first && req->user_data <= last)
			list_move_tail(&req->link, started);
		if (++looked % AFSYNC_RUN)
			continue;
		afsync_ring_pause(ring, &mark.link, next);
		next = mark.link.next;
		list_del(&mark.link);
	}
}

/* Queues the requests of @started that are still held; returns how many. */
static int queue_held(struct afsync_ring *ring, struct list_head *started,
		      struct list_head *kick)
{
	unsigned int count = 0, since = 0;

	lockdep_assert_held(&ring->lock);

	while (!list_empty(started)) {
		since += afsync_fileq_add(started, kick);
		if (since < AFSYNC_RUN)
			continue;
		count += since;
		since = 0;
		spin_unlock(&ring->lock);
		cond_resched();
		spin_lock(&ring->lock);
	}
	return count + since;
}

/**
 * afsync_start - queue held requests of a ring
 * @ring: the ring
 * @args: see struct afsync_start
 *
 * All of these requests are in the queues of their files before the first worker is started, as
 * with a submit.
 *
 * Return: number of requests queued; -EINVAL; -ENOENT; -ESTALE
 */
int afsync_start(struct afsync_ring *ring, const struct afsync_start *args)
{
	LIST_HEAD(started);
	LIST_HEAD(kick);
	int count;

	if (args->flags || (args->last && args->last < args->user_data))
		return -EINVAL;
	if (!afsync_is_ring(ring, args->ring))
		return -ESTALE;

	spin_lock(&ring->lock);
	take_held(ring, args->user_data, args->last ?: args->user_data, &started);
	count = queue_held(ring, &started, &kick);
	spin_unlock(&ring->lock);

	afsync_fileq_kick(&kick);
	return count ?: -ENOENT;
}
