// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ring: opening it, submitting, starting, cancelling. reaper.c reads it.
 *
 * The user_data of a request is the address of its op, which stays allocated as long as
 * the request is in flight.
 *
 * A program may close the ring's descriptor, not knowing that it is ours. The mapping
 * keeps the ring alive: what was queued is done, and seen by the reaper, which then has
 * to look from time to time as it cannot wait. What was held can no longer be started:
 * it is stranded. When nothing else is in flight, the ring is unmapped, with which the
 * kernel lets go of the files of the stranded, and they go the way of requests for which
 * there is no ring (sync.c). Meanwhile the next sync has opened a new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "device.h"

#define ENTRIES		8192

static struct device *current;
/* There was no device when the process decided who serves it (glibc.c). */
static bool missing;

void device_free(struct device *device)
{
	dropin_ring_close(&device->ring);
	free(device);
}

static int device_open(struct device **devicep)
{
	struct device *device;
	int ret;

	device = calloc(1, sizeof(*device));
	if (!device)
		return EAGAIN;
	ret = -dropin_ring_open(&device->ring, ENTRIES);
	if (ret) {
		free(device);
		return ret;
	}
	link_init(&device->strand);
	*devicep = device;
	return 0;
}

/* Opens the ring if there is none. Takes the lock. */
static int device_ensure(void)
{
	struct device *device;
	int ret;

	ret = device_open(&device);
	if (ret)
		return ret;
	lock();
	if (!current) {
		current = device;
		device = NULL;
	}
	unlock();
	/* Another thread was faster. */
	if (device)
		device_free(device);
	return 0;
}

/* Whether this process can have a ring; if not, @reason says why. */
bool device_available(int *reason)
{
	*reason = device_ensure();
	missing = *reason;
	return !*reason;
}

/* The descriptor turned out not to be ours any more. */
void __device_lose(struct device *device)
{
	device->lost = true;
	if (current == device)
		current = NULL;
}

/* Reserves for an op what it needs beyond the submit: the ring, and its reaper. */
static int device_get(struct op *op, struct device **devicep)
{
	int ret = 0;

	lock();
	while (!current && !ret) {
		if (missing) {
			ret = ENODEV;
			break;
		}
		unlock();
		ret = device_ensure();
		lock();
	}
	if (ret) {
		ret = ENODEV;
		goto out;
	}
	if (!current->reaped) {
		if (thread_start(reaper, current)) {
			ret = EAGAIN;
			goto out;
		}
		current->reaped = true;
	}
	op->device = current;
	current->in_flight++;
	op->held = op->state == OP_HELD;
	current->held += op->held;
	if (!op->held)
		op->state = OP_STARTED;
	*devicep = current;
out:
	unlock();
	return ret;
}

static void __device_unhold(struct op *op)
{
	if (op->held)
		op->device->held--;
	op->held = false;
}

/* Gives back the place of an op. */
void __device_put(struct op *op)
{
	__device_unhold(op);
	if (op->stranded) {
		link_del(&op->link);
		op->stranded = false;
		op->device->stranded--;
		/* Not the last one: the caller is ending it. */
		__atomic_sub_fetch(&op->refs, 1, __ATOMIC_RELAXED);
	}
	if (op->device)
		op->device->in_flight--;
	op->device = NULL;
}

/* The ring of an op, which stays until device_unpin() even if the op ends; or NULL. */
static struct device *device_pin(const struct op *op)
{
	struct device *device;

	lock();
	device = op->device;
	if (device)
		device->in_flight++;
	unlock();
	return device;
}

static void device_unpin(struct device *device)
{
	lock();
	device->in_flight--;
	unlock();
}

