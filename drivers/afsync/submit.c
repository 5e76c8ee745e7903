// SPDX-License-Identifier: GPL-2.0-only
/*
 * The submit command: takes an array of requests from user memory, queues it whole,
 * starts the workers last and waits if asked to. Holds no lock.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "afsync.h"
#include "fileq.h"

/*
 * Makes requests of the array until one fails or all are made. Returns how many;
 * @error says why it stopped before the end.
 */
static int create_requests(struct afsync_ring *ring, struct afsync_submit *args,
			   struct list_head *created)
{
	char __user *usqe = u64_to_user_ptr(args->sqes);
	struct afsync_sqe sqe;
	struct afsync_req *req;
	u32 i;

	for (i = 0; i < args->nr; i++, usqe += args->sqe_size) {
		args->error = copy_struct_from_user(&sqe, sizeof(sqe), usqe,
						    args->sqe_size);
		if (args->error)
			break;

		req = afsync_req_create(ring, &sqe);
		if (IS_ERR(req)) {
			args->error = PTR_ERR(req);
			break;
		}
		list_add_tail(&req->link, created);
		cond_resched();
	}
	return i;
}

/*
 * Nothing fails from here on. All requests are in the queues of their files before the
 * first worker starts, so that what is submitted together is synced together.
 */
static void queue_requests(struct list_head *created)
{
	struct afsync_req *req, *next;
	LIST_HEAD(kick);

	list_for_each_entry_safe(req, next, created, link) {
		list_del(&req->link);
		afsync_fileq_add(req, &kick);
		cond_resched();
	}
	afsync_fileq_kick(&kick);
}

/* Those to be held leave the list, in their order. */
static void hold_requests(struct list_head *created)
{
	struct afsync_req *req, *next;

	list_for_each_entry_safe(req, next, created, link) {
		if (!(req->flags & AFSYNC_SQE_HOLD))
			continue;
		list_del(&req->link);
		afsync_hold(req);
		cond_resched();
	}
}

static void submit_wait(struct afsync_ring *ring, struct afsync_submit *args,
			struct afsync_wait *wait)
{
	int ret = afsync_wait(ring, wait);

	args->timeout_ns = wait->timeout_ns;
	if (ret >= 0)
		args->wait_result = 0;
	else if (ret == -ERESTARTSYS || ret == -ERESTARTNOHAND)
		args->wait_result = -EINTR;
	else
		args->wait_result = ret;
}

static int submit_check(const struct afsync_ring *ring, const struct afsync_submit *args)
{
	if (args->flags & ~AFSYNC_SUBMIT_WAIT)
		return -EINVAL;
	if (args->nr && args->sqe_size < sizeof(struct afsync_sqe))
		return -EINVAL;
	if (args->nr && args->sqe_size > PAGE_SIZE)
		return -E2BIG;
	if (!(args->flags & AFSYNC_SUBMIT_WAIT) &&
	    (args->min_complete || args->wait_flags || args->timeout_ns || args->sigmask))
		return -EINVAL;
	return afsync_is_ring(ring, args->ring) ? 0 : -ESTALE;
}

/**
 * afsync_submit - queue an array of requests, and wait if asked to
 * @ring: gets the completions
 * @args: see struct afsync_submit; its out fields are set
 *
 * Return: number of requests queued or held; with none of them, the error of the first.
 *	With nothing to queue, as afsync_wait().
 */
int afsync_submit(struct afsync_ring *ring, struct afsync_submit *args)
{
	struct afsync_wait wait = {
		.min_complete	= args->min_complete,
		.flags		= args->wait_flags,
		.timeout_ns	= args->timeout_ns,
		.sigmask	= args->sigmask,
	};
	LIST_HEAD(created);
	int ret, count;

	args->error = 0;
	args->wait_result = 0;

	ret = submit_check(ring, args);
	if (!ret && (args->flags & AFSYNC_SUBMIT_WAIT))
		ret = afsync_wait_check(ring, &wait);
	if (ret)
		return ret;

	if (!args->nr) {
		if (!(args->flags & AFSYNC_SUBMIT_WAIT))
			return 0;
		ret = afsync_wait(ring, &wait);
		args->timeout_ns = wait.timeout_ns;
		return ret;
	}

	count = create_requests(ring, args, &created);
	hold_requests(&created);
	queue_requests(&created);
	if (!count)
		return args->error;

	/* Of a part of what it asked for, the caller might wait too long. */
	if ((args->flags & AFSYNC_SUBMIT_WAIT) && !args->error)
		submit_wait(ring, args, &wait);
	return count;
}
