/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * afsync - asynchronous fsync for every program: shared declarations of the files
 *
 * The files, in layers: each calls only files below it. The functions of the work items that
 * pool.c makes are in work.c. Documentation/afsync/design.rst has the life of a request, and
 * the table of references: who holds what, from when, until when.
 *
 *	main.c		the module, and its parameters, which others read
 *	dev.c		one open of the device
 *	map.c		its mapping
 *	fdinfo.c	its lines in fdinfo
 *	ioctl.c		copies and checks the command
 *	submit.c	copies the array, request by request, and has it queued
 *	hold.c		requests that wait to be started
 *	attach.c	completion by kernel AIO
 *	cancel.c	cancels held and queued requests
 *	wait.c		threads that wait in an ioctl
 *	work.c		a worker, or the submitter, takes all waiting requests as a batch
 *	sync.c		one sync for the batch, and each open file's share of errors
 *	req.c		the beginning of a request, where all that can fail fails, and its end
 *	fileq.c		the queue of a file: its requests, and their states
 *	lane.c		a filesystem on which a user has requests
 *	ring.c		writes the entries into shared memory and notifies
 *	slot.c		takes room for the entry of each request; keeps the memory of requests
 *	user.c		the user of a ring, and how many requests that user has
 *	pool.c		gives a queue to a worker, as soon as the user may have one more
 *	key.c		which requests wait in one queue
 *	fs_stats.c	counters of each filesystem
 *	stats.c		counters of the module
 *	trace.c		tracepoints, which trace.h describes
 *
 * Locks, outer before inner. All are spinlocks: no code sleeps under them. Of the module's
 * locks, interrupts take only ring->wait.lock, under which none of the others may be taken.
 *
 *	user_lock (user.c)		the table of users
 *	fs_lock (fs_stats.c)		the counters of filesystems
 *
 *	ring->lock			a ring's indices, requests and eventfd
 *	  bucket->lock (fileq.c)	the queues of the files that hash there, and
 *					the state of their requests
 *	    pool->lock (pool.c)		a user's workers and lanes
 *	  the eventfd's own lock	eventfd_signal() takes it
 *	  ctx_lock of kernel AIO	kiocb_set_cancel_fn() takes it; interrupts do, too
 *	    ring->wait.lock		kernel AIO takes it to poll a ring
 *
 *	ring->wait.lock			pollers and waiters
 *
 * None is held for more than AFSYNC_RUN steps of a loop: a longer loop drops it in
 * between.
 *
 * A queue's key and a lane's domain are addresses that are compared and never
 * followed. A queue outlives the file of its last request for the moment between
 * dropping the file and posting the entry; if the address is reused for another
 * file in that moment, that file's requests wait for the entry to be posted and then
 * run as they would have in a queue of their own. The thread that posts the entry may be a
 * program's.
 */
#ifndef _AFSYNC_H
#define _AFSYNC_H

#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/afsync.h>

#define AFSYNC_OPS_MASK		(BIT(AFSYNC_OP_FSYNC) | BIT(AFSYNC_OP_FDATASYNC) | \
				 BIT(AFSYNC_OP_SYNCFS))
#define AFSYNC_SQE_MASK		(AFSYNC_SQE_DRAIN | AFSYNC_SQE_WRITABLE | \
				 AFSYNC_SQE_HOLD)
#define AFSYNC_SETUP_MASK	(AFSYNC_SETUP_INLINE)
#define AFSYNC_WAIT_MASK	(AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME | \
				 AFSYNC_WAIT_SIGMASK)
#define AFSYNC_CANCEL_MASK	(AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD | \
				 AFSYNC_CANCEL_ALL)

/*
 * For all memory that belongs to a program: at the limit of its cgroup the program gets an
 * error, not the out-of-memory killer.
 */
#define AFSYNC_GFP	(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* The most that are handled under a lock, or without letting another thread run. */
#define AFSYNC_RUN	64

struct afsync_fileq;
struct afsync_lane;
struct afsync_pool;
struct afsync_slots;
struct afsync_user;
struct cgroup_subsys_state;
struct eventfd_ctx;
struct seq_file;

