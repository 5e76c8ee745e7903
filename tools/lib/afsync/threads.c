// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The threads' backend as the rest of the library sees it. threads.h has the overview.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "threads.h"
#include "ring.h"

/* Any thread; the reader may read on meanwhile. */
unsigned int afsync_threads_unread(const struct afsync_ring *ring)
{
	uint32_t head = load_acquire(&ring->hdr->head);
	uint32_t nr = load_relaxed(&ring->hdr->tail) - head;

	/* A program that writes over the header must not lead us out of the ring. */
	return nr < ring->entries ? nr : ring->entries;
}

/* The ring of a parent process: its threads are not in this one. */
static bool of_parent(const struct afsync_ring *ring)
{
	return ring->threads->generation != load_relaxed(&afsync_generation);
}

static int submit_wait(struct afsync_ring *ring, const struct afsync_submit *arg)
{
	struct afsync_wait wait = {
		.min_complete = arg->min_complete,
		.flags = arg->wait_flags,
		.timeout_ns = arg->timeout_ns,
		.sigmask = arg->sigmask,
	};

	if (afsync_threads_unread(ring) >= wait.min_complete)
		return 0;
	/* As for the module: the call has queued requests, and is not restarted. */
	return afsync_threads_wait(ring, &wait, false);
}

/* Not if the program has closed our end of the socket of its team. */
static bool reachable(struct afsync_ring *ring)
{
	struct unlocked saved;
	bool ret;

	afsync_lock(&saved);
	ret = !ring->threads->team || afsync_team_reachable(ring->threads->team);
	afsync_unlock(&saved);
	return ret;
}

static int threads_submit(struct afsync_ring *ring, struct afsync_submit *arg)
{
	int saved = errno, ret = -EBUSY;

	if (of_parent(ring))
		return -EBADF;
	arg->error = 0;
	arg->wait_result = 0;
	if (!arg->nr)
		return reachable(ring) ? 0 : -EBADF;
	if (afsync_here_wanted(ring, arg))
		ret = afsync_here_submit(ring, arg, true);
	if (ret == -EBUSY)
		ret = afsync_queue_all(ring, arg);
	if (ret == -ENOSYS && !ring->threads->alone)
		ret = afsync_here_submit(ring, arg, false);
	if (!ret)
		ret = arg->error;
	if (ret == (int)arg->nr && arg->flags & AFSYNC_SUBMIT_WAIT)
		arg->wait_result = submit_wait(ring, arg);
	errno = saved;
	return ret;
}

static int threads_wait(struct afsync_ring *ring, struct afsync_wait *arg)
{
	int saved = errno, ret;

	ret = of_parent(ring) ? -EBADF : afsync_threads_wait(ring, arg, true);
	errno = saved;
	return ret;
}

static int threads_cancel(struct afsync_ring *ring, struct afsync_cancel *arg)
{
	int errno_was = errno, ret;
	struct unlocked saved;

	if (of_parent(ring))
		return -EBADF;
	afsync_lock(&saved);
	ret = afsync_cancel_requests(ring, arg);
	afsync_unlock(&saved);
	errno = errno_was;
	return ret;
}

static int threads_start(struct afsync_ring *ring, struct afsync_start *arg)
{
	struct unlocked saved;
	int ret;

	if (of_parent(ring))
		return -EBADF;
	afsync_lock(&saved);
	ret = afsync_queue_held(ring, arg->user_data, arg->last ? arg->last : arg->user_data);
	afsync_unlock(&saved);
	return ret;
}

/* Under the lock, which afsync_team_of() may drop: only after that look for a bell. */
static int eventfd_register(struct afsync_ring *ring, int fd)
{
	struct team *team;
	int ret = afsync_check_eventfd(fd);

	if (!ret)
		ret = afsync_team_of(ring, &team);
	if (ret)
		return ret;
	if (ring->threads->eventfd)
		return -EBUSY;
	return afsync_bell_new(ring, team, fd, &ring->threads->eventfd);
}

static int eventfd_unregister(struct afsync_ring *ring)
{
	if (!ring->threads->eventfd)
		return -ENXIO;
	afsync_bell_drop(ring, &ring->threads->eventfd);
	return 0;
}

static int threads_eventfd(struct afsync_ring *ring, struct afsync_eventfd *arg)
{
	int errno_was = errno, ret;
	struct unlocked saved;

	if (of_parent(ring))
		return -EBADF;
	afsync_lock(&saved);
	ret = arg->fd < 0 ? eventfd_unregister(ring) : eventfd_register(ring, arg->fd);
	afsync_unlock(&saved);
	errno = errno_was;
	return ret;
}

static int poll_bell(struct afsync_ring *ring)
{
	struct afsync_threads *threads = ring->threads;
	struct team *team;
	int ret;

	if (threads->poll)
		return 0;
	ret = afsync_team_of(ring, &team);
	if (ret || threads->poll)
		return ret;
	ret = afsync_bell_new(ring, team, -1, &threads->poll);
	if (ret)
		return ret;
	store_release(&threads->polled, 1);
	/* Pairs with the fence in threads_advanced(). */
	full_fence();
	if (afsync_threads_unread(ring))
		afsync_bell_ring(threads->poll, false);
	return 0;
}

