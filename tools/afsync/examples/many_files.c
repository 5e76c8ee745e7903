// SPDX-License-Identifier: MIT
/*
 * Example of libafsync: make many files durable. Keeps up to 64 syncs in flight, holds
 * no more descriptors open than one batch needs, and continues after a failure.
 *
 * Usage: many_files FILE...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libafsync.h>

#define DEPTH	64

static int failed;

static void complain(const char *file, int error)
{
	fprintf(stderr, "many_files: %s: %s\n", file, strerror(error));
	failed = 1;
}

/* Prepare the sync of a file. Returns its descriptor, or -1. */
static int prepare(struct afsync_ring *ring, char *file)
{
	struct afsync_sqe *sqe;
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		complain(file, errno);
		return -1;
	}
	sqe = afsync_get_sqe(ring);
	afsync_prep_fsync(sqe, fd);
	afsync_sqe_set_data(sqe, file);
	return fd;
}

/* Returns the number of syncs that are done. */
static unsigned int reap(struct afsync_ring *ring)
{
	struct afsync_cqe *cqe;
	unsigned int head, n = 0;

	afsync_for_each_cqe(ring, head, cqe) {
		if (cqe->res)
			complain(afsync_cqe_get_data(cqe), -cqe->res);
		n++;
	}
	afsync_cq_advance(ring, n);
	return n;
}

/* Queue the prepared requests. Those that the kernel does not queue are synced here. */
static unsigned int submit(struct afsync_ring *ring)
{
	struct afsync_sqe lost;
	unsigned int queued = 0;
	int ret;

	while (afsync_sq_ready(ring)) {
		ret = afsync_submit(ring);
		if (ret > 0)
			queued += ret;
		else if (!afsync_sq_drop(ring, &lost, sizeof(lost)) && fsync(lost.fd))
			complain((char *)(uintptr_t)lost.user_data, errno);
	}
	return queued;
}

int main(int argc, char **argv)
{
	unsigned int in_flight = 0, nr;
	struct afsync_ring *ring;
	int fds[DEPTH], i = 1, ret;

	ret = afsync_queue_init(DEPTH, &ring, 0);
	if (ret) {
		complain("afsync_queue_init", -ret);
		return 1;
	}
	while (i < argc || in_flight) {
		for (nr = 0; i < argc && in_flight + nr < DEPTH; i++) {
			fds[nr] = prepare(ring, argv[i]);
			nr += fds[nr] >= 0;
		}
		in_flight += submit(ring);
		while (nr)
			close(fds[--nr]);
		if (in_flight)
			afsync_wait_cqe(ring, NULL);
		in_flight -= reap(ring);
	}
	afsync_queue_exit(ring);
	return failed;
}
