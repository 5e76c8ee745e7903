// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the names come from: the command line or a list (files0.c), each of them
 * walked (walk.c) with --recursive. Opens nothing but the list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "afsync.h"

struct names {
	const struct options *opt;
	struct files0 *list;	/* with --files0-from */
	size_t next;		/* operand */
	struct walk *walk;	/* the tree of the current walk */
};

/* NULL after a message. */
struct names *names_open(const struct options *opt)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names) {
		complain("%s", strerror(ENOMEM));
		return NULL;
	}
	names->opt = opt;
	if (opt->files0) {
		names->list = files0_open(opt->files0);
		if (!names->list) {
			free(names);
			return NULL;
		}
	}
	return names;
}

void names_close(struct names *names)
{
	if (names->walk)
		walk_close(names->walk);
	if (names->list)
		files0_close(names->list);
	free(names);
}

/* What to poll after NAMES_LATER. */
int names_fd(const struct names *names)
{
	return files0_fd(names->list);
}

/* How many names there will be, 0 if that is not known. */
uint64_t names_count(const struct names *names)
{
	return names->list || names->opt->recursive ? 0 : names->opt->nr_files;
}

static enum names_result next_top(struct names *names, const char **top, int *error)
{
	if (names->list)
		return files0_next(names->list, top, error);
	if (names->next == names->opt->nr_files)
		return NAMES_END;
	*top = names->opt->files[names->next++];
	return NAMES_OK;
}

/*
 * The next name. After NAMES_BAD and NAMES_EMPTY the caller goes on.
 */
enum names_result names_next(struct names *names, struct name *name, int *error)
{
	enum names_result result;

	for (;;) {
		if (names->walk) {
			result = walk_next(names->walk, name, error);
			if (result != NAMES_END)
				return result;
			walk_close(names->walk);
			names->walk = NULL;
		}
		result = next_top(names, &name->shown, error);
		if (result != NAMES_OK)
			return result;
		name->path = name->shown;
		name->open_flags = 0;
		name->below = false;
		if (!names->opt->recursive)
			return NAMES_OK;
		names->walk = walk_open(name->shown, names->opt->one_file_system);
		if (!names->walk) {
			*error = errno;
			return NAMES_BAD;
		}
	}
}
