// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * fork(2): what the parent has in flight stays with the parent. The child has its memory,
 * but none of its threads; so it forgets everything, closes the ring, which it shares
 * with the parent, and starts anew with its first request. The lock is held across the
 * fork, so that the child finds nothing half done.
 */
#include "posix.h"

static void child(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	__op_forget_all();
	__stream_forget_all();
	__pool_forget_all();
	__device_forget();
	posix_lock = fresh;
}

/* Called once, before anything can be in flight. */
int fork_prepare(void)
{
	return pthread_atfork(lock, unlock, child);
}
