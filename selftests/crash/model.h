/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The actions of a process of the workload, and the acknowledgments that it received: a
 * list of records in a file of its own, outside the filesystem that crashes. The workload
 * appends to it, the check after a crash reads it.
 *
 * A file consists of sectors. Each written sector contains its file, its position and the
 * record that wrote it; so every sector of a file after a crash shows how old it is. A sync
 * acknowledges the youngest record before its submit: a sector must not be older.
 */
#ifndef AFSYNC_CRASH_MODEL_H
#define AFSYNC_CRASH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR		512
#define MAX_SECTORS	256u		/* of a file */
#define FILES		4096u		/* that a process may create */
#define NAMES		12u		/* names that a process gives to files, n0, n1, ... */
#define NO_FILE		UINT32_MAX
#define FOLDER		(UINT32_MAX - 1)	/* the name of a directory */

enum kind {
	DID_WRITE = 1,		/* sectors first to end of file */
	DID_TRUNCATE,		/* file has end sectors */
	DID_CHMOD,		/* file has mode end */
	DID_NAME,		/* name is of file, or of none */
	ACK_DATA,		/* sectors first to end of file, as after record upto */
	ACK_SIZE,		/* the size of file */
	ACK_MODE,
	ACK_NAMES,		/* all names */
	ACK_ALL,		/* of this process */
};

struct record {
	uint32_t kind;
	uint32_t file;
	uint32_t name;
	uint32_t first;
	uint32_t end;
	uint32_t upto;		/* ACK_*: number of records at the submit */
	uint32_t ack;		/* ACK_*: the number in the mark */
	uint32_t pad;
};

struct history {
	struct record *records;
	size_t nr;
	uint32_t nr_files;
};

/* sector.c: the contents of a sector */
struct sector_id {
	uint32_t process;
	uint32_t file;
	uint32_t place;
	uint32_t version;	/* the record that wrote it, counted from 1; 0: never, or a hole */
};

void sector_fill(void *buf, const struct sector_id *id);
/* False if it is no sector of the workload, or only part of one. */
bool sector_read(const void *buf, struct sector_id *id);

#endif
