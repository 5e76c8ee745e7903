// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The order: a sync is started when all reads and writes of its file that were queued
 * before it have ended. Requests that are queued after it do not delay it.
 *
 * A file with requests in flight has a list of epochs, oldest first. An epoch counts the
 * reads and writes in flight that were queued in it, and ends with the syncs that were
 * queued after them: a request after a sync is in the next epoch. When the first
 * epoch has nothing in flight, its syncs are started and it is dropped. So queueing and
 * ending take the same time however many requests are in flight.
 *
 *	epochs:	[ 2 in flight | syncs A B ]  [ 0 in flight | sync C ]  [ 1 in flight ]
 *		  write, read   then A, B     nothing, then C         a later write
 *
 * Starting is a command of a ring, made without the lock. Meanwhile the epoch stays
 * where it is, so that a sync that is called then queues up behind it and does not
 * overtake; only one thread starts syncs of a file at a time (file->starting).
 *
 * Files are found by device and inode number, not by descriptor: dup(2) and another
 * open() of the file are the same file.
 *
 * The order of reads and writes among themselves is kept by order.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "posix.h"

#define BUCKETS		256

struct epoch {
	struct link link;	/* in file->epochs */
	unsigned int pending;	/* reads and writes in flight */
	struct link syncs;	/* ops, HELD */
	bool starting;		/* its syncs were taken out to be started */
};

/* Lives while it has epochs. Each of its transfers is in one of them. */
struct file {
	struct link link;	/* in the table */
	uint64_t dev;
	uint64_t ino;
	struct link epochs;
	struct order order;	/* of its transfers */
	bool starting;
};

static struct link table[BUCKETS];
/* Files in the table; read without the lock by stream_any(). */
static unsigned int files;

static struct link *bucket_of(const struct identity *id)
{
	struct link *bucket = &table[(id->ino ^ id->dev) % BUCKETS];

	if (!bucket->next)
		link_init(bucket);
	return bucket;
}

static struct file *file_find(const struct identity *id)
{
	struct link *bucket = bucket_of(id), *l;
	struct file *file;

	for (l = bucket->next; l != bucket; l = l->next) {
		file = element(l, struct file, link);
		if (file->dev == id->dev && file->ino == id->ino)
			return file;
	}
	return NULL;
}

static struct file *file_make(const struct identity *id)
{
	struct file *file = afsync_object_new(sizeof(*file));

	if (!file)
		return NULL;
	file->dev = id->dev;
	file->ino = id->ino;
	link_init(&file->epochs);
	link_init(&file->order.transfers);
	link_add(bucket_of(id), &file->link);
	__atomic_add_fetch(&files, 1, __ATOMIC_RELAXED);
	return file;
}

static void file_drop_if_idle(struct file *file)
{
	if (!link_empty(&file->epochs))
		return;
	link_del(&file->link);
	__atomic_sub_fetch(&files, 1, __ATOMIC_RELAXED);
	afsync_object_free(file, sizeof(*file));
}

/*
 * Is any read or write in flight? Without the lock: it sees the requests that this thread, or
 * one that it has synchronised with, queued before, and only those count as queued at
 * the time of a call.
 */
bool stream_any(void)
{
	return __atomic_load_n(&files, __ATOMIC_RELAXED);
}

/* The epoch that is open for a read or write (@sync: for a sync); NULL: no memory. */
static struct epoch *epoch_open(struct file *file, bool sync)
{
	struct epoch *epoch;

	if (!link_empty(&file->epochs)) {
		epoch = element(file->epochs.prev, struct epoch, link);
		if (!epoch->starting && (sync || link_empty(&epoch->syncs)))
			return epoch;
	}
	epoch = afsync_object_new(sizeof(*epoch));
	if (!epoch)
		return NULL;
	link_init(&epoch->syncs);
	link_add(&file->epochs, &epoch->link);
	return epoch;
}

/* Puts a sync behind the requests in flight of its file; then it is HELD. */
int __stream_hold(struct op *op)
{
	struct file *file = file_find(&op->id);
	struct epoch *epoch;

	if (!file)
		return 0;
	epoch = epoch_open(file, true);
	if (!epoch)
		return EAGAIN;
	op->file = file;
	op->epoch = epoch;
	op->state = OP_HELD;
	link_add(&epoch->syncs, &op->link);
	return 0;
}

