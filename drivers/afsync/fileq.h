/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ordered queue of a file: whose it is, what is in it, and what can be done with it.
 * Locks, references and what is promised of addresses: afsync.h.
 */
#ifndef _AFSYNC_FILEQ_H
#define _AFSYNC_FILEQ_H

#include "afsync.h"

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
 * struct afsync_key - which queue a request belongs to; addresses are only compared
 * @scope: what @object is
 * @object: the inode, open file or superblock
 * @domain: what may get stuck as a whole: the superblock, or for a block device its
 *	inode; picks the lane
 */
struct afsync_key {
	enum afsync_scope scope;
	const void *object;
	const void *domain;
};

/**
 * struct afsync_fileq - the ordered queue of one file; exists while it has requests
 * @node: in its bucket, under the bucket's lock
 * @bucket: where it hashes to; set once
 * @key: whose queue it is; set once
 * @lane: where its work runs; set once
 * @work: takes and runs the batches. It never runs twice at once, and that is what
 *	keeps the requests of a file in order.
 * @refs: requests, one while @active, one while in a list of afsync_fileq_kick();
 *	under the bucket's lock
 * @active: @work has to run; under the bucket's lock
 * @kicked: @work was queued since @active was set; under the bucket's lock
 * @waiting: requests in state QUEUED, oldest first; under the bucket's lock
 * @kicker: the submitter's list that @kick_link is in, or NULL; only compared; under the
 *	bucket's lock
 * @kick_link: in that list; the submitter's
 */
struct afsync_fileq {
	struct hlist_node node;
	struct afsync_bucket *bucket;
	struct afsync_key key;
	struct afsync_lane *lane;
	struct work_struct work;
	unsigned int refs;
	bool active;
	bool kicked;
	struct list_head waiting;
	const struct list_head *kicker;
	struct list_head kick_link;
};

/* key.c */
bool afsync_is_local(const struct file *file);
struct afsync_key afsync_key_of(struct file *file, u32 op);
bool afsync_key_fits(const struct afsync_key *key, const struct afsync_req *first,
		     const struct afsync_req *req);

/* fileq.c */
int afsync_fileq_init(void);
void afsync_fileq_exit(void);
struct afsync_fileq *afsync_fileq_get(struct file *file, u32 op);
void afsync_fileq_put(struct afsync_fileq *fileq);
void afsync_fileq_add(struct afsync_req *req, struct list_head *kick);
void afsync_fileq_kick(struct list_head *kick);
void afsync_fileq_hold(struct afsync_req *req);
enum afsync_state afsync_fileq_remove(struct afsync_req *req);
void afsync_fileq_show(struct seq_file *m, struct afsync_req *req);

/* sync.c */
void afsync_sync_batch(enum afsync_scope scope, struct list_head *batch);

#endif /* _AFSYNC_FILEQ_H */
