// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sync of a batch: what is asked for together, one sync of it, and each open file's
 * share of errors. The only caller of vfs_fsync_range() and sync_filesystem(). Called by
 * the worker of a queue, holds no lock, touches no ring.
 */
#include <linux/iocontext.h>
#include <linux/ioprio.h>
#include <linux/ktime.h>
#include <linux/magic.h>
#include <linux/sched.h>

#include "afsync.h"
#include "trace.h"

/**
 * struct batch - what all requests of a batch ask for, taken together
 * @scope: what they have in common
 * @start: first byte that any of them asks for
 * @end: last byte that any of them asks for
 * @datasync: all of them are content with a datasync
 * @drain: any of them asks to wait for direct I/O
 * @ioprio: highest I/O priority, 0 when nobody named one
 * @size: number of requests
 */
struct batch {
	enum afsync_scope scope;
	loff_t start;
	loff_t end;
	bool datasync;
	bool drain;
	int ioprio;
	unsigned int size;
};

/**
 * afsync_is_local - does a sync of this file act on its inode?
 * @file: the file
 *
 * So it does for files and directories of filesystems that live on a block device, and
 * there one sync serves all open files of the inode. Not on FUSE, whose sync names the
 * open file, even when it lives on a device; nor on overlay and network filesystems.
 */
bool afsync_is_local(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	if (!S_ISREG(inode->i_mode) && !S_ISDIR(inode->i_mode))
		return false;
	return inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV &&
	       inode->i_sb->s_magic != FUSE_SUPER_MAGIC;
}

/* What filesystems look at to tell who somebody is. */
bool afsync_same_identity(const struct cred *a, const struct cred *b)
{
	return a == b || (a->user_ns == b->user_ns && !cred_fscmp(a, b));
}

/*
 * The value compared is lower for a higher priority. A request that names none stands
 * for the default and must not be slowed down by one that asked for less.
 */
static int higher_ioprio(int a, int b)
{
	int normal = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_BE_NORM);

	if (a == b)
		return a;
	return min(a ?: normal, b ?: normal);
}

static struct batch batch_sum(enum afsync_scope scope, struct list_head *reqs)
{
	struct afsync_req *req = list_first_entry(reqs, struct afsync_req, link);
	struct batch batch = {
		.scope		= scope,
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
		batch.ioprio = higher_ioprio(batch.ioprio, req->ioprio);
		batch.size++;
	}
	return batch;
}

/*
 * Under the lock that direct writers take, so that no new ones start and a stream of
 * them cannot keep this waiting for ever.
 */
static void drain_direct_io(struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	inode_lock(inode);
	inode_dio_wait(inode);
	inode_unlock(inode);
}

/* As syncfs(2), whose share of errors is error_of() here. */
static int sync_super(struct super_block *sb)
{
	int ret;

	down_read(&sb->s_umount);
	ret = sync_filesystem(sb);
	up_read(&sb->s_umount);
	return ret;
}

/*
 * What an open file has not been told yet. vfs_fsync_range() asks this for the file it
 * is called with; asking again gives 0.
 */
static int error_of(enum afsync_scope scope, struct file *file)
{
	if (scope == AFSYNC_SCOPE_SUPER)
		return errseq_check_and_advance(&file->f_path.dentry->d_sb->s_wb_err,
						&file->f_sb_err);
	return file_check_and_advance_wb_err(file);
}

/* One real sync, for the batch or for one open file of it. */
static int sync_file(const struct batch *batch, struct file *file)
{
	u64 begin;
	int ret;

	afsync_stat_inc(syncs);
	trace_afsync_sync_start(file, batch->size, batch->datasync, batch->start,
				batch->end);
	begin = ktime_get_ns();

	if (batch->scope == AFSYNC_SCOPE_SUPER) {
		/* Both, even after an error: this open file has been told then. */
		int error;

		ret = sync_super(file->f_path.dentry->d_sb);
		error = error_of(batch->scope, file);
		ret = ret ?: error;
	} else {
		ret = vfs_fsync_range(file, batch->start, batch->end, batch->datasync);
	}

	trace_afsync_sync_done(file, batch->size, ret, ktime_get_ns() - begin);
	return ret;
}

/* The request that knows the share of @file, or NULL. */
static struct afsync_req *find_owner(struct list_head *owners, const struct file *file)
{
	struct afsync_req *owner;

	list_for_each_entry(owner, owners, owner_link)
		if (owner->file == file)
			return owner;
	return NULL;
}

/*
 * The share of a request whose open file is not known yet.
 *
 * If the sync succeeded, it served this open file as well, but there may be an error
 * that only this one has not been told: it asks for itself. If the sync failed, that
 * may have been an error that was owed to the first open file alone, or one that this
 * one shares: only a sync of its own tells.
 */
static int sync_other(const struct batch *batch, int first_res, struct afsync_req *req)
{
	if (first_res)
		return sync_file(batch, req->file);

	req->cqe_flags = AFSYNC_CQE_MERGED;
	return error_of(batch->scope, req->file);
}

/*
 * @owners holds one request of each open file whose share later requests must be told
 * too: the first, all after a failed sync, and else those that had an error. So after
 * success it stays short, and a request costs one or two comparisons.
 */
static void sync_reqs(const struct batch *batch, struct list_head *reqs)
{
	struct afsync_req *req = list_first_entry(reqs, struct afsync_req, link);
	struct afsync_req *owner;
	int first_res = sync_file(batch, req->file);
	LIST_HEAD(owners);

	req->res = first_res;
	list_add_tail(&req->owner_link, &owners);

	list_for_each_entry_continue(req, reqs, link) {
		owner = find_owner(&owners, req->file);
		if (owner) {
			req->res = owner->res;
			req->cqe_flags = AFSYNC_CQE_MERGED;
		} else {
			req->res = sync_other(batch, first_res, req);
			if (first_res || req->res)
				list_add_tail(&req->owner_link, &owners);
		}
		if (req->cqe_flags & AFSYNC_CQE_MERGED)
			afsync_stat_inc(merged);
		cond_resched();
	}
}

/*
 * Workers have no I/O priority between batches. It has to be set before the identity
 * is taken on, which may not be allowed to change a kernel thread's; should there be no
 * memory for it, the sync runs without.
 */
static void set_ioprio(int ioprio)
{
	if (ioprio)
		set_task_ioprio(current, ioprio);
}

static void restore_ioprio(int ioprio)
{
	if (ioprio)
		set_task_ioprio(current, IOPRIO_DEFAULT);
}

/**
 * afsync_sync_batch - sync once for all requests of a batch
 * @scope: what they have in common
 * @reqs: the requests, oldest first, in state RUNNING; their results are set
 *
 * The strongest that is asked for, of the smallest range that holds all ranges, as the
 * first who asked, and with the highest priority that anybody named.
 */
void afsync_sync_batch(enum afsync_scope scope, struct list_head *reqs)
{
	struct afsync_req *first = list_first_entry(reqs, struct afsync_req, link);
	struct batch batch = batch_sum(scope, reqs);
	const struct cred *old_cred;

	set_ioprio(batch.ioprio);
	old_cred = override_creds(first->cred);

	if (batch.drain)
		drain_direct_io(first->file);
	sync_reqs(&batch, reqs);

	revert_creds(old_cred);
	restore_ioprio(batch.ioprio);
}
