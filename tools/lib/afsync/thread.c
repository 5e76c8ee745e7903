// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How a thread of the library is made: detached, and with little stack.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "internal.h"

#define STACK_SIZE	(128 << 10)

static void attr_init(pthread_attr_t *attr, bool small, int inherit)
{
	pthread_attr_init(attr);
	pthread_attr_setdetachstate(attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setinheritsched(attr, inherit);
	if (small)
		pthread_attr_setstacksize(attr, STACK_SIZE < PTHREAD_STACK_MIN ?
						PTHREAD_STACK_MIN : STACK_SIZE);
}

/*
 * The caller has blocked all signals, and the thread inherits that. @inherit: of the caller's
 * scheduling, as pthread_attr_setinheritsched(3) has it. 0, or an errno.
 */
int afsync_thread_start(void *(*function)(void *), void *arg, int inherit)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	attr_init(&attr, true, inherit);
	ret = pthread_create(&thread, &attr, function, arg);
	pthread_attr_destroy(&attr);
	if (ret == EINVAL) {
		/* The program's thread-local memory is larger than that. */
		attr_init(&attr, false, inherit);
		ret = pthread_create(&thread, &attr, function, arg);
		pthread_attr_destroy(&attr);
	}
	return ret;
}
