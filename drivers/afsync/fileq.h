/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ordered queue of a file: its user, its requests, and the functions on it.
 * Locks and the rules for addresses: afsync.h.
 */
#ifndef _AFSYNC_FILEQ_H
#define _AFSYNC_FILEQ_H

#include <linux/hash.h>
#include <linux/path.h>
#include <linux/sched.h>

#include "afsync.h"

#define AFSYNC_BUCKET_BITS	10

/* The queues whose keys hash alike. */
struct afsync_bucket {
	spinlock_t lock;	/* @fileqs, their fields, the state of requests */
	struct hlist_head fileqs;
} ____cacheline_aligned_in_smp;

extern struct afsync_bucket afsync_buckets[1 << AFSYNC_BUCKET_BITS];

static inline struct afsync_bucket *afsync_bucket_of(const void *object)
{
	return &afsync_buckets[hash_ptr((void *)object, AFSYNC_BUCKET_BITS)];
}

/**
 * enum afsync_scope - what the requests of one queue have in common
 * @AFSYNC_SCOPE_INODE: the inode; one sync serves all its open files
 * @AFSYNC_SCOPE_FILE: the open file; one sync serves only that
 * @AFSYNC_SCOPE_SUPER: the filesystem; SYNCFS
 */
enum afsync_scope {
	AFSYNC_SCOPE_INODE,
	AFSYNC_SCOPE_FILE,
	AFSYNC_SCOPE_SUPER,
};

/**
 * struct afsync_key - identifies the queue of a request; addresses of objects are only compared
 * @scope: what kind of object @object is
 * @object: the inode, open file or superblock
 * @domain: the object that may get stuck as a whole: the superblock, or for a block device
 *	its inode; with the user it selects the lane
 * @dev: device number of the domain, for display
 * @type: its type of filesystem, likewise; valid as long as the caller has the file
 */
struct afsync_key {
	enum afsync_scope scope;
	const void *object;
	const void *domain;
	dev_t dev;
	const char *type;
};

/**
 * struct afsync_fileq - the requests of one user for one file; exists while it has requests
 * @node: in its bucket, under the bucket's lock
 * @object: the object of the queue, see struct afsync_key; set once
 * @lane: its user and domain, where it runs; set once
 * @refs: requests, one while @active, one while in a submitter's list; the last one goes
 *	under the bucket's lock
 * @scope: what kind of object @object is; set once
 * @active: the queue has to run, or runs; under the bucket's lock
 * @kicked: the pool has the queue since @active was set, or a submitter runs it; under
 *	the bucket's lock. One worker or submitter at a time has the queue: that keeps
 *	its requests in order.
 * @waiting: requests in state QUEUED, oldest first, behind those in state DONE that only
 *	a worker can complete; under the bucket's lock
 * @kicker: the submitter's list that @kick_link is in, or NULL; only compared; under the
 *	bucket's lock
 * @kick_link: link in that list; the submitter's
 * @line_link: link in the lane's list of waiting queues, or empty; under the pool's lock
 */
struct afsync_fileq {
	struct hlist_node node;
	const void *object;
	struct afsync_lane *lane;
	refcount_t refs;
	u8 scope;
	bool active;
	bool kicked;
	struct list_head waiting;
	const struct list_head *kicker;
	struct list_head kick_link;
	struct list_head line_link;
};

/**
 * struct afsync_look - the visible part of a pending request
 * @state: HELD, QUEUED or RUNNING
 * @op: enum afsync_op
 * @path: path of its file; a reference
 */
struct afsync_look {
	enum afsync_state state;
	enum afsync_op op;
	struct path path;
};

/*
 * The flags that PR_SET_IO_FLUSHER sets: memory reclaim may wait for this thread, a storage
 * server, so its allocations must not wait for reclaim's I/O. A worker takes the flags over
 * while it works for such a thread.
 */
#define AFSYNC_IO_FLUSHER	(PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

static inline bool afsync_is_io_flusher(void)
{
	return (current->flags & AFSYNC_IO_FLUSHER) == AFSYNC_IO_FLUSHER;
}

/* Makes the current thread an I/O flusher if requested; returns what to restore. */
static inline unsigned int afsync_io_flusher_save(bool flusher)
{
	unsigned int old = current->flags & AFSYNC_IO_FLUSHER;

	if (flusher)
		current->flags |= AFSYNC_IO_FLUSHER;
	return old;
}

static inline void afsync_io_flusher_restore(unsigned int old)
{
	current->flags = (current->flags & ~AFSYNC_IO_FLUSHER) | old;
}

/* The lock of the queue's bucket. */
static inline spinlock_t *afsync_fileq_lock(const struct afsync_fileq *fileq)
{
	return &afsync_bucket_of(fileq->object)->lock;
}

/* In the rounds of a loop over requests: occasionally lets another thread run. */
static inline void afsync_cond_resched(unsigned int round)
{
	if (round % AFSYNC_RUN == AFSYNC_RUN - 1)
		cond_resched();
}

/* The queue of an existing request, for another one; with a reference. */
static inline struct afsync_fileq *afsync_fileq_again(struct afsync_fileq *fileq)
{
	refcount_inc(&fileq->refs);
	return fileq;
}

/* The only place that moves a request from one state to the next. */
static inline void afsync_req_set_state(struct afsync_req *req, enum afsync_state state)
{
	lockdep_assert_held(afsync_fileq_lock(req->fileq));
	/* attach_cancel() reads it without the lock. */
	WRITE_ONCE(req->state, state);
}

/* work.c */
void afsync_fileq_kick(struct list_head *kick);
bool afsync_fileq_run(struct list_head *kick, unsigned int count);

/* sync.c */
void afsync_sync_batch(const struct afsync_fileq *fileq, struct list_head *batch);

/* fileq.c */
int afsync_fileq_init(void);
void afsync_fileq_exit(void);
struct afsync_fileq *afsync_fileq_get(struct afsync_user *user, struct file *file, u32 op);
void afsync_fileq_put(struct afsync_fileq *fileq, int count);
unsigned int afsync_fileq_add(struct list_head *reqs, struct list_head *kick);
void afsync_fileq_start(struct afsync_fileq *fileq);
void afsync_fileq_hold(struct afsync_req *req);
enum afsync_state afsync_fileq_remove(struct afsync_req *req);
bool afsync_fileq_look(const struct afsync_req *req, struct afsync_look *look);

/* key.c */
bool afsync_is_local(const struct file *file);
struct afsync_key afsync_key_of(struct file *file, u32 op);
bool afsync_same_identity(const struct cred *a, const struct cred *b);
bool afsync_caller_may_sync(enum afsync_scope scope, const struct file *file);

#endif /* _AFSYNC_FILEQ_H */
