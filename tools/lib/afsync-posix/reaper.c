// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The reaper: a thread that waits for the completions of a ring and ends their ops. It
 * alone reads the ring. It ends when nothing has been in flight for a while, and is made
 * again with the next sync. When the ring is lost (device.c) it stays until all that was
 * queued there has been done, and then clears up.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>

#include "device.h"

#define IDLE_NS		1000000000ULL
/* How soon it is seen that the descriptor is gone, while that strands somebody. */
#define LOOK_NS		100000000ULL
#define NAP_MIN_NS	1000000
#define NAP_MAX_NS	64000000

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
		/* Sequentially consistent, as the next: pairs with reaper_await(). */
		__atomic_store_n(&device->seen, head, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&device->watchers, __ATOMIC_SEQ_CST))
			futex_wake(&device->seen);
	}
	return true;
}

/* Waits until the ops of all entries that are in the ring now have ended. */
void reaper_await(struct device *device)
{
	__u32 tail = __atomic_load_n(&device->ring.header->tail, __ATOMIC_ACQUIRE);
	uint32_t seen;

	__atomic_add_fetch(&device->watchers, 1, __ATOMIC_SEQ_CST);
	while ((seen = __atomic_load_n(&device->seen, __ATOMIC_SEQ_CST)) != tail &&
	       (int32_t)(tail - seen) > 0)
		futex_wait(&device->seen, seen, NULL);
	__atomic_sub_fetch(&device->watchers, 1, __ATOMIC_SEQ_CST);
}

/*
 * The end of a lost ring, of which only the reaper still knows. With the mapping the
 * kernel gives up what it held; that is started again without a ring.
 */
static void device_end(struct device *device, struct link *stranded)
{
	struct op *op;

	device_free(device);
	while (!link_empty(stranded)) {
		op = element(stranded->next, struct op, link);
		link_del(&op->link);
		sync_restart(op);
		op_put(op);
	}
}

/* Takes the stranded ops off their ring, so that nobody finds the ring by them. */
static void __take_stranded(struct device *device, struct link *list)
{
	struct op *op;

	while (!link_empty(&device->strand)) {
		op = element(device->strand.next, struct op, link);
		link_del(&op->link);
		link_add(list, &op->link);
		op->stranded = false;
		op->device = NULL;
	}
}

void *reaper(void *arg)
{
	struct device *device = arg;
	struct timespec nap = { .tv_nsec = NAP_MIN_NS };
	struct link stranded = LINK_INIT(stranded);
	struct afsync_wait wait;
	bool idle, end, held = false, lost = false;
	int ret;

	for (;;) {
		wait = (struct afsync_wait){
			.min_complete = 1,
			.flags = AFSYNC_WAIT_TIMEOUT,
			.timeout_ns = held ? LOOK_NS : IDLE_NS,
			.ring = device->ring.wait_id,
		};
		if (lost)
			nanosleep(&nap, NULL);
		lost = lost || !dropin_ring_is_ours(&device->ring);
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
		held = device->held;
		end = lost ? device->in_flight == device->stranded :
			     idle && !device->in_flight;
		if (end) {
			device->reaped = false;
			__take_stranded(device, &stranded);
		}
		unlock();
		if (end)
			break;
	}
	if (lost)
		device_end(device, &stranded);
	return NULL;
}
