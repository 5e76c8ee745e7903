// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * libafsync-posix: POSIX asynchronous I/O with its syncs on /dev/afsync. This file has
 * the public functions, and turns error numbers into -1 and errno.
 *
 *	sync.c		aio_fsync: to the device, which finds the errors
 *	transfer.c	aio_read, aio_write: to the threads of pool.c
 *	stream.c	a sync waits for the reads and writes queued before it
 *	op.c		requests in flight, their end, and the control blocks
 *	device.c	the ring and its reader
 *	list.c, suspend.c, cancel.c, notify.c	what their names say
 *	glibc.c		who serves the process: we or, for its whole life, glibc
 *	keep.c, keeper.c	the file of a sync that the device does not hold
 *	process.c	the child of a fork starts anew; exit
 *
 * The functions have all names of glibc's and no version, so they stand for every
 * version that a program may have been linked with. They may be preloaded or linked.
 *
 * Differences from what the manuals and glibc have; libafsync-posix(7) has the reasons:
 *
 *	null block	aio_fsync() checks the operation and returns 0; with no control block
 *			there is no descriptor, so nothing is synced
 *	in flight	a block that is in flight is refused with EINVAL
 *	aio_return	gives a result once, then EINVAL; -1 before the end, with no error
 *	close		does not cancel a sync, which is of the file of the call; a read or
 *			write whose descriptor was closed or reused is cancelled
 *	cancel		queued requests, syncs included, can be cancelled; what runs cannot
 *	fork		the child has nothing in flight, and a ring of its own
 *	exit, exec	end what is queued; nothing waits for it
 *	signals		of the notification only; our threads block all others
 *	descriptor	of a directory may be open for reading; preloaded, any may, as in
 *			glibc
 *	no device	preloaded, glibc does everything; linked, our threads do, and all
 *			that is said here holds
 */
#include <errno.h>

#include "posix.h"

/*
 * The names are given to the linker only: in <aio.h> the functions may not be called
 * with a null pointer, so that the compiler would remove the checks for one.
 */
int public_fsync(int operation, struct aiocb *block) __asm__("aio_fsync") EXPORT;
int public_fsync64(int operation, struct aiocb *block) __asm__("aio_fsync64") EXPORT;
int public_read(struct aiocb *block) __asm__("aio_read") EXPORT;
int public_read64(struct aiocb *block) __asm__("aio_read64") EXPORT;
int public_write(struct aiocb *block) __asm__("aio_write") EXPORT;
int public_write64(struct aiocb *block) __asm__("aio_write64") EXPORT;
int public_listio(int mode, struct aiocb *const list[], int count,
		  struct sigevent *event) __asm__("lio_listio") EXPORT;
int public_listio64(int mode, struct aiocb *const list[], int count,
		    struct sigevent *event) __asm__("lio_listio64") EXPORT;
int public_error(const struct aiocb *block) __asm__("aio_error") EXPORT;
int public_error64(const struct aiocb *block) __asm__("aio_error64") EXPORT;
ssize_t public_return(struct aiocb *block) __asm__("aio_return") EXPORT;
ssize_t public_return64(struct aiocb *block) __asm__("aio_return64") EXPORT;
int public_cancel(int fd, struct aiocb *block) __asm__("aio_cancel") EXPORT;
int public_cancel64(int fd, struct aiocb *block) __asm__("aio_cancel64") EXPORT;
int public_suspend(const struct aiocb *const list[], int count,
		   const struct timespec *timeout) __asm__("aio_suspend") EXPORT;
int public_suspend64(const struct aiocb *const list[], int count,
		     const struct timespec *timeout) __asm__("aio_suspend64") EXPORT;
void public_init(const struct aioinit *init) __asm__("aio_init") EXPORT;

/* Ends a call that succeeded with errno as it was, one that failed with the error in it. */
static int result(int error, int saved)
{
	errno = error ? error : saved;
	return error ? -1 : 0;
}

