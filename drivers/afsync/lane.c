// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lanes: a workqueue for each filesystem that has work, so that one which is frozen,
 * dead or slow fills nobody else's. An idle lane is kept for the next filesystem that
 * needs one, and surplus ones are freed after rings end.
 *
 * Their workqueues have no WQ_MEM_RECLAIM: a rescuer is one thread, which would run the
 * syncs of a filesystem one by one, and a filesystem's sync may wait for a workqueue
 * that has none, which the kernel warns of. Memory reclaim does not wait for afsync.
 * They are WQ_FREEZABLE: no sync starts while the system suspends, and one that runs is
 * waited for, so that nothing is written behind a hibernation image.
 */
#include <linux/hash.h>
#include <linux/slab.h>

#include "afsync.h"
#include "fileq.h"

#define LANE_HASH_BITS	5

/**
 * struct afsync_lane - where the syncs of one filesystem run
 *
 * A lane has a workqueue of its own, so that a filesystem that is stuck fills nobody
 * else's. It is not tied to a filesystem: when it is idle, the next filesystem that
 * hashes to its bucket takes it over.
 *
 * @node: in its bucket, under the bucket's lock
 * @bucket: where it hashes to; set once
 * @domain: whose it is (see struct afsync_key), or was last; under the bucket's lock,
 *	but does not change while there are queues
 * @refs: queues of files; under the bucket's lock
 * @cancelled: requests in state CANCELLED to be completed, under the bucket's lock
 * @reap: completes them
 * @reap_wq: runs @reap, where the lane's stuck syncs are not in the way; set once
 * @wq: runs the queues' work; set once
 */
struct afsync_lane {
	struct hlist_node node;
	struct afsync_lane_bucket *bucket;
	const void *domain;
	unsigned int refs;
	struct list_head cancelled;
	struct work_struct reap;
	struct workqueue_struct *reap_wq;
	struct workqueue_struct *wq;
};

/* The lanes whose domains hash alike, idle ones included. */
struct afsync_lane_bucket {
	spinlock_t lock;	/* @lanes and what they hold */
	struct hlist_head lanes;
};

/* Lanes freed in a row, before others get the kernel's worker. */
#define LANE_TRIM	8

static struct afsync_lane_bucket buckets[1 << LANE_HASH_BITS];

void afsync_lane_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buckets); i++)
		spin_lock_init(&buckets[i].lock);
}

/*
 * Nothing refers to the lane any more, except that its reaper and a worker may be about
 * to return from the last of their work; both are waited for.
 */
static void lane_free(struct afsync_lane *lane)
{
	destroy_workqueue(lane->reap_wq);
	destroy_workqueue(lane->wq);
	kfree(lane);
}

static void lanes_trim(struct work_struct *work);
static DECLARE_DELAYED_WORK(trim_work, lanes_trim);

static void lanes_trim(struct work_struct *work)
{
	unsigned int i, idle, left = LANE_TRIM;
	struct afsync_lane *lane;
	struct hlist_node *next;
	HLIST_HEAD(surplus);

	for (i = 0; i < ARRAY_SIZE(buckets) && left; i++) {
		idle = 0;
		spin_lock(&buckets[i].lock);
		hlist_for_each_entry_safe(lane, next, &buckets[i].lanes, node) {
			if (lane->refs || !idle++)
				continue;
			hlist_del(&lane->node);
			hlist_add_head(&lane->node, &surplus);
			if (!--left)
				break;
		}
		spin_unlock(&buckets[i].lock);
	}

	hlist_for_each_entry_safe(lane, next, &surplus, node)
		lane_free(lane);
	if (!left)
		schedule_delayed_work(&trim_work, 0);
}

/*
 * Frees the idle lanes but one of each bucket. Called when a ring ends, and not at once: the
 * workers that ended its last requests are still about to let go of their lanes.
 */
void afsync_lane_trim(void)
{
	schedule_delayed_work(&trim_work, HZ);
}

/*
 * The end of the module: no request comes any more. What may be left are cancelled
 * requests; running ones of rings that nobody waited for; and workers about to drop the
 * last references to their queue and lane. They are waited for in this order.
 */