/*
 * Takes a sync that is HELD out again. Its epoch, or one before that, has requests in
 * flight or is being started, so there is nothing to start now.
 */
void __stream_unhold(struct op *op)
{
	link_del(&op->link);
	op->state = OP_NEW;
	op->file = NULL;
	op->epoch = NULL;
}

/*
 * A read or write failed: the syncs that were called while it was in flight have to
 * report that: those of its epoch and of all later ones. A request that the program
 * has cancelled has not failed; one that was cancelled as it ran, because its descriptor
 * had been closed, has.
 */
void __stream_failed(struct op *op, int error)
{
	struct link *e, *s;
	struct epoch *epoch;
	struct op *sync;

	if (!error || (error == ECANCELED && op->state != OP_RUNNING))
		return;
	for (e = &op->epoch->link; e != &op->file->epochs; e = e->next) {
		epoch = element(e, struct epoch, link);
		for (s = epoch->syncs.next; s != &epoch->syncs; s = s->next) {
			sync = element(s, struct op, link);
			if (!sync->error)
				sync->error = error;
		}
	}
}

/*
 * Starts the syncs of an epoch that is done. They keep their order, and the epoch its
 * place, until all are started. See __stream_leave() for @refused.
 */
static void epoch_start(struct epoch *epoch, struct link *refused)
{
	struct link list;
	struct op *op;

	link_init(&list);
	while (!link_empty(&epoch->syncs)) {
		op = element(epoch->syncs.next, struct op, link);
		link_del(&op->link);
		op->file = NULL;
		op->epoch = NULL;
		op->state = OP_STARTED;
		op->ready = true;
		/* sync_queue() is not done with it yet, and will start it. */
		if (!op->submitted)
			continue;
		__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
		link_add(&list, &op->link);
	}
	epoch->starting = true;
	unlock();
	while (!link_empty(&list)) {
		op = element(list.next, struct op, link);
		link_del(&op->link);
		if (sync_start(op))
			link_add(refused, &op->link);
		op_put(op);
	}
	lock();
}

/* Starts and drops finished epochs. Drops the lock for a while; @file may be gone. */
static void advance(struct file *file, struct link *refused)
{
	struct epoch *epoch;

	if (file->starting)
		return;
	file->starting = true;
	while (!link_empty(&file->epochs)) {
		epoch = element(file->epochs.next, struct epoch, link);
		if (epoch->pending)
			break;
		if (!link_empty(&epoch->syncs))
			epoch_start(epoch, refused);
		link_del(&epoch->link);
		afsync_object_free(epoch, sizeof(*epoch));
	}
	file->starting = false;
	file_drop_if_idle(file);
}

/* A read or write does not count any more. Drops the lock for a while. */
static void stream_leave(struct op *op, struct link *refused)
{
	struct file *file = op->file;

	op->epoch->pending--;
	op->file = NULL;
	op->epoch = NULL;
	advance(file, refused);
}

/* Takes a read or write into the stream of its file, and queues it. */
int __stream_add(struct op *op)
{
	struct link none = LINK_INIT(none);
	struct file *file = file_find(&op->id);
	int ret;

	if (!file)
		file = file_make(&op->id);
	if (!file)
		return EAGAIN;
	op->epoch = epoch_open(file, false);
	if (!op->epoch) {
		file_drop_if_idle(file);
		return EAGAIN;
	}
	op->file = file;
	op->epoch->pending++;
	ret = __order_add(&file->order, op);
	if (ret)
		/* Starts nothing: the transfer did not delay any sync. */
		stream_leave(op, &none);
	return ret;
}

/*
 * A read or write has ended: queues its followers, and starts the syncs that wait for nothing
 * else, for which it drops the lock for a while. Those for which no thread can be made are
 * moved to @refused, and have to be ended.
 */
void __stream_leave(struct op *op, struct link *refused)
{
	__order_del(&op->file->order, op, refused);
	stream_leave(op, refused);
}

/* In the child of a fork; see __op_forget_all(). */
void __stream_forget_all(void)
{
	memset(table, 0, sizeof(table));
	files = 0;
}
