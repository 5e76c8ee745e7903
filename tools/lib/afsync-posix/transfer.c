// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * aio_read, aio_write: queues reads and writes, which the threads of a pool run (run.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "posix.h"

/*
 * Where files are small, aio_offset is shorter in one of the two control blocks. The library
 * may be built for either, so that it does not trust its own struct aiocb.
 */
off64_t block_offset(const struct aiocb *block, bool wide)
{
	__off64_t offset64;
	__off_t offset;

	if (wide) {
		memcpy(&offset64, &block->aio_offset, sizeof(offset64));
		return offset64;
	}
	memcpy(&offset, &block->aio_offset, sizeof(offset));
	return offset;
}

/*
 * Sets the range of a request for a seekable file. For a write that appends it is the
 * whole file. A negative offset becomes one beyond all others, and so delays nothing; a
 * size of 0 is an empty range.
 */
static void find_place(struct op *op)
{
	op->placed = S_ISREG(op->id.mode) || S_ISBLK(op->id.mode);
	op->writes = op->kind == OP_WRITE;
	op->from = op->offset;
	if (__builtin_add_overflow(op->from, op->size, &op->to))
		op->to = UINT64_MAX;
	if (op->writes && fcntl(op->fd, F_GETFL) & O_APPEND) {
		op->from = 0;
		op->to = UINT64_MAX;
	}
	if (!op->size) {
		op->from = 0;
		op->to = 0;
	}
}

/*
 * Makes the op of a read or write, with a second reference for the caller. A bad descriptor
 * is not an error of the call, and neither is @bad: the op ends with it, and its
 * notification is sent. POSIX allows both; glibc does the same.
 */
int transfer_make(struct aiocb *block, enum op_kind kind, off64_t offset, int bad,
		  struct op **opp)
{
	struct op *op;
	int ret;

	if (block->aio_reqprio < 0 || block->aio_reqprio > PRIO_DELTA_MAX)
		return EINVAL;
	ret = op_alloc(block, kind, &op);
	if (ret)
		return ret;
	op->refs = 2;
	op->buffer = (void *)block->aio_buf;
	op->size = block->aio_nbytes;
	op->offset = offset;
	op->bad = bad ? bad : identity_of(op->fd, &op->id);
	find_place(op);
	/* One that waits for another process must not keep a disk's waiting. */
	op->pool = S_ISREG(op->id.mode) || S_ISBLK(op->id.mode) ? &disk_pool : &pipe_pool;
	*opp = op;
	return 0;
}

/* Queues an op from transfer_make(). It may end at any time from here on. */
int __transfer_add(struct op *op)
{
	int ret;

	ret = __op_add(op);
	if (ret)
		return ret;
	if (op->bad)
		op->state = OP_ENDING;
	else
		ret = __stream_add(op);
	if (ret)
		__op_refuse(op);
	else if (op->group)
		group_get(op->group);
	return ret;
}

/* The rest of the call, without the lock; @refused is the error of __transfer_add(). */
void transfer_added(struct op *op, int refused)
{
	if (refused)
		op_put(op);
	else if (op->bad)
		op_end(op, op->bad, -1);
	else
		dropin_count(op->kind == OP_READ ? DROPIN_POSIX_READ :
						   DROPIN_POSIX_WRITE, 1);
	op_put(op);
}

/* A call for one read or write. */
int transfer_queue(struct aiocb *block, enum op_kind kind, off64_t offset)
{
	struct op *op;
	int ret;

	ret = transfer_make(block, kind, offset, 0, &op);
	if (ret)
		return ret;
	lock();
	ret = __transfer_add(op);
	unlock();
	transfer_added(op, ret);
	return ret;
}
