// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The threads that read and write, and run the syncs that no ring can take. There are two pools:
 * one for files and disks, of limited size, and one for files whose requests may wait for
 * ever (pipes, sockets, terminals), where each file and direction that has requests
 * gets a thread of its own.
 *
 * Requests run on the descriptor number of the program: a duplicate would, when closed, take
 * the program's POSIX record locks along. In another table of descriptors, as the engine
 * of threads has for syncs, it would not, but each close there has the filesystem flush
 * the file, which on NFS and CIFS makes every write synchronous. So that a number which was
 * closed and given to another file meanwhile does no harm, the file is compared before it
 * is used, and the request is cancelled. A close and an open between that check
 * and the read or write itself, a few instructions, are not noticed.
 */
#include <errno.h>
#include <unistd.h>

#include "posix.h"

/* glibc's limit of threads. */
#define DISK_THREADS	20
/* More than a program has pipes, as a rule; the rest waits for those. */
#define PIPE_THREADS	1024

static ssize_t transfer(const struct op *op)
{
	ssize_t ret;

	if (op->kind == OP_READ) {
		ret = pread64(op->fd, op->buffer, op->size, op->offset);
		/* Non-seekable files are read as data arrives; aio_offset is ignored. */
		if (ret < 0 && errno == ESPIPE)
			ret = read(op->fd, op->buffer, op->size);
	} else {
		ret = pwrite64(op->fd, op->buffer, op->size, op->offset);
		if (ret < 0 && errno == ESPIPE)
			ret = write(op->fd, op->buffer, op->size);
	}
	return ret;
}

/* For requests that no ring can take (divert.c). */
static int sync_run(const struct op *op)
{
	return op->kind == OP_FSYNC ? fsync(op->fd) : fdatasync(op->fd);
}

/* Runs an op and ends it. The caller, a thread of a pool, took it out of the queue. */
static void op_run(struct op *op)
{
	ssize_t value = 0;
	int error;

	error = same_file(op);
	if (!error) {
		/* The C library's own signals are not blocked in this thread. */
		do {
			value = op_is_sync(op) ? sync_run(op) : transfer(op);
		} while (value < 0 && errno == EINTR);
		if (value < 0)
			error = errno;
		/* Closed since that check; otherwise it is not open for this. */
		if (error == EBADF && same_file(op))
			error = ECANCELED;
	}
	op_end(op, error, value);
}

struct pool disk_pool = {
	.limit = DISK_THREADS, .run = op_run, .work = PTHREAD_COND_INITIALIZER,
};

struct pool pipe_pool = {
	.limit = PIPE_THREADS, .run = op_run, .work = PTHREAD_COND_INITIALIZER,
};
