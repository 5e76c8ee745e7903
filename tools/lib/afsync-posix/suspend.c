// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * aio_suspend, without the lock, and with the program's signals open: it may be called in
 * a signal handler, and a thread that waits is a point where it can be cancelled.
 *
 * There is an event word for each hash of a block's address, and one for all blocks.
 * Each end of a request counts both up, after the status is out, and wakes the threads that
 * wait for them. A list with one block waits for its word, a longer one for the common word:
 * then it checks its list more often than it has to, but it registers nowhere, so
 * that it leaves nothing behind when the thread ends.
 *
 *	aio_suspend()				op_end()
 *	  waiters++ (seq_cst)			  status (release)
 *	  value = word (seq_cst)		  word++ (seq_cst)
 *	  look at the statuses			  if waiters (seq_cst): wake
 *	  sleep if word is still value
 *
 * If op_end() sees no waiter, the other side's read of word comes later and has the new
 * value, and with it the status. If the word changes after it was read, there is no sleep.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

#define EVENTS		256
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

struct event {
	uint32_t word;
	uint32_t waiters;
};

static struct event events[EVENTS], all_blocks;

static struct event *event_of(const struct aiocb *block)
{
	uintptr_t key = (uintptr_t)block / 16;

	return &events[(key ^ key / EVENTS) % EVENTS];
}

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

static void event_fire(struct event *event)
{
	__atomic_add_fetch(&event->word, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&event->waiters, __ATOMIC_SEQ_CST))
		futex_wake(&event->word);
}

/* The status of the block is out. Only its address is used. */
void suspend_wake(const struct aiocb *block)
{
	event_fire(event_of(block));
	event_fire(&all_blocks);
}

/* The word to wait for; NULL if one of the list has ended, or the list is empty. */
static struct event *event_of_list(const struct aiocb *const list[], int count)
{
	const struct aiocb *one = NULL;
	bool several = false;
	int i;

	for (i = 0; i < count; i++) {
		if (!list[i])
			continue;
		if (block_error(list[i]) != EINPROGRESS)
			return NULL;
		several = several || (one && one != list[i]);
		one = list[i];
	}
	if (!one)
		return NULL;
	return several ? &all_blocks : event_of(one);
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

/*
 * One wait, in which the thread can be cancelled, or be left by longjmp() from a handler.
 * Then it counts as a waiter for ever, which costs a needless system call at each end.
 * Cleaning up would need a place on the stack, which a longjmp() leaves behind.
 */
static int wait_once(struct event *event, const struct aiocb *const list[], int count,
		     const struct __kernel_timespec *deadline)
{
	uint32_t value;
	int ret = 0, type;

	__atomic_add_fetch(&event->waiters, 1, __ATOMIC_SEQ_CST);
	value = __atomic_load_n(&event->word, __ATOMIC_SEQ_CST);
	if (event_of_list(list, count)) {
		/* Nothing is held here that an asynchronous cancellation could leave. */
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
		ret = futex_wait(&event->word, value, deadline);
		pthread_setcanceltype(type, NULL);
	}
	__atomic_sub_fetch(&event->waiters, 1, __ATOMIC_SEQ_CST);
	return ret;
}

/*
 * Waits until a request of the list has ended. EAGAIN when the time is up, EINTR when a
 * signal came; not if a request has ended by then, so that its result is not missed.
 */
int suspend(const struct aiocb *const list[], int count,
	    const struct __kernel_timespec *timeout)
{
	struct __kernel_timespec time, *deadline = NULL;
	struct event *event;
	int ret = 0;

	if (count < 0 || (count && !list))
		return EINVAL;
	if (timeout) {
		deadline = &time;
		if (deadline_after(timeout, deadline))
			return EINVAL;
	}
	pthread_testcancel();
	while ((event = event_of_list(list, count))) {
		if (ret == EINTR || ret == ETIMEDOUT)
			return ret == EINTR ? EINTR : EAGAIN;
		ret = wait_once(event, list, count, deadline);
	}
	return 0;
}
