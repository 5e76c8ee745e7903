// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancels requests. Only held and queued ones can be cancelled: here they leave the list
 * that they are in, and their lane's reaper drops their files and completes them,
 * since before Linux 6.6 a program's thread could do that only on its way out of the
 * kernel, after the entry.
 */
#include <linux/file.h>

#include "afsync.h"
#include "fileq.h"
#include "lane.h"

static bool matches(const struct afsync_req *req, const struct afsync_cancel *args,
		    const struct file *file)
{
	if (args->match & AFSYNC_CANCEL_USER_DATA && req->user_data != args->user_data)
		return false;
	/* NULL once the request has dropped its file. */
	if (args->match & AFSYNC_CANCEL_FD && READ_ONCE(req->file) != file)
		return false;
	return true;
}

static int cancel_check(const struct afsync_ring *ring, const struct afsync_cancel *args)
{
	u32 match = args->match;

	if (!match || match & ~AFSYNC_CANCEL_MASK)
		return -EINVAL;
	if (match & AFSYNC_CANCEL_ALL && match != AFSYNC_CANCEL_ALL)
		return -EINVAL;
	if (!(match & AFSYNC_CANCEL_USER_DATA) && args->user_data)
		return -EINVAL;
	if (!(match & AFSYNC_CANCEL_FD) && args->fd)
		return -EINVAL;
	return afsync_is_ring(ring, args->ring) ? 0 : -ESTALE;
}

/*
 * Takes matching requests out of their queues. Returns how many; they belong to the caller,
 * in @cancelled. The youngest first: while the lock is dropped workers continue, and
 * a request that they start then is not behind a cancelled one.
 */
static int take_matching(struct afsync_ring *ring, struct afsync_cancel *args,
			 const struct file *file, struct list_head *cancelled)
{
	struct afsync_req mark = {};
	struct list_head *place;
	struct afsync_req *req;
	enum afsync_state was;
	unsigned int looked = 0;
	int count = 0;

	spin_lock(&ring->lock);
	for (place = ring->requests.prev; place != &ring->requests; place = place->prev) {
		req = list_entry(place, struct afsync_req, ring_link);
		if (req->ring && matches(req, args, file)) {
			was = afsync_fileq_remove(req);
			if (afsync_can_cancel(was)) {
				list_add(&req->link, cancelled);
				count++;
			} else if (was == AFSYNC_RUNNING || was == AFSYNC_DONE) {
				args->running++;
			}
		}
		if (++looked % AFSYNC_RUN)
			continue;
		afsync_ring_pause(ring, &mark.ring_link, place);
		place = mark.ring_link.next;
		list_del(&mark.ring_link);
	}
	spin_unlock(&ring->lock);
	return count;
}

/**
 * afsync_cancel - cancel requests of a ring
 * @ring: the ring
 * @args: see struct afsync_cancel; its out fields are set
 *
 * Return: number of requests cancelled; -EALREADY if there are only running ones that
 *	match, -ENOENT if there are none
 */
int afsync_cancel(struct afsync_ring *ring, struct afsync_cancel *args)
{
	struct afsync_req *req, *next;
	struct file *file = NULL;
	LIST_HEAD(cancelled);
	int ret, count;

	args->running = 0;
	ret = cancel_check(ring, args);
	if (ret)
		return ret;

	if (args->match & AFSYNC_CANCEL_FD) {
		file = fget(args->fd);
		if (!file)
			return -EBADF;
	}
	count = take_matching(ring, args, file, &cancelled);
	/* Before the entries can be seen: this reference must not keep the file. */
	if (file)
		fput(file);

	list_for_each_entry_safe(req, next, &cancelled, link) {
		afsync_lane_cancelled(req);
		cond_resched();
	}

	if (count)
		return count;
	return args->running ? -EALREADY : -ENOENT;
}

/* For a request that the caller has a reference to. */
void afsync_cancel_one(struct afsync_req *req)
{
	enum afsync_state was;

	spin_lock(&req->ring->lock);
	was = afsync_fileq_remove(req);
	if (afsync_can_cancel(was))
		INIT_LIST_HEAD(&req->link);
	spin_unlock(&req->ring->lock);

	if (afsync_can_cancel(was))
		afsync_lane_cancelled(req);
}

/* For the end of a ring: all held and queued requests. */
void afsync_cancel_all(struct afsync_ring *ring)
{
	struct afsync_cancel args = { .match = AFSYNC_CANCEL_ALL };

	afsync_cancel(ring, &args);
}
