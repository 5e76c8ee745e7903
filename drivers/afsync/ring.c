// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring: its memory, its entries and its notification. This is the only
 * file that writes shared memory. Of the program's writes there, the module reads only the
 * head, once at a time, and stays within the ring whatever the head is.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <asm/shmparam.h>

#include "afsync.h"
#include "compat.h"
#include "fileq.h"
#include "fs_stats.h"
#include "lane.h"
#include "slot.h"
#include "stats.h"
#include "trace.h"

static atomic_t next_id = ATOMIC_INIT(0);

/*
 * The memory is charged to the program's cgroup, which vmalloc_user() does not do. Like the
 * memory of vmalloc_user() it is aligned for CPUs whose caches distinguish different addresses
 * of the same memory: the program's address is a multiple of SHMLBA as well.
 */
static int ring_alloc_shared(struct afsync_ring *ring)
{
	struct afsync_ring_header *shared;

	ring->size = PAGE_ALIGN(sizeof(*shared) +
				ring->entries * sizeof(struct afsync_cqe));
	ring->memory = __vmalloc(ring->size + SHMLBA - PAGE_SIZE,
				 AFSYNC_GFP | __GFP_ACCOUNT | __GFP_ZERO);
	if (!ring->memory)
		return -ENOMEM;

	shared = PTR_ALIGN(ring->memory, SHMLBA);
	shared->mask = ring->entries - 1;
	shared->entries = ring->entries;
	shared->cqes_offset = sizeof(*shared);
	shared->id = ring->id;
	ring->shared = shared;
	ring->cqes = (struct afsync_cqe *)(shared + 1);
	return 0;
}

/* Makes a ring that is not visible yet, or returns an error pointer. */
struct afsync_ring *afsync_ring_create(u32 entries, u32 flags)
{
	struct afsync_ring *ring;
	int ret = -ENOMEM;

	ring = kzalloc(sizeof(*ring), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!ring)
		return ERR_PTR(-ENOMEM);

	ring->entries = roundup_pow_of_two(entries);
	ring->flags = flags;
	do
		ring->id = atomic_inc_return(&next_id);
	while (!ring->id);
	ring->owner = get_pid(task_tgid(current));
	ring->owner_uid = current_uid();
	atomic_set(&ring->live, 1);
	spin_lock_init(&ring->lock);
	INIT_LIST_HEAD(&ring->held);
	INIT_LIST_HEAD(&ring->requests);
	init_waitqueue_head(&ring->wait);

	ring->user = afsync_user_get();
	if (!ring->user)
		goto put_owner;
	ret = ring_alloc_shared(ring);
	if (ret)
		goto put_user;
	return ring;

put_user:
	afsync_user_put(ring->user);
put_owner:
	put_pid(ring->owner);
	kfree(ring);
	return ERR_PTR(ret);
}

/* The end of the module waits for every thread that may free a ring that pins the module. */
static void ring_free(struct afsync_ring *ring)
{
	bool pins_module = ring->pins_module;

	afsync_slots_free_spare(ring);
	if (ring->eventfd)
		eventfd_ctx_put(ring->eventfd);
	vfree(ring->memory);
	afsync_user_put(ring->user);
	put_pid(ring->owner);
	kfree(ring);
	if (pins_module)
		module_put(THIS_MODULE);
}

/*
 * Drops @count references of requests, or that of the open without waiting. With one reference
 * left, release() may be waiting for that, or may have seen it and freed the ring:
 * wake_up_var() only uses the address. Pairs with the wait_var_event() in
 * afsync_ring_put_wait(). With none left, the open is long gone.
 */
void afsync_ring_put(struct afsync_ring *ring, int count)
{
	int live = atomic_sub_return(count, &ring->live);

	if (live == 1)
		wake_up_var(&ring->live);
	else if (!live)
		ring_free(ring);
}

/* Drops the reference of the open once all requests have dropped theirs. */
void afsync_ring_put_wait(struct afsync_ring *ring)
{
	wait_var_event(&ring->live, atomic_read_acquire(&ring->live) == 1);
	ring_free(ring);
}

/* For pollers and waiters: the entries that the program can read. */
u32 afsync_ring_unread(struct afsync_ring *ring)
{
	u32 unread;

	spin_lock(&ring->lock);
	unread = afsync_slots_unread(ring);
	spin_unlock(&ring->lock);
	return unread;
}

/* Is no entry unread, and no request in flight but these? */
bool afsync_ring_has_only(struct afsync_ring *ring, u32 count)
{
	bool only;

	spin_lock(&ring->lock);
	only = ring->in_flight == count && !afsync_slots_unread(ring);
	spin_unlock(&ring->lock);
	return only;
}

/*
 * May the program find @count entries? For callers that hold the lock of ring->wait, under
 * which ring->lock must not be taken. It reads the head first: at worst it counts entries that
 * the program has read meanwhile.
 */
