/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rings: opened with every option, read, drained and closed.
 */
#ifndef AFSYNC_FUZZ_RING_H
#define AFSYNC_FUZZ_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <linux/afsync.h>

#include "book.h"

/* The user data of requests without a book entry is below this. */
#define SCRIBBLED_GROUPS	8

struct world;

/* How much of the ring the book can know. */
enum trust {
	RING_OWN,		/* all: one thread uses it */
	RING_SHARED,		/* each request, but not the calls of other threads meanwhile */
	RING_SCRIBBLED,		/* nothing of its content */
};

/**
 * struct ring - one open of the device
 * @fd: its descriptor, -1 if there is none
 * @dup: another descriptor of it, or -1
 * @trust: see enum trust
 * @is_set_up: AFSYNC_IOC_SETUP was done
 * @can_map: was opened for reading and writing
 * @writable: was opened for writing
 * @has_eventfd: one is registered
 * @entries, @id, @size: of the ring
 * @map: its mapping, or NULL
 * @extra: another mapping of the first page, or NULL
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
/* Opens the device, and does no more. */
void ring_open_device(struct world *w, struct ring *ring, int flags);
/* Makes a working ring, without a choice. */
void ring_open(struct world *w, struct ring *ring, __u32 entries, __u32 flags);
void ring_map(struct world *w, struct ring *ring);
/* Closes everything of it. Requests in flight end with it. */
void ring_close(struct world *w, struct ring *ring);
/* Takes all unread entries. */
void ring_reap(struct world *w, struct ring *ring);
/* Ends, and counts, all accepted requests: none may be missing. */
void ring_drain(struct world *w, struct ring *ring);
/* Cancels all requests, for a ring without a book. */
void ring_quiet(struct world *w, struct ring *ring);
/* The number behind "name:" in the fdinfo, or -1. */
long ring_fdinfo(struct world *w, const struct ring *ring, const char *name);
/* How many requests it accepts, if @used are in its book: at least, and at most. */
void ring_free_slots(const struct ring *ring, unsigned int used, unsigned int *least,
		     unsigned int *most);
/* Some ring, perhaps without everything that a command needs. */
struct ring *ring_pick(struct world *w);
/* A ring's number as programs pass it: none, the right one, or a wrong one. */
__u32 ring_name(struct world *w, const struct ring *ring);
static inline bool ring_is_open(const struct ring *ring)
{
	return ring->fd >= 0 && ring->is_set_up;
}

#endif /* AFSYNC_FUZZ_RING_H */
