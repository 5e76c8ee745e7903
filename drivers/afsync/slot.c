// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slots of a ring: one is taken for each request before it is made, so that there is
 * room for its entry when it ends. Beside them, the memory of requests that have ended is
 * kept for the next ones.
 */
#include "afsync.h"

/* Requests whose memory a ring keeps: what a program has in flight again and again. */
#define SLOT_SPARE	64

static void push(struct afsync_req **stack, struct afsync_req *req)
{
	req->next = *stack;
	*stack = req;
}

static struct afsync_req *pop(struct afsync_req **stack)
{
	struct afsync_req *req = *stack;

	if (req)
		*stack = req->next;
	return req;
}

static void free_stack(struct afsync_req *stack)
{
	struct afsync_req *req;

	while ((req = pop(&stack)))
		afsync_req_free(req);
}

/*
 * Takes the slot of a request's completion, if one is free. Memory for the request is in
 * @spare then, or NULL.
 */
bool afsync_slot_take(struct afsync_ring *ring, struct afsync_req **spare)
{
	bool free;

	spin_lock(&ring->lock);
	free = ring->in_flight + __afsync_ring_unread(ring) < ring->entries;
	if (free) {
		ring->in_flight++;
		atomic_inc(&ring->live);
		*spare = pop(&ring->spare);
		ring->nr_spare -= !!*spare;
	}
	spin_unlock(&ring->lock);

	return free;
}

/* Gives back the slot of a request that was not made. */
void afsync_slot_give_back(struct afsync_ring *ring)
{
	spin_lock(&ring->lock);
	ring->in_flight--;
	spin_unlock(&ring->lock);
	afsync_ring_put(ring, 1);
}

/* From now on the requests in @reqs, by their ring_link, are found in the ring. */
void afsync_slot_fill(struct afsync_ring *ring, struct list_head *reqs)
{
	spin_lock(&ring->lock);
	list_splice_tail_init(reqs, &ring->requests);
	spin_unlock(&ring->lock);
}

/*
 * The end of requests of which only the memory is left. The ring keeps some of that for
 * the next ones, and may go with them.
 */
void afsync_slot_release(struct afsync_ring *ring, struct list_head *ended)
{
	struct afsync_req *req, *surplus = NULL;
	int count = 0;

	spin_lock(&ring->lock);
	list_for_each_entry(req, ended, link) {
		count++;
		if (ring->nr_spare < SLOT_SPARE) {
			push(&ring->spare, req);
			ring->nr_spare++;
		} else {
			push(&surplus, req);
		}
	}
	spin_unlock(&ring->lock);

	free_stack(surplus);
	afsync_ring_put(ring, count);
}

/* The end of the ring. */
void afsync_slot_free_spare(struct afsync_ring *ring)
{
	free_stack(ring->spare);
}
