// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ordered queue of a file and a user: found by the object that a sync of the file acts
 * on, made with the first request, freed with the last; its requests, and their states. Never
 * touches the ring. work.c runs it.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "afsync.h"
#include "fileq.h"
#include "lane.h"
#include "trace.h"

struct afsync_bucket afsync_buckets[1 << AFSYNC_BUCKET_BITS];
static struct kmem_cache *fileq_cache;

int afsync_fileq_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(afsync_buckets); i++)
		spin_lock_init(&afsync_buckets[i].lock);
	fileq_cache = KMEM_CACHE(afsync_fileq, SLAB_ACCOUNT);
	return fileq_cache ? 0 : -ENOMEM;
}

void afsync_fileq_exit(void)
{
	kmem_cache_destroy(fileq_cache);
}

static bool has_key(const struct afsync_fileq *fileq, const struct afsync_key *key,
		    const struct afsync_user *user)
{
	return fileq->scope == key->scope && fileq->object == key->object &&
	       afsync_lane_is(fileq->lane, user, key->domain);
}

/* Finds the user's queue of @key and takes a reference for the caller, or NULL. */
static struct afsync_fileq *find_and_get(struct afsync_bucket *bucket,
					 const struct afsync_key *key,
					 const struct afsync_user *user)
{
	struct afsync_fileq *fileq;

	lockdep_assert_held(&bucket->lock);

	hlist_for_each_entry(fileq, &bucket->fileqs, node) {
		if (has_key(fileq, key, user)) {
			refcount_inc(&fileq->refs);
			return fileq;
		}
	}
	return NULL;
}

/* Makes a queue, with one reference, for the caller. */
static struct afsync_fileq *fileq_alloc(const struct afsync_key *key,
					struct afsync_user *user)
{
	struct afsync_fileq *fileq;

	fileq = kmem_cache_alloc(fileq_cache, AFSYNC_GFP);
	if (!fileq)
		return NULL;
	*fileq = (struct afsync_fileq) {
		.object	= key->object,
		.scope	= key->scope,
		.refs	= REFCOUNT_INIT(1),
		.lane	= afsync_lane_get(user, key),
	};
	if (!fileq->lane) {
		kmem_cache_free(fileq_cache, fileq);
		return NULL;
	}
	INIT_LIST_HEAD(&fileq->waiting);
	INIT_LIST_HEAD(&fileq->line_link);
	return fileq;
}

static void fileq_free(struct afsync_fileq *fileq)
{
	afsync_lane_put(fileq->lane);
	kmem_cache_free(fileq_cache, fileq);
}

/* The queue for a request of a user, made if there is none; with a reference, or NULL. */
struct afsync_fileq *afsync_fileq_get(struct afsync_user *user, struct file *file, u32 op)
{
	struct afsync_key key = afsync_key_of(file, op);
	struct afsync_bucket *bucket = afsync_bucket_of(key.object);
	struct afsync_fileq *fileq, *new;

	spin_lock(&bucket->lock);
	fileq = find_and_get(bucket, &key, user);
	spin_unlock(&bucket->lock);
	if (fileq)
		return fileq;

	new = fileq_alloc(&key, user);
	if (!new)
		return NULL;

	/* Another thread may have made it meanwhile. */
	spin_lock(&bucket->lock);
	fileq = find_and_get(bucket, &key, user);
	if (!fileq)
		hlist_add_head(&new->node, &bucket->fileqs);
	spin_unlock(&bucket->lock);

	if (!fileq)
		return new;
	fileq_free(new);
	return fileq;
}

/*
 * Drops @count references. Unlinked under the lock that finds it, so no one can get
 * a dead queue.
 */
void afsync_fileq_put(struct afsync_fileq *fileq, int count)
{
	spinlock_t *lock = afsync_fileq_lock(fileq);

	/* All but one: the last is still the caller's. */
	if (count > 1 && WARN_ON(refcount_sub_and_test(count - 1, &fileq->refs)))
		return;
	if (!refcount_dec_and_lock(&fileq->refs, lock))
		return;
	__acquire(lock);
	hlist_del(&fileq->node);
	spin_unlock(lock);
	fileq_free(fileq);
}

/*
 * Takes from the front of @reqs consecutive requests of one queue; returns how
 * many.
 */
