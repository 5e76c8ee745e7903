// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sync of a batch: the combined operation of its requests, one sync, and each open file's
 * share of errors. The only caller of vfs_fsync_range() and sync_filesystem(). Called by
 * the thread that runs a queue, holds no lock, touches no ring.
 */
#include <linux/ioprio.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/rbtree.h>
#include <linux/sched.h>

#include "afsync.h"
#include "compat.h"
#include "fileq.h"
#include "fs_stats.h"
#include "lane.h"
#include "stats.h"
#include "trace.h"

/**
 * struct batch - the combination of all requests of a batch
 * @fs: counters of the filesystem
 * @scope: what the requests have in common
 * @start: first byte of their ranges
 * @end: last byte of their ranges
 * @datasync: a datasync is enough for all of them
 * @drain: one of them waits for direct I/O
 * @io_flusher: one of them comes from an I/O flusher
 * @ioprio: highest I/O priority, 0 if none is named
 * @size: number of requests
 */
struct batch {
	struct afsync_fs *fs;
	enum afsync_scope scope;
	loff_t start;
	loff_t end;
	bool datasync;
	bool drain;
	bool io_flusher;
	int ioprio;
	unsigned int size;
};

/*
 * The compared value is lower for a higher priority. A request that names none counts
 * as the default, and a request with a lower priority must not slow it down.
 */
static int higher_ioprio(int a, int b)
{
	int normal = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_BE_NORM);

	if (a == b)
		return a;
	return min(a ?: normal, b ?: normal);
}

static struct batch batch_sum(const struct afsync_fileq *fileq, struct list_head *reqs)
{
	struct afsync_req *req = list_first_entry(reqs, struct afsync_req, link);
	struct batch batch = {
		.fs		= fileq->lane->fs,
		.scope		= fileq->scope,
		.start		= req->start,
		.end		= req->end,
		.datasync	= true,
		.ioprio		= req->ioprio,
	};

	list_for_each_entry(req, reqs, link) {
		batch.start = min(batch.start, req->start);
		batch.end = max(batch.end, req->end);
		batch.datasync &= req->op == AFSYNC_OP_FDATASYNC;
		batch.drain |= !!(req->flags & AFSYNC_SQE_DRAIN);
		batch.io_flusher |= req->io_flusher;
		batch.ioprio = higher_ioprio(batch.ioprio, req->ioprio);
		afsync_cond_resched(batch.size++);
	}
	return batch;
}

/*
 * Under the lock that direct writers take (and on most filesystems direct readers), so
 * that no new ones start and a stream of them cannot keep this waiting for ever.
 */
static void drain_direct_io(struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	inode_lock(inode);
	inode_dio_wait(inode);
	inode_unlock(inode);
}

/*
 * The error that an open file has not reported yet. vfs_fsync_range() does this for the file
 * it is called with; a second call gives 0 unless there was a new error.
 */
static int error_of(enum afsync_scope scope, struct file *file)
{
	if (scope == AFSYNC_SCOPE_SUPER)
		return errseq_check_and_advance(&file->f_path.dentry->d_sb->s_wb_err,
						&file->f_sb_err);
	return file_check_and_advance_wb_err(file);
}

/* As syncfs(2): the open file reports its errors even if the sync fails. */
static int sync_super(struct file *file)
{
	struct super_block *sb = file->f_path.dentry->d_sb;
	int ret, error;

	down_read(&sb->s_umount);
	ret = sync_filesystem(sb);
	up_read(&sb->s_umount);

	error = error_of(AFSYNC_SCOPE_SUPER, file);
	return ret ?: error;
}

