/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared declarations of the files of the twins' workload.
 *
 *	work.c		the points: which write fails, and rounds until it has
 *	round.c		a round: write, sync by many descriptors, log each result
 *	event.c		events of the filesystem in the middle of a round
 *	worker.c	the processes that have the descriptors
 *	device.c	messages to the device that fails writes
 */
#ifndef AFSYNC_TWIN_H
#define AFSYNC_TWIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "work.h"

#define NR_FILES	3
#define NR_OPEN_FILES	6	/* of each file */
#define NR_DESCRIPTORS	11	/* of each file */
#define NR_PROCESSES	4
#define BLOCKER		(NR_DESCRIPTORS - 1)
#define PAGE		4096
#define NR_PAGES	64	/* of each file; every other one is written in the rounds */

/* On a thin device each written page is in a block of the pool of its own. */
#define THIN_BLOCK	(64 << 10)
#define THIN_SIZE	(128 << 20)

/* The syncs of a descriptor; the first three are those of enum op. */
enum ask { ASK_FSYNC, ASK_FDATASYNC, ASK_SYNCFS, ASK_RANGE, NR_ASKS };

/* ASK_RANGE: the first half of the file. */
#define RANGE_LENGTH	(NR_PAGES / 2 * PAGE)

struct descriptor {
	unsigned int process;
	unsigned int open_file;
};

/* Ordered by process. */
extern const struct descriptor descriptors[NR_DESCRIPTORS];

/* worker.c */

/* Shared by the processes. A result is a negative errno or 0. */
struct shared {
	int results[NR_FILES][NR_DESCRIPTORS];
	int of_open_file[NR_FILES][NR_OPEN_FILES];	/* UNTOLD: no sync in this round yet */
	int reopened;
};

#define UNTOLD	1

extern struct shared *shared;

/* @by: NULL for the system calls themselves. */
void workers_start(const char *folder, const struct syncer *by);
void workers_end(void);
/* A descriptor of the blocking open file, which the caller has as well. */
int worker_blocker(unsigned int file);
/* @share: a second request of the same open file shares the sync of the first. */
void worker_submit(unsigned int file, unsigned int descriptor, enum ask ask, bool share);
/* Begins to wait for all requests of a process. */
void worker_collect(unsigned int process);
/* Waits until the process has carried out all earlier orders. */
void worker_wait(unsigned int process);
bool worker_answered(unsigned int process, int milliseconds);
/* Reopens the file of a descriptor, if no other process has that open file. */
int worker_reopen(unsigned int file, unsigned int descriptor);

/* device.c */
void device_open(const char *name);
void device_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void device_count(unsigned long *writes, unsigned long *failed, unsigned int *kept);

/* work.c */

enum fault {
	FAULT_NONE,
	FAULT_FILE,	/* of the writes to a file's blocks */
	FAULT_DEVICE,	/* of all writes */
	FAULT_HOLE,	/* of all writes, and blocks have to be found anew in each round */
	FAULT_THIN,	/* blocks that were never written, for a thin device */
	NR_FAULTS
};

extern enum fault fault;
extern bool plain;		/* syncs by system calls */
extern int folder_fd, file_fds[NR_FILES];
extern uint64_t seed;

unsigned int below(unsigned int n);
/* A line of the log begins with the number of the point and of the round. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* round.c */
enum mode { MODE_MERGED, MODE_SINGLE, MODE_FREE, NR_MODES };

struct event;
void run_round(enum mode mode, const struct event *event);

/* event.c */

/* The times in a round at which an event happens; bits. */
enum when {
	BEFORE_WRITES = 1,
	AFTER_WRITES = 2,
	AFTER_WRITES_SYNCS = 4,	/* it waits for the device, which must not keep flushes */
	FREEZES = 8,		/* as above, and the filesystem is frozen until it ends */
};

struct event {
	const char *name;
	enum when when;
	int (*begin)(void);
	int (*end)(void);
};

/* NULL if there is no event of that name. */
const struct event *event_find(const char *name);

#endif
