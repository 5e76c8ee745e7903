// SPDX-License-Identifier: GPL-2.0-only
/* Syncs by libafsync, with the engine that AFSYNC_ENGINE names. */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include <libafsync.h>

#include "work.h"

static struct afsync_ring *ring;

static void begin(void)
{
	unsigned int flags = getenv("CRASH_INLINE") ? AFSYNC_INIT_INLINE : 0;
	int ret = afsync_queue_init(DEPTH, &ring, flags);

	if (ret)
		errx(2, "afsync_queue_init: %s", strerror(-ret));
}

static int submit(const struct want *want, uint32_t slot)
{
	struct afsync_sqe *sqe = afsync_get_sqe(ring);
	int ret;

	switch (want->op) {
	case OP_FSYNC:
		afsync_prep_fsync_range(sqe, want->fd, want->offset, want->length);
		break;
	case OP_FDATASYNC:
		afsync_prep_fdatasync_range(sqe, want->fd, want->offset, want->length);
		break;
	default:
		afsync_prep_syncfs(sqe, want->fd);
	}
	afsync_sqe_set_flags(sqe, (want->drain ? AFSYNC_SQE_DRAIN : 0) |
			     (want->hold ? AFSYNC_SQE_HOLD : 0));
	afsync_sqe_set_data64(sqe, slot);
	/* If nothing else is in flight it may run the sync itself. */
	ret = getenv("CRASH_INLINE") && !want->hold ? afsync_submit_and_wait(ring, 1) :
						      afsync_submit(ring);
	if (ret != 1) {
		afsync_sq_drop(ring, NULL, 0);
		return ret < 0 ? ret : -1;
	}
	return 0;
}

static int reap(uint32_t *slot)
{
	struct afsync_cqe *cqe;
	int ret;

	ret = afsync_wait_cqe(ring, &cqe);
	if (ret)
		errx(2, "afsync_wait_cqe: %s", strerror(-ret));
	*slot = cqe->user_data;
	ret = cqe->res;
	afsync_cqe_seen(ring, cqe);
	return ret;
}

static void start(uint32_t slot)
{
	int ret = afsync_start(ring, slot);

	if (ret != 1)
		errx(2, "afsync_start: %d", ret);
}

static void cancel(uint32_t slot) { afsync_cancel(ring, slot); }
static void end(void) { afsync_queue_exit(ring); }

const struct syncer by_library = {
	.name = "library", .has_ranges = true, .begin = begin, .submit = submit, .reap = reap,
	.start = start, .cancel = cancel, .end = end,
};
