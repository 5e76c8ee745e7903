// SPDX-License-Identifier: GPL-2.0-only
/*
 * One request: every step that can fail when it is made, and every step, in order, when it
 * ends. Completing allocates nothing and cannot fail.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/sched.h>

#include "afsync.h"
#include "compat.h"
#include "fileq.h"
#include "fs_stats.h"
#include "lane.h"
#include "slot.h"

static_assert(AFSYNC_SQE_MASK <= U8_MAX);

/* The priorities that ioprio_set(2) accepts, without hints; the kernel's check is not exported. */
static int check_ioprio(u32 ioprio)
{
	bool is_level = IOPRIO_PRIO_DATA(ioprio) < IOPRIO_NR_LEVELS;

	if (ioprio > U16_MAX)
		return -EINVAL;

	switch (IOPRIO_PRIO_CLASS(ioprio)) {
	case IOPRIO_CLASS_RT:
		if (is_level && !capable(CAP_SYS_NICE) && !capable(CAP_SYS_ADMIN))
			return -EPERM;
		return is_level ? 0 : -EINVAL;
	case IOPRIO_CLASS_BE:
		return is_level ? 0 : -EINVAL;
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return IOPRIO_PRIO_DATA(ioprio) ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* The last byte of the range in @end, which vfs_fsync_range() counts in. */
static int check_range(const struct afsync_sqe *sqe, loff_t *end)
{
	if (sqe->op == AFSYNC_OP_SYNCFS && (sqe->offset || sqe->length))
		return -EINVAL;
	if (sqe->offset > LLONG_MAX)
		return -EINVAL;

	if (!sqe->length) {
		*end = LLONG_MAX;
		return 0;
	}
	if (sqe->length - 1 > LLONG_MAX - sqe->offset)
		return -EINVAL;
	*end = sqe->offset + (sqe->length - 1);
	return 0;
}

static int check_sqe(const struct afsync_sqe *sqe, loff_t *end)
{
	int ret;

	if (sqe->op > AFSYNC_OP_SYNCFS)
		return -EINVAL;
	if (sqe->flags & ~AFSYNC_SQE_MASK)
		return -EINVAL;
	if (sqe->op == AFSYNC_OP_SYNCFS && (sqe->flags & AFSYNC_SQE_DRAIN))
		return -EINVAL;
	ret = check_range(sqe, end);
	return ret ?: check_ioprio(sqe->ioprio);
}

/*
 * Local filesystems count direct I/O in flight in the inode; block devices and other
 * filesystems do not. On tmpfs direct I/O is a copy, done when it returns.
 */
static bool can_drain(const struct file *file)
{
	if (S_ISBLK(file_inode(file)->i_mode))
		return false;
	return afsync_is_local(file) || !afsync_can_odirect(file) ||
	       file_inode(file)->i_sb->s_magic == TMPFS_MAGIC;
}

/*
 * A file without ->fsync() cannot be synced: pipes, sockets, and a ring, which has
 * none so that no request can ever pin the ring that it belongs to.
 */
static int check_file(const struct file *file, u32 flags)
{
	if (!file->f_op->fsync)
		return -EINVAL;
	if ((flags & AFSYNC_SQE_WRITABLE) && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if ((flags & AFSYNC_SQE_DRAIN) && !can_drain(file))
		return -EOPNOTSUPP;
	return 0;
}

static void put_identity(struct afsync_req *req)
{
	put_cred(req->cred);
	afsync_blkcg_put(req->blkcg);
}

/**
 * afsync_req_create - make a request from a struct of the program
 * @slots: of the ring that gets the completion; a slot is used up
 * @sqe: the request, copied from user memory
 * @alike: a new request that was made from the same descriptor and queue, or NULL
 *
 * After this no step can fail any more.
 *
 * Return: the request, in state NEW, or an error pointer; then the request does not exist.
 */
struct afsync_req *afsync_req_create(struct afsync_slots *slots,
				     const struct afsync_sqe *sqe,
				     const struct afsync_req *alike)
{
	struct afsync_req *req;
	struct file *file;
	loff_t end;
	int ret;

	ret = check_sqe(sqe, &end);
	if (ret)
		return ERR_PTR(ret);

	file = alike ? get_file(alike->file) : fget(sqe->fd);
	if (!file)
		return ERR_PTR(-EBADF);
	ret = check_file(file, sqe->flags);
	if (ret)
		goto put_file;

	/* To a program, no memory and no room are the same: try again later. */
	ret = -EAGAIN;
	req = afsync_slot_take(slots);
	if (!req)
		goto put_file;

	*req = (struct afsync_req) {
		.ring		= slots->ring,
		.file		= file,
		/* get_cred() stores a zero that other threads store as well. */
		.cred		= data_race(get_current_cred()),
		.blkcg		= alike ? afsync_blkcg_again(alike->blkcg) :
					  afsync_blkcg_get(),
		.user_data	= sqe->user_data,
		.start		= sqe->offset,
		.end		= end,
		.op		= sqe->op,
		.flags		= sqe->flags,
		.ioprio		= sqe->ioprio,
		.io_flusher	= afsync_is_io_flusher(),
		.state		= AFSYNC_NEW,
		.refs		= REFCOUNT_INIT(1),
	};
	req->fileq = alike ? afsync_fileq_again(alike->fileq) :
			     afsync_fileq_get(slots->ring->user, file, sqe->op);
	if (!req->fileq)
		goto give_back;
	this_cpu_inc(req->fileq->lane->fs->stats->requests);
	return req;

give_back:
	put_identity(req);
	afsync_slot_give_back(slots, req);
put_file:
	fput(file);
	return ERR_PTR(ret);
}

/* Frees an ended request. The reference to the ring goes last. */
void afsync_req_put(struct afsync_req *req)
{
	struct afsync_ring *ring = req->ring;
	LIST_HEAD(ended);

	if (!refcount_dec_and_test(&req->refs))
		return;
	afsync_fileq_put(req->fileq, 1);
	list_add(&req->link, &ended);
	afsync_slots_release(ring, &ended);
	afsync_ring_put(ring, 1);
}

static bool let_go(const struct afsync_req *req, struct file *file)
{
	unsigned int old;
	bool gone;

	if (!req->io_flusher)
		return afsync_fput_now(file);
	old = afsync_io_flusher_save(true);
	gone = afsync_fput_now(file);
	afsync_io_flusher_restore(old);
	return gone;
}

/**
 * afsync_reqs_let_go - drop the references that others can notice
 * @done: requests in state DONE or CANCELLED
 *
 * Before an entry can be seen: a program that sees it can submit another request at once, and
 * close and unmount. A plain fput() would be carried out later. If this is the last
 * reference, the filesystem's release and the end of an unlinked inode run here, in a
 * worker of their own user or in the submitter; the last reference to a lazily
 * unmounted filesystem goes to the kernel's own delayed mntput, or is dropped when the
 * submitter returns from the system call, which it does next.
 *
 * Return: true if the references to all files were dropped, in a worker always; false if a
 *	worker has to drop them
 */
bool afsync_reqs_let_go(struct list_head *done)
{
	struct afsync_req *req;
	struct file *file;
	unsigned int i = 0;

	might_sleep();

	list_for_each_entry(req, done, link) {
		file = req->file;
		if (!file)
			continue;
		/* First: a cancel of the ring compares it, and its memory may soon be reused. */
		WRITE_ONCE(req->file, NULL);
		if (!let_go(req, file)) {
			WRITE_ONCE(req->file, file);
			return false;
		}
		put_identity(req);
		afsync_cond_resched(i++);
	}
	return true;
}

/* The slot of a request that kernel AIO completes is free before its event can be seen. */
static void complete_aio(struct afsync_req *req)
{
	afsync_ring_end(req);
	afsync_kiocb_complete(req->kiocb, req->res);
}

/*
 * Ends the first of the posted requests, and those behind it that are of the same ring
 * and queue; returns how many. Notifies the ring if one of them represents it.
 */
static unsigned int end_run(struct list_head *done)
{
	struct afsync_req *req = list_first_entry(done, struct afsync_req, link);
	struct afsync_fileq *fileq = req->fileq;
	struct afsync_ring *ring = req->ring;
	unsigned int count = 0;
	bool notify = false;
	LIST_HEAD(run);

	if (req->kiocb) {
		list_del(&req->link);
		afsync_req_put(req);
		return 1;
	}
	list_for_each_entry(req, done, link) {
		if (req->ring != ring || req->fileq != fileq || req->kiocb ||
		    count == AFSYNC_RUN)
			break;
		notify |= req->notify;
		count++;
	}
	list_cut_before(&run, done, &req->link);

	if (notify)
		afsync_ring_notify(ring);
	afsync_fileq_put(fileq, count);
	afsync_slots_release(ring, &run);
	afsync_ring_put(ring, count);
	return count;
}

/**
 * afsync_reqs_post - end requests whose references were dropped
 * @done: requests in state DONE or CANCELLED with their results, in the order in which
 *	they complete; empty afterwards
 *
 * Each ring is notified once, after all its entries, by this thread or by one that posted
 * before. The programs do not get this CPU after each wake-up, which would be a switch to
 * each of them and back, but after AFSYNC_RUN requests and at the end. What they then queue
 * for the file is one batch, since the caller still has its queue.
 */
void afsync_reqs_post(struct list_head *done)
{
	unsigned int count = 0;
	struct afsync_req *req;

	list_for_each_entry(req, done, link) {
		if (req->kiocb) {
			complete_aio(req);
			afsync_cond_resched(count++);
		} else {
			req = afsync_ring_post(req, done);
			cond_resched();
		}
	}
	count = 0;
	while (!list_empty(done)) {
		count += end_run(done);
		if (count < AFSYNC_RUN)
			continue;
		count = 0;
		cond_resched();
	}
	cond_resched();
}
