// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a program asked to be told by. It is copied at the call, thread attributes
 * included: the control block may be gone when the request ends, and so may the
 * attributes.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

/* How long to go on asking for a thread when the program has as many as it may have. */
#define THREAD_TRIES	200
#define THREAD_NAP_NS	5000000

/* Owned by the notice, and from the creation of the thread on by the thread. */
struct notice_thread {
	void (*function)(union sigval value);
	union sigval value;
	pthread_attr_t attr;
};

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
	/* Without an address, what is told is the end of a stack at no place. */
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

static int thread_copy(const struct sigevent *event, struct notice *notice)
{
	const pthread_attr_t *attr = event->sigev_notify_attributes;
	struct notice_thread *thread;
	sigset_t none;
	int ret;

	if (!event->sigev_notify_function)
		return EINVAL;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return EAGAIN;
	ret = pthread_attr_init(&thread->attr);
	if (ret)
		goto free_thread;
	/* Nobody knows the thread, so nobody can join it. */
	ret = pthread_attr_setdetachstate(&thread->attr, PTHREAD_CREATE_DETACHED);
	/* Our own threads block all signals; this one is the program's. */
	sigemptyset(&none);
	if (!ret)
		ret = pthread_attr_setsigmask_np(&thread->attr, &none);
	if (!ret && attr)
		ret = copy_scheduling(&thread->attr, attr);
	if (!ret && attr)
		ret = copy_stack(&thread->attr, attr);
	if (!ret && attr)
		ret = copy_masks(&thread->attr, attr);
	if (ret)
		goto destroy_attr;
	thread->function = event->sigev_notify_function;
	thread->value = event->sigev_value;
	notice->thread = thread;
	return 0;

destroy_attr:
	pthread_attr_destroy(&thread->attr);
free_thread:
	free(thread);
	return ret == ENOMEM ? EAGAIN : EINVAL;
}

/*
 * Copies what @event asks for; NULL asks for nothing. EINVAL if that is nothing that can
 * be done. Signal 0, that of a cleared control block, is accepted, and none is sent.
 */
int notice_copy(const struct sigevent *event, struct notice *notice)
{
	*notice = (struct notice){ .kind = SIGEV_NONE };
	if (!event)
		return 0;
	notice->value = event->sigev_value;
	notice->signo = event->sigev_signo;
	switch (event->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_THREAD_ID:
		notice->tid = event->_sigev_un._tid;
		__attribute__((fallthrough));
	case SIGEV_SIGNAL:
		if (notice->signo < 0 || notice->signo > SIGRTMAX)
			return EINVAL;
		break;
	case SIGEV_THREAD:
		if (thread_copy(event, notice))
			return EINVAL;
		break;
	default:
		return EINVAL;
	}
	notice->kind = event->sigev_notify;
	return 0;
}

static void *thread_main(void *arg)
{
	struct notice_thread *thread = arg;
	void (*function)(union sigval value) = thread->function;
	union sigval value = thread->value;

	/* Now, as the function may end the thread. */
	pthread_attr_destroy(&thread->attr);
	free(thread);
	function(value);
	return NULL;
}

static void thread_send(struct notice *notice)
{
	const struct timespec nap = { .tv_nsec = THREAD_NAP_NS };
	pthread_t id;
	int i;

	for (i = 0; i < THREAD_TRIES; i++) {
		if (!pthread_create(&id, &notice->thread->attr, thread_main,
				    notice->thread)) {
			notice->thread = NULL;
			return;
		}
		nanosleep(&nap, NULL);
	}
}

/* With its value; without, if the program has as many signals waiting as it may have. */
static void signal_send(const struct notice *notice)
{
	siginfo_t info = {
		.si_signo = notice->signo,
		.si_code = SI_ASYNCIO,
	};
	pid_t pid = getpid();
	bool queued;

	if (!notice->signo)
		return;
	info.si_pid = pid;
	info.si_uid = getuid();
	info.si_value = notice->value;
	if (notice->kind == SIGEV_SIGNAL) {
		queued = !syscall(SYS_rt_sigqueueinfo, pid, notice->signo, &info);
		if (!queued && errno == EAGAIN)
			kill(pid, notice->signo);
	} else {
		queued = !syscall(SYS_rt_tgsigqueueinfo, pid, notice->tid, notice->signo,
				  &info);
		if (!queued && errno == EAGAIN)
			syscall(SYS_tgkill, pid, notice->tid, notice->signo);
	}
}

/* Tells the program, once. May be called by any thread, without the lock. */
void notice_send(struct notice *notice)
{
	if (notice->kind == SIGEV_THREAD)
		thread_send(notice);
	else if (notice->kind != SIGEV_NONE)
		signal_send(notice);
}

/* Frees what a notice owns that was not sent, or could not be. */
void notice_drop(struct notice *notice)
{
	if (!notice->thread)
		return;
	pthread_attr_destroy(&notice->thread->attr);
	free(notice->thread);
	notice->thread = NULL;
}
