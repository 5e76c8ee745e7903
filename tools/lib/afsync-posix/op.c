// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Requests: their memory, the table of those in flight, and the program's control blocks, which
 * only this file writes.
 *
 * The status is in the members that glibc's <aio.h> keeps for itself: __error_code,
 * __return_value, and in __policy a mark whether aio_return() has still to be called.
 * At the end the value is written first and the error code last, with release order,
 * and the block is not touched any more: a thread that sees another status than EINPROGRESS
 * may free it. Before that the op has left the table, so that the block may also be
 * queued again at once.
 */
#include <errno.h>
#include <string.h>

#include "posix.h"

#define BUCKETS		1024

/* Values of the mark that memory holds by chance no more often than any other. */
#define MARK_QUEUED	0x61667173
#define MARK_RETURNED	0x61667172

_Static_assert(sizeof(struct op) <= AFSYNC_OBJECT_MAX, "it is an object");

/* By address of the block. A bucket that was never used is all zero. */
static struct link table[BUCKETS];
static uint64_t calls;
/* Set once, under the lock; read without it by callers that may not take it. */
static bool leaving;

static struct link *bucket_of(const struct aiocb *block)
{
	uintptr_t key = (uintptr_t)block / 16;
	struct link *bucket = &table[(key ^ key / BUCKETS) % BUCKETS];

	if (!bucket->next)
		link_init(bucket);
	return bucket;
}

/* Allocates an op with the fields that all kinds have; it has one reference. */
int op_alloc(struct aiocb *block, enum op_kind kind, struct op **opp)
{
	struct op *op;
	int ret;

	op = afsync_object_new(sizeof(*op));
	if (!op)
		return EAGAIN;
	ret = notice_copy(&block->aio_sigevent, &op->notice);
	if (ret) {
		afsync_object_free(op, sizeof(*op));
		return ret;
	}
	op->refs = 1;
	op->block = block;
	op->kind = kind;
	op->fd = block->aio_fildes;
	op->prio = block->aio_reqprio;
	link_init(&op->link);
	link_init(&op->hash);
	link_init(&op->transfer);
	link_init(&op->followers);
	*opp = op;
	return 0;
}

void op_put(struct op *op)
{
	/* Acquire: all accesses of other threads happened before it is freed. */
	if (__atomic_sub_fetch(&op->refs, 1, __ATOMIC_ACQ_REL))
		return;
	notice_drop(&op->notice);
	afsync_object_free(op, sizeof(*op));
}

struct op *__op_find(const struct aiocb *block)
{
	struct link *bucket = bucket_of(block), *l;

	for (l = bucket->next; l != bucket; l = l->next)
		if (element(l, struct op, hash)->block == block)
			return element(l, struct op, hash);
	return NULL;
}

/* Takes the block: from here on it is in flight. EINVAL if it is already. */
int __op_add(struct op *op)
{
	struct aiocb *block = op->block;

	if (__op_find(block))
		return EINVAL;
	op->old_error = block->__error_code;
	op->old_value = block->__return_value;
	op->old_mark = block->__policy;
	block->__return_value = -1;
	block->__policy = MARK_QUEUED;
	__atomic_store_n(&block->__error_code, EINPROGRESS, __ATOMIC_RELEASE);
	link_add(bucket_of(block), &op->hash);
	op->call = ++calls;
	return 0;
}

/* Gives the block back as it was: the request was not queued. */
void __op_refuse(struct op *op)
{
	struct aiocb *block = op->block;

	link_del(&op->hash);
	block->__return_value = op->old_value;
	block->__policy = op->old_mark;
	__atomic_store_n(&block->__error_code, op->old_error, __ATOMIC_RELEASE);
}

/*
 * Takes a reference on each op of the descriptor number, as many as fit. Returns how
 * many there are.
 */
size_t __op_list(int fd, struct victim *victims, size_t max)
{
	size_t i, found = 0;
	struct link *l;
	struct op *op;

	for (i = 0; i < BUCKETS; i++) {
		for (l = table[i].next; l && l != &table[i]; l = l->next) {
			op = element(l, struct op, hash);
			if (op->fd != fd)
				continue;
			if (found < max) {
				__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
				victims[found].op = op;
			}
			found++;
		}
	}
	return found;
}

static void __block_write(struct op *op, ssize_t value)
{
	struct aiocb *block = op->block;

	link_del(&op->hash);
	block->__return_value = op->error ? -1 : value;
	/* Pairs with block_status(): its readers see the value, and may free the block. */
	__atomic_store_n(&block->__error_code, op->error, __ATOMIC_RELEASE);
}

/* Gives the block its status, op->error and @value. */
void __block_end(struct op *op, ssize_t value)
{
	if (!leaving) {
		__block_write(op, value);
		return;
	}
	/* Keeps it, as the block may be gone. The op stays in the table. */
	__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
	op->late = true;
	op->value = value;
}

/* From here on a block has its status when the program asks for it; see process.c. */
void __block_keep_all(void)
{
	/* Release: not needed for what is behind the lock; block_error() reads it. */
	__atomic_store_n(&leaving, true, __ATOMIC_RELEASE);
}

/* The program has asked for the block, so it is there. */
static void block_end_late(const struct aiocb *block)
{
	struct mask mask;
	struct op *op;

	signals_block(&mask);
	lock();
	op = __op_find(block);
	if (op && op->late)
		__block_write(op, op->value);
	else
		op = NULL;
	unlock();
	if (op)
		op_put(op);
	signals_restore(&mask);
}

/* In the child of a fork: nothing of the parent's is in flight here. */
void __op_forget_all(void)
{
	/*
	 * The ops stay allocated: parent and child share their memory until one of the two
	 * writes to it, and each process has such ops from one parent only.
	 */
	memset(table, 0, sizeof(table));
}

static int block_status(const struct aiocb *block)
{
	/* Pairs with __block_write(). */
	return __atomic_load_n(&block->__error_code, __ATOMIC_ACQUIRE);
}

/* For aio_error(), in any context. */
int block_error(const struct aiocb *block)
{
	if (block_status(block) == EINPROGRESS &&
	    __atomic_load_n(&leaving, __ATOMIC_ACQUIRE))
		block_end_late(block);
	return block_status(block);
}

/*
 * For aio_return(), in any context: gives the result of each request once. To ask before
 * the end is no error, as with glibc, and has no answer.
 */
int block_result(struct aiocb *block, ssize_t *value)
{
	int mark = MARK_QUEUED;

	*value = -1;
	if (block_error(block) == EINPROGRESS)
		return 0;
	/* Of two threads that ask for it, one gets it. */
	if (!__atomic_compare_exchange_n(&block->__policy, &mark, MARK_RETURNED, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return EINVAL;
	*value = block->__return_value;
	return 0;
}

/* For lio_listio(), which can report the error of an element only like this. */
void __block_refused(struct aiocb *block, int error)
{
	/* Unless an earlier request with the same block is in flight. */
	if (__op_find(block))
		return;
	block->__return_value = -1;
	block->__policy = MARK_QUEUED;
	__atomic_store_n(&block->__error_code, error, __ATOMIC_RELEASE);
}
