/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workload, and the interfaces by which it syncs.
 */
#ifndef AFSYNC_CRASH_WORK_H
#define AFSYNC_CRASH_WORK_H

#include "model.h"

#define DEPTH	16u		/* requests in flight */

enum op { OP_FSYNC, OP_FDATASYNC, OP_SYNCFS, OPS };

struct want {
	enum op op;
	int fd;
	uint64_t offset, length;	/* bytes; a length of 0 is to the end of the file */
	bool drain;
	bool hold;
};

/*
 * A syncer. Slots are below DEPTH, one for each request in flight. Errors are negative
 * errnos. A caller never submits more than DEPTH requests.
 */
struct syncer {
	const char *name;
	bool has_ranges;		/* and syncfs, DRAIN, HOLD, cancel */
	void (*begin)(void);
	int (*submit)(const struct want *want, uint32_t slot);
	/* Waits for one completion. */
	int (*reap)(uint32_t *slot);
	void (*start)(uint32_t slot);	/* of a held one */
	void (*cancel)(uint32_t slot);
	void (*end)(void);
};

extern const struct syncer by_library, by_posix, by_libaio, by_command, by_call;

#endif
