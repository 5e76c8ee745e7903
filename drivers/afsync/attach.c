// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion by kernel AIO: an AIO write to the ring's descriptor names a held request
 * and ends when that does, with its result, so that a program reaps syncs together with
 * its other AIO.
 *
 * The AIO holds the ring's open file, and the program's end may have to end the AIO:
 * exit_aio() and io_destroy(2) wait for every AIO, so they must be able to cancel a held
 * request, and a queued one is cancelled as well. They call ki_cancel, under a lock that
 * interrupts take, too; none of the module's locks can be taken there. It only puts the
 * request into a list, with a reference, and a work item cancels it. The request exists when
 * it takes the reference: its AIO is in the list of those that can be cancelled until
 * ki_complete() has taken the same lock, and the last reference is dropped after that.
 */
#include <linux/aio.h>
#include <linux/uio.h>

#include "afsync.h"
#include "compat.h"
#include "fileq.h"

static LLIST_HEAD(aborts);

static void abort_requests(struct work_struct *work)
{
	struct llist_node *youngest = llist_del_all(&aborts);
	struct afsync_req *req, *next;

	llist_for_each_entry_safe(req, next, youngest, abort_node) {
		afsync_cancel_one(req);
		afsync_req_put(req);
		cond_resched();
	}
}

static DECLARE_WORK(abort_work, abort_requests);

/* The last request is gone with its ring, but the work item may be about to return. */
void afsync_attach_exit(void)
{
	flush_work(&abort_work);
}

/*
 * Called at most once for an AIO. If the request may still be cancelled, its event reports
 * whether it was. Not 0: to io_cancel(2) that is the same, but some stable kernels of
 * early 2024 then complete the AIO themselves.
 */
static int attach_cancel(struct kiocb *iocb)
{
	struct afsync_req *req = iocb->private;

	if (READ_ONCE(req->state) >= AFSYNC_RUNNING)
		return -EAGAIN;

	refcount_inc(&req->refs);
	llist_add(&req->abort_node, &aborts);
	schedule_work(&abort_work);
	return -EINPROGRESS;
}

static struct afsync_req *find_held(struct afsync_ring *ring, u64 user_data)
{
	struct afsync_req mark = {};
	struct list_head *place, *next;
	struct afsync_req *req;
	unsigned int looked = 0;

	lockdep_assert_held(&ring->lock);

	for (place = ring->held.next; place != &ring->held; place = next) {
		req = list_entry(place, struct afsync_req, link);
		next = place->next;
		if (req->ring && req->user_data == user_data && !req->kiocb)
			return req;
		if (++looked % AFSYNC_RUN)
			continue;
		afsync_ring_pause(ring, &mark.link, next);
		next = mark.link.next;
		list_del(&mark.link);
	}
	return NULL;
}

/*
 * The lock keeps the request held until it is attached. As soon as it is dropped the
 * request may end and complete the AIO.
 */
static int attach(struct afsync_ring *ring, const struct afsync_attach *args,
		  struct kiocb *iocb)
{
	struct afsync_req *req;
	LIST_HEAD(started);
	LIST_HEAD(kick);

	spin_lock(&ring->lock);
	req = find_held(ring, args->user_data);
	if (req) {
		iocb->private = req;
		req->kiocb = iocb;
		kiocb_set_cancel_fn(iocb, attach_cancel);
	}
	if (req && args->flags & AFSYNC_ATTACH_START) {
		list_move(&req->link, &started);
		afsync_fileq_add(&started, &kick);
	}
	spin_unlock(&ring->lock);

	afsync_fileq_kick(&kick);
	return req ? -EIOCBQUEUED : -ENOENT;
}

ssize_t afsync_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct afsync_ring *ring = afsync_file_ring(iocb->ki_filp);
	struct afsync_attach args;

	/* Not from kernel AIO, the only one that a cancellation can be reported to. */
	if (!(iocb->ki_flags & IOCB_AIO_RW))
		return -EINVAL;
	if (!ring)
		return -ENXIO;
	if (iocb->ki_pos != AFSYNC_ATTACH_OFFSET || iov_iter_count(from) != sizeof(args))
		return -EINVAL;
	if (!copy_from_iter_full(&args, sizeof(args), from))
		return -EFAULT;
	if (args.flags & ~AFSYNC_ATTACH_START)
		return -EINVAL;
	if (!afsync_is_ring(ring, args.ring))
		return -ESTALE;

	return attach(ring, &args, iocb);
}
