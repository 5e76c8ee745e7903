// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The watcher: a thread that looks after the contexts with held syncs, for programs that
 * do not call us when a write ends, because they take events from the kernel's ring
 * themselves, wait on an eventfd, or for more events at once than there are. The kernel
 * reports no event without removing it, so the watcher polls, with naps that get longer
 * while it has no work: a nap is a fifth of the time that the sync has been held, so
 * the delay is small compared with the wait. The watcher ends when there
 * has been no held sync for a while, and the next one starts it again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "internal.h"

#define SHORTEST_NAP_NS	20000L
#define LONGEST_NAP_NS	1000000L
/* Naps without any held sync before it ends. */
#define IDLE_NAPS	64
/* If it is too small for the program's thread-local data there is the usual one. */
#define STACK_SIZE		(256 << 10)
#define DEFAULT_STACK_SIZE	(8 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool running;		/* under the lock */
static unsigned int starting;	/* under the lock: watch_start() without watch_started() */
static unsigned int held;	/* atomic: held syncs of all contexts */
static unsigned int changes;	/* atomic: of held */

void watch_count(unsigned int n)
{
	__atomic_add_fetch(&held, n, __ATOMIC_RELAXED);
	__atomic_add_fetch(&changes, 1, __ATOMIC_RELAXED);
}

bool watch_any(void)
{
	return __atomic_load_n(&held, __ATOMIC_RELAXED);
}

/*
 * A thread that is about to hold a sync counts as starting until the sync is in held. The lock
 * orders that: a thread that is no longer seen here as starting is seen in held; and a later
 * one sees that no watcher runs.
 */
static bool may_end(void)
{
	bool end;

	pthread_mutex_lock(&lock);
	end = !starting && !watch_any();
	if (end)
		running = false;
	pthread_mutex_unlock(&lock);
	return end;
}

static void *watch(void *unused)
{
	unsigned int idle = 0, seen = 0, now;
	long ns = SHORTEST_NAP_NS;

	(void)unused;
	do {
		nap(ns);
		contexts_look();
		idle = watch_any() ? 0 : idle + 1;
		now = __atomic_load_n(&changes, __ATOMIC_RELAXED);
		if (now != seen)
			ns = SHORTEST_NAP_NS;
		else if (ns < LONGEST_NAP_NS)
			ns += ns / 4;
		seen = now;
	} while (idle < IDLE_NAPS || !may_end());
	return NULL;
}

/* With all signals blocked, as the callers are: the thread inherits that. */
static int create(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	/* Not the caller's: a real-time thread would have to share its CPU with it. */
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	ret = pthread_create(&thread, &attr, watch, NULL);
	if (ret) {
		/* The usual size, and a policy that it is allowed to have. */
		pthread_attr_setinheritsched(&attr, PTHREAD_INHERIT_SCHED);
		pthread_attr_setstacksize(&attr, DEFAULT_STACK_SIZE);
		ret = pthread_create(&thread, &attr, watch, NULL);
	}
	pthread_attr_destroy(&attr);
	return -ret;
}

int watch_start(void)
{
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (!running)
		ret = create();
	if (!ret) {
		running = true;
		starting++;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

void watch_started(void)
{
	pthread_mutex_lock(&lock);
	starting--;
	pthread_mutex_unlock(&lock);
}

/* In the child of a fork(), which has no watcher. */
void watch_forget(void)
{
	pthread_mutex_init(&lock, NULL);
	running = false;
	starting = 0;
	__atomic_store_n(&held, 0, __ATOMIC_RELAXED);
}
