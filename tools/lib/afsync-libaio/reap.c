// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * io_getevents() and io_pgetevents() of a context. While syncs are held the kernel is
 * asked for one event at a time: the end of a write may be what a sync waits for, and the
 * thread that waits here starts it at once. The watcher would, too, but later.
 */
#include <errno.h>

#include "internal.h"

#define SEC_NS	1000000000LL

static bool holds(const struct context *ctx)
{
	return __atomic_load_n(&ctx->held, __ATOMIC_RELAXED);
}

static void look(struct context *ctx)
{
	struct lock_mask mask;

	if (!holds(ctx))
		return;
	if (!ring_there(ctx)) {
		context_drop(ctx);
		return;
	}
	context_lock(ctx, &mask);
	events_look(ctx);
	context_unlock(ctx, &mask);
}

static struct timespec now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts;
}

/* What is left of a timeout; zero when it is over. */
static struct timespec left_of(const struct timespec *timeout, const struct timespec *begin)
{
	struct timespec ts = now(), left;

	left.tv_sec = timeout->tv_sec - (ts.tv_sec - begin->tv_sec);
	left.tv_nsec = timeout->tv_nsec - (ts.tv_nsec - begin->tv_nsec);
	while (left.tv_nsec < 0) {
		left.tv_nsec += SEC_NS;
		left.tv_sec--;
	}
	while (left.tv_nsec >= SEC_NS) {
		left.tv_nsec -= SEC_NS;
		left.tv_sec++;
	}
	if (left.tv_sec < 0)
		left = (struct timespec){ 0 };
	return left;
}

static long ask(aio_context_t id, long min_nr, long nr, struct io_event *events,
		const struct timespec *timeout, const sigset_t *sigmask)
{
	if (sigmask)
		return sys_io_pgetevents(id, min_nr, nr, events, timeout, sigmask);
	return sys_io_getevents(id, min_nr, nr, events, timeout);
}

/* One that the kernel would not make sense of, or cannot read, is left to it. */
static bool ordinary(const struct timespec *timeout, struct timespec *value)
{
	void *from = (void *)timeout;

	return !timeout || (memory_read(value, &from, sizeof(*value), 1) == 1 &&
			    value->tv_sec >= 0 && value->tv_nsec >= 0 &&
			    value->tv_nsec < SEC_NS);
}

/* As one call to the kernel that asks for min_nr events, but in steps. */
static long ask_in_steps(struct context *ctx, long min_nr, long nr,
			 struct io_event *events, const struct timespec *timeout,
			 const sigset_t *sigmask)
{
	const struct timespec *rest = timeout;
	struct timespec begin = now(), left;
	long got = 0, ret, want;

	do {
		want = holds(ctx) ? 1 : min_nr - got;
		ret = ask(ctx->id, want, nr - got, events + got, rest, sigmask);
		look(ctx);
		if (ret > 0)
			got += ret;
		if (timeout) {
			left = left_of(timeout, &begin);
			rest = &left;
		}
	} while (ret > 0 && got < min_nr);
	return got ? got : ret;
}

/* The ring is empty, and nobody wants to wait: no system call is needed to say so. */
static bool nothing_there(aio_context_t id, const struct timespec *timeout)
{
	const struct aio_ring *ring = (const void *)id;
	struct timespec value;

	return timeout && context_mapped(id) &&
	       __atomic_load_n(&ring->head, __ATOMIC_RELAXED) ==
	       __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) &&
	       ordinary(timeout, &value) && !value.tv_sec && !value.tv_nsec;
}

long events_reap(aio_context_t id, long min_nr, long nr, struct io_event *events,
		 const struct timespec *timeout, const sigset_t *sigmask)
{
	struct timespec value;
	struct context *ctx;
	long ret;

	ctx = watch_any() ? context_get(id) : NULL;
	if (ctx)
		look(ctx);
	if (nothing_there(id, timeout))
		ret = 0;
	else if (ctx && holds(ctx) && min_nr > 1 && min_nr <= nr &&
		 ordinary(timeout, &value))
		ret = ask_in_steps(ctx, min_nr, nr, events, timeout ? &value : NULL,
				   sigmask);
	else
		ret = ask(id, min_nr, nr, events, timeout, sigmask);
	/* Held by another thread meanwhile. */
	if (!ctx && watch_any())
		ctx = context_get(id);
	if (!ctx)
		return ret;
	look(ctx);
	context_put(ctx);
	return ret;
}
