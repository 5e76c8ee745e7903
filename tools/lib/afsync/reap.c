// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The reader's side: looking at completions, waiting for them, giving them
 * back. The only file that reads or writes the shared words (see ring.h).
 * Looking and giving back are plain memory accesses; only waiting is a system
 * call, and only if the completions have not arrived yet.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "internal.h"
#include "ring.h"

#define NSEC_PER_SEC	1000000000L

AFSYNC_API uint32_t afsync_cq_head(const struct afsync_ring *ring)
{
	/* The reader reads its own word back. */
	return load_relaxed(&ring->hdr->head);
}

AFSYNC_API struct afsync_cqe *afsync_cq_entry(const struct afsync_ring *ring,
					      uint32_t head)
{
	if (head == load_acquire(&ring->hdr->tail))
		return NULL;
	return &ring->cqes[head & ring->mask];
}

AFSYNC_API unsigned int afsync_cq_ready(const struct afsync_ring *ring)
{
	uint32_t head, nr;

	/*
	 * Any thread may ask. Head is loaded first, with acquire, which pairs with the
	 * reader's store_release(): the tail that follows is then no older than the
	 * one up to which the reader read, and the difference is never
	 * negative. It can be too large if the reader goes on in between.
	 */
	head = load_acquire(&ring->hdr->head);
	nr = load_acquire(&ring->hdr->tail) - head;
	return nr < ring->entries ? nr : ring->entries;
}

AFSYNC_API int afsync_peek_cqe(struct afsync_ring *ring,
			       struct afsync_cqe **cqe_ptr)
{
	*cqe_ptr = afsync_cq_entry(ring, afsync_cq_head(ring));
	return *cqe_ptr ? 0 : -EAGAIN;
}

AFSYNC_API unsigned int afsync_peek_batch_cqe(struct afsync_ring *ring,
					      struct afsync_cqe **cqes,
					      unsigned int count)
{
	uint32_t head = afsync_cq_head(ring);
	unsigned int ready = afsync_cq_ready(ring);
	unsigned int i;

	if (count > ready)
		count = ready;
	for (i = 0; i < count; i++)
		cqes[i] = &ring->cqes[(head + i) & ring->mask];
	return count;
}

AFSYNC_API void afsync_cq_advance(struct afsync_ring *ring, unsigned int count)
{
	store_release(&ring->hdr->head, afsync_cq_head(ring) + count);
	if (ring->backend->advanced)
		ring->backend->advanced(ring);
}

AFSYNC_API void afsync_cqe_seen(struct afsync_ring *ring,
				const struct afsync_cqe *cqe)
{
	if (cqe)
		afsync_cq_advance(ring, 1);
}

AFSYNC_API uint64_t afsync_cqe_get_data64(const struct afsync_cqe *cqe)
{
	return cqe->user_data;
}

AFSYNC_API void *afsync_cqe_get_data(const struct afsync_cqe *cqe)
{
	return (void *)(uintptr_t)cqe->user_data;
}

static uint64_t sigmask_to_bits(const sigset_t *sigmask)
{
	int saved = errno;
	uint64_t bits = 0;
	int sig;

	/* sigset_t is libc's own; the kernel wants bit n - 1 for signal n. */
	for (sig = 1; sig <= 64; sig++) {
		if (sigismember(sigmask, sig) == 1)
			bits |= 1ULL << (sig - 1);
	}
	errno = saved;
	return bits;
}

/* A time that does not fit is longer than any machine runs. */
static uint64_t timespec_to_ns(const struct __kernel_timespec *ts)
{
	if (ts->tv_sec >= INT64_MAX / NSEC_PER_SEC)
		return INT64_MAX;
	return (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
}

/*
 * Translate the arguments of a wait into those of the kernel. @ts_flags is 0, or
 * AFSYNC_WAIT_ABSTIME if @ts is a time of the clock.
 */
int afsync_wait_args(struct afsync_wait *wait, unsigned int wait_nr,
		     const struct __kernel_timespec *ts, unsigned int ts_flags,
		     const sigset_t *sigmask)
{
	memset(wait, 0, sizeof(*wait));
	wait->min_complete = wait_nr;
	if (ts) {
		if (ts->tv_sec < 0 || ts->tv_nsec < 0 ||
		    ts->tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		wait->flags |= AFSYNC_WAIT_TIMEOUT | ts_flags;
		wait->timeout_ns = timespec_to_ns(ts);
	}
	if (sigmask) {
		wait->flags |= AFSYNC_WAIT_SIGMASK;
		wait->sigmask = sigmask_to_bits(sigmask);
	}
	return 0;
}

/* Returns 0 when enough is there, or a negative errno. */
int afsync_ring_wait(struct afsync_ring *ring, struct afsync_wait *wait)
{
	int ret;

	if (afsync_cq_ready(ring) >= wait->min_complete)
		return 0;
	ret = ring->backend->wait(ring, wait);
	return ret < 0 ? ret : 0;
}

static int wait_cqes(struct afsync_ring *ring, struct afsync_cqe **cqe_ptr,
		     unsigned int wait_nr, const struct __kernel_timespec *ts,
		     unsigned int ts_flags, const sigset_t *sigmask)
{
	struct afsync_wait wait;
	int ret;

	if (cqe_ptr)
		*cqe_ptr = NULL;
	if (wait_nr > ring->entries)
		return -EINVAL;
	ret = afsync_wait_args(&wait, wait_nr, ts, ts_flags, sigmask);
	if (ret)
		return ret;
	ret = afsync_ring_wait(ring, &wait);
	if (ret)
		return ret;
	if (cqe_ptr)
		return afsync_peek_cqe(ring, cqe_ptr);
	return wait_nr || afsync_cq_ready(ring) ? 0 : -EAGAIN;
}

AFSYNC_API int afsync_wait_cqes(struct afsync_ring *ring,
				struct afsync_cqe **cqe_ptr,
				unsigned int wait_nr,
				const struct __kernel_timespec *ts,
				const sigset_t *sigmask)
{
	return wait_cqes(ring, cqe_ptr, wait_nr, ts, 0, sigmask);
}

AFSYNC_API int afsync_wait_cqes_until(struct afsync_ring *ring,
				      struct afsync_cqe **cqe_ptr,
				      unsigned int wait_nr,
				      const struct __kernel_timespec *until,
				      const sigset_t *sigmask)
{
	return wait_cqes(ring, cqe_ptr, wait_nr, until, AFSYNC_WAIT_ABSTIME,
			 sigmask);
}

AFSYNC_API int afsync_wait_cqe_timeout(struct afsync_ring *ring,
				       struct afsync_cqe **cqe_ptr,
				       const struct __kernel_timespec *ts)
{
	return wait_cqes(ring, cqe_ptr, 1, ts, 0, NULL);
}

AFSYNC_API int afsync_wait_cqe(struct afsync_ring *ring,
			       struct afsync_cqe **cqe_ptr)
{
	return wait_cqes(ring, cqe_ptr, 1, NULL, 0, NULL);
}
