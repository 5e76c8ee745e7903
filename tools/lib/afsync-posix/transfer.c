// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads and writes, and what a thread of a pool does with an op.
 *
 * They run on the descriptor number of the program: a duplicate would, when closed, take
 * the program's POSIX record locks along. In another table of descriptors (keep.c) it
 * would not, but each close there has the filesystem flush the file, which on NFS and
 * CIFS makes every write synchronous. So that a number which was closed and given to
 * another file meanwhile does no harm, the file is compared before it is used, and the
 * request is cancelled. A program that closes and opens between that look and the
 * read or write itself, a few instructions, is not caught.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "posix.h"

/* EBADF if the descriptor is not open. Asks no server: what is cached will do. */
int identity_of(int fd, struct identity *id)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO,
		  &stx))
		return errno;
	id->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	id->ino = stx.stx_ino;
	id->mode = stx.stx_mode;
	return 0;
}

/* ECANCELED if the descriptor was closed, or is that of another file by now. */
int same_file(const struct op *op)
{
	struct identity now;
	int ret;

	ret = identity_of(op->fd, &now);
	if (ret)
		return ret == EBADF ? ECANCELED : ret;
	return now.dev == op->id.dev && now.ino == op->id.ino ? 0 : ECANCELED;
}

static ssize_t transfer(const struct op *op)
{
	ssize_t ret;

	if (op->kind == OP_READ) {
		ret = pread64(op->fd, op->buffer, op->size, op->offset);
		/* What has no place is read as it comes; aio_offset is ignored. */
		if (ret < 0 && errno == ESPIPE)
			ret = read(op->fd, op->buffer, op->size);
	} else {
		ret = pwrite64(op->fd, op->buffer, op->size, op->offset);
		if (ret < 0 && errno == ESPIPE)
			ret = write(op->fd, op->buffer, op->size);
	}
	return ret;
}

/* Runs an op and ends it. The caller, a thread of a pool, took it out of the queue. */
void op_run(struct op *op)
{
	int fd = op->keeper ? op->kept : op->fd;
	ssize_t value = 0;
	int error;

	error = op->keeper ? 0 : same_file(op);
	if (!error) {
		/* The C library's own signals are not blocked in this thread. */
		do {
			if (op->kind == OP_FSYNC)
				value = fsync(fd);
			else if (op->kind == OP_FDATASYNC)
				value = fdatasync(fd);
			else
				value = transfer(op);
		} while (value < 0 && errno == EINTR);
		if (value < 0)
			error = errno;
	}
	if (op->keeper)
		keep_end(op, true);
	op_end(op, error, value);
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

static int transfer_add(struct op *op)
{
	int ret;

	ret = __op_add(op);
	if (ret)
		return ret;
	ret = __stream_add(op);
	if (ret)
		__op_refuse(op);
	return ret;
}

/*
 * Queues a read or write. What can be wrong with the arguments is found now, what can be
 * wrong with the file when it runs, except that there has to be one.
 */
int transfer_queue(struct aiocb *block, enum op_kind kind, off64_t offset,
		   struct group *group)
{
	struct op *op;
	int ret;

	if (block->aio_reqprio < 0 || block->aio_reqprio > PRIO_DELTA_MAX ||
	    block->aio_nbytes > SSIZE_MAX)
		return EINVAL;
	ret = op_alloc(block, kind, &op);
	if (ret)
		return ret;
	op->buffer = (void *)block->aio_buf;
	op->size = block->aio_nbytes;
	op->offset = offset;
	ret = identity_of(op->fd, &op->id);
	if (ret)
		goto put_op;
	find_place(op);
	/* One that waits for another process must not keep a disk's waiting. */
	op->pool = S_ISREG(op->id.mode) || S_ISBLK(op->id.mode) ? &disk_pool : &pipe_pool;
	if (group) {
		op->group = group;
		group_get(group);
	}

	lock();
	ret = transfer_add(op);
	unlock();
	if (ret) {
		if (group)
			group_end(group, true);
		goto put_op;
	}
	dropin_count(kind == OP_READ ? DROPIN_POSIX_READ : DROPIN_POSIX_WRITE, 1);
	return 0;

put_op:
	op_put(op);
	return ret;
}
