// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event loops, on both engines of libafsync: the eventfd is signalled after the entries can
 * be seen, and the descriptor of the ring is readable for poll(2) and epoll(7) exactly
 * while completions are unread.
 */
#include "engine.h"

#include <sys/epoll.h>

FIXTURE(event) {
	struct scene s;
	int event;
};

FIXTURE_ENGINES(event);

FIXTURE_SETUP(event)
{
	SCENE_SETUP(&self->s, variant->engine, 64);
	self->event = eventfd(0, EFD_CLOEXEC);
	need(self->event >= 0);
}

FIXTURE_TEARDOWN(event)
{
	close(self->event);
	scene_close(&self->s);
}

/* --- eventfd --- */

TEST_F(event, eventfd_is_signalled_after_the_entry_can_be_seen)
{
	unsigned int i, n = rounds(1000);
	struct afsync_cqe *cqe;

	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	for (i = 0; i < n; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		ASSERT_EQ(1, event_read(self->event));
		ASSERT_EQ(0, afsync_peek_cqe(self->s.ring, &cqe));
		ASSERT_EQ(i, cqe->user_data);
		afsync_cqe_seen(self->s.ring, cqe);
	}
}

TEST_F(event, eventfd_is_not_signalled_before_a_completion)
{
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	EXPECT_EQ(0, polled(self->event));
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(0, polled(self->event));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	poll_wait(self->event);
	EXPECT_EQ(1, afsync_cq_ready(self->s.ring));
}

TEST_F(event, cancel_signals_the_eventfd)
{
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	queue_held(self->s.ring, self->s.file, 1);
	EXPECT_EQ(1, afsync_cancel(self->s.ring, 1));
	poll_wait(self->event);
	EXPECT_EQ(1, afsync_cq_ready(self->s.ring));
}

TEST_F(event, one_sync_for_two_rings_signals_both)
{
	int other_event = eventfd(0, EFD_CLOEXEC);
	struct afsync_ring *other = new_ring(&self->s, 8);

	ASSERT_EQ(0, afsync_register_eventfd(self->s.ring, self->event));
	ASSERT_EQ(0, afsync_register_eventfd(other, other_event));
	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	queue(other, self->s.file, AFSYNC_OP_FSYNC, 2);
	gate_step(self->s.ctl, SIM_GATE_FSYNC);
	event_read(self->event);
	EXPECT_EQ(0, polled(other_event));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	event_read(self->event);
	event_read(other_event);
	EXPECT_EQ(2, afsync_cq_ready(self->s.ring));
	EXPECT_EQ(1, afsync_cq_ready(other));
	afsync_queue_exit(other);
	close(other_event);
}

TEST_F(event, two_rings_may_share_an_eventfd)
{
	struct afsync_ring *other = new_ring(&self->s, 8);
	__u64 count;

	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	ASSERT_EQ(0, LIB(afsync_register_eventfd(other, self->event)));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	need(next_cqe(self->s.ring).res == 0);
	queue(other, self->s.file, AFSYNC_OP_FSYNC, 2);
	for (count = 0; count < 2;)
		count += event_read(self->event);
	EXPECT_EQ(1, afsync_cq_ready(other));
	afsync_queue_exit(other);
}

TEST_F(event, full_eventfd_holds_nobody_up)
{
	__u64 full = ULLONG_MAX - 1;
	int i;

	ASSERT_EQ(8, write(self->event, &full, 8));
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	for (i = 0; i < 3; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		EXPECT_EQ(0, next_cqe(self->s.ring).res);
	}
	/* A ring that ends waits for a thread that is about to signal. */
	afsync_queue_exit(self->s.ring);
	self->s.ring = NULL;
	EXPECT_LE(full, event_read(self->event));
}

TEST_F(event, unregistered_eventfd_is_not_signalled)
{
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	ASSERT_EQ(0, LIB(afsync_unregister_eventfd(self->s.ring)));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	need(next_cqe(self->s.ring).res == 0);
	/* When the ring has ended, no thread is about to signal. */
	afsync_queue_exit(self->s.ring);
	self->s.ring = NULL;
	EXPECT_EQ(0, polled(self->event));
}

TEST_F(event, eventfd_is_kept_when_its_descriptor_is_closed_or_another_file)
{
	int copy = dup(self->event), file = scene_file(&self->s, "other", O_RDWR);
	struct stat st;

	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, copy)));
	ASSERT_EQ(0, close(copy));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	event_read(self->event);

	ASSERT_EQ(copy, dup2(file, copy));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	event_read(self->event);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 2));
	need(fstat(file, &st) == 0);
	EXPECT_EQ(0, st.st_size);
	close(file);
	close(copy);
}

TEST_F(event, second_eventfd_is_refused_until_the_first_is_gone)
{
	int second = eventfd(0, EFD_CLOEXEC);

	EXPECT_EQ(-ENXIO, LIB(afsync_unregister_eventfd(self->s.ring)));
	EXPECT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	EXPECT_EQ(-EBUSY, LIB(afsync_register_eventfd(self->s.ring, second)));
	EXPECT_EQ(-EBUSY, LIB(afsync_register_eventfd(self->s.ring, self->event)));
	EXPECT_EQ(0, LIB(afsync_unregister_eventfd(self->s.ring)));
	EXPECT_EQ(-ENXIO, LIB(afsync_unregister_eventfd(self->s.ring)));
	EXPECT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, second)));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	event_read(second);
	EXPECT_EQ(0, polled(self->event));
	close(second);
}

