// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a queue is run: all waiting requests are one batch, which is synced and completed;
 * this repeats until none waits. A worker of the user's pool runs the queue or, for one batch,
 * the submitter: the program's thread, if it waits for nothing else. The pool has a queue only
 * once, and not while a submitter runs a batch: that keeps the requests of a file in order. A
 * reaper completes cancelled requests. Workers and reapers are work items: pool.c makes them
 * with functions of this file, which the workqueue calls.
 */
#include <linux/sched.h>

#include "afsync.h"
#include "fileq.h"
#include "lane.h"

/*
 * Batches of one file in a row before the queue goes to the end of its lane, so that busy
 * files cannot keep the others out for ever.
 */
#define WORK_BATCHES	16

/*
 * May a request be in the batch of @first, of the same queue? Where a sync acts on the inode
 * the credentials do not matter, and the kernel's own threads write the data of syncfs().
 * A sync of one open file elsewhere may reach a server that checks the credentials:
 * there a batch has one identity, and the rest waits for the next. Requests that a submitter
 * has synced and could not complete are a batch of their own.
 */
static bool fits(enum afsync_scope scope, const struct afsync_req *first,
		 const struct afsync_req *req)
{
	if (req->state == AFSYNC_DONE || first->state == AFSYNC_DONE)
		return req->state == first->state;
	return scope != AFSYNC_SCOPE_FILE || first->cred == req->cred ||
	       afsync_same_identity(first->cred, req->cred);
}

/*
 * Takes some of the waiting requests, from the front, if they belong to the batch. Returns
 * whether there may be more of them.
 */
static bool take_some(struct afsync_fileq *fileq, struct list_head *batch)
{
	struct afsync_req *first, *req;
	unsigned int count = 0;
	LIST_HEAD(some);

	lockdep_assert_held(afsync_fileq_lock(fileq));

	first = list_first_entry_or_null(list_empty(batch) ? &fileq->waiting : batch,
					 struct afsync_req, link);
	list_for_each_entry(req, &fileq->waiting, link) {
		if (count == AFSYNC_RUN || !fits(fileq->scope, first, req))
			break;
		if (req->state != AFSYNC_DONE)
			afsync_req_set_state(req, AFSYNC_RUNNING);
		count++;
	}
	/* @req is the first that stays, or the head of the list. */
	list_cut_before(&some, &fileq->waiting, &req->link);
	list_splice_tail(&some, batch);
	return count == AFSYNC_RUN;
}

/*
 * Takes all waiting requests. A request that arrives after this is in the next batch: it may
 * have been queued for data that the sync of this one no longer sees. The lock is dropped in
 * between; the user's limit of requests bounds how many can arrive meanwhile.
 */
static void take_batch(struct afsync_fileq *fileq, struct list_head *batch)
{
	bool more;

	do {
		spin_lock(afsync_fileq_lock(fileq));
		more = take_some(fileq, batch);
		spin_unlock(afsync_fileq_lock(fileq));
		cond_resched();
	} while (more);
}

/*
 * From here on no one may look at the files of the batch: they will be dropped. Others may
 * take the lock in between, since no one takes requests out of a batch.
 */
static void batch_done(struct afsync_fileq *fileq, struct list_head *batch)
{
	struct afsync_req *req;
	unsigned int count = 0;

	spin_lock(afsync_fileq_lock(fileq));
	list_for_each_entry(req, batch, link) {
		afsync_req_set_state(req, AFSYNC_DONE);
		if (++count % AFSYNC_RUN)
			continue;
		spin_unlock(afsync_fileq_lock(fileq));
		cond_resched();
		spin_lock(afsync_fileq_lock(fileq));
	}
	spin_unlock(afsync_fileq_lock(fileq));
}

static void give_back(struct afsync_fileq *fileq, struct list_head *batch)
{
	spin_lock(afsync_fileq_lock(fileq));
	list_splice(batch, &fileq->waiting);
	spin_unlock(afsync_fileq_lock(fileq));
}

/* Returns false if another thread has to complete it. */
static bool run_batch(struct afsync_fileq *fileq, struct list_head *batch)
{
	if (list_first_entry(batch, struct afsync_req, link)->state == AFSYNC_RUNNING) {
		afsync_sync_batch(fileq, batch);
		batch_done(fileq, batch);
	}
	if (!afsync_reqs_let_go(batch)) {
		give_back(fileq, batch);
		return false;
	}
	afsync_reqs_post(batch);
	return true;
}

/* With no request waiting the queue becomes idle, and its runner drops the reference. */
static bool __is_idle(struct afsync_fileq *fileq)
{
	lockdep_assert_held(afsync_fileq_lock(fileq));

	if (!list_empty(&fileq->waiting))
		return false;
	fileq->active = false;
	return true;
}

static bool is_idle(struct afsync_fileq *fileq)
{
	bool idle;

	spin_lock(afsync_fileq_lock(fileq));
	idle = __is_idle(fileq);
	spin_unlock(afsync_fileq_lock(fileq));
	return idle;
}

