/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The ring, for rings.c, which opens it, start.c and submit.c, which write to it, and reaper.c,
 * which reads it.
 */
#ifndef _AFSYNC_POSIX_RINGS_H
#define _AFSYNC_POSIX_RINGS_H

#include "posix.h"

/*
 * A ring. Holders: the one variable below, until it is lost; its reaper; each op with a
 * slot in it (in_flight). The reaper, or the thread that loses a ring without one, frees it.
 */
struct ring {
	struct afsync_ring *handle;	/* fixed */
	bool threads;			/* fixed; of libafsync's, else of the device */
	unsigned int in_flight;		/* ops, and threads that use the ring for one */
	unsigned int held;		/* of them not started yet */
	unsigned int stranded;		/* of them in the list; of the device only */
	struct link strand;		/* ops, STARTED, a reference on each */
	uint32_t seen;			/* atomic, futex; entries whose ops have ended */
	unsigned int watchers;		/* atomic; threads that wait for that */
	bool reaped;			/* there is a reaper */
	bool lost;			/* the descriptor is no longer ours */
};

/* reaper.c */
int __reaper_start(struct ring *ring);
void reaper_await(struct ring *ring);

/* rings.c */
void ring_free(struct ring *ring);
void __ring_lose(struct ring *ring);
int __ring_current(struct ring **ringp);
void __ring_take(struct ring *ring, struct op *op);
void __ring_unhold(struct op *op);
struct ring *ring_pin(const struct op *op);
void ring_unpin(struct ring *ring);

#endif /* _AFSYNC_POSIX_RINGS_H */
