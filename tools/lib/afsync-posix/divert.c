// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Syncs that no ring can take: a thread of a pool runs them, as long as the descriptor is still
 * that of the file.
 */
#include <errno.h>
#include <sys/stat.h>

#include "posix.h"

/* Prepares a request that no ring can take for a pool; the checks of the call. */
int sync_divert(struct op *op)
{
	struct identity id = op->id;
	int ret;

	if (!sync_acceptable(op))
		return EBADF;
	/* If it is known, that stays: the descriptor may have become another file's. */
	ret = id.mode ? 0 : identity_of(op->fd, &id);
	if (ret)
		return ret;
	if (S_ISFIFO(id.mode) || S_ISSOCK(id.mode))
		return EINVAL;
	lock();
	op->id = id;
	op->pool = &disk_pool;
	op->ringless = true;
	unlock();
	dropin_count(DROPIN_ELSEWHERE, 1);
	return 0;
}

/*
 * Starts a sync whose ring was lost before it could be started. The device has dropped
 * its file, which has to be found again by the descriptor.
 */
void sync_restart(struct op *op)
{
	int ret = same_file(op);

	if (!ret)
		ret = sync_divert(op);
	if (!ret)
		ret = sync_start(op);
	if (ret)
		op_end(op, ret, -1);
}
