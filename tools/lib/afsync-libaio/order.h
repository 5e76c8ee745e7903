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
	bool blocked;		/* there is an older one */
	__u32 pending;		/* requests that count in it */
	struct entry *first;	/* syncs that wait, oldest first */
	struct entry *last;
	struct gate *newer;
	struct gate *chain;	/* in its bucket, if it is its descriptor's newest */
};

/* A request that is outstanding, or owed. */
struct entry {
	__u64 obj;		/* as in its event */
	__u64 data;		/* as in its event */
	__u64 user_data;	/* of a sync; else 0 */
	struct gate *gate;	/* where it counts, or a held sync waits; else NULL */
	struct entry *chain;	/* in its bucket; newer ones come first */
	struct entry *next;	/* of the syncs of a gate, or of the free ones */
	struct entry *prev;	/* of the syncs of a gate */
	/* Of what looks the same and is not a sync; only valid in the newest: */
	__u32 twins;		/* how many, with this one */
	__u32 owed;		/* how many of them have ended, but nobody knows which */
	bool mixed;		/* they are of several descriptors */
};

struct order {
	__u32 nr;		/* constant: of the ring */
	__u32 outstanding;
	__u32 owed;		/* of all twins; at most nr */
	__u32 entries_used;	/* of the array; any of those may be in the free list */
	__u32 gates_used;
	unsigned int shift;	/* 64 - bits of the number of buckets */
	struct entry *free_entries;
	struct gate *free_gates;
	/* The arrays. A gate, but for an empty last one, has an entry. */
	struct entry *entries;	/* 2 * nr */
	struct gate *gates;	/* 2 * nr */
	struct entry **by_obj;	/* buckets */
	struct gate **by_fd;	/* buckets */
};

static inline size_t order_slot(const struct order *o, __u64 key)
{
	return key * 0x9e3779b97f4a7c15ULL >> o->shift;
}

/* gate.c */

/* NULL if nothing of the descriptor is outstanding that a sync has to wait for. */
struct gate *gate_newest(const struct order *o, int fd);
/* Counts a request that is not a sync. */
struct gate *gate_join(struct order *o, int fd);
void gate_enter(struct context *ctx, struct gate *gate, struct entry *sync);
void gate_leave(struct context *ctx, struct entry *sync);
/* Opens the gate if nothing is before it, and those behind it that wait for nothing else. */
void gate_try(struct context *ctx, struct gate *gate);
/* The entry stays until its event is seen. */
void gate_start(struct context *ctx, const struct entry *sync);

#endif /* _AFSYNC_LIBAIO_ORDER_H */
