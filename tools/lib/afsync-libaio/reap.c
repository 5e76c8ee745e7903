// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * io_getevents() and io_pgetevents(). The wait is one system call with the arguments of the
 * program, whatever is held meanwhile: only the kernel can tell a signal that comes together
 * with an event from one that does not, and has the timeout and the mask in one step. What
 * is held is looked at before and after it; during the wait that is the watcher's work.
 *
 * No reference to a context is kept during the wait: a handler may leave it by longjmp().
 */
#include "internal.h"

static void look(aio_context_t id)
{
	struct context *ctx = watch_any() ? context_get(id) : NULL;
	struct lock_mask mask;

	if (!ctx)
		return;
	if (!__atomic_load_n(&ctx->held, __ATOMIC_RELAXED)) {
		/* nothing to do */
	} else if (ring_there(ctx)) {
		context_lock(ctx, &mask);
		events_look(ctx);
		context_unlock(ctx, &mask);
	} else {
		context_drop(ctx);
	}
	context_put(ctx);
}

/*
 * The ring is empty, and nobody wants to wait: no system call is needed to say so. libaio
 * has the same shortcut, before anything else of the call is looked at.
 */
static bool nothing_there(aio_context_t id, const struct timespec *timeout)
{
	const struct aio_ring *ring = (const void *)id;
	void *from = (void *)timeout;
	struct timespec value;

	/* One that cannot be read is left to the kernel. */
	return timeout && context_mapped(id) &&
	       __atomic_load_n(&ring->head, __ATOMIC_RELAXED) ==
	       __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) &&
	       memory_read(&value, &from, sizeof(value), 1) == 1 &&
	       !value.tv_sec && !value.tv_nsec;
}

long events_get(aio_context_t id, long min_nr, long nr, struct io_event *events,
		const struct timespec *timeout)
{
	long ret = 0;

	look(id);
	if (!nothing_there(id, timeout))
		ret = sys_io_getevents(id, min_nr, nr, events, timeout);
	look(id);
	return ret;
}

long events_pget(aio_context_t id, long min_nr, long nr, struct io_event *events,
		 const struct timespec *timeout, const sigset_t *sigmask)
{
	long ret = 0;

	look(id);
	if (!nothing_there(id, timeout))
		ret = sys_io_pgetevents(id, min_nr, nr, events, timeout, sigmask);
	look(id);
	return ret;
}
