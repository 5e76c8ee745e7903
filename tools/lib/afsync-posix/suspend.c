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

#include "posix.h"

#define EVENTS		256

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
