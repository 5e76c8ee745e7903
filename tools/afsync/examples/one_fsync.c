// SPDX-License-Identifier: MIT
/*
 * Minimal example of libafsync: make one file durable while doing something else.
 *
 * Usage: one_fsync FILE
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libafsync.h>

static int fail(const char *what, int error)
{
	fprintf(stderr, "one_fsync: %s: %s\n", what, strerror(error));
	return 1;
}

int main(int argc, char **argv)
{
	struct afsync_ring *ring;
	struct afsync_sqe *sqe;
	struct afsync_cqe *cqe;
	int fd, ret;

	if (argc != 2) {
		fprintf(stderr, "usage: one_fsync FILE\n");
		return 2;
	}

	fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	/* Where a standard descriptor is closed: messages must not go into the file. */
	if (fd >= 0 && fd <= STDERR_FILENO)
		return 1;
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	if (write(fd, "one line\n", 9) != 9) {
		perror(argv[1]);
		return 1;
	}

	ret = afsync_queue_init(1, &ring, 0);
	if (ret)
		return fail("afsync_queue_init", -ret);

	sqe = afsync_get_sqe(ring);
	afsync_prep_fsync(sqe, fd);
	ret = afsync_submit(ring);
	if (ret < 0)
		return fail("afsync_submit", -ret);

	/* The request keeps its own reference: the descriptor is no longer needed. */
	close(fd);

	/* ... here the program works while the disk does ... */

	ret = afsync_wait_cqe(ring, &cqe);
	if (ret)
		return fail("afsync_wait_cqe", -ret);
	ret = cqe->res;
	afsync_cqe_seen(ring, cqe);
	afsync_queue_exit(ring);

	if (ret)
		return fail(argv[1], -ret);
	printf("%s is durable\n", argv[1]);
	return 0;
}
