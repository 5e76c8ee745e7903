// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Notifications by thread. The threads are created by one that does nothing else, the
 * notifier: if one cannot be created, or not at once, that delays no request; and a new thread
 * inherits from the notifier only what the program has. The notifier is
 * created by the call that asks for such a notification, and ends when none has been
 * outstanding for a while.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "posix.h"

/* How long to keep trying to create a thread when the program has reached its limit. */
#define THREAD_TRIES	3000
#define THREAD_NAP_NS	10000000
#define IDLE_SECONDS	1

/* The argument of the thread, which owns it from its creation on. */
struct notice_start {
	void (*function)(union sigval value);
	union sigval value;
};

/*
 * Owned by the notice, then by the notifier: pthread_create() may look at the attributes
 * when the thread runs already.
 */
struct notice_thread {
	struct link link;	/* in the notifier's list */
	unsigned int tries;	/* the notifier's */
	struct notice_start *start;	/* NULL when the thread has it */
	pthread_attr_t attr;
};

static struct {
	struct link list;		/* notices that were handed over, oldest first */
	unsigned int outstanding;	/* atomic; of those in the list, and to come */
	uint32_t event;			/* atomic, futex; counts possible ends of a wait */
	bool runs;
} notifier = { .list = LINK_INIT(notifier.list) };

static int copy_scheduling(pthread_attr_t *to, const pthread_attr_t *from)
{
	struct sched_param param;
	int value, ret;

	ret = pthread_attr_getinheritsched(from, &value);
	if (!ret)
		ret = pthread_attr_setinheritsched(to, value);
	if (!ret)
		ret = pthread_attr_getschedpolicy(from, &value);
	if (!ret)
		ret = pthread_attr_setschedpolicy(to, value);
	if (!ret)
		ret = pthread_attr_getschedparam(from, &param);
	if (!ret)
		ret = pthread_attr_setschedparam(to, &param);
	if (!ret)
		ret = pthread_attr_getscope(from, &value);
	if (!ret)
		ret = pthread_attr_setscope(to, value);
	return ret;
}

static int copy_stack(pthread_attr_t *to, const pthread_attr_t *from)
{
	size_t size;
	void *stack;
	int ret;

	ret = pthread_attr_getguardsize(from, &size);
	if (!ret)
		ret = pthread_attr_setguardsize(to, size);
	if (!ret)
		ret = pthread_attr_getstack(from, &stack, &size);
	if (ret)
		return ret;
	/* Without an address, the attribute is the end of a stack at no place. */
	if (stack && (uintptr_t)stack + size)
		return pthread_attr_setstack(to, stack, size);
	ret = pthread_attr_getstacksize(from, &size);
	return ret ? ret : pthread_attr_setstacksize(to, size);
}

static int copy_masks(pthread_attr_t *to, const pthread_attr_t *from)
{
	cpu_set_t cpus;
	sigset_t mask;

	if (!pthread_attr_getsigmask_np(from, &mask))
		pthread_attr_setsigmask_np(to, &mask);
	if (!pthread_attr_getaffinity_np(from, sizeof(cpus), &cpus) &&
	    CPU_COUNT(&cpus) < CPU_SETSIZE)
		pthread_attr_setaffinity_np(to, sizeof(cpus), &cpus);
	return 0;
}

static int attr_init(pthread_attr_t *attr)
{
	sigset_t none;
	int ret;

	ret = pthread_attr_init(attr);
	if (ret)
		return ret;
	/* No other thread has its ID, so it cannot be joined. */
	ret = pthread_attr_setdetachstate(attr, PTHREAD_CREATE_DETACHED);
	/* Our own threads block all signals; this one is the program's. */
	sigemptyset(&none);
	if (!ret)
		ret = pthread_attr_setsigmask_np(attr, &none);
	if (ret)
		pthread_attr_destroy(attr);
	return ret;
}

static void *notifier_main(void *arg);

/* Makes sure that the notifier is there, and stays until notifier_put(). */
static int notifier_get(void)
{
	int ret = 0;

	lock();
	if (!notifier.runs)
		ret = thread_start(notifier_main, NULL);
	if (!ret) {
		notifier.runs = true;
		__atomic_add_fetch(&notifier.outstanding, 1, __ATOMIC_RELAXED);
	}
	unlock();
	return ret ? EAGAIN : 0;
}

static void notifier_wake(void)
{
	__atomic_add_fetch(&notifier.event, 1, __ATOMIC_SEQ_CST);
	futex_wake(&notifier.event);
}

/* With the lock or without. */
static void notifier_put(void)
{
	/* It waits without an end as long as there are any. */
	if (!__atomic_sub_fetch(&notifier.outstanding, 1, __ATOMIC_SEQ_CST))
		notifier_wake();
}

static void thread_free(struct notice_thread *thread)
{
	pthread_attr_destroy(&thread->attr);
	free(thread->start);
	free(thread);
}

