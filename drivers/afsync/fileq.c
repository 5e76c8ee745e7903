// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ordered queue of a file: found by what a sync of the file acts on, made with the
 * first request, gone with the last. Its work item takes all that waits as one batch,
 * has it synced and completed, and looks again. Never touches the ring.
 */
#include <linux/hash.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "afsync.h"
#include "fileq.h"
#include "trace.h"

/*
 * Batches of one file in a row before its work goes to the back of its filesystem's
 * line, so that busy files cannot keep the others out for ever.
 */
#define FILEQ_BATCHES	16

#define FILEQ_HASH_BITS	10

/* The queues whose keys hash alike. */
struct afsync_bucket {
	spinlock_t lock;	/* @fileqs, their fields, the state of requests */
	struct hlist_head fileqs;
} ____cacheline_aligned_in_smp;

static struct afsync_bucket buckets[1 << FILEQ_HASH_BITS];
static struct kmem_cache *fileq_cache;

int afsync_fileq_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buckets); i++)
		spin_lock_init(&buckets[i].lock);
	fileq_cache = KMEM_CACHE(afsync_fileq, SLAB_ACCOUNT);
	return fileq_cache ? 0 : -ENOMEM;
}

void afsync_fileq_exit(void)
{
	kmem_cache_destroy(fileq_cache);
}

static bool same_key(const struct afsync_key *a, const struct afsync_key *b)
{
	return a->scope == b->scope && a->object == b->object && a->domain == b->domain;
}

static struct afsync_bucket *key_bucket(const struct afsync_key *key)
{
	return &buckets[hash_ptr((void *)key->object, FILEQ_HASH_BITS)];
}

/* Finds the queue of @key and takes a reference for the caller, or NULL. */
static struct afsync_fileq *find_and_get(struct afsync_bucket *bucket,
					 const struct afsync_key *key)
{
	struct afsync_fileq *fileq;

	lockdep_assert_held(&bucket->lock);

	hlist_for_each_entry(fileq, &bucket->fileqs, node) {
		if (same_key(&fileq->key, key)) {
			fileq->refs++;
			return fileq;
		}
	}
	return NULL;
}

static void fileq_work(struct work_struct *work);

/* With one reference, for the caller. */
static struct afsync_fileq *fileq_alloc(struct afsync_bucket *bucket,
					const struct afsync_key *key)
{
	struct afsync_fileq *fileq;

	fileq = kmem_cache_alloc(fileq_cache, AFSYNC_GFP);
	if (!fileq)
		return NULL;
	*fileq = (struct afsync_fileq) {
		.bucket	= bucket,
		.key	= *key,
		.refs	= 1,
		.lane	= afsync_lane_get(key->domain),
	};
	if (!fileq->lane) {
		kmem_cache_free(fileq_cache, fileq);
		return NULL;
	}
	INIT_WORK(&fileq->work, fileq_work);
	INIT_LIST_HEAD(&fileq->waiting);
	return fileq;
}

static void fileq_free(struct afsync_fileq *fileq)
{
	afsync_lane_put(fileq->lane);
	kmem_cache_free(fileq_cache, fileq);
}

/* The queue for a request, made if there is none; with a reference, or NULL. */
struct afsync_fileq *afsync_fileq_get(struct file *file, u32 op)
{
	struct afsync_key key = afsync_key_of(file, op);
	struct afsync_bucket *bucket = key_bucket(&key);
	struct afsync_fileq *fileq, *new;

	spin_lock(&bucket->lock);
	fileq = find_and_get(bucket, &key);
	spin_unlock(&bucket->lock);
	if (fileq)
		return fileq;

	new = fileq_alloc(bucket, &key);
	if (!new)
		return NULL;

	/* Somebody else may have made it meanwhile. */
	spin_lock(&bucket->lock);
	fileq = find_and_get(bucket, &key);
	if (!fileq)
		hlist_add_head(&new->node, &bucket->fileqs);
	spin_unlock(&bucket->lock);

	if (!fileq)
		return new;
	fileq_free(new);
	return fileq;
}

/* Unlinked under the lock that finds it, so nobody can come back to a dead queue. */
void afsync_fileq_put(struct afsync_fileq *fileq)
{
	struct afsync_bucket *bucket = fileq->bucket;
	bool last;

	spin_lock(&bucket->lock);
	last = !--fileq->refs;
	if (last)
		hlist_del(&fileq->node);
	spin_unlock(&bucket->lock);

	if (last)
		fileq_free(fileq);
}

/* The only place that moves a request from one state to the next. */
static void req_set_state(struct afsync_req *req, enum afsync_state state)
{
	lockdep_assert_held(&req->fileq->bucket->lock);
	/* attach_cancel() reads it without the lock. */
	WRITE_ONCE(req->state, state);
}

/* Starts the work of a queue that has some, once. */
static void fileq_start(struct afsync_fileq *fileq)
{
	lockdep_assert_held(&fileq->bucket->lock);

	if (fileq->active && !fileq->kicked) {
		fileq->kicked = true;
		afsync_lane_queue(fileq->lane, &fileq->work);
	}
}

/*
 * Appends a new or held request to the queue of its file, which owns it from now on, and
 * the queue to the submitter's list @kick if it has to be started. In one step: a
 * request that was held is found held or queued by whoever looks.
 *
 * A queue that is on another submitter's list is started here: that thread may not
 * get the CPU for long, and nobody shall wait for it.
 */