static unsigned int queue_run(struct afsync_fileq *fileq, struct list_head *reqs)
{
	unsigned int count = 0;
	struct afsync_req *req;
	LIST_HEAD(run);

	list_for_each_entry(req, reqs, link) {
		if (req->fileq != fileq || count == AFSYNC_RUN)
			break;
		count++;
		trace_afsync_submit(req);
		afsync_req_set_state(req, AFSYNC_QUEUED);
	}
	list_cut_before(&run, reqs, &req->link);
	list_splice_tail(&run, &fileq->waiting);
	return count;
}

/*
 * Gives a queue to the pool, once; not if all its requests were cancelled meanwhile. The
 * caller has a reference in addition to that of an active queue.
 */
void afsync_fileq_start(struct afsync_fileq *fileq)
{
	lockdep_assert_held(afsync_fileq_lock(fileq));

	if (!fileq->active || fileq->kicked)
		return;
	if (list_empty(&fileq->waiting)) {
		fileq->active = false;
		refcount_dec(&fileq->refs);
		return;
	}
	fileq->kicked = true;
	afsync_pool_queue(fileq);
}

/*
 * Moves the first of the new requests in @reqs, or of the held ones with their ring's
 * lock held, to the queue of their file, with those behind it that belong there, too.
 * The queue owns them from now on. It gets into the submitter's list @kick if it has to
 * be started. In one step: a held request is always found either held or queued. Returns how
 * many were moved, AFSYNC_RUN at most.
 *
 * A queue that is on another submitter's list is started here: that thread may not get the
 * CPU for long.
 */
unsigned int afsync_fileq_add(struct list_head *reqs, struct list_head *kick)
{
	struct afsync_fileq *fileq = list_first_entry(reqs, struct afsync_req, link)->fileq;
	unsigned int count;

	spin_lock(afsync_fileq_lock(fileq));
	count = queue_run(fileq, reqs);
	if (!fileq->active) {
		fileq->active = true;
		fileq->kicked = false;
		refcount_inc(&fileq->refs);
	}
	if (!fileq->kicked && !fileq->kicker) {
		fileq->kicker = kick;
		refcount_inc(&fileq->refs);
		list_add_tail(&fileq->kick_link, kick);
	}
	if (fileq->kicker != kick)
		afsync_fileq_start(fileq);
	spin_unlock(afsync_fileq_lock(fileq));
	return count;
}

/* A new request becomes a held one. */
void afsync_fileq_hold(struct afsync_req *req)
{
	lockdep_assert_held(&req->ring->lock);

	spin_lock(afsync_fileq_lock(req->fileq));
	trace_afsync_hold(req);
	afsync_req_set_state(req, AFSYNC_HELD);
	list_add_tail(&req->link, &req->ring->held);
	spin_unlock(afsync_fileq_lock(req->fileq));
}

/*
 * A queue that waits for a worker and has no request left must not wait any longer: no limit
 * counts it. The request that has just left it has a reference to it.
 */
static void leave_if_empty(struct afsync_fileq *fileq)
{
	lockdep_assert_held(afsync_fileq_lock(fileq));

	if (!fileq->kicked || !list_empty(&fileq->waiting))
		return;
	if (!afsync_pool_unqueue(fileq))
		return;
	fileq->active = false;
	refcount_dec(&fileq->refs);
}

/*
 * Cancels a request if it is still held or queued. Returns the state it was in: if that
 * was HELD or QUEUED, it belongs to the caller now.
 */
enum afsync_state afsync_fileq_remove(struct afsync_req *req)
{
	spinlock_t *lock = afsync_fileq_lock(req->fileq);
	enum afsync_state was;

	lockdep_assert_held(&req->ring->lock);

	spin_lock(lock);
	was = req->state;
	if (afsync_can_cancel(was)) {
		list_del(&req->link);
		afsync_req_set_state(req, AFSYNC_CANCELLED);
		req->res = -ECANCELED;
		trace_afsync_cancel(req);
	}
	if (was == AFSYNC_QUEUED)
		leave_if_empty(req->fileq);
	spin_unlock(lock);

	return was;
}

/*
 * Looks at a request. Only in these states does it surely have its file, and only as long as
 * the lock is held: the path gets a reference, which the caller drops. Returns false in
 * the other states.
 */
bool afsync_fileq_look(const struct afsync_req *req, struct afsync_look *look)
{
	spinlock_t *lock = afsync_fileq_lock(req->fileq);
	bool pending;

	lockdep_assert_held(&req->ring->lock);

	spin_lock(lock);
	pending = afsync_can_cancel(req->state) || req->state == AFSYNC_RUNNING;
	if (pending) {
		look->state = req->state;
		look->op = req->op;
		look->path = req->file->f_path;
		path_get(&look->path);
	}
	spin_unlock(lock);

	return pending;
}
