// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A pool: a queue of requests, and threads that take them out and run them. The owner of the pool
 * has the function for that (run.c).
 *
 * A queue is ordered by aio_reqprio, and by age among equals. Threads are made when there
 * is work that no idle one can take, and end when there was none for a while. They block
 * all signals: signals to the program are for the program's threads.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "posix.h"

/* How long glibc keeps an idle thread. */
#define IDLE_SECONDS	1

static const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;

static int64_t idle_seconds = IDLE_SECONDS;

static struct op *take(struct pool *pool)
{
	struct op *op;
	int i;

	for (i = 0; pool->queued && i <= PRIO_DELTA_MAX; i++) {
		if (!pool->queue[i].next || link_empty(&pool->queue[i]))
			continue;
		op = element(pool->queue[i].next, struct op, link);
		__pool_del(op);
		op->state = OP_RUNNING;
		return op;
	}
	return NULL;
}

/* Waits for work. False if there was none for so long that the thread should end. */
static bool await_work(struct pool *pool)
{
	const struct __kernel_timespec idle = { .tv_sec = idle_seconds };
	struct __kernel_timespec deadline;
	struct timespec until;
	int ret = 0;

	pool->idle++;
	while (!pool->queued && !ret) {
		deadline_after(&idle, &deadline);
		until.tv_nsec = deadline.tv_nsec;
		if (__builtin_add_overflow(deadline.tv_sec, 0, &until.tv_sec))
			until.tv_sec = INT32_MAX;
		ret = pthread_cond_clockwait(&pool->work, &posix_lock, CLOCK_MONOTONIC,
					     &until);
	}
	pool->idle--;
	return pool->queued;
}

static void *pool_thread(void *arg)
{
	struct pool *pool = arg;
	struct op *op;

	lock();
	pool->idle--;
	do {
		while ((op = take(pool))) {
			unlock();
			pool->run(op);
			lock();
		}
	} while (await_work(pool));
	pool->threads--;
	unlock();
	return NULL;
}

/* A new thread counts as idle until it has begun. */
static bool __thread_make(struct pool *pool)
{
	if (thread_start(pool_thread, pool))
		return false;
	pool->threads++;
	pool->idle++;
	return true;
}

/*
 * Queues an op. EAGAIN only if there is no thread that would ever come to it, and none
 * can be made.
 */
int __pool_add(struct pool *pool, struct op *op)
{
	/* The priority of a sync is for a ring; one that comes here is not late. */
	struct link *queue = &pool->queue[op_is_sync(op) ? 0 : op->prio];

	if (pool->idle <= pool->queued && pool->threads < pool->limit &&
	    !__thread_make(pool) && !pool->threads)
		return EAGAIN;
	if (!queue->next)
		link_init(queue);
	op->pool = pool;
	op->state = OP_QUEUED;
	link_add(queue, &op->link);
	pool->queued++;
	if (pool->idle)
		pthread_cond_signal(&pool->work);
	return 0;
}

/* Takes an op that is QUEUED out again. */
void __pool_del(struct op *op)
{
	link_del(&op->link);
	op->pool->queued--;
	op->state = OP_NEW;
}

/*
 * For aio_init(): the limit of one pool, and how long an idle thread of any waits. Members that
 * make no sense, or have none here, are ignored.
 */
void pool_configure(struct pool *pool, const struct aioinit *init)
{
	lock();
	if (init->aio_threads > 0)
		pool->limit = init->aio_threads;
	if (init->aio_idle_time > 0)
		idle_seconds = init->aio_idle_time;
	unlock();
}

/* In the child of a fork: the threads are the parent's. */
void __pool_forget(struct pool *pool)
{
	memset(pool->queue, 0, sizeof(pool->queue));
	pool->queued = 0;
	pool->threads = 0;
	pool->idle = 0;
	memcpy(&pool->work, &fresh, sizeof(fresh));
}
