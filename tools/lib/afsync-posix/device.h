/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The ring, for device.c, which writes to it, and reaper.c, which reads it.
 */
#ifndef _AFSYNC_POSIX_DEVICE_H
#define _AFSYNC_POSIX_DEVICE_H

#include "posix.h"

/*
 * A ring. Holders: the one variable below, until it is lost; its reaper; each op with a
 * slot in it (in_flight). The reaper, or who loses a ring that has none, frees it.
 */
struct device {
	struct dropin_ring ring;	/* fixed */
	unsigned int in_flight;		/* ops, and who uses the ring for one */
	unsigned int held;		/* of them not started yet */
	unsigned int stranded;		/* of them in the list */
	struct link strand;		/* ops, STARTED, a reference on each */
	uint32_t seen;			/* atomic, futex; entries whose ops have ended */
	unsigned int watchers;		/* atomic; who waits for that */
	bool reaped;			/* there is a reaper */
	bool lost;			/* the descriptor is no longer ours */
};

/* device.c */
void device_free(struct device *device);
void __device_lose(struct device *device);

/* reaper.c */
void *reaper(void *arg);
void reaper_await(struct device *device);

#endif /* _AFSYNC_POSIX_DEVICE_H */
