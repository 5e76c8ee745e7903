// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync-bench-memory - how much kernel memory a queued request takes
 *
 *	afsync-bench-memory DIR
 *
 * Makes files in DIR, takes one request for each (held, so that none completes), and
 * counts the bytes of all slab objects before, meanwhile and when all are done. The
 * ring's entry is added. Prints one JSON object.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <libafsync.h>

#define FILES	4096

static void die(const char *what, int error)
{
	fprintf(stderr, "afsync-bench-memory: %s: %s\n", what, strerror(error));
	exit(1);
}

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

static void queue(struct afsync_ring *ring, const int *fds)
{
	struct afsync_sqe *sqe;
	int i, ret;

	for (i = 0; i < FILES; i++) {
		sqe = afsync_get_sqe(ring);
		afsync_prep_fdatasync(sqe, fds[i]);
		afsync_sqe_set_flags(sqe, AFSYNC_SQE_HOLD);
		afsync_sqe_set_data64(sqe, 1);
	}
	ret = afsync_submit(ring);
	if (ret != FILES)
		die("afsync_submit", ret < 0 ? -ret : EIO);
}

static void finish(struct afsync_ring *ring)
{
	struct afsync_cqe *cqe;
	int ret = afsync_start(ring, 1);

	if (ret != FILES)
		die("afsync_start", ret < 0 ? -ret : EIO);
	ret = afsync_wait_cqes(ring, &cqe, FILES, NULL, NULL);
	if (ret)
		die("afsync_wait_cqes", -ret);
	afsync_cq_advance(ring, FILES);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 2 * FILES, 2 * FILES };
	int64_t before, queued, after;
	struct afsync_ring *ring;
	static int fds[FILES];
	int i, ret;

	if (argc != 2 || chdir(argv[1]))
		die("DIR", EINVAL);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE", errno);
	for (i = 0; i < FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		fds[i] = open(name, O_CREAT | O_RDWR, 0666);
		if (fds[i] < 0)
			die(name, errno);
	}
	ret = afsync_queue_init(FILES, &ring, 0);
	if (ret)
		die("afsync_queue_init", -ret);
	/* Once for nothing, so that what the kernel makes only once is there. */
	queue(ring, fds);
	finish(ring);
	before = slab_bytes();
	queue(ring, fds);
	queued = slab_bytes();
	finish(ring);
	after = slab_bytes();
	printf("{\"memory\": {\"queued_bytes\": %.1f, \"idle_bytes\": %.1f}}\n",
	       (double)(queued - before) / FILES + sizeof(struct afsync_cqe),
	       (double)(after - before) / FILES);
	return 0;
}
