// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which ring: opening and losing them, and the places of ops in them. submit.c and start.c write
 * to them, reaper.c reads them.
 *
 * A ring is one of the device or, where that cannot be opened, of threads of libafsync, which
 * is compiled in (see its threads.h). Both take the same commands (struct afsync_backend).
 *
 * A program may close the descriptor of a ring by mistake; the next sync
 * opens a new ring then. The requests of the lost one still run, and the reaper
 * sees them; but those held on the device can no longer be started: they are stranded. When
 * no other request is in flight, that ring is unmapped, so that the kernel drops the
 * files of the stranded ones, which are then treated like requests for which there is no ring
 * (divert.c). Threads need their descriptor only to receive files: requests that they have start.
 */
#include <errno.h>
#include <stdlib.h>

#include "rings.h"

#define ENTRIES		8192

static struct ring *current;
/* The same for ring_wants_identity(), which may not read it: atomic. */
static bool current_has_threads;
/* There was no device when the process chose its engine (glibc.c). */
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

/* Can this process have a ring of the device? If not, @reason is the error. */
bool device_available(int *reason)
{
	*reason = ring_ensure(false);
	missing = *reason;
	return !*reason;
}

/*
 * Should the file of a sync be identified beforehand? For aio_cancel() of a
 * descriptor: the device finds its syncs at once; the descriptor would have to be
 * sent to threads, which cannot find them everywhere.
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

/*
 * The ring in use, which is opened if there is none; for that it drops the lock. ENODEV if there
 * can be none.
 */
int __ring_current(struct ring **ringp)
{
	bool device;
	int ret = 0;

	while (!current && !ret) {
		device = !missing;
		unlock();
		if (!device || ring_ensure(false))
			ret = ring_ensure(true);
		lock();
	}
	*ringp = current;
	return ret ? ENODEV : 0;
}

/* Gives an op a place in a ring; a sync that is HELD in its epoch is held there as well. */
void __ring_take(struct ring *ring, struct op *op)
{
	op->ring = ring;
	ring->in_flight++;
	op->held = op->state == OP_HELD;
	ring->held += op->held;
	if (!op->held)
		op->state = OP_STARTED;
}

/* It is started, or is not going to be. */
void __ring_unhold(struct op *op)
{
	if (op->held)
		op->ring->held--;
	op->held = false;
}

/* Gives back the place of an op. */
void __ring_put(struct op *op)
{
	__ring_unhold(op);
	if (op->stranded) {
		link_del(&op->link);
		op->stranded = false;
		op->ring->stranded--;
		/* Not the last one: the caller is ending it. */
		__atomic_sub_fetch(&op->refs, 1, __ATOMIC_RELAXED);
	}
	if (op->ring)
		op->ring->in_flight--;
	op->ring = NULL;
}

/* The ring of an op, which stays until ring_unpin() even if the op ends; or NULL. */
struct ring *ring_pin(const struct op *op)
{
	struct ring *ring;

	lock();
	ring = op->ring;
	if (ring)
		ring->in_flight++;
	unlock();
	return ring;
}

void ring_unpin(struct ring *ring)
{
	lock();
	ring->in_flight--;
	unlock();
}

/* In the child of a fork: the ring is the parent's. The next sync opens a new one. */
void __rings_forget(void)
{
	if (current)
		ring_free(current);
	__ring_use(NULL);
	missing = false;
}
