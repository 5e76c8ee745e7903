// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Waiting for completions of the threads' backend, as the module's wait does it.
 *
 * A waiter sleeps on a futex of its own, which is woken when as many completions are there
 * as it waits for. With a signal mask it polls a bell instead, since only the calls of
 * poll(2) take a mask for the time of the wait. A handler may leave either by longjmp():
 * nothing of the waiter is on the stack, and the next wait of the thread takes it again.
 *
 * futex_waitv(2), of Linux 5.16, continues after a handler that was installed with
 * SA_RESTART, as the module does. The older call, with a timeout, always ends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"
#include "ring.h"

#define NSEC_PER_SEC	1000000000LL

/* Where time_t has 32 bits, the calls with 64 bits have names of their own. */
#ifdef SYS_futex_time64
#define NR_FUTEX	SYS_futex_time64
#define NR_PPOLL	SYS_ppoll_time64
#define NR_GETTIME	SYS_clock_gettime64
#else
#define NR_FUTEX	SYS_futex
#define NR_PPOLL	SYS_ppoll
#define NR_GETTIME	SYS_clock_gettime
#endif

#ifndef SYS_futex_waitv
#define SYS_futex_waitv	449
#endif

/* struct futex_waitv, which is in newer headers than the ones that we require. */
struct futex_word {
	uint64_t value;
	uint64_t address;
	uint32_t flags;
	uint32_t reserved;
};

#define WORD_FLAGS	(2 | FUTEX_PRIVATE_FLAG)	/* 32 bits */
/* The kernel's size of a signal set. */
#define SIGSET_SIZE	8

static uint32_t no_waitv;	/* atomic */

