// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Changes of the process: fork and exit.
 *
 * fork(2): the parent's requests in flight stay with the parent. The child has its memory,
 * but none of its threads; so it forgets everything, closes the ring, which it shares
 * with the parent, and starts afresh with its first request. The lock is held across the
 * fork, so that the child finds nothing half done, with signals blocked.
 *
 * exit(3): nothing waits for requests in flight. But main() may have returned, and its
 * control blocks may be gone, while requests end in our threads: the memory of the block is
 * then the stack of exit(). So from the beginning of exit() on no thread writes into a block
 * by itself; its status is kept until the program asks for it, which shows that the block
 * is still there (op.c).
 */
#include <stdlib.h>

#include "posix.h"

static void leave(void)
{
	struct mask mask;

	signals_block(&mask);
	lock();
	__block_keep_all();
	unlock();
	signals_restore(&mask);
}

/* Of the thread that forks; under the lock, which is held so long. */
static struct mask fork_mask;

static void prepare(void)
{
	struct mask mask;

	signals_block(&mask);
	lock();
	fork_mask = mask;
}

static void parent(void)
{
	struct mask mask = fork_mask;

	unlock();
	signals_restore(&mask);
}

static void child(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	__op_forget_all();
	__stream_forget_all();
	__pool_forget(&disk_pool);
	__pool_forget(&pipe_pool);
	__notifier_forget();
	__rings_forget();
	posix_lock = fresh;
	signals_restore(&fork_mask);
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

/* The handlers of the engine of threads come first: the child's ends its rings. */
static void register_fork(void)
{
	afsync_handle_forks();
	fork_error = pthread_atfork(prepare, parent, child);
}

/*
 * At load: a fork that another thread is about to make when the first request opens the
 * ring does not call handlers registered then, and the child would read the parent's ring.
 */
static void __attribute__((constructor)) handle_forks(void)
{
	pthread_once(&fork_once, register_fork);
}

/* Called once, before anything can be in flight; by a constructor, perhaps. */
int process_prepare(void)
{
	int ret;

	handle_forks();
	/*
	 * The function registered last is called first: as soon as main() has returned. Under the
	 * lock, for which a fork waits: the one that atexit() takes is not made free in the
	 * child, where the first request would wait for it for ever.
	 */
	lock();
	ret = atexit(leave);
	unlock();
	return fork_error || ret;
}
