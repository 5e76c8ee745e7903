// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * libafsync-libaio: the functions that programs of libaio call, under the names and versions
 * of libaio.so.1. Preloaded, it replaces that library; it does not need it, and everything
 * except syncs goes to the kernel by the same system calls.
 *
 * Where it differs from libaio and the kernel's own AIO:
 *
 *	- A sync ends after all requests that were submitted before it, in its context and
 *	  for its descriptor. Kernel AIO starts it at once.
 *	- io_cancel() cancels a sync that has not begun: it returns -EINPROGRESS, and the
 *	  event has -ECANCELED. For a running one it returns -EAGAIN. With kernel AIO both
 *	  are -EINVAL.
 *	- When 8192 syncs of the process are outstanding, or as many as the device allows,
 *	  io_submit() returns -EAGAIN, or if nothing of the context is outstanding leaves
 *	  the sync to kernel AIO.
 *	- An iocb of a sync is changed while io_submit() runs, and changed back. Two threads
 *	  must not submit the same one at the same time.
 *	- The calls are no longer system calls. They may still be used in signal handlers, but
 *	  not by a process made with vfork().
 *	- A thread may be started, which starts syncs that wait for other requests.
 *	- If the program closes our descriptor, syncs that wait for other requests at that
 *	  time end with -ECANCELED.
 *
 * Without /dev/afsync, and for contexts made by the system call itself, all calls are
 * those of libaio. Documentation/man/libafsync-libaio.7 has the whole list.
 */
#include <errno.h>

#include "calls.h"
#include "internal.h"

static aio_context_t id_of(struct io_context *ctx)
{
	return (aio_context_t)ctx;
}

int aio_setup(int maxevents, struct io_context **ctxp)
{
	long ret = sys_io_setup(maxevents, (aio_context_t *)ctxp);

	if (!ret)
		context_add(id_of(*ctxp));
	return ret;
}

int aio_destroy(struct io_context *ctx)
{
	context_remove(id_of(ctx));
	return sys_io_destroy(id_of(ctx));
}

/* How many of them are syncs, up to the first that cannot be read. */
static unsigned long count_syncs(long nr, struct iocb **iocbs)
{
	struct iocb *name, iocb;
	unsigned long syncs = 0;
	void *from;

	for (; nr > 0; nr--, iocbs++) {
		from = iocbs;
		if (memory_read(&name, &from, sizeof(name), 1) != 1)
			break;
		from = name;
		if (memory_read(&iocb, &from, sizeof(iocb), 1) != 1)
			break;
		syncs += iocb.aio_lio_opcode == IOCB_CMD_FSYNC ||
			 iocb.aio_lio_opcode == IOCB_CMD_FDSYNC;
	}
	return syncs;
}

/* All of it is for the kernel's AIO. Afterwards the iocbs may be gone: count before. */
static long submit_elsewhere(aio_context_t id, long nr, struct iocb **iocbs)
{
	unsigned long syncs = dropin_counts() ? count_syncs(nr, iocbs) : 0;
	long ret = sys_io_submit(id, nr, iocbs);

	if (syncs && ret > 0)
		dropin_count(DROPIN_ELSEWHERE, ret < nr ? count_syncs(ret, iocbs) : syncs);
	return ret;
}

int aio_submit(struct io_context *id, long nr, struct iocb **iocbs)
{
	struct context *ctx = nr > 0 ? context_get(id_of(id)) : NULL;
	long ret;

	if (!ctx)
		return submit_elsewhere(id_of(id), nr, iocbs);
	ret = context_submit(ctx, nr, iocbs);
	context_put(ctx);
	return ret;
}

/*
 * The kernel can cancel a request that is attached to its AIO. Under the lock, because an
 * iocb that is just being submitted has not been restored yet, and the event of the
 * cancellation allows the program to reuse it.
 */
int aio_do_cancel(struct io_context *id, struct iocb *iocb, struct io_event *event)
{
	struct context *ctx = context_get(id_of(id));
	unsigned long syncs;
	struct lock_mask mask;
	long ret;

	if (!ctx)
		return sys_io_cancel(id_of(id), iocb, event);
	syncs = dropin_counts() ? count_syncs(1, &iocb) : 0;
	context_lock(ctx, &mask);
	ret = sys_io_cancel(id_of(id), iocb, event);
	context_unlock(ctx, &mask);
	context_put(ctx);
	if (ret == -EINPROGRESS)
		dropin_count(DROPIN_LIBAIO_CANCELLED, syncs);
	return ret;
}

int aio_cancel_0_1(struct io_context *ctx, struct iocb *iocb)
{
	struct io_event ignored;

	return aio_do_cancel(ctx, iocb, &ignored);
}

int aio_getevents(struct io_context *ctx, long min_nr, long nr, struct io_event *events,
		  struct __kernel_old_timespec *timeout)
{
	return events_get(id_of(ctx), min_nr, nr, events, timeout, TIME_LONG);
}

int aio_getevents_0_1(struct io_context *ctx, long nr, struct io_event *events,
		      const struct __kernel_old_timespec *timeout)
{
	return events_get(id_of(ctx), 1, nr, events, timeout, TIME_LONG);
}

int aio_pgetevents(struct io_context *ctx, long min_nr, long nr, struct io_event *events,
		   struct __kernel_old_timespec *timeout, sigset_t *sigmask)
{
	return events_pget(id_of(ctx), min_nr, nr, events, timeout, TIME_LONG, sigmask);
}

#ifdef DROPIN_TIME64
int aio_getevents_time64(struct io_context *ctx, long min_nr, long nr,
			 struct io_event *events, struct __kernel_timespec *timeout)
{
	return events_get(id_of(ctx), min_nr, nr, events, timeout, TIME_64);
}

int aio_pgetevents_time64(struct io_context *ctx, long min_nr, long nr,
			  struct io_event *events, struct __kernel_timespec *timeout,
			  sigset_t *sigmask)
{
	return events_pget(id_of(ctx), min_nr, nr, events, timeout, TIME_64, sigmask);
}
#endif

int aio_queue_init(int maxevents, struct io_context **ctxp)
{
	if (maxevents <= 0)
		return -EINVAL;
	*ctxp = NULL;
	return aio_setup(maxevents, ctxp);
}

int aio_queue_release(struct io_context *ctx)
{
	return aio_destroy(ctx);
}

int aio_queue_run(struct io_context *ctx)
{
	struct __kernel_old_timespec zero = { 0, 0 };
	struct io_event event;
	int ret;

	while ((ret = aio_getevents(ctx, 0, 1, &event, &zero)) == 1)
		((aio_callback)(unsigned long)event.data)(ctx,
			(struct iocb *)(unsigned long)event.obj, event.res, event.res2);
	return ret;
}

int aio_queue_wait(struct io_context *ctx, struct __kernel_old_timespec *timeout)
{
	return aio_getevents(ctx, 0, 0, NULL, timeout);
}

int aio_queue_wait_0_1(struct io_context *ctx, const struct __kernel_old_timespec *timeout)
{
	return events_get(id_of(ctx), 0, 0, NULL, timeout, TIME_LONG);
}
