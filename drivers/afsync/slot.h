/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots of a ring, and the memory that comes with them. Locks: afsync.h.
 */
#ifndef _AFSYNC_SLOT_H
#define _AFSYNC_SLOT_H

#include <linux/lockdep.h>
#include <linux/minmax.h>

#include "afsync.h"

/**
 * struct afsync_slots - slots of a ring that a submitter has taken, private to it
 * @ring: the ring
 * @wanted: requests that still have to be made
 * @free: slots that no request has yet, each counted for the user and in ring->live
 * @spare: memory for requests, at most one for each free slot
 */
struct afsync_slots {
	struct afsync_ring *ring;
	u32 wanted;
	u32 free;
	struct afsync_req *spare;
};

/*
 * Slots with entries that the program has not read. With the lock held this is exact, since
 * an honest head cannot be ahead of the tail; one that is outside the ring counts as a
 * full ring.
 */
static inline u32 afsync_slots_unread(struct afsync_ring *ring)
{
	lockdep_assert_held(&ring->lock);
	return min(ring->tail - READ_ONCE(ring->shared->head), ring->entries);
}

/* slot.c */
int afsync_slots_init(void);
void afsync_slots_exit(void);
struct afsync_req *afsync_slot_take(struct afsync_slots *slots);
void afsync_slot_give_back(struct afsync_slots *slots, struct afsync_req *req);
void afsync_slots_fill(struct afsync_slots *slots, struct list_head *reqs);
void afsync_slots_end(struct afsync_ring *ring, u32 count);
void afsync_slots_release(struct afsync_ring *ring, struct list_head *ended);
void afsync_slots_free_spare(struct afsync_ring *ring);

#endif /* _AFSYNC_SLOT_H */