/*
 * Returns true if the queue has become idle: then the worker still has the reference of an
 * active queue. Otherwise the queue has to be run again.
 */
static bool run_queue(struct afsync_fileq *fileq)
{
	unsigned int i;

	for (i = 0; i < WORK_BATCHES; i++) {
		LIST_HEAD(batch);

		take_batch(fileq, &batch);
		if (!list_empty(&batch))
			run_batch(fileq, &batch);
		if (is_idle(fileq))
			return true;
		cond_resched();
	}
	return false;
}

/* A worker of a pool runs the queue that it was given. */
void afsync_worker_run(struct work_struct *work)
{
	struct afsync_worker *worker = container_of(work, struct afsync_worker, work);
	struct afsync_fileq *fileq = worker->fileq;
	bool idle = run_queue(fileq);

	afsync_pool_done(worker, idle);
	if (idle)
		afsync_fileq_put(fileq, 1);
}

/* The reaper of a lane completes the requests that were cancelled there. */
void afsync_lane_reap(struct work_struct *work)
{
	struct afsync_lane *lane = container_of(work, struct afsync_lane, reap);
	LIST_HEAD(cancelled);

	spin_lock(&lane->pool->lock);
	list_splice_init(&lane->cancelled, &cancelled);
	spin_unlock(&lane->pool->lock);

	afsync_reqs_let_go(&cancelled);
	afsync_reqs_post(&cancelled);
	afsync_lane_put(lane);
}

/* Takes a queue out of a submitter's list, whose reference the caller gets. */
static void leave_kick(struct afsync_fileq *fileq)
{
	lockdep_assert_held(afsync_fileq_lock(fileq));

	list_del(&fileq->kick_link);
	fileq->kicker = NULL;
}

static void start_some(struct list_head *kick)
{
	struct afsync_fileq *fileq, *next;
	unsigned int left = AFSYNC_RUN;

	list_for_each_entry_safe(fileq, next, kick, kick_link) {
		if (!left--)
			break;
		spin_lock(afsync_fileq_lock(fileq));
		leave_kick(fileq);
		afsync_fileq_start(fileq);
		spin_unlock(afsync_fileq_lock(fileq));
		afsync_fileq_put(fileq, 1);
	}
}

/*
 * Starts the queues in a submitter's list, which is empty afterwards. No worker gets this
 * CPU before the others are started, too: the workers would run one by one, each with a switch
 * to it and back. On PREEMPT_RT they may, since there spinlocks sleep.
 */
void afsync_fileq_kick(struct list_head *kick)
{
	while (!list_empty(kick)) {
		if (!IS_ENABLED(CONFIG_PREEMPT_RT))
			preempt_disable();
		start_some(kick);
		if (!IS_ENABLED(CONFIG_PREEMPT_RT))
			preempt_enable();
		cond_resched();
	}
}

/*
 * Are the waiting requests exactly the @count that the submitter has just queued, and may it sync
 * them? As long as the queue is in its list, any other thread that adds to it starts it. A
 * submitter must not wait for direct I/O: it may be the thread that has to end that I/O.
 */
static bool caller_may_run(const struct afsync_fileq *fileq, unsigned int count)
{
	const struct file *file = NULL;
	const struct afsync_req *req;

	if (fileq->kicked)
		return false;
	list_for_each_entry(req, &fileq->waiting, link) {
		if (!count--)
			return false;
		if (req->ioprio || req->flags & AFSYNC_SQE_DRAIN)
			return false;
		if (req->file != file && !afsync_caller_may_sync(fileq->scope, req->file))
			return false;
		file = req->file;
	}
	return !count;
}

/*
 * Runs the only queue in a submitter's list in the submitter's thread, if it has the
 * @count requests of its array in it and nothing else. Saves the switch to a worker and
 * back. Otherwise starts it; the list is empty afterwards. Returns whether the requests
 * are completed.
 */
bool afsync_fileq_run(struct list_head *kick, unsigned int count)
{
	struct afsync_fileq *fileq =
		list_first_entry(kick, struct afsync_fileq, kick_link);
	bool idle, completed = false;
	LIST_HEAD(batch);

	/* In one step, so that no other request gets into the batch. */
	spin_lock(afsync_fileq_lock(fileq));
	leave_kick(fileq);
	if (caller_may_run(fileq, count)) {
		fileq->kicked = true;
		take_some(fileq, &batch);
	} else {
		afsync_fileq_start(fileq);
	}
	spin_unlock(afsync_fileq_lock(fileq));

	if (!list_empty(&batch)) {
		completed = run_batch(fileq, &batch);
		/* In one step, so that no cancel comes in between. */
		spin_lock(afsync_fileq_lock(fileq));
		idle = __is_idle(fileq);
		if (!idle)
			afsync_pool_queue(fileq);
		spin_unlock(afsync_fileq_lock(fileq));
		if (idle)
			afsync_fileq_put(fileq, 1);
	}
	afsync_fileq_put(fileq, 1);
	return completed;
}