int notice_thread_copy(const struct sigevent *event, struct notice_thread **threadp)
{
	const pthread_attr_t *attr = event->sigev_notify_attributes;
	struct notice_thread *thread;
	int ret;

	if (!event->sigev_notify_function)
		return EINVAL;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return EAGAIN;
	thread->start = calloc(1, sizeof(*thread->start));
	if (!thread->start || attr_init(&thread->attr)) {
		free(thread->start);
		free(thread);
		return EAGAIN;
	}
	ret = 0;
	if (attr)
		ret = copy_scheduling(&thread->attr, attr);
	if (!ret && attr)
		ret = copy_stack(&thread->attr, attr);
	if (!ret && attr)
		ret = copy_masks(&thread->attr, attr);
	if (ret && ret != ENOMEM)
		ret = EINVAL;
	if (!ret)
		ret = notifier_get();
	if (ret) {
		thread_free(thread);
		return ret == ENOMEM ? EAGAIN : ret;
	}
	link_init(&thread->link);
	thread->start->function = event->sigev_notify_function;
	thread->start->value = event->sigev_value;
	*threadp = thread;
	return 0;
}

static void *thread_main(void *arg)
{
	struct notice_start start = *(struct notice_start *)arg;

	/* Now, as the function may end the thread. */
	free(arg);
	start.function(start.value);
	return NULL;
}

/* May another try, without some attributes, succeed where this one has not? */
static bool refused(int error)
{
	return error && error != EAGAIN;
}

/*
 * A program is notified of the end of its request even if the thread cannot have its attributes:
 * first the thread is created without the scheduling and the CPUs, which it may not have (EPERM)
 * or which do not exist, then without all attributes except the signal mask. EAGAIN: may succeed
 * later.
 */
static int thread_create(struct notice_thread *thread)
{
	pthread_attr_t plain;
	sigset_t mask;
	cpu_set_t none;
	pthread_t id;
	int ret;

	ret = pthread_create(&id, &thread->attr, thread_main, thread->start);
	if (!refused(ret))
		return ret;
	pthread_attr_setinheritsched(&thread->attr, PTHREAD_INHERIT_SCHED);
	pthread_attr_setaffinity_np(&thread->attr, 0, &none);
	ret = pthread_create(&id, &thread->attr, thread_main, thread->start);
	if (!refused(ret))
		return ret;
	if (attr_init(&plain))
		return EAGAIN;
	if (!pthread_attr_getsigmask_np(&thread->attr, &mask))
		pthread_attr_setsigmask_np(&plain, &mask);
	ret = pthread_create(&id, &plain, thread_main, thread->start);
	pthread_attr_destroy(&plain);
	return ret;
}

/*
 * Tries each of the list once, so that a waiting one delays the others no longer than
 * a nap. Drops the lock for a while.
 */
static void __notifier_round(void)
{
	struct notice_thread *thread;
	struct link round;
	bool again;
	int ret;

	link_init(&round);
	while (!link_empty(&notifier.list)) {
		thread = element(notifier.list.next, struct notice_thread, link);
		link_del(&thread->link);
		link_add(&round, &thread->link);
	}
	while (!link_empty(&round)) {
		thread = element(round.next, struct notice_thread, link);
		link_del(&thread->link);
		unlock();
		ret = thread_create(thread);
		again = ret == EAGAIN && ++thread->tries < THREAD_TRIES;
		if (!ret)
			thread->start = NULL;
		if (!again)
			thread_free(thread);
		lock();
		if (again)
			link_add(&notifier.list, &thread->link);
		else
			notifier_put();
	}
}

/* Waits for work. False if there was none for so long that the thread should end. */
static bool __notifier_wait(void)
{
	const struct __kernel_timespec idle = { .tv_sec = IDLE_SECONDS };
	struct __kernel_timespec until;
	bool forever;
	uint32_t event;
	int ret;

	while (link_empty(&notifier.list)) {
		event = __atomic_load_n(&notifier.event, __ATOMIC_SEQ_CST);
		forever = __atomic_load_n(&notifier.outstanding, __ATOMIC_SEQ_CST);
		if (!forever)
			deadline_after(&idle, &until);
		unlock();
		ret = futex_wait(&notifier.event, event, forever ? NULL : &until);
		lock();
		if (ret == ETIMEDOUT && !__atomic_load_n(&notifier.outstanding, __ATOMIC_RELAXED))
			return false;
	}
	return true;
}

static void *notifier_main(void *arg)
{
	const struct timespec nap = { .tv_nsec = THREAD_NAP_NS };

	(void)arg;
	lock();
	while (__notifier_wait()) {
		__notifier_round();
		if (link_empty(&notifier.list))
			continue;
		unlock();
		nanosleep(&nap, NULL);
		lock();
	}
	notifier.runs = false;
	unlock();
	return NULL;
}

/* Hands it over to the notifier. */
void notice_thread_send(struct notice_thread *thread)
{
	lock();
	link_add(&notifier.list, &thread->link);
	unlock();
	notifier_wake();
}

/* No notification is needed after all. */
void notice_thread_drop(struct notice_thread *thread)
{
	thread_free(thread);
	notifier_put();
}

/* In the child of a fork: the thread, and all that is outstanding, are the parent's. */
void __notifier_forget(void)
{
	link_init(&notifier.list);
	notifier.outstanding = 0;
	notifier.runs = false;
}