TEST_F(event, only_an_eventfd_is_taken)
{
	int loop = epoll_create1(EPOLL_CLOEXEC), pipes[2];

	need(pipe(pipes) == 0);
	EXPECT_EQ(-EINVAL, LIB(afsync_register_eventfd(self->s.ring, self->s.file)));
	EXPECT_EQ(-EINVAL, LIB(afsync_register_eventfd(self->s.ring, pipes[1])));
	EXPECT_EQ(-EINVAL, LIB(afsync_register_eventfd(self->s.ring, loop)));
	EXPECT_EQ(-EINVAL, LIB(afsync_register_eventfd(self->s.ring,
						       afsync_ring_fd(self->s.ring))));
	EXPECT_EQ(-EBADF, LIB(afsync_register_eventfd(self->s.ring, -1)));
	EXPECT_EQ(-EBADF, LIB(afsync_register_eventfd(self->s.ring, 100000)));
	/* None of them is registered now. */
	EXPECT_EQ(-ENXIO, LIB(afsync_unregister_eventfd(self->s.ring)));
	close(loop);
}

/* --- poll and epoll --- */

TEST_F(event, ring_is_readable_while_completions_are_unread)
{
	int fd = LIB(afsync_ring_fd(self->s.ring)), i;

	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(0, polled(fd));
	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	EXPECT_EQ(0, polled(fd));
	for (i = 1; i < 5; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	poll_wait(fd);
	need(afsync_wait_cqes(self->s.ring, NULL, 5, NULL, NULL) == 0);
	for (i = 0; i < 3; i++) {
		/* At each poll. */
		EXPECT_EQ(POLLIN, polled(fd));
		EXPECT_EQ(POLLIN, polled(fd));
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
	}
	EXPECT_EQ(POLLIN, polled(fd));
	afsync_cq_advance(self->s.ring, 2);
	EXPECT_EQ(0, polled(fd));

	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 5);
	poll_wait(fd);
	EXPECT_EQ(5, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(0, polled(fd));
}

TEST_F(event, ring_is_readable_when_it_is_polled_for_the_first_time_after_a_completion)
{
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	need(afsync_wait_cqe(self->s.ring, NULL) == 0);
	poll_wait(afsync_ring_fd(self->s.ring));
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(0, polled(afsync_ring_fd(self->s.ring)));
}

TEST_F(event, ring_is_not_readable_once_all_is_read_however_fast)
{
	unsigned int i, late = 0, n = rounds(1000);
	int fd = afsync_ring_fd(self->s.ring);
	struct afsync_cqe *cqe;

	for (i = 0; i < n; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		/* Without a wait: as soon as the entry can be seen. */
		while (afsync_peek_cqe(self->s.ring, &cqe))
			sched_yield();
		ASSERT_EQ(i, cqe->user_data);
		afsync_cqe_seen(self->s.ring, cqe);
		late += polled(fd) != 0;
	}
	EXPECT_EQ(0, late);
	EXPECT_EQ(0, polled(fd));
}

TEST_F(event, epoll_is_level_triggered)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int loop = epoll_create1(EPOLL_CLOEXEC), i;

	need(epoll_ctl(loop, EPOLL_CTL_ADD, afsync_ring_fd(self->s.ring), &ev) == 0);
	EXPECT_EQ(0, epoll_wait(loop, &ev, 1, 0));
	for (i = 0; i < 10; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		EXPECT_EQ(1, epoll_wait(loop, &ev, 1, -1));
		EXPECT_EQ(EPOLLIN, ev.events);
		EXPECT_EQ(1, epoll_wait(loop, &ev, 1, 0));
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
		EXPECT_EQ(0, epoll_wait(loop, &ev, 1, 0));
	}
	close(loop);
}

TEST_F(event, edge_triggered_epoll_tells_of_each_completion_after_all_were_read)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int loop = epoll_create1(EPOLL_CLOEXEC), i;

	need(epoll_ctl(loop, EPOLL_CTL_ADD, afsync_ring_fd(self->s.ring), &ev) == 0);
	for (i = 0; i < 100; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		ASSERT_EQ(1, epoll_wait(loop, &ev, 1, -1));
		while (afsync_cq_ready(self->s.ring))
			ASSERT_EQ(i, next_cqe(self->s.ring).user_data);
	}
	close(loop);
}

TEST_F(event, cancel_wakes_poll)
{
	queue_held(self->s.ring, self->s.file, 1);
	EXPECT_EQ(0, polled(afsync_ring_fd(self->s.ring)));
	EXPECT_EQ(1, afsync_cancel_all(self->s.ring));
	poll_wait(afsync_ring_fd(self->s.ring));
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	EXPECT_EQ(0, polled(afsync_ring_fd(self->s.ring)));
}

TEST_HARNESS_MAIN
