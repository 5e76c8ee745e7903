// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ring: opening it, submitting, starting, cancelling, and the reaper, a thread that
 * waits for completions and ends their ops. The reaper alone reads the ring. It ends
 * when nothing has been in flight for a while, and is made again with the next sync.
 *
 * The user_data of a request is the address of its op, which stays allocated as long as
 * the request is in flight.
 *
 * A program may close the ring's descriptor, not knowing that it is ours. The mapping
 * keeps the ring alive: what was queued is done, and seen by the reaper, which then has
 * to look from time to time as it cannot wait. What was held can no longer be started
 * and goes the way of requests for which there is no ring (sync.c). The next sync opens
 * a new one. When nothing is in flight in the old one any more, it is unmapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "posix.h"

#define ENTRIES		8192
#define IDLE_NS		1000000000ULL
#define NAP_MIN_NS	1000000
#define NAP_MAX_NS	64000000

/*
 * A ring. Holders: the one variable below, until it is lost; its reaper; each op with a
 * slot in it (in_flight). The reaper, or who loses a ring that has none, frees it.
 */
struct device {
	struct dropin_ring ring;	/* fixed */
	dev_t number;			/* fixed; what the descriptor has to be */
	unsigned int in_flight;		/* ops */
	bool reaped;			/* there is a reaper */
	bool lost;			/* the descriptor is no longer ours */
};

static struct device *current;

static bool descriptor_is_ours(const struct device *device)
{
	struct stat st;

	return !fstat(device->ring.fd, &st) && S_ISCHR(st.st_mode) &&
	       st.st_rdev == device->number;
}

static void device_free(struct device *device)
{
	dropin_ring_close(&device->ring);
	free(device);
}

/* Opening files is a point where a thread can be cancelled, which aio_fsync() is not. */
static int device_open(struct device **devicep)
{
	struct device *device;
	struct stat st;
	int ret, state;

	device = calloc(1, sizeof(*device));
	if (!device)
		return EAGAIN;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ret = -dropin_ring_open(&device->ring, ENTRIES);
	pthread_setcancelstate(state, NULL);
	if (!ret && fstat(device->ring.fd, &st)) {
		ret = errno;
		dropin_ring_close(&device->ring);
	}
	if (ret) {
		free(device);
		return ret;
	}
	device->number = st.st_rdev;
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
	return !*reason;
}

/* Ends what the kernel has completed. Returns false if there was nothing. */
static bool drain(struct device *device)
{
	struct afsync_ring_header *header = device->ring.header;
	__u32 head = header->head;	/* only we write it */
	__u32 mask = device->ring.entries - 1;
	struct afsync_cqe cqe;
	struct op *op;

	/* Acquire: pairs with the kernel's release, after it wrote the entry. */
	if (head == __atomic_load_n(&header->tail, __ATOMIC_ACQUIRE))
		return false;
	while (head != __atomic_load_n(&header->tail, __ATOMIC_ACQUIRE)) {
		cqe = device->ring.cqes[head & mask];
		/* Release: the entry has been read before the kernel reuses it. */
		__atomic_store_n(&header->head, ++head, __ATOMIC_RELEASE);
		op = (struct op *)(uintptr_t)cqe.user_data;
		if (cqe.flags & AFSYNC_CQE_MERGED)
			dropin_count(DROPIN_POSIX_MERGED, 1);
		op_end(op, -cqe.res, 0);
	}
	return true;
}

/* The descriptor turned out not to be ours any more. */
static void __device_lose(struct device *device)
{
	device->lost = true;
	if (current == device)
		current = NULL;
}

static void *reaper(void *arg)
{
	struct device *device = arg;
	struct timespec nap = { .tv_nsec = NAP_MIN_NS };
	struct afsync_wait wait;
	bool idle, end, lost = false;
	int ret;

	for (;;) {
		wait = (struct afsync_wait){
			.min_complete = 1,
			.flags = AFSYNC_WAIT_TIMEOUT,
			.timeout_ns = IDLE_NS,
		};
		if (lost)
			nanosleep(&nap, NULL);
		ret = lost ? 0 : ioctl(device->ring.fd, AFSYNC_IOC_WAIT, &wait);
		idle = ret < 0 && errno == ETIME;
		if (ret < 0 && errno != ETIME && errno != EINTR)
			lost = true;
		if (drain(device))
			nap.tv_nsec = NAP_MIN_NS;
		else if (nap.tv_nsec < NAP_MAX_NS)
			nap.tv_nsec *= 2;

		lock();
		if (lost)
			__device_lose(device);
		lost = device->lost;
		end = !device->in_flight && (idle || lost);
		if (end)
			device->reaped = false;
		unlock();
		if (end)
			break;
	}
	if (lost)
		device_free(device);
	return NULL;
}

/* Reserves for an op what it needs beyond the submit: the ring, and its reaper. */
static int device_get(struct op *op)
{
	int ret = 0;

	lock();
	while (!current && !ret) {
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
	if (op->state == OP_NEW)
		op->state = OP_STARTED;
out:
	unlock();
	return ret;
}

/* Gives back the place of an op. */
void __device_put(struct op *op)
{
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

static int submit(struct op *op, unsigned int ioprio, bool held)
{
	struct afsync_sqe sqe = {
		.user_data = (uintptr_t)op,
		.fd = op->fd,
		.op = op->kind == OP_FSYNC ? AFSYNC_OP_FSYNC : AFSYNC_OP_FDATASYNC,
		.flags = AFSYNC_SQE_WRITABLE | (held ? AFSYNC_SQE_HOLD : 0),
		.ioprio = ioprio,
	};
	struct afsync_submit args = {
		.sqes = (uintptr_t)&sqe,
		.nr = 1,
		.sqe_size = sizeof(sqe),
	};

	return ioctl(op->device->ring.fd, AFSYNC_IOC_SUBMIT, &args) == 1 ? 0 : errno;
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
		ret = device_get(op);
		if (ret)
			return ret;
		device = op->device;
		ret = submit(op, ioprio, held);
		if (!ret)
			return 0;
		lock();
		__device_put(op);
		/* An error of the file, or of the ring? */
		if (descriptor_is_ours(device)) {
			unlock();
			return ret == ENOMEM ? EAGAIN : ret;
		}
		__device_lose(device);
		unlock();
	}
	return ENODEV;
}

/*
 * Starts a held op. ENODEV if the ring is lost. It is no error if the op has been
 * cancelled: then its completion is on the way.
 */
int device_start(struct op *op)
{
	struct afsync_start args = { .user_data = (uintptr_t)op };
	struct device *device = device_pin(op);
	int ret = 0;

	/* An op that has ended has no ring, and is not to be started. */
	if (!device)
		return 0;
	if (ioctl(device->ring.fd, AFSYNC_IOC_START, &args) < 0 &&
	    !descriptor_is_ours(device))
		ret = ENODEV;
	device_unpin(device);
	return ret;
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

	if (!device)
		return ENOENT;
	if (fd >= 0) {
		args.fd = fd;
		args.match |= AFSYNC_CANCEL_FD;
	}
	if (ioctl(device->ring.fd, AFSYNC_IOC_CANCEL, &args) < 0)
		ret = errno;
	if (ret && ret != EALREADY && ret != ENOENT)
		ret = descriptor_is_ours(device) ? EALREADY : ENODEV;
	device_unpin(device);
	return ret;
}

/* In the child of a fork: the ring is the parent's. The next sync opens a new one. */
void __device_forget(void)
{
	if (current)
		device_free(current);
	current = NULL;
}
