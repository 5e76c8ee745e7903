// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the filesystem sync files of this kind at all? The device refuses such a request at
 * submit. Threads of the library find out by trying, when the descriptor is closed, and
 * an EINVAL can be the error of a write as well. So the first file of each filesystem and
 * type that a walk finds is synced at once, and those of a kind that cannot be synced are
 * skipped.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "afsync.h"

struct kind {
	struct kind *next;
	dev_t dev;
	mode_t type;
	bool unsupported;
};

static struct kind *kinds;

static struct kind *kind_of(const struct stat *st)
{
	struct kind *kind;

	for (kind = kinds; kind; kind = kind->next)
		if (kind->dev == st->st_dev && kind->type == (st->st_mode & S_IFMT))
			break;
	return kind;
}

/*
 * True if @fd is finished: its kind cannot be synced, or this was the first one, whose result
 * is in *res. *unsupported is as in sync_plainly().
 */
bool probe_done(enum afsync_op op, int fd, int *res, bool *unsupported)
{
	struct kind *kind;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	kind = kind_of(&st);
	if (kind) {
		*unsupported = kind->unsupported;
		*res = kind->unsupported ? -EINVAL : 0;
		return kind->unsupported;
	}
	*res = sync_plainly(op, fd, unsupported);
	kind = malloc(sizeof(*kind));
	if (kind) {
		*kind = (struct kind){
			.next = kinds,
			.dev = st.st_dev,
			.type = st.st_mode & S_IFMT,
			.unsupported = *unsupported,
		};
		kinds = kind;
	}
	return true;
}

void probe_forget(void)
{
	struct kind *kind;

	while ((kind = kinds)) {
		kinds = kind->next;
		free(kind);
	}
}
