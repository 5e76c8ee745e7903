// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a descriptor number of the program refers to, now.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "posix.h"

/* EBADF if the descriptor is not open. Asks no server: cached attributes are enough. */
int identity_of(int fd, struct identity *id)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_INO | STATX_BTIME, &stx))
		return errno;
	id->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	id->ino = stx.stx_ino;
	id->mode = stx.stx_mode;
	id->born_sec = 0;
	id->born_nsec = 0;
	if (stx.stx_mask & STATX_BTIME) {
		id->born_sec = stx.stx_btime.tv_sec;
		id->born_nsec = stx.stx_btime.tv_nsec;
	}
	return 0;
}

/* ECANCELED if the descriptor was closed, or is that of another file by now. */
int same_file(const struct op *op)
{
	struct identity now;
	int ret;

	ret = identity_of(op->fd, &now);
	if (ret)
		return ret == EBADF ? ECANCELED : ret;
	if (now.dev != op->id.dev || now.ino != op->id.ino)
		return ECANCELED;
	/* Where the filesystem gives it both times. */
	if (now.born_sec && op->id.born_sec &&
	    (now.born_sec != op->id.born_sec || now.born_nsec != op->id.born_nsec))
		return ECANCELED;
	return 0;
}

/* May a sync be queued for the descriptor, as it is now? */
bool sync_acceptable(const struct op *op)
{
	int flags = fcntl(op->fd, F_GETFL);

	if (flags < 0 || flags & O_PATH)
		return false;
	return !op->writable || (flags & O_ACCMODE) != O_RDONLY;
}
