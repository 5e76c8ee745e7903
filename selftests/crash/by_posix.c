// SPDX-License-Identifier: GPL-2.0-only
/* Syncs by aio_fsync(); under 'afsync exec' the drop-in serves it. */
#include <aio.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "work.h"

static struct aiocb cbs[DEPTH];
static const struct aiocb *waiting[DEPTH];

static void begin(void) { }

static int submit(const struct want *want, uint32_t slot)
{
	memset(&cbs[slot], 0, sizeof(cbs[slot]));
	cbs[slot].aio_fildes = want->fd;
	if (aio_fsync(want->op == OP_FDATASYNC ? O_DSYNC : O_SYNC, &cbs[slot]))
		return -errno;
	waiting[slot] = &cbs[slot];
	return 0;
}

static int reap(uint32_t *slot)
{
	uint32_t i;
	int error;

	for (;;) {
		for (i = 0; i < DEPTH; i++) {
			if (!waiting[i])
				continue;
			error = aio_error(waiting[i]);
			if (error == EINPROGRESS)
				continue;
			waiting[i] = NULL;
			aio_return(&cbs[i]);
			*slot = i;
			return -error;
		}
		if (aio_suspend(waiting, DEPTH, NULL) && errno != EINTR)
			err(2, "aio_suspend");
	}
}

static void cancel(uint32_t slot) { aio_cancel(cbs[slot].aio_fildes, &cbs[slot]); }
static void end(void) { }

const struct syncer by_posix = {
	.name = "posix", .begin = begin, .submit = submit, .reap = reap, .cancel = cancel,
	.end = end,
};
