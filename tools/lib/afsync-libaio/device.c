// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ring of the device that all contexts of the process share. The completions of
 * syncs go to kernel AIO; the only entries that this ring ever gets are those of requests
 * that were cancelled before an AIO was attached to them, and those are ignored.
 *
 * The program does not expect the descriptor, and may close it or reuse the number.
 * So every command names its ring, and if the descriptor turns out
 * to be another file, a new ring is made. Syncs held by the old one can no longer be
 * started; gate.c cancels them when it finds that out.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>

#include "internal.h"

#define ENTRIES	8192

enum device_state {
	UNTRIED,	/* or it failed for a reason that may pass */
	READY,
	ABSENT,		/* for the rest of the process's life */
};

/* Under the device lock; state is read without it as well. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dropin_ring ring = { .fd = -1 };
static enum device_state state;
static __u32 ring_id;
static bool litter;	/* requests taken back may have left entries */
static bool said;	/* the report for AFSYNC_VERBOSE was made */
static __u64 begin;	/* user data of this ring's requests is greater */

static __u64 last_user_data;	/* atomic */

static bool may_pass(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
	       error == -EINTR || error == -EAGAIN;
}

/* Under the lock. */
static struct device_ring ring_now(void)
{
	return (struct device_ring){
		.fd = ring.fd, .id = ring_id, .starts_ranges = ring.starts_ranges,
	};
}

/* Under the lock. */
static void open_ring(void)
{
	enum device_state now = READY;
	int ret;

	ret = dropin_ring_open(&ring, ENTRIES);
	if (ret)
		now = may_pass(ret) ? UNTRIED : ABSENT;
	else
		ring_id = ring.header->id;
	if (!said)
		dropin_say(LIBRARY, ret ? "kernel AIO runs the syncs" : "using /dev/afsync",
			   ret);
	said = true;
	litter = false;
	/* One number is skipped, so that no range spans two rings. */
	begin = __atomic_add_fetch(&last_user_data, 1, __ATOMIC_RELAXED);
	/* Release: a thread that sees READY sees the rest. */
	__atomic_store_n(&state, now, __ATOMIC_RELEASE);
}

bool device_ready(void)
{
	struct lock_mask mask;

	if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == UNTRIED) {
		masked_lock(&lock, &mask);
		if (state == UNTRIED)
			open_ring();
		masked_unlock(&lock, &mask);
	}
	return __atomic_load_n(&state, __ATOMIC_ACQUIRE) == READY;
}

/* Gives the slots of unwanted entries back. Under the lock. */
static void sweep(void)
{
	struct afsync_ring_header *header = ring.header;
	__u32 tail;

	/* Pairs with the kernel's release; of the entries themselves nothing is read. */
	tail = __atomic_load_n(&header->tail, __ATOMIC_ACQUIRE);
	__atomic_store_n(&header->head, tail, __ATOMIC_RELEASE);
}

static bool current_ring(struct device_ring *now)
{
	bool ready;

	pthread_mutex_lock(&lock);
	if (state == UNTRIED)
		open_ring();
	ready = state == READY;
	*now = ring_now();
	if (ready && litter)
		sweep();
	pthread_mutex_unlock(&lock);
	return ready;
}

bool device_lost(const struct device_ring *which)
{
	bool lost = true;

	pthread_mutex_lock(&lock);
	if (state == READY && ring_id == which->id) {
		lost = !dropin_ring_is_ours(&ring);
		if (lost) {
			dropin_ring_close(&ring);
			open_ring();
		}
	}
	pthread_mutex_unlock(&lock);
	return lost;
}

/* Never 0, and unique: also after a new ring was made. */
static void number(struct afsync_sqe *sqes, unsigned int nr)
{
	__u64 last = __atomic_add_fetch(&last_user_data, nr, __ATOMIC_RELAXED);

	while (nr--)
		sqes[nr].user_data = last--;
}

long device_hold(struct afsync_sqe *sqes, unsigned int nr, struct device_ring *which)
{
	struct afsync_submit submit = {
		.sqes = (__u64)(unsigned long)sqes,
		.nr = nr,
		.sqe_size = sizeof(*sqes),
	};
	long ret;

	do {
		if (!current_ring(which))
			return -ENODEV;
		/* Now, so that they are greater than those of a ring before this one. */
		number(sqes, nr);
		submit.ring = which->id;
		ret = sys_ioctl(which->fd, AFSYNC_IOC_SUBMIT, &submit);
		/* Is a file of the program bad, or our ring? */
	} while (ret < 0 && ret != -EAGAIN && device_lost(which));
	return ret;
}

/* The ring if the request is one of it; else a descriptor that is none. */
static struct device_ring ring_of(__u64 user_data)
{
	struct device_ring which = { .fd = -1 };

	pthread_mutex_lock(&lock);
	if (state == READY && user_data > begin)
		which = ring_now();
	pthread_mutex_unlock(&lock);
	return which;
}

__u64 device_start(__u64 first, __u64 last)
{
	struct device_ring which = ring_of(first);
	struct afsync_start start = {
		.user_data = first,
		.ring = which.id,
		.last = which.starts_ranges ? last : 0,
	};
	long ret;

	do {
		ret = sys_ioctl(which.fd, AFSYNC_IOC_START, &start);
		/* Other files fail with other errors: -ENOENT is from the ring. */
		if (ret < 0 && ret != -ENOENT)
			return start.user_data;
	} while (!start.last && start.user_data++ < last);
	return last + 1;
}

void device_cancel(__u64 user_data)
{
	struct device_ring which = ring_of(user_data);
	struct afsync_cancel cancel = {
		.user_data = user_data,
		.match = AFSYNC_CANCEL_USER_DATA,
		.ring = which.id,
	};

	sys_ioctl(which.fd, AFSYNC_IOC_CANCEL, &cancel);
	pthread_mutex_lock(&lock);
	litter = true;
	pthread_mutex_unlock(&lock);
}

/* In the child of a fork(): its ring is one of its own, made when it is needed. */
void device_forget(void)
{
	pthread_mutex_init(&lock, NULL);
	if (state == READY)
		dropin_ring_close(&ring);
	state = UNTRIED;
	said = false;
}