static int submit(const struct op *op, const struct device *device, unsigned int ioprio,
		  bool held)
{
	struct afsync_sqe sqe = {
		.user_data = (uintptr_t)op,
		.fd = op->fd,
		.op = op->kind == OP_FSYNC ? AFSYNC_OP_FSYNC : AFSYNC_OP_FDATASYNC,
		.flags = (op->writable ? AFSYNC_SQE_WRITABLE : 0) |
			 (held ? AFSYNC_SQE_HOLD : 0),
		.ioprio = ioprio,
	};
	struct afsync_submit args = {
		.sqes = (uintptr_t)&sqe,
		.nr = 1,
		.sqe_size = sizeof(sqe),
		.ring = device->ring.header->id,
	};

	return ioctl(device->ring.fd, AFSYNC_IOC_SUBMIT, &args) == 1 ? 0 : errno;
}

/*
 * Submits an op. ENODEV if there is no ring to be had; else what is wrong with the
 * request. Called without the lock; the caller has a reference of its own.
 */
int device_submit(struct op *op, unsigned int ioprio, bool held)
{
	struct device *device;
	int ret, tries;

	for (tries = 0; tries < 3; tries++) {
		ret = device_get(op, &device);
		if (ret)
			return ret;
		/* Not op->device: from the submit on the op may end. */
		ret = submit(op, device, ioprio, held);
		if (!ret)
			return 0;
		lock();
		__device_put(op);
		/* An error of the file, or of the ring? */
		if (dropin_ring_is_ours(&device->ring)) {
			unlock();
			return ret == ENOMEM ? EAGAIN : ret;
		}
		__device_lose(device);
		unlock();
	}
	return ENODEV;
}

/* The ring of a held op turned out to be lost; the reaper will start it again. */
static void strand(struct op *op, struct device *device)
{
	lock();
	/* It may have ended after all: cancelled, by a completion that was there before. */
	if (op->device) {
		__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
		link_add(&device->strand, &op->link);
		op->stranded = true;
		device->stranded++;
		__device_lose(device);
	}
	unlock();
}

/*
 * Starts a held op. It is no error if the op has been cancelled: then its completion is
 * on the way.
 */
void device_start(struct op *op)
{
	struct afsync_start args = { .user_data = (uintptr_t)op };
	struct device *device = device_pin(op);

	/* An op that has ended has no ring, and is not to be started. */
	if (!device)
		return;
	args.ring = device->ring.header->id;
	if (ioctl(device->ring.fd, AFSYNC_IOC_START, &args) < 0 &&
	    !dropin_ring_is_ours(&device->ring))
		strand(op, device);
	lock();
	__device_unhold(op);
	unlock();
	device_unpin(device);
}

/*
 * Takes a submitted op back, if it is for the open file of @fd; -1 takes any. Returns 0:
 * it will end with ECANCELED; EALREADY: it runs; ENOENT: it has ended, or is for another
 * file; ENODEV: the ring is lost.
 */
int device_cancel(struct op *op, int fd)
{
	struct afsync_cancel args = {
		.user_data = (uintptr_t)op,
		.match = AFSYNC_CANCEL_USER_DATA,
	};
	struct device *device = device_pin(op);
	int ret = 0;

	/* It has ended, or its ring was lost and it goes on without. */
	if (!device)
		return __atomic_load_n(&op->done, __ATOMIC_ACQUIRE) ? ENOENT : EALREADY;
	args.ring = device->ring.header->id;
	if (fd >= 0) {
		args.fd = fd;
		args.match |= AFSYNC_CANCEL_FD;
	}
	if (ioctl(device->ring.fd, AFSYNC_IOC_CANCEL, &args) < 0)
		ret = errno;
	if (ret == ENOENT && dropin_ring_is_ours(&device->ring))
		/* What is done has its entry, as a rule, but its end may not be seen yet. */
		reaper_await(device);
	else if (ret && ret != EALREADY)
		ret = dropin_ring_is_ours(&device->ring) ? EALREADY : ENODEV;
	device_unpin(device);
	return ret;
}

/* In the child of a fork: the ring is the parent's. The next sync opens a new one. */
void __device_forget(void)
{
	if (current)
		device_free(current);
	current = NULL;
	missing = false;
}
