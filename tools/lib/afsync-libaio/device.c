// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ring of the device that all contexts of the process share. The completions of
 * syncs go to kernel AIO; the only entries that this ring ever gets are those of requests
 * that were taken back before anything was attached to them, and nobody wants those.
 *
 * The program does not know of the descriptor, and may close it or put another file
 * there. So it is looked at before syncs are queued, and if it is gone a new ring is made.
 * Syncs held by the old one cannot be started any more; order.c cancels them when it finds
 * that out.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sys/stat.h>

#include "internal.h"

#define ENTRIES	8192

enum device_state {
	UNTRIED,
	READY,
	ABSENT,		/* for the rest of the process's life */
};

/* Under the device lock; state and fd are read without it as well. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dropin_ring ring = { .fd = -1 };
static enum device_state state;
static struct stat ours;
static bool litter;	/* requests taken back may have left entries */
static unsigned int opened;	/* rings so far */
static __u64 begin;	/* user data of this ring's requests is greater */

static __u64 last_user_data;	/* atomic */

/* Under the lock. */
static void open_ring(void)
{
	int ret, old;

	/* open(2) is where a thread can be cancelled, and it would keep the lock. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	ret = dropin_ring_open(&ring, ENTRIES);
	if (!ret && fstat(ring.fd, &ours)) {
		ret = -EBADF;
		dropin_ring_close(&ring);
	}
	dropin_say(LIBRARY, ret ? "kernel AIO runs the syncs" : "using /dev/afsync", ret);
	/* Release: whoever sees READY sees the rest. */
	__atomic_store_n(&state, ret ? ABSENT : READY, __ATOMIC_RELEASE);
	litter = false;
	opened++;
	begin = __atomic_load_n(&last_user_data, __ATOMIC_RELAXED);
	pthread_setcancelstate(old, NULL);
}

bool device_ready(void)
{
	struct lock_mask mask;

	if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == UNTRIED) {
		mask_signals(&mask);
		pthread_mutex_lock(&lock);
		if (state == UNTRIED)
			open_ring();
		pthread_mutex_unlock(&lock);
		unmask_signals(&mask);
	}
	return __atomic_load_n(&state, __ATOMIC_ACQUIRE) == READY;
}

/* Is the descriptor still the ring's? Under the lock. */
static bool descriptor_is_ours(void)
{
	struct stat now;
	int saved = errno;
	bool same;

	same = !fstat(ring.fd, &now) && S_ISCHR(now.st_mode) &&
	       now.st_rdev == ours.st_rdev && now.st_ino == ours.st_ino;
	errno = saved;
	return same;
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

/* The descriptor to use, or -1; and which of the rings it is. */
static int current_fd(unsigned int *which)
{
	int fd = -1;

	pthread_mutex_lock(&lock);
	if (state == READY && !descriptor_is_ours()) {
		dropin_ring_close(&ring);
		open_ring();
	}
	if (state == READY) {
		fd = ring.fd;
		if (litter)
			sweep();
	}
	*which = opened;
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Never 0, and unique: also after a new ring was made. */
static void number(struct afsync_sqe *sqes, unsigned int nr)
{
	__u64 last = __atomic_add_fetch(&last_user_data, nr, __ATOMIC_RELAXED);

	while (nr--)
		sqes[nr].user_data = last--;
}

long device_hold(struct afsync_sqe *sqes, unsigned int nr, int *ring_fd)
{
	struct afsync_submit submit = {
		.sqes = (__u64)(unsigned long)sqes,
		.nr = nr,
		.sqe_size = sizeof(*sqes),
	};
	unsigned int which, tried;
	long ret;

	*ring_fd = current_fd(&which);
	do {
		if (*ring_fd < 0)
			return -ENODEV;
		/* Now, so that they are greater than those of a ring before this one. */
		number(sqes, nr);
		ret = sys_ioctl(*ring_fd, AFSYNC_IOC_SUBMIT, &submit);
		if (ret != -EBADF && ret != -ENOTTY)
			return ret;
		/* Is it a file of the program that is bad, or our ring by now? */
		tried = which;
		*ring_fd = current_fd(&which);
	} while (which != tried);
	return ret;
}

/* The ring's descriptor if the request is one of this ring, else -1. */
static int fd_of(__u64 user_data)
{
	int fd;

	pthread_mutex_lock(&lock);
	fd = state == READY && user_data > begin ? ring.fd : -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

long device_start(__u64 user_data)
{
	struct afsync_start start = { .user_data = user_data };
	long ret;

	ret = sys_ioctl(fd_of(user_data), AFSYNC_IOC_START, &start);
	/* What other files answer is not -ENOENT, which is the device's own. */
	return ret < 0 && ret != -ENOENT ? -EBADF : ret;
}

void device_cancel(__u64 user_data)
{
	struct afsync_cancel cancel = {
		.user_data = user_data,
		.match = AFSYNC_CANCEL_USER_DATA,
	};

	sys_ioctl(fd_of(user_data), AFSYNC_IOC_CANCEL, &cancel);
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
}
