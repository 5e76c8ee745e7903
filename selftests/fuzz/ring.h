/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rings: opened in every manner, read, drained and closed.
 */
#ifndef AFSYNC_FUZZ_RING_H
#define AFSYNC_FUZZ_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <linux/afsync.h>

#include "book.h"

/* The user data of requests that are in no book is below this. */
#define SCRIBBLED_GROUPS	8

struct world;

/* How much of it the book can know. */
enum trust {
	RING_OWN,		/* all: one thread uses it */
	RING_SHARED,		/* each request, but not what other threads do meanwhile */
	RING_SCRIBBLED,		/* nothing of its content */
};

/**
 * struct ring - one open of the device
 * @fd: its descriptor, -1 if there is none
 * @dup: another one, or -1
 * @trust: see there
 * @is_set_up: AFSYNC_IOC_SETUP was done
 * @can_map: was opened for reading and writing
 * @writable: was opened for writing
 * @has_eventfd: one is registered
 * @entries, @id, @size: of the ring
 * @map: its mapping, or NULL
 * @extra: another one of the first page, or NULL
 * @lock: for the book and for reading the ring
 * @book: its requests
 */
struct ring {
	int fd;
	int dup;
	enum trust trust;
	bool is_set_up;
	bool can_map;
	bool writable;
	bool has_eventfd;
	__u32 entries;
	__u32 id;
	size_t size;
	struct afsync_ring_header *map;
	void *extra;
	pthread_mutex_t lock;
	struct book book;
};

void ring_init(struct ring *ring, enum trust trust);
/* Opens the device and nothing more. */
void ring_open_device(struct world *w, struct ring *ring, int flags);
/* One that works, without a choice. */
void ring_open(struct world *w, struct ring *ring, __u32 entries, __u32 flags);
void ring_map(struct world *w, struct ring *ring);
/* Closes all that there is of it. What is in flight ends with it. */
void ring_close(struct world *w, struct ring *ring);
/* Takes all entries that are there. */
void ring_reap(struct world *w, struct ring *ring);
/* Ends, and counts, all that was accepted: nothing may be missing. */
void ring_drain(struct world *w, struct ring *ring);
/* Takes it all back, for a ring that nobody can count. */
void ring_quiet(struct world *w, struct ring *ring);
/* The number behind "name:" in the fdinfo, or -1. */
long ring_fdinfo(struct world *w, const struct ring *ring, const char *name);
/* How many requests it takes, if @used are in its book: at least, and at most. */
void ring_free_slots(const struct ring *ring, unsigned int used, unsigned int *least,
		     unsigned int *most);
/* Some ring, with or without all that a command needs. */
struct ring *ring_pick(struct world *w);
/* A ring's number as programs give it: none, the right one, or a wrong one. */
__u32 ring_name(struct world *w, const struct ring *ring);
static inline bool ring_is_open(const struct ring *ring)
{
	return ring->fd >= 0 && ring->is_set_up;
}

#endif /* AFSYNC_FUZZ_RING_H */
