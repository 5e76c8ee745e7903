// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which ring: opening and losing them. submit.c writes to them, reaper.c reads them.
 *
 * A ring is one of the device or, where that cannot be had, of threads of libafsync, which
 * is compiled in (see its threads.h). Both take the same commands (struct afsync_backend).
 *
 * A program may close the descriptor of a ring, not knowing that it is ours; the next sync
 * opens a new ring then. What the lost one has is done all the same, and seen by the
 * reaper; but what was held on the device can no longer be started: it is stranded. When
 * nothing else is in flight, that ring is unmapped, with which the kernel lets go of the
 * files of the stranded, and they go the way of requests for which there is no ring
 * (sync.c). Threads need their descriptor only to be sent files: what they have is started.
 */
#include <errno.h>
#include <stdlib.h>

#include "rings.h"

#define ENTRIES		8192

static struct ring *current;
/* The same for ring_wants_identity(), which may not look at it: atomic. */
static bool current_has_threads;
/* There was no device when the process decided who serves it (glibc.c). */
static bool missing;

void ring_free(struct ring *ring)
{
	afsync_queue_exit(ring->handle);
	free(ring);
}

static int device_open(struct afsync_ring **handlep)
{
	struct afsync_info info;
	int ret;

	ret = afsync_device_open(ENTRIES, AFSYNC_INIT_CLAMP, handlep);
	if (ret)
		return ret;
	ret = afsync_sys_ioctl((*handlep)->fd, AFSYNC_IOC_INFO, &info);
	/* A module that is too old. */
	if (!ret && !(info.sqe_flags & AFSYNC_SQE_HOLD))
		ret = -ENOSYS;
	if (ret)
		afsync_queue_exit(*handlep);
	else
		(*handlep)->fd = dropin_fd_move((*handlep)->fd);
	return ret;
}

/* A positive errno, as of all functions here. */
static int ring_open(bool threads, struct ring **ringp)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return EAGAIN;
	if (threads)
		ret = afsync_threads_open(ENTRIES, AFSYNC_THREADS_ALONE, &ring->handle);
	else
		ret = device_open(&ring->handle);
	if (ret) {
		free(ring);
		return -ret;
	}
	ring->threads = threads;
	link_init(&ring->strand);
	*ringp = ring;
	return 0;
}

static void __ring_use(struct ring *ring)
{
	current = ring;
	__atomic_store_n(&current_has_threads, ring && ring->threads, __ATOMIC_RELAXED);
}

/* Opens a ring if there is none. Takes the lock. */
static int ring_ensure(bool threads)
{
	struct ring *ring;
	int ret;

	ret = ring_open(threads, &ring);
	if (ret)
		return ret;
	lock();
	if (!current) {
		__ring_use(ring);
		ring = NULL;
	}
	unlock();
	/* Another thread was faster. */
	if (ring)
		ring_free(ring);
	return 0;
}

/* Whether this process can have a ring of the device; if not, @reason says why. */
bool device_available(int *reason)
{
	*reason = ring_ensure(false);
	missing = *reason;
	return !*reason;
}

/*
 * Is it worth while to find out the file of a sync beforehand? For aio_cancel() of a
 * descriptor: the device tells which syncs are for it, and at once; threads would have to be
 * sent the descriptor, and cannot tell everywhere.
 */
bool ring_wants_identity(void)
{
	return missing || __atomic_load_n(&current_has_threads, __ATOMIC_RELAXED);
}

/* The descriptor turned out not to be ours any more. */
void __ring_lose(struct ring *ring)
{
	ring->lost = true;
	if (current == ring)
		__ring_use(NULL);
}

/* Reserves for an op what it needs beyond the submit: the ring, and its reaper. */
int ring_get(struct op *op, struct ring **ringp)
{
	bool device;
	int ret = 0;

	lock();
	while (!current && !ret) {
		device = !missing;
		unlock();
		if (!device || ring_ensure(false))
			ret = ring_ensure(true);
		lock();
	}
	if (ret) {
		ret = ENODEV;
		goto out;
	}
	if (!current->reaped) {
		if (thread_start(reaper, current)) {
			/* A pool may have a thread. */
			ret = current->threads ? ENODEV : EAGAIN;
			goto out;
		}
		current->reaped = true;
	}
	op->ring = current;
	current->in_flight++;
	op->held = op->state == OP_HELD;
	current->held += op->held;
	if (!op->held)
		op->state = OP_STARTED;
	*ringp = current;
out:
	unlock();
	return ret;
}

/* In the child of a fork: the ring is the parent's. The next sync opens a new one. */
void __rings_forget(void)
{
	if (current)
		ring_free(current);
	__ring_use(NULL);
	missing = false;
}
