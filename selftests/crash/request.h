/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The requests that a process of the workload has in flight, and the records that each
 * acknowledges.
 */
#ifndef AFSYNC_CRASH_REQUEST_H
#define AFSYNC_CRASH_REQUEST_H

#include "work.h"

/* Describes what the request acknowledges; the caller sets only the first line. */
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
/* Does nothing if the request is held, or does not exist. */
void cancel(uint32_t slot);
void start_held(void);
void reap(void);
/* Waits for all. Returns the number of acknowledged syncs. */
uint32_t request_end(void);

/* All records of an open file, and all names. */
void sync_whole_file(enum op op, uint32_t file, int fd);
void sync_folder(int folder);

#endif
