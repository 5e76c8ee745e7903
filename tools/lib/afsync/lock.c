// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The lock of the threads' backend, and its handling over fork().
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <time.h>

#include "threads.h"
#include "ring.h"

/* Threads end when they have been idle for this long. */
#define IDLE_SECONDS	1

uint32_t afsync_generation;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct unlocked forking;	/* under the lock */

/* The child of a fork finds all as it was between two changes. */
static void before_fork(void)
{
	struct unlocked saved;

	afsync_lock(&saved);
	afsync_objects_hold();
	forking = saved;
}

static void after_fork_parent(void)
{
	struct unlocked saved = forking;

	afsync_objects_let_go();
	afsync_unlock(&saved);
}

static void after_fork_child(void)
{
	struct unlocked saved = forking;

	store_release(&afsync_generation, afsync_generation + 1);
	afsync_objects_let_go();
	afsync_team_forget();
	afsync_unlock(&saved);
}

static void register_handlers(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/*
 * The first use of the lock does it. A library that has handlers of its own, and calls this
 * one in them or under a lock that they take, does it before it registers those.
 */
void afsync_handle_forks(void)
{
	pthread_once(&once, register_handlers);
}

/*
 * With signals blocked, for functions that are called in their handlers, and not to be
 * cancelled: a thread that ends with the lock would stop all others.
 */
void afsync_lock(struct unlocked *saved)
{
	sigset_t all;

	afsync_handle_forks();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved->signals);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &saved->cancel);
	pthread_mutex_lock(&mutex);
}

void afsync_unlock(const struct unlocked *saved)
{
	pthread_mutex_unlock(&mutex);
	pthread_setcancelstate(saved->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &saved->signals, NULL);
}

/* For a call that may wait: drops the lock, with signals blocked as before. */
void afsync_let_go(void)
{
	pthread_mutex_unlock(&mutex);
}

/* The same in the other direction; the first one of a thread whose signals are blocked. */
void afsync_relock(void)
{
	pthread_mutex_lock(&mutex);
}

void afsync_wait_for(pthread_cond_t *cond)
{
	pthread_cond_wait(cond, &mutex);
}

/* False if there was no signal for a while. The clock of the condition is CLOCK_MONOTONIC. */
bool afsync_wait_idle(pthread_cond_t *cond)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	return !pthread_cond_timedwait(cond, &mutex, &until);
}
