// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings that processes share: inherited over fork, and passed over a socket.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/socket.h>

FIXTURE(share) {
	struct stage s;
};

FIXTURE_SETUP(share)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(share)
{
	stage_close(&self->s);
}

/* A second mapping of the ring, as a process that got the descriptor makes it. */
static struct ring mapped_again(int fd, const struct ring *ring)
{
	struct ring again = { .fd = fd, .entries = ring->entries, .size = ring->size };

	ring_map(&again);
	return again;
}

TEST_F(share, child_queues_and_parent_reads)
{
	pid_t pid = fork();
	int i;

	need(pid >= 0);
	if (!pid) {
		for (i = 0; i < 10; i++)
			need(ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i) == 1);
		_exit(0);
	}
	ASSERT_EQ(0, child_wait(pid));
	/* The child is gone; its queued requests belong to the ring. */
	for (i = 0; i < 10; i++)
		EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
}

TEST_F(share, parent_queues_and_child_reads_through_a_mapping_of_its_own)
{
	pid_t pid = fork();
	int i;

	need(pid >= 0);
	if (!pid) {
		struct ring ring = mapped_again(self->s.ring.fd, &self->s.ring);

		for (i = 0; i < 10; i++)
			need(ring_next(&ring).user_data == (__u64)i);
		_exit(0);
	}
	for (i = 0; i < 10; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	EXPECT_EQ(0, child_wait(pid));
	/* It read them for both. */
	EXPECT_EQ(0, ring_ready(&self->s.ring));
}

TEST_F(share, child_cancels_requests_of_its_parent)
{
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		/* The same open file, through its own descriptor. */
		need(afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0, self->s.file,
				       NULL) == 1);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
}

TEST_F(share, exit_of_one_leaves_the_ring_to_the_other)
{
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2) == 1);
		raise(SIGKILL);
	}
	/* It need not wait for the sync, and cancels nothing. */
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

TEST_F(share, both_queue_at_the_same_time_and_nothing_is_lost)
{
	unsigned int i, n = rounds(5000), seen[2] = { 0, 0 };
	struct afsync_cqe cqe;
	pid_t pid = fork();
	int ret;

	need(pid >= 0);
	for (i = 0; i < n;) {
		ret = ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, !pid);
		need(ret == 1 || ret == -EAGAIN);
		i += ret == 1;
		/* Only the parent reads. */
		while (pid && ring_take(&self->s.ring, &cqe))
			seen[cqe.user_data]++;
		if (!pid && ret != 1)
			sched_yield();
	}
	if (!pid)
		_exit(0);
	while (seen[0] + seen[1] < 2 * n)
		seen[ring_next(&self->s.ring).user_data]++;
	EXPECT_EQ(n, seen[0]);
	EXPECT_EQ(n, seen[1]);
	EXPECT_EQ(0, child_wait(pid));
}

/* --- descriptor passing --- */

static void send_fd(int socket, int fd)
{
	char data = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	need(sendmsg(socket, &msg, 0) == 1);
}

static int receive_fd(int socket)
{
	char data, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	need(recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1);
	need(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

TEST_F(share, ring_passed_over_a_socket_is_used_like_ones_own)
{
	int sockets[2];
	pid_t pid;

	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		struct ring ring;

		/* It inherits nothing: it gets all over the socket. */
		ring_close(&self->s.ring);
		ring = mapped_again(receive_fd(sockets[1]), &self->s.ring);
		need(ring_next(&ring).user_data == 1);
		need(ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, 2) == 1);
		need(ring_next(&ring).user_data == 2);
		_exit(0);
	}
	send_fd(sockets[0], self->s.ring.fd);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(0, child_wait(pid));
	close(sockets[0]);
	close(sockets[1]);
}

TEST_F(share, ring_lives_while_its_descriptor_is_on_its_way)
{
	struct ring arrived;
	int sockets[2];

	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	send_fd(sockets[0], self->s.ring.fd);
	arrived = self->s.ring;
	ring_close(&self->s.ring);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	arrived = mapped_again(receive_fd(sockets[1]), &arrived);
	EXPECT_EQ(1, ring_next(&arrived).user_data);
	ring_close(&arrived);
	close(sockets[0]);
	close(sockets[1]);
}

TEST_F(share, ring_lost_with_a_socket_ends)
{
	long long cancelled = counter("cancelled");
	int sockets[2], other;

	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	other = world_open(&self->s.world, "file", O_RDWR);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, 2));
	close(other);
	send_fd(sockets[0], self->s.ring.fd);
	ring_close(&self->s.ring);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	close(sockets[0]);
	close(sockets[1]);
	/* Its files are released in any case: served or cancelled. */
	sim_wait_started(self->s.ctl, SIM_GATE_RELEASE, 1);
	EXPECT_LE(counter("cancelled"), cancelled + 1);
}

TEST_F(share, service_of_another_user_that_was_sent_a_ring_does_not_wait_for_its_syncs)
{
	int sockets[2], ring;
	struct turn closed;
	pid_t pid;

	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	turn_init(&closed);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		/* The mapping and the descriptor that fork brought do not count here. */
		ring_close(&self->s.ring);
		need(setresuid(1000, 1000, 1000) == 0);
		ring = receive_fd(sockets[1]);
		/* The last to close is the child. */
		turn_wait(&closed, 1);
		close(ring);
		_exit(0);
	}
	send_fd(sockets[0], self->s.ring.fd);
	ring_close(&self->s.ring);
	turn_post(&closed);
	/* The child had the last descriptor, and the sync is still held. */
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/* Nothing announces its end; the files are released before this counts down. */
	while (counter("in_flight"))
		sched_yield();
	close(sockets[0]);
	close(sockets[1]);
}

TEST_HARNESS_MAIN
