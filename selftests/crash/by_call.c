// SPDX-License-Identifier: GPL-2.0-only
/* Syncs by fsync(2) and its relatives, to see the promises of the filesystem itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "work.h"

static int results[DEPTH];
static bool done[DEPTH];

static void begin(void)
{
}

static int submit(const struct want *want, uint32_t slot)
{
	int ret;

	if (want->op == OP_SYNCFS)
		ret = syncfs(want->fd);
	else if (want->op == OP_FDATASYNC)
		ret = fdatasync(want->fd);
	else
		ret = fsync(want->fd);
	results[slot] = ret ? -errno : 0;
	done[slot] = true;
	return 0;
}

static int reap(uint32_t *slot)
{
	for (*slot = 0; !done[*slot]; ++*slot)
		;
	done[*slot] = false;
	return results[*slot];
}

const struct syncer by_call = {
	.name = "call", .begin = begin, .submit = submit, .reap = reap, .end = begin,
};