void afsync_fileq_add(struct afsync_req *req, struct list_head *kick)
{
	struct afsync_fileq *fileq = req->fileq;

	spin_lock(&fileq->bucket->lock);
	trace_afsync_submit(req);
	if (req->state == AFSYNC_HELD) {
		lockdep_assert_held(&req->ring->lock);
		list_del(&req->link);
	}
	list_add_tail(&req->link, &fileq->waiting);
	req_set_state(req, AFSYNC_QUEUED);
	if (!fileq->active) {
		fileq->active = true;
		fileq->kicked = false;
		fileq->refs++;
	}
	if (!fileq->kicked && !fileq->kicker) {
		fileq->kicker = kick;
		fileq->refs++;
		list_add_tail(&fileq->kick_link, kick);
	}
	if (fileq->kicker != kick)
		fileq_start(fileq);
	spin_unlock(&fileq->bucket->lock);
}

/* Starts the queues in a submitter's list, which is empty afterwards. */
void afsync_fileq_kick(struct list_head *kick)
{
	struct afsync_fileq *fileq, *next;

	list_for_each_entry_safe(fileq, next, kick, kick_link) {
		spin_lock(&fileq->bucket->lock);
		list_del(&fileq->kick_link);
		fileq->kicker = NULL;
		fileq_start(fileq);
		spin_unlock(&fileq->bucket->lock);
		afsync_fileq_put(fileq);
		cond_resched();
	}
}

/* A new request becomes a held one. */
void afsync_fileq_hold(struct afsync_req *req)
{
	lockdep_assert_held(&req->ring->lock);

	spin_lock(&req->fileq->bucket->lock);
	trace_afsync_hold(req);
	req_set_state(req, AFSYNC_HELD);
	list_add_tail(&req->link, &req->ring->held);
	spin_unlock(&req->fileq->bucket->lock);
}

/*
 * Cancels a request if it is still held or queued. Returns the state it was in: if that
 * was HELD or QUEUED, it belongs to the caller now.
 */
enum afsync_state afsync_fileq_remove(struct afsync_req *req)
{
	struct afsync_bucket *bucket = req->fileq->bucket;
	enum afsync_state was;

	lockdep_assert_held(&req->ring->lock);

	spin_lock(&bucket->lock);
	was = req->state;
	if (afsync_can_cancel(was)) {
		list_del(&req->link);
		req_set_state(req, AFSYNC_CANCELLED);
		req->res = -ECANCELED;
		trace_afsync_cancel(req);
	}
	spin_unlock(&bucket->lock);

	return was;
}

/*
 * One line of fdinfo. Only in these states a request is sure to have its file, and only
 * as long as the lock keeps it so.
 */
void afsync_fileq_show(struct seq_file *m, struct afsync_req *req)
{
	static const char * const ops[] = { "fsync", "fdatasync", "syncfs" };
	static const char * const states[] = {
		[AFSYNC_HELD]		= "held",
		[AFSYNC_QUEUED]		= "queued",
		[AFSYNC_RUNNING]	= "running",
	};
	struct afsync_bucket *bucket = req->fileq->bucket;

	lockdep_assert_held(&req->ring->lock);

	spin_lock(&bucket->lock);
	if (req->state < ARRAY_SIZE(states) && states[req->state]) {
		seq_printf(m, "pending:\t%s %s ", states[req->state], ops[req->op]);
		seq_path(m, &req->file->f_path, " \t\n\\");
		seq_putc(m, '\n');
	}
	spin_unlock(&bucket->lock);
}

/*
 * Takes all that waits. A request that comes after this is in the next batch: it may
 * have been queued for data that the sync of this one does not see any more.
 *
 * With nothing waiting, the work's reference goes and the queue may be gone.
 */
static bool fileq_take(struct afsync_fileq *fileq, struct list_head *batch)
{
	struct afsync_bucket *bucket = fileq->bucket;
	struct afsync_req *req, *first;

	spin_lock(&bucket->lock);
	first = list_first_entry_or_null(&fileq->waiting, struct afsync_req, link);
	if (!first) {
		fileq->active = false;
		spin_unlock(&bucket->lock);
		afsync_fileq_put(fileq);
		return false;
	}
	list_for_each_entry(req, &fileq->waiting, link) {
		if (!afsync_key_fits(&fileq->key, first, req))
			break;
		req_set_state(req, AFSYNC_RUNNING);
	}
	/* @req is the first that stays, or the head of the list. */
	list_cut_before(batch, &fileq->waiting, &req->link);
	spin_unlock(&bucket->lock);

	return true;
}

/* From here on nobody may look at the files of the batch: they are about to go. */
static void fileq_done(struct afsync_fileq *fileq, struct list_head *batch)
{
	struct afsync_req *req;

	spin_lock(&fileq->bucket->lock);
	list_for_each_entry(req, batch, link)
		req_set_state(req, AFSYNC_DONE);
	spin_unlock(&fileq->bucket->lock);
}

static void fileq_work(struct work_struct *work)
{
	struct afsync_fileq *fileq = container_of(work, struct afsync_fileq, work);
	unsigned int batches = FILEQ_BATCHES;
	LIST_HEAD(batch);

	while (fileq_take(fileq, &batch)) {
		afsync_sync_batch(fileq->key.scope, &batch);
		fileq_done(fileq, &batch);
		afsync_reqs_complete(&batch);
		cond_resched();

		if (!--batches) {
			afsync_lane_queue(fileq->lane, &fileq->work);
			return;
		}
	}
}
