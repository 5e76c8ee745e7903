// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of a drop-in library about itself. The environment is read once, when the
 * library is loaded: later another thread may be changing it. A program that runs with
 * more rights than its caller ignores the environment.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dropin.h"

/* The counters as long as no one reads them. */
static struct dropin_stats nobodys;
static struct dropin_stats *stats = &nobodys;
static bool verbose;

static struct dropin_stats *stats_map(const char *name)
{
	struct dropin_stats *map = MAP_FAILED;
	struct stat st;
	int fd;

	fd = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size >= (off_t)sizeof(*map))
		map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return NULL;
	/* A file that is not a page of counters is not changed. */
	if (map->magic == DROPIN_STATS_MAGIC)
		return map;
	munmap(map, sizeof(*map));
	return NULL;
}

static void __attribute__((constructor(101))) read_environment(void)
{
	int saved = errno;
	const char *value = secure_getenv("AFSYNC_VERBOSE");
	struct dropin_stats *map;

	verbose = value && *value && strcmp(value, "0") != 0;
	value = secure_getenv("AFSYNC_STATS");
	map = value && *value ? stats_map(value) : NULL;
	if (map)
		stats = map;
	errno = saved;
}

void dropin_count(enum dropin_counter counter, __u64 n)
{
	__atomic_fetch_add(&stats->counters[counter], n, __ATOMIC_RELAXED);
}

bool dropin_counts(void)
{
	return stats != &nobodys;
}

/* Appends what fits. */
static char *append(char *at, char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	return at;
}

void dropin_say(const char *library, const char *text, int error)
{
	int saved = errno;
	char line[256], *at = line;
	/* The last byte is for the newline. */
	char *end = line + sizeof(line) - 1;
	const char *reason;
	ssize_t ret;

	if (!verbose)
		return;
	at = append(at, end, library);
	at = append(at, end, ": ");
	if (error) {
		reason = strerrordesc_np(error < 0 ? -error : error);
		at = append(at, end, "no " DROPIN_DEVICE " (");
		at = append(at, end, reason ? reason : "unknown error");
		at = append(at, end, "): ");
	}
	at = append(at, end, text);
	*at++ = '\n';
	/* One write, so that lines of several processes do not mix. */
	ret = write(STDERR_FILENO, line, at - line);
	(void)ret;
	errno = saved;
}