int public_fsync(int operation, struct aiocb *block)
{
	int saved = errno, ret;

	if (engine_is_ours())
		return result(sync_queue(operation, block), saved);
	if (!block)
		return result(EINVAL, saved);
	ret = glibc.fsync(operation, block);
	if (!ret)
		dropin_count(DROPIN_ELSEWHERE, 1);
	return ret;
}

int public_fsync64(int operation, struct aiocb *block)
{
	return public_fsync(operation, block);
}

static int transfer_call(struct aiocb *block, enum op_kind kind, off64_t offset)
{
	int saved = errno;

	return result(transfer_queue(block, kind, offset, NULL), saved);
}

/* Where files are small, aio_offset is shorter in one of the two control blocks. */
static off64_t wide_offset(struct aiocb *block)
{
	return ((struct aiocb64 *)block)->aio_offset;
}

int public_read(struct aiocb *block)
{
	if (!block)
		return result(EINVAL, 0);
	if (!engine_is_ours())
		return glibc.read(block);
	return transfer_call(block, OP_READ, block->aio_offset);
}

int public_read64(struct aiocb *block)
{
	if (!block)
		return result(EINVAL, 0);
	if (!engine_is_ours())
		return glibc.read64(block);
	return transfer_call(block, OP_READ, wide_offset(block));
}

int public_write(struct aiocb *block)
{
	if (!block)
		return result(EINVAL, 0);
	if (!engine_is_ours())
		return glibc.write(block);
	return transfer_call(block, OP_WRITE, block->aio_offset);
}

int public_write64(struct aiocb *block)
{
	if (!block)
		return result(EINVAL, 0);
	if (!engine_is_ours())
		return glibc.write64(block);
	return transfer_call(block, OP_WRITE, wide_offset(block));
}

int public_listio(int mode, struct aiocb *const list[], int count,
		  struct sigevent *event)
{
	int saved = errno;

	if (!engine_is_ours())
		return glibc.listio(mode, list, count, event);
	return result(list_queue(mode, list, count, event, false), saved);
}

int public_listio64(int mode, struct aiocb *const list[], int count,
		    struct sigevent *event)
{
	int saved = errno;

	if (!engine_is_ours())
		return glibc.listio64(mode, list, count, event);
	return result(list_queue(mode, list, count, event, true), saved);
}

int public_error(const struct aiocb *block)
{
	if (!block)
		return result(EINVAL, 0);
	return engine_is_glibc() ? glibc.error(block) : block_error(block);
}

int public_error64(const struct aiocb *block)
{
	return public_error(block);
}

ssize_t public_return(struct aiocb *block)
{
	ssize_t value;
	int ret;

	if (!block)
		return result(EINVAL, 0);
	if (engine_is_glibc())
		return glibc.result(block);
	ret = block_result(block, &value);
	return ret ? result(ret, 0) : value;
}

ssize_t public_return64(struct aiocb *block)
{
	return public_return(block);
}

int public_cancel(int fd, struct aiocb *block)
{
	int saved = errno, answer, ret;

	if (engine_is_glibc())
		return glibc.cancel(fd, block);
	ret = block ? cancel_block(fd, block, &answer) : cancel_fd(fd, &answer);
	return ret ? result(ret, 0) : (result(0, saved), answer);
}

int public_cancel64(int fd, struct aiocb *block)
{
	return public_cancel(fd, block);
}

int public_suspend(const struct aiocb *const list[], int count,
		   const struct timespec *timeout)
{
	int saved = errno;

	if (engine_is_glibc())
		return glibc.suspend(list, count, timeout);
	return result(suspend(list, count, timeout), saved);
}

int public_suspend64(const struct aiocb *const list[], int count,
		     const struct timespec *timeout)
{
	return public_suspend(list, count, timeout);
}

void public_init(const struct aioinit *init)
{
	if (!init)
		return;
	if (engine_is_ours())
		pool_configure(init);
	else
		glibc.init(init);
}
