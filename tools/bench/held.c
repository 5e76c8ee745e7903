// SPDX-License-Identifier: GPL-2.0-only
/* Held requests: see held.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "held.h"

void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
	exit(1);
}

void expect(const char *what, int ret, int expected)
{
	if (ret != expected)
		die(what, ret < 0 ? -ret : EIO);
}

double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

struct afsync_ring *held_ring(unsigned int entries)
{
	struct afsync_ring *ring;

	expect("afsync_queue_init", afsync_queue_init(entries, &ring, AFSYNC_INIT_DEVICE), 0);
	return ring;
}

void held_prepare(struct afsync_ring *ring, int fd, uint64_t user_data)
{
	struct afsync_sqe *sqe = afsync_get_sqe(ring);

	afsync_prep_fsync(sqe, fd);
	afsync_sqe_set_flags(sqe, AFSYNC_SQE_HOLD);
	afsync_sqe_set_data64(sqe, user_data);
}

void held_submit(struct afsync_ring *ring, int count)
{
	expect("afsync_submit", afsync_submit(ring), count);
}

void reap(struct afsync_ring *ring, int count)
{
	struct afsync_cqe *cqe;

	expect("afsync_wait_cqes", afsync_wait_cqes(ring, &cqe, count, NULL, NULL), 0);
	afsync_cq_advance(ring, count);
}
