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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <libafsync.h>

#include "../stdopen.h"

#define REQUESTS	32768
#define MANY_FILES	8192
#define FEW_FILES	256

/* XFS and ext4 have the same number for it. */
#define GOINGDOWN	_IOR('X', 125, uint32_t)

/* All of one inode. */
static int fds[MANY_FILES];

static void need(const char *what, int ret, int expected)
{
	if (ret == expected)
		return;
	fprintf(stderr, "afsync-bench-many: %s: %s\n", what,
		ret < 0 ? strerror(-ret) : "not as many as expected");
	exit(1);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static struct afsync_ring *setup(unsigned int entries)
{
	struct afsync_ring *ring;

	need("afsync_queue_init", afsync_queue_init(entries, &ring, AFSYNC_INIT_DEVICE), 0);
	return ring;
}

static void open_files(void)
{
	int i;

	for (i = 0; i < MANY_FILES; i++) {
		fds[i] = open("file", O_CREAT | O_RDWR, 0666);
		need("file", fds[i] < 0 ? -errno : 0, 0);
	}
}

/* Of the first @nr_fds open files in turn; the user data are the numbers from 1 on, or all 1. */
static void hold(struct afsync_ring *ring, int nr_fds, int count, bool numbered)
{
	struct afsync_sqe *sqe;
	int i;

	for (i = 0; i < count; i++) {
		sqe = afsync_get_sqe(ring);
		afsync_prep_fsync(sqe, fds[i % nr_fds]);
		afsync_sqe_set_flags(sqe, AFSYNC_SQE_HOLD);
		afsync_sqe_set_data64(sqe, numbered ? i + 1 : 1);
	}
	need("afsync_submit", afsync_submit(ring), count);
}

static void reap(struct afsync_ring *ring, int count)
{
	struct afsync_cqe *cqe;

	need("afsync_wait_cqes", afsync_wait_cqes(ring, &cqe, count, NULL, NULL), 0);
	afsync_cq_advance(ring, count);
}

/* The one in the middle: a walk from either end has to pass half of the others. */
static void one_among_many(double *start_us, double *cancel_us)
{
	struct afsync_ring *ring = setup(REQUESTS);
	double begin;

	hold(ring, 1, REQUESTS, true);
	begin = now_us();
	need("afsync_start", afsync_start(ring, REQUESTS / 2), 1);
	*start_us = now_us() - begin;
	begin = now_us();
	need("afsync_cancel", afsync_cancel(ring, REQUESTS / 2 + 1), 1);
	*cancel_us = now_us() - begin;
	need("afsync_cancel_all", afsync_cancel_all(ring), REQUESTS - 2);
	reap(ring, REQUESTS);
	afsync_queue_exit(ring);
}

/* For each of @count open files. */
static double failing_us(int count)
{
	struct afsync_ring *ring = setup(count);
	double begin, us;

	hold(ring, count, count, false);
	begin = now_us();
	need("afsync_start", afsync_start(ring, 1), count);
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
	need(argv[1], chdir(argv[1]) ? -errno : 0, 0);
	need("RLIMIT_NOFILE", setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0, 0);
	open_files();
	one_among_many(&start_us, &cancel_us);
	need("shutdown", ioctl(fds[0], GOINGDOWN, &no_flush) ? -errno : 0, 0);
	few_us = failing_us(FEW_FILES);
	printf("{\"many\": {\"start_us\": %.1f, \"cancel_us\": %.1f, ", start_us, cancel_us);
	printf("\"few_failing_us\": %.3f, \"many_failing_us\": %.3f}}\n", few_us,
	       failing_us(MANY_FILES));
	return close_stdout("afsync-bench-many") ? 1 : 0;
}
