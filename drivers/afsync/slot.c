// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slots of a ring: one is taken for each request before it is made, so that there is
 * room for its entry when it ends, and it is counted for the user. A submitter takes them in
 * groups. The memory of requests comes with them: that of ended ones is kept for new ones.
 */
#include <linux/slab.h>

#include "fileq.h"
#include "slot.h"

/*
 * The requests whose memory a ring keeps: as many as a program has in flight repeatedly. Never
 * more than the ring has entries.
 */
#define SLOT_SPARE	1024

static struct kmem_cache *req_cache;

int afsync_slots_init(void)
{
	req_cache = KMEM_CACHE(afsync_req, SLAB_ACCOUNT);
	return req_cache ? 0 : -ENOMEM;
}

void afsync_slots_exit(void)
{
	kmem_cache_destroy(req_cache);
}

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
	unsigned int i = 0;

	while ((req = pop(&stack))) {
		kmem_cache_free(req_cache, req);
		afsync_cond_resched(i++);
	}
}

/*
 * Takes some of the wanted slots, if any are free, and kept memory
 * for their requests.
 */
static void take_some(struct afsync_slots *slots)
{
	struct afsync_ring *ring = slots->ring;
	struct afsync_req *req;
	u32 used, count, i;

	spin_lock(&ring->lock);
	/* More than there are, if the program's head is wrong. */
	used = min(ring->in_flight + afsync_slots_unread(ring), ring->entries);
	count = min3(ring->entries - used, slots->wanted, (u32)AFSYNC_RUN);
	count = afsync_user_charge(ring->user, count);
	for (i = 0; i < count && ring->nr_spare; i++) {
		req = pop(&ring->spare);
		ring->nr_spare--;
		push(&slots->spare, req);
	}
	ring->in_flight += count;
	atomic_add(count, &ring->live);
	spin_unlock(&ring->lock);

	slots->free = count;
}

/* Uninitialised memory for a request, with the slot of its completion, or NULL. */
struct afsync_req *afsync_slot_take(struct afsync_slots *slots)
{
	struct afsync_req *req;

	if (!slots->free)
		take_some(slots);
	if (!slots->free)
		return NULL;
	req = pop(&slots->spare) ?: kmem_cache_alloc(req_cache, AFSYNC_GFP);
	if (req) {
		slots->free--;
		slots->wanted--;
	}
	return req;
}

/* The request was not made. */
void afsync_slot_give_back(struct afsync_slots *slots, struct afsync_req *req)
{
	push(&slots->spare, req);
	slots->free++;
	slots->wanted++;
}

/* Keeps memory for the next requests; the rest goes to @surplus. */
static void keep(struct afsync_ring *ring, struct afsync_req *req, struct afsync_req **surplus)
{
	lockdep_assert_held(&ring->lock);

	if (ring->nr_spare < min_t(u32, ring->entries, SLOT_SPARE)) {
		push(&ring->spare, req);
		ring->nr_spare++;
	} else {
		push(surplus, req);
	}
}

/* Gives back @count slots, whose requests are no longer in flight or were never made. */
void afsync_slots_end(struct afsync_ring *ring, u32 count)
{
	lockdep_assert_held(&ring->lock);

	ring->in_flight -= count;
	afsync_user_uncharge(ring->user, count);
}

/*
 * From now on the requests in @reqs, by their ring_link, are found in the ring. Slots that
 * no request used go back; the caller drops their references to the ring.
 */
void afsync_slots_fill(struct afsync_slots *slots, struct list_head *reqs)
{
	struct afsync_req *req, *surplus = NULL;
	struct afsync_ring *ring = slots->ring;

	spin_lock(&ring->lock);
	list_splice_tail_init(reqs, &ring->requests);
	while ((req = pop(&slots->spare)))
		keep(ring, req, &surplus);
	if (slots->free)
		afsync_slots_end(ring, slots->free);
	spin_unlock(&ring->lock);

	free_stack(surplus);
}

/*
 * The end of requests that are only memory now. The ring keeps some of it for
 * the next ones. The caller drops their references to the ring.
 */
void afsync_slots_release(struct afsync_ring *ring, struct list_head *ended)
{
	struct afsync_req *req, *surplus = NULL;

	spin_lock(&ring->lock);
	list_for_each_entry(req, ended, link)
		keep(ring, req, &surplus);
	spin_unlock(&ring->lock);

	free_stack(surplus);
}

/* The end of the ring. */
void afsync_slots_free_spare(struct afsync_ring *ring)
{
	free_stack(ring->spare);
}