/**
 * struct afsync_ring - the ring of one open of the device
 *
 * Made by AFSYNC_IOC_SETUP, found through file->private_data, freed with the last
 * reference: see above.
 *
 * @memory: the allocation that holds @shared; set once
 * @shared: the memory that the program maps; set once. Only ring.c writes there.
 * @cqes: the entries in @shared; set once
 * @entries: number of entries, a power of two; set once
 * @size: bytes of @shared, whole pages; set once
 * @id: distinguishes rings in commands and traces, not 0; set once
 * @flags: AFSYNC_SETUP_*; set once
 * @user: is charged for the requests; set once
 * @owner: the process that set it up, a reference; set once
 * @owner_uid: the real user id of @owner at that time; set once
 * @pins_module: it ends in the background, and holds the module until then; set by a
 *	release() that does not wait
 * @lock: protects the fields down to @nr_spare
 * @tail: trusted copy of the index after the last entry
 * @in_flight: slots taken by submitters, and requests not yet posted. @in_flight + unread
 *	entries never exceeds @entries: that is the slot reserved for each request.
 * @notify: an entry was posted, and the thread that set this will notify
 * @eventfd: to signal, or NULL
 * @held: requests in state HELD, oldest first
 * @requests: all requests accepted and not yet posted, oldest first. This list and @held
 *	may contain marks of walks through them: see afsync_ring_pause().
 * @spare: ended requests, to be reused
 * @nr_spare: how many
 * @live: one for the open, and one for each request that still exists; atomic.
 *	See afsync_ring_put().
 * @wait: pollers, and waiters of wait.c
 */
struct afsync_ring {
	void *memory;
	struct afsync_ring_header *shared;
	struct afsync_cqe *cqes;
	u32 entries;
	u32 id;
	u32 flags;
	size_t size;
	struct afsync_user *user;
	struct pid *owner;
	kuid_t owner_uid;
	bool pins_module;

	spinlock_t lock;	/* down to @nr_spare */
	u32 tail;
	u32 in_flight;
	bool notify;
	struct eventfd_ctx *eventfd;
	struct list_head held;
	struct list_head requests;
	struct afsync_req *spare;
	u32 nr_spare;

	atomic_t live;
	wait_queue_head_t wait;
};

/**
 * enum afsync_state - state of a request; changed by afsync_req_set_state() under the lock
 *	of its queue's bucket
 * @AFSYNC_NEW: being submitted; owned by the submitter; next QUEUED or HELD
 * @AFSYNC_HELD: on the ring's list of held requests, owned by it, and moved under the
 *	ring's lock as well; next QUEUED or CANCELLED
 * @AFSYNC_QUEUED: on the list of its queue, owned by it; next RUNNING or CANCELLED
 * @AFSYNC_RUNNING: in the batch of a worker or submitter, owned by it; next DONE
 * @AFSYNC_CANCELLED: on its way to, or in, its lane's list of cancelled requests,
 *	owned by it; the file may be gone. Last.
 * @AFSYNC_DONE: result known, owned by the thread that ran it, or in front of the waiting
 *	requests in its queue and owned by that; the file may be gone. Last.
 */
enum afsync_state {
	AFSYNC_NEW,
	AFSYNC_HELD,
	AFSYNC_QUEUED,
	AFSYNC_RUNNING,
	AFSYNC_CANCELLED,
	AFSYNC_DONE,
};

/* May a request in this state be cancelled? */
static inline bool afsync_can_cancel(enum afsync_state state)
{
	return state == AFSYNC_HELD || state == AFSYNC_QUEUED;
}

/**
 * struct afsync_req - one request, from submit to its entry in the ring
 * @link: in the list that its state determines; the owner's
 * @ring_link: in ring->requests, under ring->lock
 * @next: the next in ring->spare, under ring->lock
 * @start: first byte of the range; set once, valid until its batch is combined
 * @end: last byte of the range; likewise
 * @owner_node: from then on, in the owner's tree of open files whose share is known
 * @ring: gets the completion; set once. NULL: this is not a request, but a mark in a list.
 * @fileq: queue of the file; set once
 * @file: a reference to the file, NULL after it was dropped in state CANCELLED or DONE
 * @cred: credentials of the submitter; set once, a reference just as long
 * @blkcg: the I/O cgroup of the submitter, or NULL; set once, a reference just as long
 * @user_data: as submitted; set once
 * @op: enum afsync_op; set once
 * @flags: AFSYNC_SQE_*; set once
 * @ioprio: I/O priority, 0 = none named; set once
 * @refs: one for its life, one while an abort of its AIO, if it has one, is pending;
 *	atomic
 * @kiocb: the kernel AIO that its end completes instead of an entry, or NULL; set once,
 *	in state HELD under ring->lock
 * @abort_node: in the list of aborts of attach.c
 * @notify: this request represents its ring until the ring is notified; the
 *	completing thread only
 * @io_flusher: memory reclaim may wait for the submitter (PR_SET_IO_FLUSHER); set once
 * @state: enum afsync_state; under the lock of the queue's bucket
 * @cqe_flags: AFSYNC_CQE_*; set by the owner before the entry is posted
 * @res: result; likewise
 */
