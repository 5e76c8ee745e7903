// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock, and the kernel's counters while it runs: the idle time of the CPUs, their
 * context switches, and the flushes of the disk. They are read before the clock starts and
 * after it has stopped. Idle time comes from /proc/timer_list, which has nanoseconds; all
 * other time is the cost of a run, including interrupts and kernel threads. The number of
 * afsync's syncs is its own count, which includes those of the drop-in libraries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* Large enough for the output of some hundred CPUs. */
static char text[1 << 20];

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void read_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t ret;

	if (fd < 0)
		die(path, errno);
	while ((ret = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += ret;
	if (ret < 0)
		die(path, errno);
	text[len] = '\0';
	close(fd);
}

static uint64_t sum_of(const char *field)
{
	uint64_t sum = 0;
	char *at = text;

	while ((at = strstr(at, field))) {
		at = strchr(at, ':');
		if (!at)
			break;
		sum += strtoull(at + 1, &at, 10);
	}
	return sum;
}

/* A CPU that waits for a disk counts as waiting for I/O, which is idle time, too. */
static uint64_t idle_ns(void)
{
	read_text("/proc/timer_list");
	return sum_of(".idle_sleeptime") + sum_of(".iowait_sleeptime");
}

/* Field 16: flush requests completed (Documentation/block/stat.rst of the kernel). */
static uint64_t flushes(const struct plan *plan)
{
	unsigned long long value = 0;
	char path[256];

	if (!plan->disk)
		return 0;
	snprintf(path, sizeof(path), "/sys/block/%s/stat", plan->disk);
	read_text(path);
	if (sscanf(text, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu",
		   &value) != 1)
		die(path, EINVAL);
	return value;
}

/* From one thread to another, or to idle, on all CPUs. */
static uint64_t switches(void)
{
	const char *line;

	read_text("/proc/stat");
	line = strstr(text, "\nctxt ");
	if (!line)
		die("/proc/stat", EINVAL);
	return strtoull(line + strlen("\nctxt "), NULL, 10);
}

static uint64_t afsync_syncs(void)
{
	const char *path = "/sys/class/misc/afsync/stats/syncs";

	if (access(path, R_OK))
		return 0;
	read_text(path);
	return strtoull(text, NULL, 10);
}

void clock_start(const struct plan *plan, struct figures *figures)
{
	figures->flushes = -flushes(plan);
	figures->afsync_syncs = -afsync_syncs();
	figures->switches = -switches();
	figures->idle_ns = -idle_ns();
	figures->start_ns = now_ns();
}

void clock_stop(const struct plan *plan, struct figures *figures)
{
	figures->end_ns = now_ns();
	figures->idle_ns += idle_ns();
	figures->switches += switches();
	figures->flushes += flushes(plan);
	figures->afsync_syncs += afsync_syncs();
}
