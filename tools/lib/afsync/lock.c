// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The lock of the threads' backend, what fork() does to it, memory for what the lock
 * protects, and how a thread is made.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"
#include "ring.h"

/* Threads end when they have had nothing to do for so long. */
#define IDLE_SECONDS	1

#define STACK_SIZE	(128 << 10)

#define STEP	64
#define CLASSES	8
#define SLAB	(16 * 1024)

uint32_t afsync_generation;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct unlocked forking;	/* under the lock */

/* Of each size, a multiple of STEP, those that are free. */
static struct spare {
	struct spare *next;
} *spares[CLASSES];

/* The child of a fork finds all as it was between two changes. */
static void before_fork(void)
{
	struct unlocked saved;

	afsync_lock(&saved);
	forking = saved;
}

static void after_fork_parent(void)
{
	struct unlocked saved = forking;

	afsync_unlock(&saved);
}

static void after_fork_child(void)
{
	struct unlocked saved = forking;

	store_release(&afsync_generation, afsync_generation + 1);
	afsync_team_forget();
	afsync_unlock(&saved);
}

static void register_handlers(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/*
 * With signals blocked, for functions that are called in their handlers, and not to be
 * cancelled: a thread that ends with the lock would stop all others.
 */
void afsync_lock(struct unlocked *saved)
{
	sigset_t all;

	pthread_once(&once, register_handlers);
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

/* For a call that may wait: lets go of the lock, with signals blocked as before. */
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

/* False if nobody signalled for a while. The clock of the condition is CLOCK_MONOTONIC. */
bool afsync_wait_idle(pthread_cond_t *cond)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	return !pthread_cond_timedwait(cond, &mutex, &until);
}

/* Zeroed memory of any size; NULL if there is none. */
void *afsync_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void afsync_unmap(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

static size_t class_of(size_t size)
{
	return (size - 1) / STEP;
}

static struct spare *slab_cut(size_t class)
{
	size_t size = (class + 1) * STEP, at;
	struct spare *list = NULL, *spare;
	char *slab;

	slab = afsync_map(SLAB);
	if (!slab)
		return NULL;
	for (at = 0; at + size <= SLAB; at += size) {
		spare = (struct spare *)(void *)(slab + at);
		spare->next = list;
		list = spare;
	}
	return list;
}

/* All zero; NULL if there is no memory. At most STEP * CLASSES bytes. */
void *afsync_object_new(size_t size)
{
	size_t class = class_of(size);
	struct spare *spare;

	if (!spares[class])
		spares[class] = slab_cut(class);
	spare = spares[class];
	if (!spare)
		return NULL;
	spares[class] = spare->next;
	return memset(spare, 0, size);
}

/* The size is that of afsync_object_new(). */
void afsync_object_free(void *object, size_t size)
{
	struct spare *spare = object;

	spare->next = spares[class_of(size)];
	spares[class_of(size)] = spare;
}

static void attr_init(pthread_attr_t *attr, bool small)
{
	pthread_attr_init(attr);
	pthread_attr_setdetachstate(attr, PTHREAD_CREATE_DETACHED);
	/* Not the caller's, which may be a real-time thread. */
	pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
	if (small)
		pthread_attr_setstacksize(attr, STACK_SIZE < PTHREAD_STACK_MIN ?
						PTHREAD_STACK_MIN : STACK_SIZE);
}

/* The caller has blocked all signals, and the thread inherits that. 0, or an errno. */
int afsync_thread_start(void *(*function)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	attr_init(&attr, true);
	ret = pthread_create(&thread, &attr, function, arg);
	pthread_attr_destroy(&attr);
	if (ret == EINVAL) {
		/* The program's thread-local memory is larger than that. */
		attr_init(&attr, false);
		ret = pthread_create(&thread, &attr, function, arg);
		pthread_attr_destroy(&attr);
	}
	return ret;
}
