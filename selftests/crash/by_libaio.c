// SPDX-License-Identifier: GPL-2.0-only
/* Syncs by io_submit(); under 'afsync exec' the drop-in serves it. */
#include <err.h>
#include <libaio.h>
#include <string.h>

#include "work.h"

static io_context_t context;
static struct iocb iocbs[DEPTH];

static void begin(void)
{
	int ret = io_setup(DEPTH, &context);

	if (ret)
		errx(2, "io_setup: %s", strerror(-ret));
}

static int submit(const struct want *want, uint32_t slot)
{
	struct iocb *iocb = &iocbs[slot];
	int ret;

	if (want->op == OP_FDATASYNC)
		io_prep_fdsync(iocb, want->fd);
	else
		io_prep_fsync(iocb, want->fd);
	ret = io_submit(context, 1, &iocb);
	return ret == 1 ? 0 : ret < 0 ? ret : -1;
}

static int reap(uint32_t *slot)
{
	struct io_event event;
	int ret = io_getevents(context, 1, 1, &event, NULL);

	if (ret != 1)
		errx(2, "io_getevents: %d", ret);
	*slot = event.obj - iocbs;
	return (long)event.res;
}

static void cancel(uint32_t slot)
{
	struct io_event event;

	/* A cancelled request completes by an event. */
	io_cancel(context, &iocbs[slot], &event);
}

static void end(void) { io_destroy(context); }

const struct syncer by_libaio = {
	.name = "libaio", .begin = begin, .submit = submit, .reap = reap, .cancel = cancel,
	.end = end,
};
