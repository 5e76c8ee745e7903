// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync-bench-memory - how much kernel memory a queued request takes
 *
 *	afsync-bench-memory DIR
 *
 * Queues requests (held, so that none completes) for one file, and then for a file of DIR
 * each, and counts the bytes of all slab objects before, meanwhile and after the end of
 * all. The ring's entry is added. Prints one JSON object.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../stdopen.h"
#include "held.h"

#define REQUESTS	4096

static int64_t slab_bytes(void)
{
	FILE *file = fopen("/proc/slabinfo", "re");
	unsigned long objects, size;
	int64_t sum = 0;
	char line[512];

	if (!file)
		die("/proc/slabinfo", errno);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %lu %*u %lu", &objects, &size) == 2)
			sum += (int64_t)objects * size;
	fclose(file);
	return sum;
}

/* @step: 0 for one file, 1 for all. */
static void queue(struct afsync_ring *ring, const int *fds, int step)
{
	int i;

	for (i = 0; i < REQUESTS; i++)
		held_prepare(ring, fds[i * step], 1);
	held_submit(ring, REQUESTS);
}

static void finish(struct afsync_ring *ring)
{
	expect("afsync_start", afsync_start(ring, 1), REQUESTS);
	reap(ring, REQUESTS);
}

static double per_request(int64_t bytes, int entries)
{
	return (double)bytes / REQUESTS + entries * sizeof(struct afsync_cqe);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 2 * REQUESTS, 2 * REQUESTS };
	int64_t before, idle, one, many;
	struct afsync_ring *ring;
	static int fds[REQUESTS];
	int i;

	stdopen();
	if (argc != 2 || chdir(argv[1]))
		die("DIR", EINVAL);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE", errno);
	for (i = 0; i < REQUESTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		fds[i] = open(name, O_CREAT | O_RDWR, 0666);
		if (fds[i] < 0)
			die(name, errno);
	}
	/* Once without measuring: objects that are made only once exist then, the ring's, too. */
	ring = held_ring(REQUESTS);
	queue(ring, fds, 1);
	finish(ring);
	before = slab_bytes();
	queue(ring, fds, 1);
	finish(ring);
	idle = slab_bytes() - before;
	afsync_queue_exit(ring);

	/* A new ring does not yet keep memory that its first requests could use. */
	ring = held_ring(REQUESTS);
	before = slab_bytes();
	queue(ring, fds, 0);
	one = slab_bytes() - before;
	finish(ring);
	queue(ring, fds, 1);
	many = slab_bytes() - before;
	finish(ring);

	printf("{\"memory\": {\"queued_bytes\": %.1f, ", per_request(one, 1));
	printf("\"with_file_bytes\": %.1f, ", per_request(many, 1));
	printf("\"idle_bytes\": %.1f}}\n", per_request(idle, 0));
	return close_stdout("afsync-bench-memory") ? 1 : 0;
}
