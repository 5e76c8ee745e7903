/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The requests that a process of the workload has in flight, and what each acknowledges.
 */
#ifndef AFSYNC_CRASH_REQUEST_H
#define AFSYNC_CRASH_REQUEST_H

#include "work.h"

/* What the completion of a request acknowledges; the caller sets the first line only. */
struct request {
	uint32_t file, first, end;	/* a file of NO_FILE: the folder */
	bool with_size;
	bool used, held, cancelled;
	enum op op;
	uint32_t upto;
};

extern const struct syncer *syncer;
extern uint32_t in_flight;

/* @device is the log of writes: a mark goes into it after each acknowledgment. */
void request_begin(const struct syncer *by, const char *device, uint32_t process);
/* Returns its slot. */
uint32_t submit(struct want want, struct request r);
/* Does nothing to a request that is held, or is not there. */
void cancel(uint32_t slot);
void start_held(void);
void reap(void);
/* Waits for all. Returns the number of syncs that were acknowledged. */
uint32_t request_end(void);

/* All of an open file, and all names. */
void sync_whole_file(enum op op, uint32_t file, int fd);
void sync_folder(int folder);

#endif
