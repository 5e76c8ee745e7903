// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * libafsync-posix: POSIX asynchronous I/O with its syncs on /dev/afsync. This file has
 * the public functions, and turns error numbers into -1 and errno. posix.h has a list of the
 * files.
 *
 * The functions have all of glibc's names and no version, so they replace every
 * version that a program may have been linked with. They may be preloaded or linked.
 *
 * Differences from what the manuals and glibc have; libafsync-posix(7) has the reasons:
 *
 *	null block	aio_fsync() checks the operation and returns 0; with no control block
 *			there is no descriptor, so nothing is synced
 *	in flight	a block that is in flight is refused with EINVAL
 *	order		reads and writes that overlap keep the order of their calls, by file,
 *			not by descriptor and priority; others run at once
 *	aio_return	gives a result once, then EINVAL; -1 before the end, with no error
 *	close		does not cancel a sync, which is of the file of the call; a read or
 *			write whose descriptor was closed or reused is cancelled
 *	cancel		queued requests, syncs included, can be cancelled, those of a
 *			descriptor in one step; what runs cannot
 *	fork		the child has nothing in flight, and a ring of its own
 *	exit, exec	end what is queued; nothing waits for it
 *	signals		of the notification only; our threads block all others
 *	descriptor	of a directory may be open for reading; preloaded, any may, as in
 *			glibc
 *	no device	preloaded, glibc does everything; linked, threads sync, and all
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
		   const struct __kernel_old_timespec *timeout)
	__asm__("aio_suspend") EXPORT;
int public_suspend64(const struct aiocb *const list[], int count,
		     const struct __kernel_old_timespec *timeout)
	__asm__("aio_suspend64") EXPORT;
#ifdef DROPIN_TIME64
int public_suspend_time64(const struct aiocb *const list[], int count,
			  const struct __kernel_timespec *timeout)
	__asm__("__aio_suspend_time64") EXPORT;
#endif
void public_init(const struct aioinit *init) __asm__("aio_init") EXPORT;

/* Ends a call that succeeded with errno as it was, one that failed with the error in it. */
static int result(int error, int saved)
{
	errno = error ? error : saved;
	return error ? -1 : 0;
}

struct call {
	struct mask mask;
	int saved;
};

/* Begins a call that this library serves, with signals blocked. False if glibc serves it. */
static bool call_begin(struct call *call)
{
	call->saved = errno;
	if (engine_is_glibc())
		return false;
	signals_block(&call->mask);
	if (engine_is_ours())
		return true;
	signals_restore(&call->mask);
	return false;
}

static int call_end(const struct call *call, int error)
{
	signals_restore(&call->mask);
	return result(error, call->saved);
}

int public_fsync(int operation, struct aiocb *block)
{
	struct call call;
	int ret;

	if (call_begin(&call))
		return call_end(&call, sync_queue(operation, block));
	if (!block)
		return result(EINVAL, 0);
	ret = glibc.fsync(operation, block);
	if (!ret)
		dropin_count(DROPIN_ELSEWHERE, 1);
	return ret;
}

int public_fsync64(int operation, struct aiocb *block)
{
	return public_fsync(operation, block);
}

int public_read(struct aiocb *block)
{
	struct call call;

	if (!block)
		return result(EINVAL, 0);
	if (!call_begin(&call))
		return glibc.read(block);
	return call_end(&call, transfer_queue(block, OP_READ, block_offset(block, false)));
}

int public_read64(struct aiocb *block)
{
	struct call call;

	if (!block)
		return result(EINVAL, 0);
	if (!call_begin(&call))
		return glibc.read64(block);
	return call_end(&call, transfer_queue(block, OP_READ, block_offset(block, true)));
}

int public_write(struct aiocb *block)
{
	struct call call;

	if (!block)
		return result(EINVAL, 0);
	if (!call_begin(&call))
		return glibc.write(block);
	return call_end(&call, transfer_queue(block, OP_WRITE, block_offset(block, false)));
}

int public_write64(struct aiocb *block)
{
	struct call call;

	if (!block)
		return result(EINVAL, 0);
	if (!call_begin(&call))
		return glibc.write64(block);
	return call_end(&call, transfer_queue(block, OP_WRITE, block_offset(block, true)));
}

int public_listio(int mode, struct aiocb *const list[], int count,
		  struct sigevent *event)
{
	struct call call;

	if (!call_begin(&call))
		return glibc.listio(mode, list, count, event);
	return call_end(&call, list_queue(mode, list, count, event, false, &call.mask));
}

int public_listio64(int mode, struct aiocb *const list[], int count,
		    struct sigevent *event)
{
	struct call call;

	if (!call_begin(&call))
		return glibc.listio64(mode, list, count, event);
	return call_end(&call, list_queue(mode, list, count, event, true, &call.mask));
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
	struct call call = { .saved = errno };
	int answer, ret;

	/* Does not choose the engine: if nothing was queued, there is nothing to cancel. */
	if (engine_is_glibc())
		return glibc.cancel(fd, block);
	signals_block(&call.mask);
	ret = block ? cancel_block(fd, block, &answer) : cancel_fd(fd, &answer);
	return call_end(&call, ret) ? -1 : answer;
}

int public_cancel64(int fd, struct aiocb *block)
{
	return public_cancel(fd, block);
}

int public_suspend(const struct aiocb *const list[], int count,
		   const struct __kernel_old_timespec *timeout)
{
	struct __kernel_timespec time;
	int saved = errno;

	if (engine_is_glibc())
		return glibc.suspend(list, count, timeout);
	if (timeout)
		time = (struct __kernel_timespec){ timeout->tv_sec, timeout->tv_nsec };
	return result(suspend(list, count, timeout ? &time : NULL), saved);
}

int public_suspend64(const struct aiocb *const list[], int count,
		     const struct __kernel_old_timespec *timeout)
{
	return public_suspend(list, count, timeout);
}

#ifdef DROPIN_TIME64
/* The name that <aio.h> gives both where the program chose a 64-bit time_t. */
int public_suspend_time64(const struct aiocb *const list[], int count,
			  const struct __kernel_timespec *timeout)
{
	struct __kernel_timespec time;
	int saved = errno;

	if (engine_is_glibc())
		return glibc.suspend_time64 ? glibc.suspend_time64(list, count, timeout) :
					      result(ENOSYS, 0);
	/* Half of tv_nsec is padding that may hold anything. */
	if (timeout)
		time = (struct __kernel_timespec){ timeout->tv_sec,
						   (int32_t)timeout->tv_nsec };
	return result(suspend(list, count, timeout ? &time : NULL), saved);
}
#endif

void public_init(const struct aioinit *init)
{
	struct call call;

	if (!init)
		return;
	if (!call_begin(&call)) {
		glibc.init(init);
		return;
	}
	pool_configure(&disk_pool, init);
	call_end(&call, 0);
}
