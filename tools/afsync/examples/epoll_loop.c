// SPDX-License-Identifier: MIT
/*
 * Example of libafsync: an event loop with epoll on the ring's eventfd. Appends the lines
 * of a pipe or a terminal to a log, and prints how much of it is durable as soon as it is.
 *
 * Usage: ... | epoll_loop LOG
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <libafsync.h>

#define DEPTH	16	/* syncs in flight at most */
/* Append the available input and queue a sync. Returns 0 at the end of input. */
static int append(struct afsync_ring *ring, int log_fd)
{
	static uint64_t bytes;
	struct afsync_sqe *sqe;
	char buf[4096];
	ssize_t len = read(STDIN_FILENO, buf, sizeof(buf));
	int ret;

	if (len == 0)
		return 0;
	if (len < 0 || write(log_fd, buf, len) != len)
		error(1, errno, "copy");
	sqe = afsync_get_sqe(ring);
	afsync_prep_fdatasync(sqe, log_fd);
	bytes += len;
	afsync_sqe_set_data64(sqe, bytes);
	ret = afsync_submit(ring);
	if (ret < 0)
		error(1, -ret, "afsync_submit");
	return 1;
}

/* Returns the number of syncs that are done. */
static int reap(struct afsync_ring *ring, int event)
{
	struct afsync_cqe *cqe;
	unsigned int head;
	uint64_t count;
	int n = 0;

	/* The eventfd first: a completion after this read makes it readable again. */
	if (read(event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		error(1, errno, "eventfd");
	afsync_for_each_cqe(ring, head, cqe) {
		if (cqe->res)
			error(1, -cqe->res, "sync");
		printf("durable: %llu bytes\n", (unsigned long long)cqe->user_data);
		n++;
	}
	afsync_cq_advance(ring, n);
	return n;
}

int main(int argc, char **argv)
{
	int loop = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK);
	int log_fd = open(argc == 2 ? argv[1] : "", O_WRONLY | O_CREAT | O_APPEND, 0666);
	struct epoll_event on_event = { .events = EPOLLIN, .data.fd = event };
	struct epoll_event on_input = { .events = EPOLLIN, .data.fd = STDIN_FILENO }, ev;
	struct afsync_ring *ring;
	int in_flight = 0, end = 0, ret;

	/* Where a standard descriptor is closed: messages must not go into the log. */
	if (log_fd >= 0 && log_fd <= STDERR_FILENO)
		return 1;
	if (loop < 0 || event < 0 || log_fd < 0)
		error(1, errno, "LOG");
	ret = afsync_queue_init(DEPTH, &ring, 0);
	if (!ret)
		ret = afsync_register_eventfd(ring, event);
	if (ret)
		error(1, -ret, "ring");
	if (epoll_ctl(loop, EPOLL_CTL_ADD, event, &on_event) ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, STDIN_FILENO, &on_input))
		error(1, errno, "epoll_ctl");
	while (!end || in_flight) {
		if (epoll_wait(loop, &ev, 1, -1) < 0)
			error(1, errno, "epoll_wait");
		if (ev.data.fd == event)
			in_flight -= reap(ring, event);
		else if (append(ring, log_fd))
			in_flight++;
		else
			end = !epoll_ctl(loop, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
		/* Full: no room for more input before a sync is done. */
		if (in_flight == DEPTH && !afsync_wait_cqe(ring, NULL))
			in_flight -= reap(ring, event);
	}
	afsync_queue_exit(ring);
	return 0;
}
