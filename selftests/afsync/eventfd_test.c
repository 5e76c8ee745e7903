// SPDX-License-Identifier: GPL-2.0-only
/*
 * P13 waiting, the eventfd: it is signalled after the entries can be seen, once for each
 * batch and ring; registering and unregistering.
 *
 * The tests that hold syncs need afsync_sim.
 */
#include "common.h"

FIXTURE(event) {
	struct stage s;
	int event;
};

FIXTURE_SETUP(event)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->event = eventfd(0, EFD_CLOEXEC);
	need(self->event >= 0);
}

FIXTURE_TEARDOWN(event)
{
	close(self->event);
	stage_close(&self->s);
}

static __u64 event_read(int event)
{
	__u64 count;

	need(read(event, &count, 8) == 8);
	return count;
}

/* The count of the eventfd now, without waiting. */
static __u64 event_count(int event)
{
	struct pollfd pollfd = { .fd = event, .events = POLLIN };

	return poll(&pollfd, 1, 0) ? event_read(event) : 0;
}

TEST_F(event, eventfd_is_signalled_after_the_entry_can_be_seen)
{
	unsigned int i, n = rounds(5000);
	struct afsync_cqe cqe;

	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
		ASSERT_EQ(1, event_read(self->event));
		ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
		ASSERT_EQ(i, cqe.user_data);
	}
}

TEST_F(event, eventfd_is_signalled_once_for_a_batch)
{
	int i;

	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i < 33; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(1, event_read(self->event));
	EXPECT_EQ(1, ring_ready(&self->s.ring));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, event_read(self->event));
	EXPECT_EQ(33, ring_ready(&self->s.ring));
	/* When the ring has ended, no thread is about to signal. */
	ring_close(&self->s.ring);
	EXPECT_EQ(0, event_count(self->event));
}

TEST_F(event, batch_for_two_rings_signals_both)
{
	int other_event = eventfd(0, EFD_CLOEXEC);
	struct ring other;

	ring_open(&other, 8);
	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	ASSERT_EQ(0, afsync_cmd_eventfd(other.fd, other_event));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ASSERT_EQ(1, ring_queue(&other, self->s.file, AFSYNC_OP_FSYNC, 2));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, event_read(other_event));
	ring_wait(&self->s.ring, 3);
	ring_close(&other);
	ring_close(&self->s.ring);
	EXPECT_EQ(2, event_count(self->event));
	EXPECT_EQ(0, event_count(other_event));
	close(other_event);
}

TEST_F(event, two_rings_may_share_an_eventfd)
{
	struct ring other;
	__u64 count;

	ring_open(&other, 8);
	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	ASSERT_EQ(0, afsync_cmd_eventfd(other.fd, self->event));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ASSERT_EQ(1, ring_queue(&other, self->s.ctl, AFSYNC_OP_FSYNC, 2));
	for (count = 0; count < 2;)
		count += event_read(self->event);
	EXPECT_EQ(1, ring_ready(&self->s.ring));
	EXPECT_EQ(1, ring_ready(&other));
	ring_close(&other);
}

TEST_F(event, semaphore_eventfd_counts_down_one_by_one)
{
	int semaphore = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC), i;

	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, semaphore));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
		ring_wait(&self->s.ring, i + 1);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(1, event_read(semaphore));
	EXPECT_EQ(0, event_count(semaphore));
	close(semaphore);
}

TEST_F(event, full_eventfd_holds_nobody_up)
{
	__u64 full = ULLONG_MAX - 1;
	int i;

	ASSERT_EQ(8, write(self->event, &full, 8));
	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
		EXPECT_EQ(0, ring_next(&self->s.ring).res);
	}
}

TEST_F(event, completions_before_the_registration_do_not_signal)
{
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ring_next(&self->s.ring);
	/* The worker that posted it may not have signalled yet; the next one's end shows. */
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	ring_wait(&self->s.ring, 1);
	ring_close(&self->s.ring);
	ring_open(&self->s.ring, 8);
	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	EXPECT_EQ(0, event_count(self->event));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	EXPECT_EQ(1, event_read(self->event));
}

TEST_F(event, unregistered_eventfd_is_not_signalled)
{
	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, self->event));
	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, -1));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ring_next(&self->s.ring);
	ring_close(&self->s.ring);
	EXPECT_EQ(0, event_count(self->event));
}

TEST_F(event, eventfd_lives_on_in_the_ring_when_its_descriptor_is_closed)
{
	int copy = dup(self->event);

	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, copy));
	ASSERT_EQ(0, close(copy));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(1, event_read(self->event));
}

TEST(second_eventfd_is_refused_until_the_first_is_gone)
{
	int first = eventfd(0, EFD_CLOEXEC), second = eventfd(0, EFD_CLOEXEC);
	struct ring ring;

	ring_open(&ring, 8);
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, -1));
	EXPECT_EQ(0, afsync_cmd_eventfd(ring.fd, first));
	EXPECT_EQ(-EBUSY, afsync_cmd_eventfd(ring.fd, second));
	EXPECT_EQ(-EBUSY, afsync_cmd_eventfd(ring.fd, first));
	EXPECT_EQ(0, afsync_cmd_eventfd(ring.fd, -1));
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, -1));
	EXPECT_EQ(0, afsync_cmd_eventfd(ring.fd, second));
	ring_close(&ring);
	close(first);
	close(second);
}

TEST(only_an_eventfd_is_taken)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct ring ring;

	ring_open(&ring, 8);
	EXPECT_EQ(-EINVAL, afsync_cmd_eventfd(ring.fd, file));
	EXPECT_EQ(-EINVAL, afsync_cmd_eventfd(ring.fd, ring.fd));
	EXPECT_EQ(-EBADF, afsync_cmd_eventfd(ring.fd, -2));
	EXPECT_EQ(-EBADF, afsync_cmd_eventfd(ring.fd, 1000));
	/* None of them is registered now. */
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, -1));
	ring_close(&ring);
	close(file);
}

TEST_HARNESS_MAIN
