// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Waiting until a word in memory changes, or until a deadline. By system calls: the C library
 * has no futex(2), and a program may replace its clocks.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

#define NS_PER_S	1000000000L
/* The kernel counts in nanoseconds. */
#define NEVER_SEC	(INT64_MAX / NS_PER_S - 1)

/*
 * Where long has 32 bits, the calls with times of 64 bits have names of their own. Times are
 * the kernel's here: time_t is what the library was built with.
 */
#ifdef SYS_futex_time64
#define NR_FUTEX	SYS_futex_time64
#define NR_GETTIME	SYS_clock_gettime64
#else
#define NR_FUTEX	SYS_futex
#define NR_GETTIME	SYS_clock_gettime
#endif

/* Waits while *word is @value. The deadline is of CLOCK_MONOTONIC; NULL for none. */
int futex_wait(const uint32_t *word, uint32_t value,
	       const struct __kernel_timespec *deadline)
{
	if (!syscall(NR_FUTEX, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
		     deadline, NULL, FUTEX_BITSET_MATCH_ANY))
		return 0;
	return errno;
}

void futex_wake(const uint32_t *word)
{
	syscall(NR_FUTEX, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX);
}

/*
 * The clock of a deadline is that of the kernel, as in futex_wait(): another clock_gettime()
 * may replace the program's own.
 */
int deadline_after(const struct __kernel_timespec *timeout,
		   struct __kernel_timespec *deadline)
{
	if (timeout->tv_nsec < 0 || timeout->tv_nsec >= NS_PER_S)
		return EINVAL;
	syscall(NR_GETTIME, CLOCK_MONOTONIC, deadline);
	/* A time that has passed, and one that never comes. */
	if (timeout->tv_sec < 0)
		return 0;
	if (timeout->tv_sec > NEVER_SEC - deadline->tv_sec) {
		deadline->tv_sec = NEVER_SEC;
		return 0;
	}
	deadline->tv_sec += timeout->tv_sec;
	deadline->tv_nsec += timeout->tv_nsec;
	if (deadline->tv_nsec >= NS_PER_S) {
		deadline->tv_nsec -= NS_PER_S;
		deadline->tv_sec++;
	}
	return 0;
}
