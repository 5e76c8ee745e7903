// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool of a user: its workers, its lanes, which sync runs next, and in which thread.
 *
 * A pool has a fixed number of workers. No sync of its user runs without one, so this is the
 * most kernel threads that the user's syncs hold, whatever filesystems the user has and
 * whatever they do. No worker and no lane serves two users, so no user waits for the
 * syncs of another.
 *
 * A queue that may not run yet waits in its lane. A lane may start a sync while
 * it runs fewer than workers_per_fs, and fewer than there are free workers. So a stuck
 * filesystem takes no more than half of the workers, the next one half of the rest,
 * and so on: one that answers still finds some.
 *
 * The threads are those of a workqueue. It has no WQ_MEM_RECLAIM: a rescuer is one thread,
 * which would run the syncs one by one, and a filesystem's sync may wait for a workqueue
 * that has none, about which the kernel warns. It is WQ_FREEZABLE: no sync starts while the
 * system suspends, and the suspend waits for running ones, so that no sync writes behind a
 * hibernation image.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "afsync.h"
#include "fileq.h"
#include "fs_stats.h"
#include "lane.h"

/* Lanes of one pool whose cancelled requests are completed at the same time. */
#define POOL_REAPERS	8

/* A pool of @size workers, or NULL without memory. */
struct afsync_pool *afsync_pool_create(unsigned int size)
{
	struct afsync_pool *pool;
	unsigned int i;

	pool = kvzalloc(struct_size(pool, workers, size), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!pool)
		return NULL;

	/* The number of workers limits how many run at once. */
	pool->wq = alloc_workqueue("afsync", WQ_UNBOUND | WQ_FREEZABLE, WQ_MAX_ACTIVE);
	if (!pool->wq)
		goto free_pool;
	pool->reap_wq = alloc_workqueue("afsync-reap", WQ_UNBOUND | WQ_FREEZABLE,
					POOL_REAPERS);
	if (!pool->reap_wq)
		goto destroy_wq;

	spin_lock_init(&pool->lock);
	hash_init(pool->lanes);
	INIT_LIST_HEAD(&pool->waiting);
	for (i = 0; i < size; i++) {
		struct afsync_worker *worker = &pool->workers[i];

		INIT_WORK(&worker->work, afsync_worker_run);
		worker->pool = pool;
		worker->next = pool->free;
		pool->free = worker;
	}
	pool->nr_free = size;
	pool->size = size;
	return pool;

destroy_wq:
	destroy_workqueue(pool->wq);
free_pool:
	kvfree(pool);
	return NULL;
}

/* A lane that is not in its pool yet, and has no user, or NULL without memory. */
struct afsync_lane *afsync_lane_alloc(struct afsync_pool *pool, const struct afsync_key *key)
{
	struct afsync_lane *lane;

	lane = kzalloc(sizeof(*lane), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!lane)
		return NULL;
	lane->pool = pool;
	lane->domain = key->domain;
	lane->fs = afsync_fs_get(key);
	INIT_LIST_HEAD(&lane->line);
	INIT_LIST_HEAD(&lane->cancelled);
	INIT_WORK(&lane->reap, afsync_lane_reap);
	return lane;
}

/* For callers that hold no lock, but may not sleep. */
void afsync_lane_free(struct afsync_lane *lane)
{
	afsync_fs_put(lane->fs);
	kfree(lane);
}

/* Waits for workers that are about to return; no request is left. */
void afsync_pool_destroy(struct afsync_pool *pool)
{
	destroy_workqueue(pool->reap_wq);
	destroy_workqueue(pool->wq);
	if (pool->idle)
		afsync_lane_free(pool->idle);
	kvfree(pool);
}

/* For display, to explain why a request waits: how many syncs of the user run, and may run. */
void afsync_pool_show(struct seq_file *m, struct afsync_pool *pool)
{
	seq_printf(m, "user_syncs:\t%u\n", pool->size - READ_ONCE(pool->nr_free));
	seq_printf(m, "user_max_syncs:\t%u\n", pool->size);
}

static bool may_start(const struct afsync_lane *lane)
{
	return lane->running < min(afsync_workers_per_fs, lane->pool->nr_free);
}

/* Gives a free worker to a queue. */
static void start(struct afsync_lane *lane, struct afsync_fileq *fileq)
{
	struct afsync_pool *pool = lane->pool;
	struct afsync_worker *worker = pool->free;

	lockdep_assert_held(&pool->lock);

	pool->free = worker->next;
	WRITE_ONCE(pool->nr_free, pool->nr_free - 1);
	lane->running++;
	worker->fileq = fileq;
	queue_work(pool->wq, &worker->work);
}

static void enter_line(struct afsync_lane *lane, struct afsync_fileq *fileq)
{
	lockdep_assert_held(&lane->pool->lock);

	if (list_empty(&lane->line))
		list_add_tail(&lane->waiting_link, &lane->pool->waiting);
	list_add_tail(&fileq->line_link, &lane->line);
}

static void leave_line(struct afsync_lane *lane, struct afsync_fileq *fileq)
{
	lockdep_assert_held(&lane->pool->lock);

	list_del_init(&fileq->line_link);
	if (list_empty(&lane->line))
		list_del(&lane->waiting_link);
}

/*
 * Starts the queues that may run now. The lanes take turns. A lane that may not start a sync
 * runs some, so no more are passed over than there are workers, however many wait.
 */
static void start_waiting(struct afsync_pool *pool)
{
	struct afsync_fileq *fileq;
	struct afsync_lane *lane;

	lockdep_assert_held(&pool->lock);
again:
	if (!pool->nr_free)
		return;
	list_for_each_entry(lane, &pool->waiting, waiting_link) {
		if (!may_start(lane))
			continue;
		list_move_tail(&lane->waiting_link, &pool->waiting);
		fileq = list_first_entry(&lane->line, struct afsync_fileq, line_link);
		leave_line(lane, fileq);
		start(lane, fileq);
		goto again;
	}
}

/* Gives a queue to a worker, once, as soon as its user may have one more worker there. */
void afsync_pool_queue(struct afsync_fileq *fileq)
{
	struct afsync_lane *lane = fileq->lane;
	struct afsync_pool *pool = lane->pool;

	spin_lock(&pool->lock);
	if (list_empty(&lane->line) && may_start(lane))
		start(lane, fileq);
	else
		enter_line(lane, fileq);
	spin_unlock(&pool->lock);
}

/* Takes a queue out of its lane's waiting queues. Returns false if it is not among them. */
bool afsync_pool_unqueue(struct afsync_fileq *fileq)
{
	struct afsync_lane *lane = fileq->lane;
	struct afsync_pool *pool = lane->pool;
	bool waits;

	spin_lock(&pool->lock);
	waits = !list_empty(&fileq->line_link);
	if (waits)
		leave_line(lane, fileq);
	spin_unlock(&pool->lock);
	return waits;
}

/*
 * A worker has run its queue, which waits again if it is not idle. The worker may be reused
 * before this function returns, in this thread when its work item has returned: the workqueue
 * guarantees that.
 */
void afsync_pool_done(struct afsync_worker *worker, bool idle)
{
	struct afsync_fileq *fileq = worker->fileq;
	struct afsync_pool *pool = worker->pool;

	spin_lock(&pool->lock);
	fileq->lane->running--;
	worker->next = pool->free;
	pool->free = worker;
	WRITE_ONCE(pool->nr_free, pool->nr_free + 1);
	if (!idle)
		enter_line(fileq->lane, fileq);
	start_waiting(pool);
	spin_unlock(&pool->lock);
}
