// SPDX-License-Identifier: GPL-2.0-only
/*
 * The submit command: takes an array of requests from user memory, queues it whole,
 * starts the workers last, or does the work of one, and waits if requested. Holds no
 * lock.
 */
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "afsync.h"
#include "fileq.h"
#include "slot.h"
#include "stats.h"

/*
 * The short path for entries of today's size: such a small struct is read faster word by word
 * than by a copy of any length.
 */
static int read_sqe(struct afsync_sqe *sqe, const char __user *usqe)
{
	const unsigned long __user *from = (const unsigned long __user *)usqe;
	unsigned long *to = (unsigned long *)sqe;
	unsigned int i;

	BUILD_BUG_ON(sizeof(*sqe) % sizeof(*to));

	if (!user_read_access_begin(usqe, sizeof(*sqe)))
		return -EFAULT;
	for (i = 0; i < sizeof(*sqe) / sizeof(*to); i++)
		unsafe_get_user(to[i], &from[i], fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

static int get_sqe(struct afsync_sqe *sqe, const char __user *usqe, size_t size)
{
	if (size == sizeof(*sqe) && IS_ALIGNED((unsigned long)usqe, sizeof(long)))
		return read_sqe(sqe, usqe);
	return copy_struct_from_user(sqe, sizeof(*sqe), usqe, size);
}

/* The request @last if @sqe has the same file and queue, else NULL. */
static const struct afsync_req *if_alike(const struct afsync_req *last, int last_fd,
					 const struct afsync_sqe *sqe)
{
	bool syncfs = sqe->op == AFSYNC_OP_SYNCFS;

	return last && last_fd == sqe->fd &&
	       (last->op == AFSYNC_OP_SYNCFS) == syncfs ? last : NULL;
}

/*
 * Makes requests of the array until one fails or all are made. Returns how many;
 * @error is the reason why it stopped before the end. The ring then has them, and they are
 * in @hold and @created.
 */
static int create_requests(struct afsync_ring *ring, struct afsync_submit *args,
			   struct list_head *hold, struct list_head *created)
{
	struct afsync_slots slots = { .ring = ring, .wanted = args->nr };
	char __user *usqe = u64_to_user_ptr(args->sqes);
	struct afsync_req *req, *last = NULL;
	struct afsync_sqe sqe;
	LIST_HEAD(new);
	int fd = -1;
	u32 i;

	for (i = 0; i < args->nr; i++, usqe += args->sqe_size) {
		args->error = get_sqe(&sqe, usqe, args->sqe_size);
		if (args->error)
			break;

		req = afsync_req_create(&slots, &sqe, if_alike(last, fd, &sqe));
		if (IS_ERR(req)) {
			args->error = PTR_ERR(req);
			break;
		}
		list_add_tail(&req->link, sqe.flags & AFSYNC_SQE_HOLD ? hold : created);
		list_add_tail(&req->ring_link, &new);
		last = req;
		fd = sqe.fd;
		afsync_cond_resched(i);
	}
	afsync_stat_add(submitted, i);
	afsync_slots_fill(&slots, &new);
	if (slots.free)
		afsync_ring_put(ring, slots.free);
	return i;
}

/*
 * No step fails from here on. All requests are in the queues of their files before the
 * first worker starts, so that requests that are submitted together are synced together.
 */
static void queue_requests(struct list_head *created, struct list_head *kick)
{
	while (!list_empty(created)) {
		afsync_fileq_add(created, kick);
		cond_resched();
	}
}

/*
 * May the submitter run the sync itself, if one is enough? Only if it would wait for nothing
 * else: no other request of its ring can end before, unless another thread submits now; the wait
 * has no limit; and the call returns next. For a large array a switch does not matter.
 */
static bool may_run(struct afsync_ring *ring, const struct afsync_submit *args, u32 count,
		    const struct list_head *kick)
{
	return ring->flags & AFSYNC_SETUP_INLINE && args->min_complete &&
	       args->min_complete <= count && count <= AFSYNC_RUN && !args->wait_flags &&
	       list_is_singular(kick) && !signal_pending(current) &&
	       afsync_ring_has_only(ring, count);
}

static void hold_requests(struct list_head *hold)
{
	struct afsync_req *req, *next;

	list_for_each_entry_safe(req, next, hold, link) {
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
	LIST_HEAD(hold);
	LIST_HEAD(kick);
	int ret, count;
	bool waits;

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

	count = create_requests(ring, args, &hold, &created);
	hold_requests(&hold);
	if (!count)
		return args->error;

	/* No wait after an error: only a part of the array was queued, too few to end it. */
	waits = args->flags & AFSYNC_SUBMIT_WAIT && !args->error;
	queue_requests(&created, &kick);
	if (waits && may_run(ring, args, count, &kick))
		waits = !afsync_fileq_run(&kick, count);
	else
		afsync_fileq_kick(&kick);
	if (waits)
		submit_wait(ring, args, &wait);
	return count;
}
