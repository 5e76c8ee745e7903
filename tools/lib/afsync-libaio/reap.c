// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * io_getevents() and io_pgetevents(). The wait is one system call with the arguments of the
 * program, whatever is held meanwhile: only the kernel can distinguish a signal that comes
 * together with an event from one that does not, and applies the timeout and the mask in one
 * step. Held syncs are checked before and after it; during the wait the watcher does that.
 *
 * No reference to a context is kept during the wait: a handler may leave it by longjmp().
 */
#include <linux/time_types.h>

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

/* False of one that cannot be read, which is left to the kernel. */
static bool is_zero(const void *timeout, enum time_kind kind)
{
	void *from = (void *)timeout;
	struct __kernel_old_timespec time;
	struct __kernel_timespec time64;

	if (kind == TIME_LONG)
		return memory_read(&time, &from, sizeof(time), 1) == 1 &&
		       !time.tv_sec && !time.tv_nsec;
	return memory_read(&time64, &from, sizeof(time64), 1) == 1 &&
	       !time64.tv_sec && !(__s32)time64.tv_nsec;
}

/*
 * The ring is empty, and the call must not wait: that needs no system call. libaio
 * has the same shortcut, before anything else of the call is looked at.
 */
static bool nothing_there(aio_context_t id, const void *timeout, enum time_kind kind)
{
	const struct aio_ring *ring = (const void *)id;

	return timeout && context_mapped(id) &&
	       __atomic_load_n(&ring->head, __ATOMIC_RELAXED) ==
	       __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) &&
	       is_zero(timeout, kind);
}

long events_get(aio_context_t id, long min_nr, long nr, struct io_event *events,
		const void *timeout, enum time_kind kind)
{
	long ret = 0;

	look(id);
	if (!nothing_there(id, timeout, kind))
		ret = sys_io_getevents(id, min_nr, nr, events, timeout, kind);
	look(id);
	return ret;
}

long events_pget(aio_context_t id, long min_nr, long nr, struct io_event *events,
		 const void *timeout, enum time_kind kind, const sigset_t *sigmask)
{
	long ret = 0;

	look(id);
	if (!nothing_there(id, timeout, kind))
		ret = sys_io_pgetevents(id, min_nr, nr, events, timeout, kind, sigmask);
	look(id);
	return ret;
}
