/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libafsync-libaio: the functions of calls.c under the names and versions that programs of
 * libaio use. Only for calls.c. libaio.h cannot be used there: its struct iocb is not the
 * kernel's.
 */
#ifndef _AFSYNC_LIBAIO_CALLS_H
#define _AFSYNC_LIBAIO_CALLS_H

#include <signal.h>
#include <linux/aio_abi.h>
#include <linux/time_types.h>

#include "../afsync-dropin/dropin.h"

/* Never defined: a pointer to it is libaio's io_context_t. */
struct io_context;

typedef void (*aio_callback)(struct io_context *ctx, struct iocb *iocb, long res, long res2);

#pragma GCC visibility push(default)

int aio_setup(int maxevents, struct io_context **ctxp);
int aio_destroy(struct io_context *ctx);
int aio_submit(struct io_context *ctx, long nr, struct iocb **iocbs);
int aio_do_cancel(struct io_context *ctx, struct iocb *iocb, struct io_event *event);
int aio_cancel_0_1(struct io_context *ctx, struct iocb *iocb);
int aio_getevents(struct io_context *ctx, long min_nr, long nr, struct io_event *events,
		  struct __kernel_old_timespec *timeout);
int aio_getevents_0_1(struct io_context *ctx, long nr, struct io_event *events,
		      const struct __kernel_old_timespec *timeout);
int aio_pgetevents(struct io_context *ctx, long min_nr, long nr, struct io_event *events,
		   struct __kernel_old_timespec *timeout, sigset_t *sigmask);
int aio_queue_init(int maxevents, struct io_context **ctxp);
int aio_queue_release(struct io_context *ctx);
int aio_queue_run(struct io_context *ctx);
int aio_queue_wait(struct io_context *ctx, struct __kernel_old_timespec *timeout);
int aio_queue_wait_0_1(struct io_context *ctx, const struct __kernel_old_timespec *timeout);
#ifdef DROPIN_TIME64
int aio_getevents_time64(struct io_context *ctx, long min_nr, long nr,
			 struct io_event *events, struct __kernel_timespec *timeout);
int aio_pgetevents_time64(struct io_context *ctx, long min_nr, long nr,
			  struct io_event *events, struct __kernel_timespec *timeout,
			  sigset_t *sigmask);
#endif

#pragma GCC visibility pop

/* Those with @ are for binaries that were linked with the first libaio. */
__asm__(".symver aio_setup,io_setup@@LIBAIO_0.4");
__asm__(".symver aio_destroy,io_destroy@@LIBAIO_0.4");
__asm__(".symver aio_submit,io_submit@@LIBAIO_0.1");
__asm__(".symver aio_do_cancel,io_cancel@@LIBAIO_0.4");
__asm__(".symver aio_cancel_0_1,io_cancel@LIBAIO_0.1");
__asm__(".symver aio_getevents,io_getevents@@LIBAIO_0.4");
__asm__(".symver aio_getevents_0_1,io_getevents@LIBAIO_0.1");
__asm__(".symver aio_pgetevents,io_pgetevents@@LIBAIO_0.5");
__asm__(".symver aio_queue_init,io_queue_init@@LIBAIO_0.1");
__asm__(".symver aio_queue_release,io_queue_release@@LIBAIO_0.1");
__asm__(".symver aio_queue_run,io_queue_run@@LIBAIO_0.1");
__asm__(".symver aio_queue_wait,io_queue_wait@@LIBAIO_0.4");
__asm__(".symver aio_queue_wait_0_1,io_queue_wait@LIBAIO_0.1");
#ifdef DROPIN_TIME64
/* Debian's, of 13 and later. */
__asm__(".symver aio_getevents_time64,io_getevents_time64@@LIBAIO_0.6");
__asm__(".symver aio_pgetevents_time64,io_pgetevents_time64@@LIBAIO_0.6");
#endif

#endif /* _AFSYNC_LIBAIO_CALLS_H */