void afsync_lane_exit(void)
{
	struct afsync_lane *lane;
	struct hlist_node *next;
	unsigned int i;

	cancel_delayed_work_sync(&trim_work);
	for (i = 0; i < ARRAY_SIZE(buckets); i++) {
		hlist_for_each_entry_safe(lane, next, &buckets[i].lanes, node) {
			drain_workqueue(lane->reap_wq);
			drain_workqueue(lane->wq);
			lane_free(lane);
		}
	}
}

static void lane_reap(struct work_struct *work)
{
	struct afsync_lane *lane = container_of(work, struct afsync_lane, reap);
	LIST_HEAD(cancelled);

	spin_lock(&lane->bucket->lock);
	list_splice_init(&lane->cancelled, &cancelled);
	spin_unlock(&lane->bucket->lock);

	afsync_reqs_let_go(&cancelled);
	afsync_reqs_post(&cancelled);
}

static struct afsync_lane *lane_alloc(struct afsync_lane_bucket *bucket,
				      const void *domain)
{
	struct afsync_lane *lane;

	lane = kzalloc(sizeof(*lane), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!lane)
		return NULL;

	lane->wq = alloc_workqueue("afsync", WQ_UNBOUND | WQ_FREEZABLE,
				   afsync_workers_per_fs);
	if (!lane->wq)
		goto free_lane;
	lane->reap_wq = alloc_ordered_workqueue("afsync-reap", WQ_FREEZABLE);
	if (!lane->reap_wq)
		goto destroy_wq;

	lane->bucket = bucket;
	lane->domain = domain;
	lane->refs = 1;
	INIT_LIST_HEAD(&lane->cancelled);
	INIT_WORK(&lane->reap, lane_reap);
	return lane;

destroy_wq:
	destroy_workqueue(lane->wq);
free_lane:
	kfree(lane);
	return NULL;
}

/*
 * The lane of @domain, or an idle one made its lane; with a reference, or NULL. It comes to
 * the front, where the next requests find it however many there are.
 */
static struct afsync_lane *find_and_get(struct afsync_lane_bucket *bucket,
					const void *domain)
{
	struct afsync_lane *lane, *idle = NULL;

	lockdep_assert_held(&bucket->lock);

	hlist_for_each_entry(lane, &bucket->lanes, node) {
		if (lane->domain == domain)
			break;
		if (!lane->refs)
			idle = lane;
	}
	if (!lane && idle) {
		lane = idle;
		lane->domain = domain;
	}
	if (!lane)
		return NULL;

	lane->refs++;
	if (bucket->lanes.first != &lane->node) {
		hlist_del(&lane->node);
		hlist_add_head(&lane->node, &bucket->lanes);
	}
	return lane;
}

struct afsync_lane *afsync_lane_get(const void *domain)
{
	struct afsync_lane_bucket *bucket =
		&buckets[hash_ptr((void *)domain, LANE_HASH_BITS)];
	struct afsync_lane *lane, *new;

	spin_lock(&bucket->lock);
	lane = find_and_get(bucket, domain);
	spin_unlock(&bucket->lock);
	if (lane)
		return lane;

	new = lane_alloc(bucket, domain);
	if (!new)
		return NULL;

	/* Somebody else may have made it meanwhile. */
	spin_lock(&bucket->lock);
	lane = find_and_get(bucket, domain);
	if (!lane)
		hlist_add_head(&new->node, &bucket->lanes);
	spin_unlock(&bucket->lock);

	if (!lane)
		return new;
	lane_free(new);
	return lane;
}

/* Is it the lane of @domain? It stays so as long as the caller has a reference. */
bool afsync_lane_is_of(const struct afsync_lane *lane, const void *domain)
{
	return lane->domain == domain;
}

void afsync_lane_put(struct afsync_lane *lane)
{
	spin_lock(&lane->bucket->lock);
	lane->refs--;
	spin_unlock(&lane->bucket->lock);
}

void afsync_lane_queue(struct afsync_lane *lane, struct work_struct *work)
{
	queue_work(lane->wq, work);
}

/*
 * Has a cancelled request completed. It keeps the lane until the lock is dropped: then a
 * reaper that runs already may complete it.
 */
void afsync_lane_cancelled(struct afsync_req *req)
{
	struct afsync_lane *lane = req->fileq->lane;

	spin_lock(&lane->bucket->lock);
	list_move_tail(&req->link, &lane->cancelled);
	queue_work(lane->reap_wq, &lane->reap);
	spin_unlock(&lane->bucket->lock);
}
