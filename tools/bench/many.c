// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync-bench-many - what one request costs among many
 *
 *	afsync-bench-many DIR
 *
 * Starts, and cancels, one of 32,768 held requests, and syncs many open files of one inode of a
 * filesystem that fails. DIR is on ext4 or xfs, which is shut down: nothing can be written
 * there afterwards. Prints one JSON object; times are of the clock, in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../stdopen.h"
#include "held.h"

#define REQUESTS	32768
#define MANY_FILES	8192
#define FEW_FILES	256

/* XFS and ext4 have the same number for it. */
#define GOINGDOWN	_IOR('X', 125, uint32_t)

/* All of one inode. */
static int fds[MANY_FILES];

static void open_files(void)
{
	int i;

	for (i = 0; i < MANY_FILES; i++) {
		fds[i] = open("file", O_CREAT | O_RDWR, 0666);
		if (fds[i] < 0)
			die("file", errno);
	}
}

/* The one in the middle: a walk from either end has to pass half of the others. */
static void one_among_many(double *start_us, double *cancel_us)
{
	struct afsync_ring *ring = held_ring(REQUESTS);
	double begin;
	int i;

	for (i = 1; i <= REQUESTS; i++)
		held_prepare(ring, fds[0], i);
	held_submit(ring, REQUESTS);
	begin = now_us();
	expect("afsync_start", afsync_start(ring, REQUESTS / 2), 1);
	*start_us = now_us() - begin;
	begin = now_us();
	expect("afsync_cancel", afsync_cancel(ring, REQUESTS / 2 + 1), 1);
	*cancel_us = now_us() - begin;
	expect("afsync_cancel_all", afsync_cancel_all(ring), REQUESTS - 2);
	reap(ring, REQUESTS);
	afsync_queue_exit(ring);
}

/* For each of @count open files. */
static double failing_us(int count)
{
	struct afsync_ring *ring = held_ring(count);
	double begin, us;
	int i;

	for (i = 0; i < count; i++)
		held_prepare(ring, fds[i], 1);
	held_submit(ring, count);
	begin = now_us();
	expect("afsync_start", afsync_start(ring, 1), count);
	reap(ring, count);
	us = (now_us() - begin) / count;
	afsync_queue_exit(ring);
	return us;
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 2 * MANY_FILES, 2 * MANY_FILES };
	double start_us, cancel_us, few_us;
	uint32_t no_flush = 2;

	stdopen();
	if (argc != 2) {
		fprintf(stderr, "usage: afsync-bench-many DIR\n");
		return 1;
	}
	if (chdir(argv[1]))
		die(argv[1], errno);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE", errno);
	open_files();
	one_among_many(&start_us, &cancel_us);
	if (ioctl(fds[0], GOINGDOWN, &no_flush))
		die("shutdown", errno);
	few_us = failing_us(FEW_FILES);
	printf("{\"many\": {\"start_us\": %.1f, \"cancel_us\": %.1f, ", start_us, cancel_us);
	printf("\"few_failing_us\": %.3f, \"many_failing_us\": %.3f}}\n", few_us,
	       failing_us(MANY_FILES));
	return close_stdout("afsync-bench-many") ? 1 : 0;
}