/* One real sync, of the open file of @req, as the thread that queued it and for its cgroup. */
static int sync_one(const struct batch *batch, const struct afsync_req *req)
{
	const struct cred *old_cred = NULL;
	u64 begin, ns;
	int ret;

	if (req->cred != current_cred())
		old_cred = override_creds(req->cred);
	kthread_associate_blkcg(req->blkcg);
	afsync_stat_inc(syncs);
	trace_afsync_sync_start(req->file, batch->size, batch->datasync, batch->start,
				batch->end);
	begin = ktime_get_ns();
	if (batch->scope == AFSYNC_SCOPE_SUPER)
		ret = sync_super(req->file);
	else
		ret = vfs_fsync_range(req->file, batch->start, batch->end,
				      batch->datasync);
	ns = ktime_get_ns() - begin;
	afsync_fs_synced(batch->fs, ns);
	trace_afsync_sync_done(req->file, batch->size, ret, ns);

	kthread_associate_blkcg(NULL);
	if (old_cred)
		revert_creds(old_cred);
	return ret;
}

/*
 * The request that knows the share of @file, or NULL. The owners are the open files of a batch
 * that had an error, or a sync of their own, by one request of each: few, unless many open files
 * have an error.
 */
static struct afsync_req *find_owner(const struct rb_root *owners, const struct file *file)
{
	struct rb_node *node = owners->rb_node;
	struct afsync_req *owner;

	while (node) {
		owner = rb_entry(node, struct afsync_req, owner_node);
		if (owner->file == file)
			return owner;
		node = file < owner->file ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void add_owner(struct rb_root *owners, struct afsync_req *req)
{
	struct rb_node **link = &owners->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (req->file < rb_entry(parent, struct afsync_req, owner_node)->file)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&req->owner_node, parent, link);
	rb_insert_color(&req->owner_node, owners);
}

/*
 * The first open file is synced; then for each other open file:
 *
 *	after a sync that succeeded	that one served this open file as well, but
 *					there may be an error that only this one has
 *					not reported: it is checked
 *	as long as syncs failed		the error may belong to the other open file
 *					alone, or to this one as well: only a sync of
 *					its own shows which
 *
 * All requests of an open file have its result.
 */
static void sync_reqs(const struct batch *batch, struct list_head *reqs)
{
	struct afsync_req *req, *owner;
	struct rb_root owners = RB_ROOT;
	unsigned int merged = 0;
	bool synced = false;

	list_for_each_entry(req, reqs, link) {
		owner = find_owner(&owners, req->file);
		if (!owner && !synced) {
			req->res = sync_one(batch, req);
			synced = !req->res;
			add_owner(&owners, req);
			cond_resched();
			continue;
		}
		merged++;
		req->cqe_flags = AFSYNC_CQE_MERGED;
		req->res = owner ? owner->res : error_of(batch->scope, req->file);
		if (!owner && req->res)
			add_owner(&owners, req);
		afsync_cond_resched(merged);
	}
	afsync_stat_add(merged, merged);
	this_cpu_add(batch->fs->stats->merged, merged);
}

/**
 * afsync_sync_batch - sync once for all requests of a batch
 * @fileq: their queue
 * @reqs: the requests, oldest first, in state RUNNING; their results are set
 *
 * The strongest operation that any of them needs, of the smallest range that holds all
 * ranges, with the highest priority that any of them names. The priority is set under the
 * worker's own credentials, which may set it, and reset after the batch; without memory for
 * it, the sync runs without. In a batch that a program's thread runs no priority is named.
 */
void afsync_sync_batch(const struct afsync_fileq *fileq, struct list_head *reqs)
{
	struct afsync_req *first = list_first_entry(reqs, struct afsync_req, link);
	struct batch batch = batch_sum(fileq, reqs);
	unsigned int old = afsync_io_flusher_save(batch.io_flusher);

	if (batch.ioprio)
		set_task_ioprio(current, batch.ioprio);
	if (batch.drain)
		drain_direct_io(first->file);
	if (batch.size == 1)
		first->res = sync_one(&batch, first);
	else
		sync_reqs(&batch, reqs);
	if (batch.ioprio)
		set_task_ioprio(current, IOPRIO_DEFAULT);
	afsync_io_flusher_restore(old);
}
