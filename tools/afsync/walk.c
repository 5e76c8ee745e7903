// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks a directory tree for --recursive: hands out regular files and directories.
 * A symbolic link is followed if it was named on the command line, and skipped
 * below; FIFOs, sockets and devices below are skipped too, and files that are gone before
 * the walk reaches them. The walk changes the
 * working directory as it goes, so the depth of the tree is not limited; each
 * path is valid until the next call.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>

#include "afsync.h"

struct walk {
	FTS *fts;
	const char *top;
	bool one_file_system;
	bool ended;
	dev_t device;		/* of the top */
};

/* NULL with errno set on failure. @top must stay until walk_close(). */
struct walk *walk_open(const char *top, bool one_file_system)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	char *roots[2] = { NULL, NULL };

	if (!walk)
		return NULL;
	roots[0] = (char *)top;		/* fts copies it */
	walk->top = top;
	walk->one_file_system = one_file_system;
	walk->fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW |
			     (one_file_system ? FTS_XDEV : 0), NULL);
	if (!walk->fts) {
		free(walk);
		return NULL;
	}
	return walk;
}

void walk_close(struct walk *walk)
{
	fts_close(walk->fts);
	free(walk);
}

/* Should the file be synced? An operand is always tried. */
static bool wanted(const struct walk *walk, const FTSENT *entry)
{
	if (entry->fts_level == FTS_ROOTLEVEL)
		return true;
	/* FTS_XDEV still hands out the directory that is mounted over. */
	if (walk->one_file_system && entry->fts_statp->st_dev != walk->device)
		return false;
	return entry->fts_info == FTS_F || entry->fts_info == FTS_DP;
}

/*
 * Directories come after their contents: then the walk knows whether it could
 * read them, and there is one message for each unreadable one.
 */
enum names_result walk_next(struct walk *walk, struct name *name, int *error)
{
	FTSENT *entry;

	for (;;) {
		if (walk->ended)
			return NAMES_END;
		errno = 0;
		entry = fts_read(walk->fts);
		if (!entry) {
			walk->ended = true;
			*error = errno;
			name->shown = walk->top;
			name->below = false;
			return errno ? NAMES_BAD : NAMES_END;
		}
		name->shown = entry->fts_path;
		name->path = entry->fts_accpath;
		name->below = entry->fts_level > FTS_ROOTLEVEL;
		/* Not even if it became a link since fts looked. */
		name->open_flags = name->below ? O_NOFOLLOW : 0;

		switch (entry->fts_info) {
		case FTS_D:
			if (entry->fts_level == FTS_ROOTLEVEL)
				walk->device = entry->fts_statp->st_dev;
			continue;
		case FTS_DNR:
		case FTS_NS:
			/* Gone since its name was read. */
			if (name->below && entry->fts_errno == ENOENT)
				continue;
			__attribute__((fallthrough));
		case FTS_ERR:
			*error = entry->fts_errno;
			return NAMES_BAD;
		case FTS_DC:
			*error = ELOOP;
			return NAMES_BAD;
		default:
			if (wanted(walk, entry))
				return NAMES_OK;
		}
	}
}
