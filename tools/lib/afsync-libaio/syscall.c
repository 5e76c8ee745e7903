// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * System calls as in libaio: they return -errno and do not change errno. And access
 * to the program's memory that a bad pointer does not kill.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/time_types.h>

#include "internal.h"

/* No page is smaller, so what has a readable byte here is readable. */
#define PAGE	4096UL

static long result(long ret, int saved)
{
	if (ret < 0) {
		ret = -errno;
		errno = saved;
	}
	return ret;
}

long sys_io_setup(unsigned int nr, aio_context_t *id)
{
	int saved = errno;

	return result(syscall(SYS_io_setup, nr, id), saved);
}

long sys_io_destroy(aio_context_t id)
{
	int saved = errno;

	return result(syscall(SYS_io_destroy, id), saved);
}

long sys_io_submit(aio_context_t id, long nr, struct iocb **iocbs)
{
	int saved = errno;

	return result(syscall(SYS_io_submit, id, nr, iocbs), saved);
}

long sys_io_cancel(aio_context_t id, struct iocb *iocb, struct io_event *event)
{
	int saved = errno;

	return result(syscall(SYS_io_cancel, id, iocb, event), saved);
}

long sys_io_getevents(aio_context_t id, long min_nr, long nr, struct io_event *events,
		      const void *timeout, enum time_kind kind)
{
	int saved = errno;

	/* The kernel has this one with a mask only. */
	if (kind == TIME_64)
		return sys_io_pgetevents(id, min_nr, nr, events, timeout, kind, NULL);
	return result(syscall(SYS_io_getevents, id, min_nr, nr, events, timeout), saved);
}

long sys_io_pgetevents(aio_context_t id, long min_nr, long nr, struct io_event *events,
		       const void *timeout, enum time_kind kind, const sigset_t *sigmask)
{
	struct {
		const sigset_t *mask;
		size_t size;
	} arg = { sigmask, _NSIG / 8 };
	long call = SYS_io_pgetevents;
	int saved = errno;

#ifdef SYS_io_pgetevents_time64
	if (kind == TIME_64)
		call = SYS_io_pgetevents_time64;
#else
	(void)kind;
#endif
	return result(syscall(call, id, min_nr, nr, events, timeout, &arg), saved);
}

long sys_ioctl(int fd, unsigned long command, void *arg)
{
	int saved = errno;

	return result(syscall(SYS_ioctl, fd, command, arg), saved);
}

void nap(long ns)
{
	struct __kernel_old_timespec ts = { 0, ns };
	int saved = errno;

	syscall(SYS_nanosleep, &ts, NULL);
	errno = saved;
}

/*
 * Cancelling a thread is a signal that stays, and with the asynchronous kind of it any place
 * is one to end.
 */
void masked_lock(pthread_mutex_t *mutex, struct lock_mask *mask)
{
	sigset_t all;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mask->cancel_state);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask->signals);
	pthread_mutex_lock(mutex);
}

void masked_unlock(pthread_mutex_t *mutex, const struct lock_mask *mask)
{
	pthread_mutex_unlock(mutex);
	pthread_sigmask(SIG_SETMASK, &mask->signals, NULL);
	pthread_setcancelstate(mask->cancel_state, NULL);
}

/*
 * The kernel reads the mask before it refuses the invalid operation. So this
 * changes nothing, and shows whether the mask can be read. It takes less time than copying by
 * process_vm_readv(), which the path of every read and write would feel.
 */
static bool page_readable(unsigned long page)
{
	int saved = errno;
	bool fault;

	/* Not the start, which would be no mask at all in the case of page 0. */
	fault = syscall(SYS_rt_sigprocmask, -1, page + 8, NULL, _NSIG / 8) < 0 &&
		errno == EFAULT;
	errno = saved;
	return !fault;
}

long memory_read(void *to, void *const *from, size_t size, long nr)
{
	/* Programs have most of their arguments on this stack. */
	unsigned long stack = (unsigned long)&stack & -PAGE, known = stack, page, last;
	long i;

	for (i = 0; i < nr; i++) {
		last = ((unsigned long)from[i] + size - 1) & -PAGE;
		for (page = (unsigned long)from[i] & -PAGE; ; page += PAGE) {
			if (page != stack && page != known && !page_readable(page))
				return i;
			if (page != stack)
				known = page;
			if (page == last)
				break;
		}
		memcpy((char *)to + i * size, from[i], size);
	}
	return nr;
}

/* The kernel writes there without further permission. */
static bool word_writable(void *at)
{
	int saved = errno;
	__u64 was;
	bool fault;

	memcpy(&was, at, sizeof(was));
	fault = syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, at, sizeof(was)) < 0 &&
		errno == EFAULT;
	errno = saved;
	if (!fault)
		memcpy(at, &was, sizeof(was));
	return !fault;
}

long memory_write(void *const *to, const void *from, size_t size, long nr)
{
	unsigned long page, known = (unsigned long)&page & -PAGE;
	char *first, *last;
	long i;

	for (i = 0; i < nr; i++) {
		first = to[i];
		last = first + size - sizeof(__u64);
		page = (unsigned long)first & -PAGE;
		if (page != known && !word_writable(first))
			return i;
		known = page;
		/* If it lies in two. */
		page = ((unsigned long)first + size - 1) & -PAGE;
		if (page != known && !word_writable(last))
			return i;
		known = page;
		memcpy(to[i], (const char *)from + i * size, size);
	}
	return nr;
}