static int threads_fd(struct afsync_ring *ring)
{
	int errno_was = errno, ret;
	struct unlocked saved;

	if (of_parent(ring))
		return -EBADF;
	afsync_lock(&saved);
	ret = poll_bell(ring);
	if (!ret)
		ret = afsync_bell_fd(ring->threads->poll);
	if (ret == -1)
		ret = -EBADF;
	afsync_unlock(&saved);
	errno = errno_was;
	return ret;
}

/* An empty ring must not be readable. */
static void threads_advanced(struct afsync_ring *ring)
{
	struct afsync_threads *threads = ring->threads;
	int errno_was = errno;
	struct unlocked saved;

	/* Either we see the bell, or the thread that makes it sees that the ring is empty. */
	full_fence();
	if (!load_relaxed(&threads->polled) || of_parent(ring) ||
	    afsync_threads_unread(ring))
		return;
	afsync_lock(&saved);
	if (!afsync_threads_unread(ring) && threads->poll)
		afsync_bell_clear(threads->poll);
	afsync_unlock(&saved);
	errno = errno_was;
}

static void ring_free(struct afsync_ring *ring)
{
	/* In the child of a fork a thread of the parent seems to wait for ever. */
	if (!of_parent(ring))
		pthread_cond_destroy(&ring->threads->quiet);
	afsync_unmap(ring->threads->requests,
		     ring->entries * sizeof(*ring->threads->requests));
	free(ring->threads);
	free(ring->hdr);
}

/* Cancels the waiting requests, and waits for the running ones. */
static void threads_exit(struct afsync_ring *ring)
{
	struct afsync_cancel all = { .match = AFSYNC_CANCEL_ALL };
	struct afsync_threads *threads = ring->threads;
	int errno_was = errno;
	struct unlocked saved;
	struct link *l;

	afsync_lock(&saved);
	if (!of_parent(ring)) {
		afsync_cancel_requests(ring, &all);
		while (threads->in_flight)
			afsync_wait_for(&threads->quiet);
		afsync_waiters_free(ring);
		afsync_bell_drop(ring, &threads->eventfd);
		afsync_bell_drop(ring, &threads->poll);
		afsync_team_ring_ends();
	} else {
		afsync_bell_forget(threads->poll);
		for (l = threads->waiters.next; l != &threads->waiters; l = l->next)
			afsync_bell_forget(element(l, struct waiter, link)->bell);
	}
	afsync_unlock(&saved);
	ring_free(ring);
	errno = errno_was;
}

static const struct afsync_backend backend = {
	.submit = threads_submit,
	.wait = threads_wait,
	.cancel = threads_cancel,
	.start = threads_start,
	.eventfd = threads_eventfd,
	.fd = threads_fd,
	.advanced = threads_advanced,
	.exit = threads_exit,
};

/* The memory that the reader looks at, as the module would map it. */
static struct afsync_ring_header *header_alloc(uint32_t entries)
{
	struct afsync_ring_header *hdr;

	hdr = calloc(1, sizeof(*hdr) + entries * sizeof(struct afsync_cqe));
	if (!hdr)
		return NULL;
	hdr->entries = entries;
	hdr->mask = entries - 1;
	hdr->cqes_offset = sizeof(*hdr);
	return hdr;
}

static uint32_t round_up(uint32_t entries)
{
	uint32_t power = 1;

	while (power < entries)
		power *= 2;
	return power;
}

int afsync_threads_open(unsigned int entries, unsigned int flags,
			struct afsync_ring **ringp)
{
	struct afsync_ring_header *hdr = NULL;
	struct afsync_threads *threads = NULL;
	int errno_was = errno, ret = -ENOMEM;
	struct unlocked saved;

	if (flags & AFSYNC_INIT_CLAMP && entries > AFSYNC_MAX_ENTRIES)
		entries = AFSYNC_MAX_ENTRIES;
	if (!entries || entries > AFSYNC_MAX_ENTRIES)
		return -EINVAL;
	hdr = header_alloc(round_up(entries));
	threads = calloc(1, sizeof(*threads));
	if (hdr && threads)
		ret = afsync_ring_alloc(-1, hdr, 0, ringp);
	if (ret) {
		free(hdr);
		free(threads);
		errno = errno_was;
		return ret;
	}
	(*ringp)->backend = &backend;
	(*ringp)->threads = threads;
	threads->ring = *ringp;
	threads->run_inline = flags & AFSYNC_INIT_INLINE;
	threads->alone = flags & AFSYNC_THREADS_ALONE;
	link_init(&threads->free);
	link_init(&threads->by_age);
	link_init(&threads->notify);
	link_init(&threads->waiters);
	pthread_cond_init(&threads->quiet, NULL);
	afsync_lock(&saved);
	afsync_team_ring_begins();
	threads->generation = afsync_generation;
	afsync_unlock(&saved);
	errno = errno_was;
	return 0;
}

void afsync_threads_info(struct afsync_info *info)
{
	*info = (struct afsync_info){
		.ops = 1U << AFSYNC_OP_FSYNC | 1U << AFSYNC_OP_FDATASYNC |
		       1U << AFSYNC_OP_SYNCFS,
		.sqe_flags = AFSYNC_SQE_WRITABLE | AFSYNC_SQE_HOLD,
		.wait_flags = AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME |
			      AFSYNC_WAIT_SIGMASK,
		.cancel_match = AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD |
				AFSYNC_CANCEL_ALL,
		.max_entries = AFSYNC_MAX_ENTRIES,
		.max_user_requests = UINT_MAX,
		.workers_per_fs = THREADS_PER_FS,
	};
}