struct afsync_req {
	struct list_head link;
	struct list_head ring_link;
	union {
		struct afsync_req *next;
		struct {
			loff_t start, end;
		};
		struct rb_node owner_node;
	};
	struct afsync_ring *ring;
	struct afsync_fileq *fileq;
	struct file *file;
	const struct cred *cred;
	struct cgroup_subsys_state *blkcg;
	u64 user_data;
	struct kiocb *kiocb;
	struct llist_node abort_node;
	refcount_t refs;
	u8 op;
	u8 flags;
	u16 ioprio;
	bool notify;
	bool io_flusher;
	u8 state;
	u8 cqe_flags;
	int res;
};

/* main.c */
extern unsigned int afsync_workers_per_fs;
extern unsigned int afsync_max_user_syncs;
extern unsigned int afsync_max_root_syncs;
extern unsigned int afsync_max_entries;
extern unsigned int afsync_max_user_requests;

/* dev.c */
extern const struct file_operations afsync_fops;

/* The ring of an open of the device, or NULL before AFSYNC_IOC_SETUP. */
static inline struct afsync_ring *afsync_file_ring(struct file *file)
{
	/* Pairs with the cmpxchg_release() in ioctl_setup(). */
	return smp_load_acquire(&file->private_data);
}

/* Is this the ring that a command names? */
static inline bool afsync_is_ring(const struct afsync_ring *ring, u32 id)
{
	return !id || id == ring->id;
}

/* map.c */
int afsync_ring_map(struct afsync_ring *ring, struct vm_area_struct *vma);

/* fdinfo.c */
void afsync_show_fdinfo(struct seq_file *m, struct file *file);

/* ioctl.c */
long afsync_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* submit.c */
int afsync_submit(struct afsync_ring *ring, struct afsync_submit *args);

/* hold.c */
void afsync_hold(struct afsync_req *req);
int afsync_start(struct afsync_ring *ring, const struct afsync_start *args);

/* attach.c */
ssize_t afsync_write_iter(struct kiocb *iocb, struct iov_iter *from);
void afsync_attach_exit(void);

/* cancel.c */
int afsync_cancel(struct afsync_ring *ring, struct afsync_cancel *args);
void afsync_cancel_one(struct afsync_req *req);
void afsync_cancel_all(struct afsync_ring *ring);

/* wait.c */
int afsync_wait_check(const struct afsync_ring *ring, const struct afsync_wait *wait);
int afsync_wait(struct afsync_ring *ring, struct afsync_wait *wait);

/* req.c */
struct afsync_req *afsync_req_create(struct afsync_slots *slots,
				     const struct afsync_sqe *sqe,
				     const struct afsync_req *alike);
void afsync_req_put(struct afsync_req *req);
bool afsync_reqs_let_go(struct list_head *done);
void afsync_reqs_post(struct list_head *done);

/* ring.c */
struct afsync_ring *afsync_ring_create(u32 entries, u32 flags);
void afsync_ring_put(struct afsync_ring *ring, int count);
void afsync_ring_put_wait(struct afsync_ring *ring);
u32 afsync_ring_unread(struct afsync_ring *ring);
bool afsync_ring_has_only(struct afsync_ring *ring, u32 count);
bool afsync_ring_may_have(const struct afsync_ring *ring, u32 count);
void afsync_ring_pause(struct afsync_ring *ring, struct list_head *mark,
		       struct list_head *next);
struct afsync_req *afsync_ring_post(struct afsync_req *req, struct list_head *done);
void afsync_ring_end(struct afsync_req *req);
void afsync_ring_notify(struct afsync_ring *ring);
int afsync_ring_eventfd(struct afsync_ring *ring, int fd);

/* user.c */
struct afsync_user *afsync_user_get(void);
struct afsync_user *afsync_user_again(struct afsync_user *user);
void afsync_user_put(struct afsync_user *user);
struct afsync_pool *afsync_user_pool(const struct afsync_user *user);
void afsync_user_exit(void);
u32 afsync_user_charge(struct afsync_user *user, u32 count);
void afsync_user_uncharge(struct afsync_user *user, u32 count);

#endif /* _AFSYNC_H */
