// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workload of the twins: files are written and synced, a write fails, and the log
 * contains the errors that each open file reported. It runs once with system calls and once
 * with afsync, each time on the same image; twin.sh compares the logs.
 *
 *	work FOLDER DEVICE SYNCER FAULT TIMES FIRST LAST SEED [EVENT]
 *
 * FAULT says where writes are counted, TIMES is 1 if only that one fails, 0 if all later
 * ones fail as well. The points are FIRST to LAST: at point i the i-th write fails. EVENT
 * happens at each point, and ends it. The last line of the log is "end POINT"; the status
 * is 3 if the filesystem has to be made anew for the next point.
 *
 * Nothing is written back except by its syncs: see twin.sh.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "twin.h"

#define AFTER_ERROR	2u	/* rounds */
#define SPENT		3	/* exit status */

enum fault fault;
bool plain;
int folder_fd, file_fds[NR_FILES];
uint64_t seed;
static unsigned int point, round_nr;
static const char * const fault_names[] = { "none", "file", "device", "hole", "thin" };

unsigned int below(unsigned int n)
{
	return random() % n;
}

void say(const char *format, ...)
{
	va_list ap;

	printf("%u.%u ", point, round_nr);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

static void make_file(unsigned int file, const char *folder)
{
	char path[256], page[PAGE];
	int i, fd;

	snprintf(path, sizeof(path), "%s/file%u", folder, file);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		err(2, "%s", path);
	memset(page, '0', sizeof(page));
	/* Written in one piece, even if memory is short meanwhile. */
	if (fallocate(fd, 0, 0, fault == FAULT_THIN ? THIN_SIZE : NR_PAGES * PAGE))
		err(2, "%s", path);
	for (i = 0; i < NR_PAGES; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			err(2, "%s", path);
	if (fsync(fd))
		err(2, "%s", path);
	file_fds[file] = fd;
}

/*
 * The sectors of a file, which are in one piece. That may have several extents: unwritten
 * blocks are extents of their own.
 */
static void file_place(unsigned int file, unsigned long *first, unsigned long *nr)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + NR_PAGES * sizeof(struct fiemap_extent)];
	} u = { .map = { .fm_length = NR_PAGES * PAGE, .fm_extent_count = NR_PAGES } };
	const struct fiemap_extent *extent = u.map.fm_extents;
	unsigned int i;

	if (ioctl(file_fds[file], FS_IOC_FIEMAP, &u.map))
		err(2, "FIEMAP");
	if (!u.map.fm_mapped_extents)
		errx(2, "file%u has no blocks", file);
	for (i = 1; i < u.map.fm_mapped_extents; i++)
		if (extent[i - 1].fe_physical + extent[i - 1].fe_length != extent[i].fe_physical)
			errx(2, "file%u is not in one piece", file);
	*first = extent->fe_physical / SECTOR;
	*nr = NR_PAGES * PAGE / SECTOR;
}

static void let_fail(unsigned int times)
{
	unsigned long first = 0, nr = 1UL << 40;

	if (fault == FAULT_NONE || fault == FAULT_THIN)
		return;
	if (fault == FAULT_FILE)
		file_place(below(NR_FILES), &first, &nr);
	device_message("fail %u %u %lu %lu", point, times, first, nr);
}

/* Whole rounds until the write has failed, and then some more. */
static void rounds_with_fault(unsigned int times)
{
	unsigned int after = 0, modes = fault == FAULT_FILE ? NR_MODES : MODE_FREE, kept;
	unsigned long writes, failed = 0;

	let_fail(times);
	for (round_nr = 0; after <= AFTER_ERROR; round_nr++) {
		if (round_nr > 50 + point)
			errx(2, "point %u: only %lu writes", point, writes);
		run_round(below(modes), NULL);
		device_count(&writes, &failed, &kept);
		after += failed > 0;
	}
}

static void rounds_with_event(const struct event *event, unsigned int times)
{
	const unsigned int when = 1;
	enum mode mode;

	for (round_nr = 0; round_nr <= when + AFTER_ERROR; round_nr++) {
		if (round_nr == when)
			let_fail(times);
		mode = round_nr == when ? point % NR_MODES : below(NR_MODES);
		run_round(mode, round_nr == when ? event : NULL);
	}
}

static bool is_dead(void)
{
	bool dead;

	/* This reports errors that are still pending. */
	fsync(file_fds[0]);
	dead = pwrite(file_fds[0], "", 1, 0) != 1 || fsync(file_fds[0]);
	if (dead)
		say("is dead");
	return dead;
}

/* Returns false if the filesystem can no longer be used. */
static bool run_point(unsigned int times, const struct event *event)
{
	bool spent = event;

	srandom(seed * 1000 + point);
	if (event)
		rounds_with_event(event, times);
	else
		rounds_with_fault(times);
	device_message("mend");
	spent |= is_dead();
	return !spent;
}

int main(int argc, char **argv)
{
	static const struct syncer * const syncers[] = { &by_library, &by_posix, &by_libaio };
	const struct syncer *by = NULL;
	const struct event *event = NULL;
	unsigned int i, last, times;
	bool usable = true;

	if (argc < 9 || argc > 10)
		errx(2, "FOLDER DEVICE SYNCER FAULT TIMES FIRST LAST SEED [EVENT]");
	for (i = 0; i < 3; i++)
		if (!strcmp(argv[3], syncers[i]->name))
			by = syncers[i];
	plain = !by;
	for (fault = 0; fault < NR_FAULTS && strcmp(argv[4], fault_names[fault]);)
		fault++;
	times = atoi(argv[5]);
	point = atoi(argv[6]);
	last = atoi(argv[7]);
	seed = strtoull(argv[8], NULL, 10);
	if (argc == 10)
		event = event_find(argv[9]);
	if ((plain && strcmp(argv[3], "call")) || fault == NR_FAULTS || (argc == 10 && !event))
		errx(2, "no such syncer, fault or event");

	folder_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		err(2, "%s", argv[1]);
	device_open(argv[2]);
	for (i = 0; i < NR_FILES; i++)
		make_file(i, argv[1]);
	syncfs(folder_fd);
	workers_start(argv[1], by);
	for (; usable && point <= last; point++)
		usable = run_point(times, event);
	workers_end();
	printf("end %u\n", point - 1);
	return usable ? 0 : SPENT;
}