/* By a system call: that is the clock of the kernel's timeouts, whatever libc's says. */
static int64_t now_ns(void)
{
	struct __kernel_timespec ts = { 0 };

	syscall(NR_GETTIME, CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* When to give up; INT64_MAX for never. */
static int64_t deadline(const struct afsync_wait *arg)
{
	int64_t ns = (int64_t)arg->timeout_ns, now;

	if (!(arg->flags & AFSYNC_WAIT_TIMEOUT))
		return INT64_MAX;
	if (arg->flags & AFSYNC_WAIT_ABSTIME)
		return ns;
	now = now_ns();
	return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

static struct __kernel_timespec timespec_of(int64_t ns)
{
	return (struct __kernel_timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
}

static long futex_wait_until(uint32_t *word, int64_t until, bool restart)
{
	struct __kernel_timespec ts = timespec_of(until);
	struct futex_word wait = {
		.address = (uintptr_t)word,
		.flags = WORD_FLAGS,
	};
	long ret;

	if (restart && until == INT64_MAX)
		return syscall(NR_FUTEX, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	if (restart && !load_relaxed(&no_waitv)) {
		ret = syscall(SYS_futex_waitv, &wait, 1, 0, &ts, CLOCK_MONOTONIC);
		if (ret >= 0 || (errno != ENOSYS && errno != EPERM))
			return ret;
		store_release(&no_waitv, 1);
	}
	/* With a timeout, however long, every handler ends it. */
	return syscall(NR_FUTEX, word, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL,
		       FUTEX_BITSET_MATCH_ANY);
}

/* Without the lock, and with the signals of the caller. -EINTR, or 0 for any other end. */
static int sleep_on_word(struct waiter *w, int64_t until, bool restart)
{
	return futex_wait_until(&w->woken, until, restart) < 0 && errno == EINTR ? -EINTR : 0;
}

static int sleep_on_bell(const struct waiter *w, int64_t until, const uint64_t *mask)
{
	struct pollfd poll_fd = { .fd = afsync_bell_fd(w->bell), .events = POLLIN };
	int64_t left = until - now_ns();
	struct __kernel_timespec ts = timespec_of(left > 0 ? left : 0);

	return syscall(NR_PPOLL, &poll_fd, 1, until == INT64_MAX ? NULL : &ts, mask,
		       SIGSET_SIZE) < 0 && errno == EINTR ? -EINTR : 0;
}

/* Waiters: those of a ring are kept until it ends. All under the lock. */

/* *again: the thread is in a wait already, which a handler interrupted, or left by longjmp(). */
static struct waiter *waiter_get(struct afsync_ring *ring, bool *again)
{
	struct link *all = &ring->threads->waiters, *l;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct waiter *w, *unused = NULL;

	*again = true;
	for (l = all->next; l != all; l = l->next) {
		w = element(l, struct waiter, link);
		if (w->tid == tid)
			return w;
		if (!w->tid)
			unused = w;
	}
	*again = false;
	if (!unused) {
		unused = afsync_object_new(sizeof(*unused));
		if (!unused)
			return NULL;
		link_add(all, &unused->link);
	}
	unused->tid = tid;
	return unused;
}

/* If this was the wait of a handler, the one that it interrupted looks again. */
static void waiter_put(struct waiter *w, bool again)
{
	if (!again) {
		w->tid = 0;
		return;
	}
	store_release(&w->woken, 1);
	if (w->bell)
		afsync_bell_ring(w->bell, false);
}

void afsync_waiters_free(struct afsync_ring *ring)
{
	struct link *all = &ring->threads->waiters;
	struct waiter *w;

	while (!link_empty(all)) {
		w = element(all->next, struct waiter, link);
		link_del(&w->link);
		afsync_bell_drop(ring, &w->bell);
		afsync_object_free(w, sizeof(*w));
	}
}

static void wake(struct waiter *w, bool in_team)
{
	if (load_relaxed(&w->woken))
		return;
	store_release(&w->woken, 1);
	syscall(NR_FUTEX, &w->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	if (w->bell)
		afsync_bell_ring(w->bell, in_team);
}

/* New completions are in the ring. @in_team: the caller is a thread of the team. */
void afsync_notify(struct afsync_ring *ring, bool in_team)
{
	struct afsync_threads *threads = ring->threads;
	unsigned int unread = afsync_threads_unread(ring);
	struct waiter *w;
	struct link *l;

	for (l = threads->waiters.next; l != &threads->waiters; l = l->next) {
		w = element(l, struct waiter, link);
		if (w->tid && unread >= w->min)
			wake(w, in_team);
	}
	if (threads->eventfd)
		afsync_bell_ring(threads->eventfd, in_team);
	if (threads->poll && unread)
		afsync_bell_ring(threads->poll, in_team);
	if (!threads->in_flight)
		pthread_cond_broadcast(&threads->quiet);
}

/* Makes the completion that is waited for wake the waiter. */
static int arm(struct afsync_ring *ring, struct waiter *w, const struct afsync_wait *arg)
{
	struct team *team;
	int ret;

	w->min = arg->min_complete;
	store_release(&w->woken, 0);
	if (!(arg->flags & AFSYNC_WAIT_SIGMASK))
		return 0;
	if (w->bell && afsync_bell_fd(w->bell) < 0)
		afsync_bell_drop(ring, &w->bell);
	if (!w->bell) {
		ret = afsync_team_of(ring, &team);
		return ret ? ret : afsync_bell_new(ring, team, -1, &w->bell);
	}
	afsync_bell_clear(w->bell);
	return 0;
}

static int sleep_once(const struct afsync_wait *arg, struct waiter *w, int64_t until,
		      bool restart)
{
	if (arg->flags & AFSYNC_WAIT_SIGMASK)
		return sleep_on_bell(w, until, (const uint64_t *)&arg->sigmask);
	return sleep_on_word(w, until, restart);
}

/* As AFSYNC_IOC_WAIT. @restart: a handler installed with SA_RESTART does not end it. */
int afsync_threads_wait(struct afsync_ring *ring, const struct afsync_wait *arg,
			bool restart)
{
	int64_t until = deadline(arg);
	struct waiter *w;
	struct unlocked saved;
	bool again;
	int ret = 0;

	afsync_lock(&saved);
	w = waiter_get(ring, &again);
	if (!w) {
		afsync_unlock(&saved);
		return -ENOMEM;
	}
	while (afsync_threads_unread(ring) < arg->min_complete) {
		if (!ret && until != INT64_MAX && now_ns() >= until)
			ret = -ETIME;
		if (!ret)
			ret = arm(ring, w, arg);
		if (ret)
			break;
		/* A bell that was just made has missed completions that arrived meanwhile. */
		if (load_relaxed(&w->woken))
			continue;
		afsync_unlock(&saved);
		ret = sleep_once(arg, w, until, restart);
		afsync_lock(&saved);
	}
	if (afsync_threads_unread(ring) >= arg->min_complete)
		ret = 0;
	waiter_put(w, again);
	afsync_unlock(&saved);
	return ret;
}
