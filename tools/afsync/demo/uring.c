// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo-uring: io_uring for the same job. Reads names from standard input, each
 * ended by a NUL byte, keeps up to DEPTH fsync requests outstanding, and lets the kernel run as
 * many at a time. Prints how many.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../stdopen.h"

#define DEPTH	64

static void die(const char *what, int error)
{
	fprintf(stderr, "demo-uring: %s: %s\n", what, strerror(error));
	exit(1);
}

static void queue_name(struct io_uring *ring, const char *name)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		die(name, errno);
	io_uring_prep_fsync(sqe, fd, 0);
	io_uring_sqe_set_data64(sqe, fd);
}

/* Submits the queue, waits for at least @least completions, and returns how many arrived. */
static unsigned int reap(struct io_uring *ring, unsigned int least)
{
	struct io_uring_cqe *cqe;
	unsigned int head, done = 0;
	int ret;

	do {
		ret = io_uring_submit_and_wait(ring, least);
	} while (ret == -EINTR);
	if (ret < 0)
		die("io_uring_submit_and_wait", -ret);
	io_uring_for_each_cqe(ring, head, cqe) {
		if (cqe->res)
			die("fsync", -cqe->res);
		close((int)cqe->user_data);
		done++;
	}
	io_uring_cq_advance(ring, done);
	return done;
}

int main(void)
{
	unsigned int workers[2] = { DEPTH, DEPTH }, outstanding = 0;
	unsigned long done = 0;
	struct io_uring ring;
	char *name = NULL;
	size_t size = 0;
	int ret;

	stdopen();
	ret = io_uring_queue_init(DEPTH, &ring, 0);
	if (ret)
		die("io_uring_queue_init", -ret);
	/* By default io_uring runs four at a time for each CPU. */
	ret = io_uring_register_iowq_max_workers(&ring, workers);
	if (ret)
		die("io_uring_register_iowq_max_workers", -ret);
	while (getdelim(&name, &size, '\0', stdin) > 0) {
		queue_name(&ring, name);
		outstanding++;
		done++;
		if (outstanding == DEPTH)
			outstanding -= reap(&ring, 1);
	}
	if (ferror(stdin))
		die("standard input", errno);
	while (outstanding)
		outstanding -= reap(&ring, outstanding);
	io_uring_queue_exit(&ring);
	free(name);
	printf("%lu\n", done);
	return close_stdout("demo-uring") ? 1 : 0;
}
