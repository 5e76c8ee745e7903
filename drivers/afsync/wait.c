// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for completions in an ioctl: a minimum, a timeout, a signal mask. Only reads
 * the ring. Other programs poll the ring or its eventfd.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>
#include <linux/wait.h>

#include "afsync.h"

/* One thread that waits for @min_complete unread entries. */
struct waiter {
	struct wait_queue_entry entry;	/* in ring->wait */
	struct afsync_ring *ring;
	u32 min_complete;
};

static bool waiter_done(const struct waiter *waiter)
{
	return afsync_ring_unread(waiter->ring) >= waiter->min_complete;
}

/*
 * Lets the thread sleep until there may be enough entries; the thread checks again. Called
 * with ring->wait locked, under which ring->lock must not be taken: see afsync.h.
 */
static int waiter_wake(struct wait_queue_entry *entry, unsigned int mode, int flags,
		       void *key)
{
	struct waiter *waiter = container_of(entry, struct waiter, entry);

	if (!afsync_ring_may_have(waiter->ring, waiter->min_complete))
		return 0;
	return autoremove_wake_function(entry, mode, flags, key);
}

/*
 * prepare_to_wait() before the check, which takes ring->lock, and so does
 * afsync_ring_notify() after posting:
 *
 *	waiter				worker
 *	  enters ring->wait		  posts the entry
 *	  ring->lock			  ring->lock
 *	  counts the entries		  looks through ring->wait
 *
 * so either the waiter sees the entry or the worker sees the waiter.
 */
static int wait_until(struct waiter *waiter, ktime_t *deadline)
{
	wait_queue_head_t *wait = &waiter->ring->wait;
	bool expired = false;
	int ret;

	if (waiter_done(waiter))
		return 0;

	for (;;) {
		prepare_to_wait(wait, &waiter->entry, TASK_INTERRUPTIBLE);
		ret = 0;
		if (waiter_done(waiter))
			break;
		ret = -ERESTARTSYS;
		if (signal_pending(current))
			break;
		ret = -ETIME;
		if (expired)
			break;
		expired = !schedule_hrtimeout(deadline, HRTIMER_MODE_ABS);
	}
	finish_wait(wait, &waiter->entry);
	return ret;
}

/*
 * The time namespace of the caller can shift its CLOCK_MONOTONIC against the machine's, forward
 * or back. The kernel's own function for this is not exported.
 */
static ktime_t machine_time(ktime_t time)
{
	struct timespec64 ahead = {};
	ktime_t offset;

	timens_add_monotonic(&ahead);
	offset = timespec64_to_ktime(ahead);
	if (offset < 0)
		return ktime_add_safe(time, -offset);
	return max(time, offset) - offset;
}

static ktime_t wait_deadline(const struct afsync_wait *wait)
{
	ktime_t timeout = min_t(u64, wait->timeout_ns, KTIME_MAX);

	if (wait->flags & AFSYNC_WAIT_ABSTIME)
		return machine_time(timeout);
	return ktime_add_safe(ktime_get(), timeout);
}

static void wait_set_sigmask(u64 bits)
{
	sigset_t mask;

	sigemptyset(&mask);
	mask.sig[0] = bits;
	if (BITS_PER_LONG == 32)
		mask.sig[1] = bits >> 32;
	sigdelsetmask(&mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
	sigprocmask(SIG_SETMASK, &mask, &current->saved_sigmask);
}

/* Are the arguments of this wait valid? */
int afsync_wait_check(const struct afsync_ring *ring, const struct afsync_wait *wait)
{
	if (wait->flags & ~AFSYNC_WAIT_MASK)
		return -EINVAL;
	if (wait->flags & AFSYNC_WAIT_ABSTIME && !(wait->flags & AFSYNC_WAIT_TIMEOUT))
		return -EINVAL;
	if (wait->timeout_ns && !(wait->flags & AFSYNC_WAIT_TIMEOUT))
		return -EINVAL;
	if (wait->sigmask && !(wait->flags & AFSYNC_WAIT_SIGMASK))
		return -EINVAL;
	if (wait->min_complete > ring->entries || wait->reserved)
		return -EINVAL;
	return afsync_is_ring(ring, wait->ring) ? 0 : -ESTALE;
}

/**
 * afsync_wait - wait until enough completions are unread
 * @ring: the ring
 * @wait: checked with afsync_wait_check(); the rest of a relative timeout is left in it
 *	when a signal ends the wait
 *
 * Without a signal mask of its own, a wait is restarted like a read from a terminal: when
 * the handler was installed with SA_RESTART. With one, the program waits for the signal,
 * and a handler always ends the wait, as in ppoll(2).
 *
 * Return: number of unread completions; -ETIME; -ERESTARTSYS or -ERESTARTNOHAND
 */
int afsync_wait(struct afsync_ring *ring, struct afsync_wait *wait)
{
	struct waiter waiter = {
		.entry		= { .private = current, .func = waiter_wake },
		.ring		= ring,
		.min_complete	= wait->min_complete,
	};
	bool timed = wait->flags & AFSYNC_WAIT_TIMEOUT;
	bool masked = wait->flags & AFSYNC_WAIT_SIGMASK;
	ktime_t deadline = 0;
	int ret;

	if (timed)
		deadline = wait_deadline(wait);

	INIT_LIST_HEAD(&waiter.entry.entry);

	if (masked)
		wait_set_sigmask(wait->sigmask);
	ret = wait_until(&waiter, timed ? &deadline : NULL);

	if (ret == -ERESTARTSYS && timed && !(wait->flags & AFSYNC_WAIT_ABSTIME))
		wait->timeout_ns = max_t(s64, ktime_sub(deadline, ktime_get()), 0);

	if (masked && ret == -ERESTARTSYS) {
		/* The handler runs with the mask of the wait, then the old mask is restored. */
		set_restore_sigmask();
		ret = -ERESTARTNOHAND;
	} else if (masked) {
		sigprocmask(SIG_SETMASK, &current->saved_sigmask, NULL);
	}
	return ret ?: afsync_ring_unread(ring);
}
