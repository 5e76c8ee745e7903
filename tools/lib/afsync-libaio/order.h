/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is outstanding in a context: between order.c and gate.c. All fields that are not
 * constant: context.lock.
 */
#ifndef _AFSYNC_LIBAIO_ORDER_H
#define _AFSYNC_LIBAIO_ORDER_H

#include "internal.h"

struct gate {
	int fd;
	__u32 pending;		/* entries that count in it */
	struct entry *first;	/* syncs that wait, oldest first */
	struct entry *last;
	struct gate *older;
	struct gate *newer;
	struct gate *chain;	/* in its bucket, if it is its descriptor's newest */
};

/*
 * A sync that is outstanding, or requests that look the same, are of one gate, and are
 * not known to have all ended.
 */
struct entry {
	__u64 obj;		/* as in its event */
	__u64 data;		/* as in its event */
	__u64 user_data;	/* of a sync; else 0 */
	struct gate *gate;	/* where it counts, or a held sync waits; else NULL */
	struct entry *chain;	/* in its bucket; newer ones come first */
	struct entry *next;	/* of the syncs of a gate, or of the free ones */
	struct entry *prev;	/* of the syncs of a gate */
	__u32 count;		/* requests that look the same, outstanding at all gates; only
				 * valid in the newest entry of them, and not of a sync
				 */
};

struct order {
	struct batch_room batch;
	__u32 nr;		/* constant: of the ring */
	__u32 outstanding;
	__u32 entries_free;	/* in the array, in all */
	__u32 entries_used;	/* of the array; any of those may be in the free list */
	__u32 gates_used;
	unsigned int shift;	/* 64 - bits of the number of buckets */
	/* The syncs that order_start() starts, from one user data to another; both 0: none. */
	__u64 first_ready;
	__u64 last_ready;
	struct entry *free_entries;
	struct gate *free_gates;
	/* The arrays. Each gate has an entry. */
	struct entry *entries;	/* 2 * nr */
	struct gate *gates;	/* 2 * nr */
	struct entry **by_obj;	/* buckets */
	struct gate **by_fd;	/* buckets */
};

static inline size_t order_slot(const struct order *o, __u64 key)
{
	return key * 0x9e3779b97f4a7c15ULL >> o->shift;
}

/* Does order_start() start it? Of a sync only. */
static inline bool order_is_ready(const struct order *o, const struct entry *sync)
{
	return sync->user_data >= o->first_ready && sync->user_data <= o->last_ready;
}

/* gate.c */

/* NULL if nothing of the descriptor is outstanding that a sync has to wait for. */
struct gate *gate_newest(const struct order *o, int fd);
/* Where a request that is not a sync has to count. */
struct gate *gate_to_join(struct order *o, int fd);
void gate_enter(struct context *ctx, struct gate *gate, struct entry *sync);
void gate_leave(struct context *ctx, struct entry *sync);
/*
 * To be called when less waits at the gate, or counts in it: opens it if nothing is before
 * it, and those behind it that wait for nothing else. If it is of no use any more it goes.
 */
void gate_settle(struct context *ctx, struct gate *gate);
/*
 * Nothing is before it any more: order_start() starts it. The entry stays until its event is
 * seen.
 */
void gate_ready(struct context *ctx, const struct entry *sync);

#endif /* _AFSYNC_LIBAIO_ORDER_H */
