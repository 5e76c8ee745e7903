// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every sequence of one and of two changes on a durable file, ended by a sync of the file and
 * of the folder, once with fsync and once with fdatasync of the file. The idea is that of ACE
 * (CrashMonkey, OSDI 2018): if a filesystem loses data, a few operations are enough.
 */
#include <unistd.h>

#include "change.h"
#include "plan.h"
#include "request.h"

/* The names: that of the changed file, that of another file, and two unused ones. */
enum { MAIN, OTHER, FREE, SPARE };

#define OLD_SECTORS	24u

enum step {
	OVERWRITE, APPEND, WRITE_BEHIND, STORE, WRITE_DIRECT, SHORTEN, LENGTHEN, CHMOD,
	RENAME, RENAME_OVER, LINK, UNLINK, CREATE, MKDIR, STEPS,
	NOTHING = STEPS
};

/* The name that the file has now; NAMES if none. */
static uint32_t name_of(uint32_t file)
{
	uint32_t name;

	for (name = 0; name < NAMES && names[name] != file; name++)
		;
	return name;
}

/* The first unused name. */
static uint32_t free_name(void) { return name_of(NO_FILE); }

static void take(enum step step, uint32_t file, int fd)
{
	uint32_t name = name_of(file), size = sizes[file];

	switch (step) {
	case OVERWRITE:
		/* Not at page boundaries. */
		write_sectors(file, fd, name, BUFFERED, 5, size < 6 ? 6 : size, NULL);
		break;
	case APPEND:
		write_sectors(file, fd, name, BUFFERED, size, size + 9, NULL);
		break;
	case WRITE_BEHIND:
		write_sectors(file, fd, name, BUFFERED, size + 19, size + 28, NULL);
		break;
	case STORE:
		if (size)
			write_sectors(file, fd, name, MAPPED, size / 2, size, NULL);
		break;
	case WRITE_DIRECT:
		/* Opened by its name. */
		if (name < NAMES)
			write_sectors(file, fd, name, DIRECT, 8, 24, NULL);
		break;
	case SHORTEN:
		truncate_to(file, fd, size / 2);
		break;
	case LENGTHEN:
		truncate_to(file, fd, size + 13);
		break;
	case CHMOD:
		change_mode(file, fd, 0640);
		break;
	case RENAME:
		if (name < NAMES)
			rename_to(name, free_name());
		break;
	case RENAME_OVER:
		if (name < NAMES && name != OTHER && names[OTHER] != file && names[OTHER] != FOLDER)
			rename_to(name, OTHER);
		break;
	case LINK:
		if (name < NAMES)
			link_to(name, free_name());
		break;
	case UNLINK:
		if (name < NAMES)
			remove_name(name);
		break;
	case CREATE:
		make_file(free_name());
		break;
	case MKDIR:
		make_folder(free_name());
		break;
	case NOTHING:
		break;
	}
}

/* A new file, durable after the caller's wait. Returns its descriptor. */
static int durable_file(uint32_t name)
{
	uint32_t file;
	int fd;

	make_file(name);
	file = names[name];
	fd = open_name(name);
	write_sectors(file, fd, name, BUFFERED, 0, OLD_SECTORS, NULL);
	sync_whole_file(OP_FSYNC, file, fd);
	return fd;
}

static void settle(int folder)
{
	sync_folder(folder);
	while (in_flight)
		reap();
}

static void sequence(int folder, enum step first, enum step second, enum op op)
{
	uint32_t name, file;
	int fd;

	for (name = 0; name < NAMES; name++)
		if (names[name] != NO_FILE)
			remove_name(name);
	fd = durable_file(MAIN);
	close(durable_file(OTHER));
	settle(folder);

	file = names[MAIN];
	take(first, file, fd);
	take(second, file, fd);
	sync_whole_file(op, file, fd);
	settle(folder);
	close(fd);
}

void plan_pairs(int folder)
{
	enum step first, second;
	enum op op;

	for (op = OP_FSYNC; op <= OP_FDATASYNC; op++)
		for (first = 0; first < STEPS; first++)
			for (second = 0; second <= NOTHING; second++)
				sequence(folder, first, second, op);
}
