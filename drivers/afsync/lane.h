/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workers of a user, and the filesystems on which they work. Locks: afsync.h.
 */
#ifndef _AFSYNC_LANE_H
#define _AFSYNC_LANE_H

#include <linux/hashtable.h>

#include "afsync.h"

#define AFSYNC_LANE_HASH_BITS	6

struct afsync_fs;
struct afsync_key;

/**
 * struct afsync_worker - a sync needs one to run
 * @work: runs @fileq
 * @pool: the pool that it belongs to; set once
 * @fileq: the queue to run, while the worker is not free
 * @next: in pool->free
 */
struct afsync_worker {
	struct work_struct work;
	struct afsync_pool *pool;
	struct afsync_fileq *fileq;
	struct afsync_worker *next;
};

/**
 * struct afsync_pool - the workers of one user
 * @lock: protects the fields down to @idle, and the lanes; taken under the lock of a queue's
 *	bucket
 * @lanes: the lanes of the user, by domain
 * @waiting: lanes that have waiting queues
 * @free: workers that run no queue
 * @nr_free: how many
 * @idle: a lane without queues, kept for the next queue of its domain, or NULL
 * @size: number of workers; set once
 * @wq: runs the workers; set once
 * @reap_wq: completes cancelled requests, independent of stuck syncs; set once
 * @workers: all workers
 */
struct afsync_pool {
	spinlock_t lock;	/* down to @idle */
	DECLARE_HASHTABLE(lanes, AFSYNC_LANE_HASH_BITS);
	struct list_head waiting;
	struct afsync_worker *free;
	unsigned int nr_free;
	struct afsync_lane *idle;

	unsigned int size;
	struct workqueue_struct *wq;
	struct workqueue_struct *reap_wq;
	struct afsync_worker workers[];
};

/**
 * struct afsync_lane - the syncs of one user on one filesystem
 * @node: in pool->lanes
 * @waiting_link: in pool->waiting while @line has queues
 * @user: the user; set once. A reference while there are other references to the lane.
 * @pool: the user's; set once
 * @domain: see struct afsync_key; set once
 * @fs: its counters, a reference; set once
 * @refs: queues of files, and @reap while it is queued or runs; pool->lock
 * @running: workers that run a queue of this lane; pool->lock
 * @line: queues that wait for a worker, oldest first; pool->lock
 * @cancelled: requests in state CANCELLED to be completed; pool->lock
 * @reap: completes them
 */
struct afsync_lane {
	struct hlist_node node;
	struct list_head waiting_link;
	struct afsync_user *user;
	struct afsync_pool *pool;
	const void *domain;
	struct afsync_fs *fs;
	unsigned int refs;
	unsigned int running;
	struct list_head line;
	struct list_head cancelled;
	struct work_struct reap;
};

/* work.c; the workqueue calls them */
void afsync_worker_run(struct work_struct *work);
void afsync_lane_reap(struct work_struct *work);

/* lane.c */
struct afsync_lane *afsync_lane_get(struct afsync_user *user, const struct afsync_key *key);
bool afsync_lane_is(const struct afsync_lane *lane, const struct afsync_user *user,
		    const void *domain);
void afsync_lane_put(struct afsync_lane *lane);
void afsync_lane_cancelled(struct afsync_req *req);

/* pool.c */
struct afsync_pool *afsync_pool_create(unsigned int size);
void afsync_pool_destroy(struct afsync_pool *pool);
struct afsync_lane *afsync_lane_alloc(struct afsync_pool *pool, const struct afsync_key *key);
void afsync_lane_free(struct afsync_lane *lane);
void afsync_pool_show(struct seq_file *m, struct afsync_pool *pool);
void afsync_pool_queue(struct afsync_fileq *fileq);
bool afsync_pool_unqueue(struct afsync_fileq *fileq);
void afsync_pool_done(struct afsync_worker *worker, bool idle);

#endif /* _AFSYNC_LANE_H */
