// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that were accepted and wait to be started. Everything that can fail has been
 * done: the file, who asks, the slot and the memory are there. They are in no queue yet,
 * so they keep nobody waiting, and their place in the order is that of the start.
 */
#include "afsync.h"
#include "fileq.h"

/* Holds a request in state NEW. */
void afsync_hold(struct afsync_req *req)
{
	spin_lock(&req->ring->lock);
	afsync_fileq_hold(req);
	spin_unlock(&req->ring->lock);
}

/**
 * afsync_start - queue held requests of a ring
 * @ring: the ring
 * @args: see struct afsync_start
 *
 * Return: number of requests queued; -ENOENT; -ESTALE
 */
int afsync_start(struct afsync_ring *ring, const struct afsync_start *args)
{
	struct afsync_req *req, *next;
	LIST_HEAD(started);
	LIST_HEAD(kick);
	int count = 0;

	if (args->flags)
		return -EINVAL;
	if (!afsync_is_ring(ring, args->ring))
		return -ESTALE;

	spin_lock(&ring->lock);
	list_for_each_entry_safe(req, next, &ring->held, link) {
		if (req->user_data != args->user_data)
			continue;
		list_move_tail(&req->link, &started);
		count++;
	}
	while (!list_empty(&started))
		afsync_fileq_add(&started, &kick);
	spin_unlock(&ring->lock);

	afsync_fileq_kick(&kick);
	return count ?: -ENOENT;
}