bool afsync_ring_may_have(const struct afsync_ring *ring, u32 count)
{
	u32 head = READ_ONCE(ring->shared->head);

	/* Pairs with the program's release of head: this tail is not older than that. */
	smp_rmb();
	return min(READ_ONCE(ring->tail) - head, ring->entries) >= count;
}

static void count_completion(const struct afsync_req *req)
{
	struct afsync_fs_stats __percpu *of_fs = req->fileq->lane->fs->stats;

	afsync_stat_inc(completed);
	this_cpu_inc(of_fs->completed);
	if (req->res == -ECANCELED) {
		afsync_stat_inc(cancelled);
		this_cpu_inc(of_fs->cancelled);
	} else if (req->res) {
		afsync_stat_inc(failed);
		this_cpu_inc(of_fs->failed);
	}
}

/*
 * Lets other threads take the lock, in a walk through ring->requests or ring->held. A mark, a
 * link of an otherwise empty request of the caller, in front of @next, keeps the place: the
 * walk continues with the request that is behind the mark afterwards, or, for a walk
 * backwards, with the one in front of it. The caller takes the mark out.
 */
void afsync_ring_pause(struct afsync_ring *ring, struct list_head *mark, struct list_head *next)
{
	lockdep_assert_held(&ring->lock);

	list_add_tail(mark, next);
	spin_unlock(&ring->lock);
	cond_resched();
	spin_lock(&ring->lock);
}

/* The request is complete; the caller decides what happens to its slot. */
static void end_request(struct afsync_req *req)
{
	lockdep_assert_held(&req->ring->lock);

	trace_afsync_complete(req);
	count_completion(req);
	list_del(&req->ring_link);
}

/* Gives back the slot of a request that ends without an entry. */
void afsync_ring_end(struct afsync_req *req)
{
	spin_lock(&req->ring->lock);
	end_request(req);
	afsync_slots_end(req->ring, 1);
	spin_unlock(&req->ring->lock);
}

/* Never fails: the slot was reserved. */
static void write_entry(struct afsync_ring *ring, const struct afsync_req *req)
{
	struct afsync_cqe *cqe = &ring->cqes[ring->tail & (ring->entries - 1)];

	WRITE_ONCE(cqe->user_data, req->user_data);
	WRITE_ONCE(cqe->res, req->res);
	WRITE_ONCE(cqe->flags, req->cqe_flags);
	/* afsync_ring_may_have() reads it without the lock. */
	WRITE_ONCE(ring->tail, ring->tail + 1);
}

/*
 * Writes the entries of a request and of those behind it in @done that are of the same
 * ring; returns the last. Sets notify of the first if the caller has to call
 * afsync_ring_notify() for this ring, once it has posted all its entries.
 */
struct afsync_req *afsync_ring_post(struct afsync_req *req, struct list_head *done)
{
	struct afsync_ring *ring = req->ring;
	u32 count = 0;

	spin_lock(&ring->lock);
	req->notify = !ring->notify;
	ring->notify = true;
	list_for_each_entry_from(req, done, link) {
		if (req->ring != ring || req->kiocb || count == AFSYNC_RUN)
			break;
		write_entry(ring, req);
		end_request(req);
		count++;
	}
	afsync_slots_end(ring, count);
	/* Pairs with the load_acquire() of the program that reads the entries. */
	smp_store_release(&ring->shared->tail, ring->tail);
	spin_unlock(&ring->lock);

	return list_prev_entry(req, link);
}

/*
 * Notifies all waiters that there are entries; a request of the caller keeps the ring. Of
 * several threads that post to one ring at the same time, the first to post notifies,
 * after its own entries. The waiters that are woken here see entries that another thread
 * posted before ring->notify is cleared; a thread that posts after that notifies again.
 */
void afsync_ring_notify(struct afsync_ring *ring)
{
	spin_lock(&ring->lock);
	ring->notify = false;
	if (ring->eventfd)
		afsync_eventfd_signal(ring->eventfd);
	spin_unlock(&ring->lock);

	/*
	 * A thread that enters ring->wait takes ring->lock before it sleeps. If it did so
	 * before the lock was taken here, it is seen; otherwise it saw the entries.
	 */
	if (waitqueue_active(&ring->wait))
		wake_up_poll(&ring->wait, EPOLLIN | EPOLLRDNORM);
}

/* Registers an eventfd, or unregisters it with -1. */
int afsync_ring_eventfd(struct afsync_ring *ring, int fd)
{
	struct eventfd_ctx *new = NULL, *old;
	int ret = 0;

	if (fd != -1) {
		new = eventfd_ctx_fdget(fd);
		if (IS_ERR(new))
			return PTR_ERR(new);
	}

	spin_lock(&ring->lock);
	old = ring->eventfd;
	if (new && old)
		ret = -EBUSY;
	else if (!new && !old)
		ret = -ENXIO;
	else
		ring->eventfd = new;
	spin_unlock(&ring->lock);

	/* The eventfd that is no longer registered, if any; no thread signals it any more. */
	if (ret)
		old = new;
	if (old)
		eventfd_ctx_put(old);
	return ret;
}
