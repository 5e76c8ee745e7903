// SPDX-License-Identifier: GPL-2.0-only
/*
 * Held requests: with AFSYNC_SQE_HOLD a request is accepted at once, with its file, its
 * slot and every error, and runs only after AFSYNC_IOC_START. It covers everything
 * written before the start.
 *
 * Needs afsync_sim.
 */
#include "common.h"

FIXTURE(hold) {
	struct stage s;
};

FIXTURE_SETUP(hold)
{
	STAGE_SETUP(&self->s, "afsync_sim", 8);
}

FIXTURE_TEARDOWN(hold)
{
	stage_close(&self->s);
}

/* All queued requests for this file have completed. */
static void pass_through(struct ring *ring, int fd)
{
	need(ring_queue(ring, fd, AFSYNC_OP_FSYNC, 99) == 1);
	need(ring_next(ring).user_data == 99);
}

TEST_F(hold, held_request_neither_runs_nor_delays_others)
{
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	pass_through(&self->s.ring, self->s.file);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, ring_ready(&self->s.ring));

	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(hold, sync_covers_what_was_written_before_the_start)
{
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, write(self->s.file, "x", 1));
	pass_through(&self->s.ring, self->s.file);
	ASSERT_EQ(1, write(self->s.file, "x", 1));
	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(2, sim_call(self->s.ctl, 1).writes);
}

TEST_F(hold, its_place_in_the_order_is_that_of_the_start)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);

	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(3, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
}

TEST_F(hold, started_requests_are_merged)
{
	long long syncs = counter("syncs");
	struct afsync_sqe sqes[4];
	int i;

	for (i = 0; i < 4; i++) {
		sqes[i] = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 7);
		sqes[i].flags = AFSYNC_SQE_HOLD;
	}
	ASSERT_EQ(4, ring_submit(&self->s.ring, sqes, 4, NULL));
	EXPECT_EQ(4, ring_start(&self->s.ring, 7));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i ? AFSYNC_CQE_MERGED : 0, ring_next(&self->s.ring).flags);
	EXPECT_EQ(syncs + 1, counter("syncs"));
}

TEST_F(hold, only_those_that_were_asked_for_start)
{
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 2));
	EXPECT_EQ(1, ring_start(&self->s.ring, 2));
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	pass_through(&self->s.ring, self->s.file);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	EXPECT_EQ(-ENOENT, ring_start(&self->s.ring, 2));
	EXPECT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
}

TEST_F(hold, range_starts_together_and_no_others)
{
	long long syncs = counter("syncs");
	int i;

	/* The range is of values: 5 and 9 are outside, whenever they were submitted. */
	for (i = 9; i >= 5; i--)
		ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, i));
	EXPECT_EQ(3, ring_start_range(&self->s.ring, 6, 8));
	for (i = 8; i >= 6; i--) {
		struct afsync_cqe cqe = ring_next(&self->s.ring);

		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(i == 8 ? 0 : AFSYNC_CQE_MERGED, cqe.flags);
	}
	EXPECT_EQ(syncs + 1, counter("syncs"));
	EXPECT_EQ(-ENOENT, ring_start_range(&self->s.ring, 6, 8));
	EXPECT_EQ(2, ring_start_range(&self->s.ring, 0, ~0ULL));
	EXPECT_EQ(9, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(5, ring_next(&self->s.ring).user_data);
}

TEST_F(hold, range_of_one_value_is_that_value)
{
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 0));
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, ~0ULL));
	EXPECT_EQ(1, ring_start_range(&self->s.ring, 1, 1));
	EXPECT_EQ(1, ring_start_range(&self->s.ring, 0, 0));
	EXPECT_EQ(1, ring_start_range(&self->s.ring, ~0ULL, ~0ULL));
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(0, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(~0ULL, ring_next(&self->s.ring).user_data);
}

TEST_F(hold, errors_are_found_when_it_is_submitted)
{
	int reader = world_open(&self->s.world, "file", O_RDONLY);
	struct afsync_sqe sqe = sqe_of(reader, AFSYNC_OP_FSYNC, 1);
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-EBADF, ring_hold(&self->s.ring, -1, 1));
	EXPECT_EQ(-EINVAL, ring_hold(&self->s.ring, pipes[1], 1));
	sqe.flags = AFSYNC_SQE_HOLD | AFSYNC_SQE_WRITABLE;
	EXPECT_EQ(-EBADF, ring_submit(&self->s.ring, &sqe, 1, NULL));
	EXPECT_EQ(-ENOENT, ring_start(&self->s.ring, 1));
	close(reader);
}

TEST_F(hold, held_requests_have_their_slots)
{
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, i));
	EXPECT_EQ(-EAGAIN, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 8));
	EXPECT_EQ(1, ring_start(&self->s.ring, 0));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 8));
	EXPECT_EQ(8, ring_next(&self->s.ring).user_data);
}

TEST_F(hold, the_file_is_that_of_the_submit)
{
	int file = world_open(&self->s.world, "first", O_RDWR);
	int again = world_open(&self->s.world, "first", O_RDWR);
	int other = world_open(&self->s.world, "second", O_RDWR);

	ASSERT_EQ(1, ring_hold(&self->s.ring, file, 1));
	ASSERT_EQ(file, dup2(other, file));
	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, sim_started(again, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_started(other, SIM_GATE_FSYNC));
	close(file);
	close(again);
	close(other);
}

TEST_F(hold, held_request_can_be_cancelled)
{
	__u32 running;

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 1, 0,
				       &running));
	EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
	EXPECT_EQ(-ENOENT, ring_start(&self->s.ring, 1));

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 2));
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0, self->s.file,
				       &running));
	EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(hold, closing_the_ring_ends_held_requests_without_a_sync)
{
	long long in_flight = counter("in_flight");

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 2));
	EXPECT_EQ(in_flight + 2, counter("in_flight"));
	ring_close(&self->s.ring);
	EXPECT_EQ(in_flight, counter("in_flight"));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	/* For the teardown, whose unmount shows that the files were released. */
	ring_open(&self->s.ring, 8);
}

TEST_F(hold, fdinfo_shows_held_requests)
{
	char path[64], *text;

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->s.ring.fd);
	text = text_read(path);
	EXPECT_NE(NULL, strstr(text, "in_flight:\t1\n"));
	EXPECT_NE(NULL, strstr(text, "pending:\theld fsync "));
	free(text);
	EXPECT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

TEST_F(hold, bad_start_is_refused_and_starts_nothing)
{
	struct afsync_start args = { .user_data = 1, .flags = 1 };
	int fresh = device_open();

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	EXPECT_EQ(-EINVAL, command(self->s.ring.fd, AFSYNC_IOC_START, &args));
	args.flags = 0;
	EXPECT_EQ(-EINVAL, ring_start_range(&self->s.ring, 2, 1));
	args.ring = self->s.ring.header->id + 1;
	EXPECT_EQ(-ESTALE, command(self->s.ring.fd, AFSYNC_IOC_START, &args));
	EXPECT_EQ(-EFAULT, command(self->s.ring.fd, AFSYNC_IOC_START, NULL));
	args.ring = 0;
	EXPECT_EQ(-ENXIO, command(fresh, AFSYNC_IOC_START, &args));
	close(fresh);
	EXPECT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

/* Each is started or cancelled, never both or neither. */
struct race {
	struct ring ring;
	pthread_t thread;
	unsigned int count;
	unsigned int won;	/* by the thread that cancels */
	unsigned int cancelled;	/* entries with this result, and with 0 */
	unsigned int synced;
};

static void *cancel_each(void *arg)
{
	struct race *race = arg;
	__u32 running;
	unsigned int i;

	for (i = 0; i < race->count; i++)
		if (afsync_cmd_cancel(race->ring.fd, AFSYNC_CANCEL_USER_DATA, i, 0,
				      &running) == 1)
			race->won++;
	return NULL;
}

/* Holds the requests, which a thread then cancels one by one. */
static void race_begin(struct race *race, int file)
{
	unsigned int i;

	*race = (struct race) { .count = rounds(2000) };
	ring_open(&race->ring, race->count);
	for (i = 0; i < race->count; i++)
		need(ring_hold(&race->ring, file, i) == 1);
	race->thread = thread_start(cancel_each, race);
}

static void race_end(struct race *race)
{
	struct afsync_cqe cqe;

	thread_join(race->thread);
	ring_wait(&race->ring, race->count);
	while (ring_take(&race->ring, &cqe)) {
		race->cancelled += cqe.res == -ECANCELED;
		race->synced += cqe.res == 0;
		need(cqe.res == -ECANCELED || cqe.res == 0);
	}
	ring_close(&race->ring);
}

TEST_F(hold, start_against_cancel_ends_each_once)
{
	struct race race;
	unsigned int i;

	race_begin(&race, self->s.file);
	for (i = 0; i < race.count; i++)
		ring_start(&race.ring, i);
	race_end(&race);
	EXPECT_EQ(race.count, race.cancelled + race.synced);
	EXPECT_EQ(race.won, race.cancelled);
}

/* Two ranges that overlap: each request is started by one of them, or cancelled. */
TEST_F(hold, range_against_cancel_ends_each_once)
{
	unsigned int started = 0;
	struct race race;
	int ret;

	race_begin(&race, self->s.file);
	ret = ring_start_range(&race.ring, 0, race.count / 2);
	started += ret > 0 ? ret : 0;
	ret = ring_start_range(&race.ring, race.count / 4, race.count);
	started += ret > 0 ? ret : 0;
	race_end(&race);
	EXPECT_EQ(race.count, race.cancelled + race.synced);
	EXPECT_EQ(race.won, race.cancelled);
	/* One that was started can still be cancelled while it is queued. */
	EXPECT_LE(race.count, started + race.cancelled);
}

TEST_F(hold, command_for_another_ring_is_refused_and_for_this_one_taken)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = submit_of(&sqe, 1);
	struct afsync_cancel cancel = { .match = AFSYNC_CANCEL_ALL };
	struct afsync_start start = { .user_data = 1 };
	struct ring other;
	__u32 id;

	ring_open(&other, 8);
	id = other.header->id;
	EXPECT_NE(0, id);
	EXPECT_NE(id, self->s.ring.header->id);

	sqe.flags = AFSYNC_SQE_HOLD;
	submit.ring = id;
	start.ring = id;
	cancel.ring = id;
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	EXPECT_EQ(-ESTALE, command(self->s.ring.fd, AFSYNC_IOC_SUBMIT, &submit));
	EXPECT_EQ(-ESTALE, command(self->s.ring.fd, AFSYNC_IOC_START, &start));
	EXPECT_EQ(-ESTALE, command(self->s.ring.fd, AFSYNC_IOC_CANCEL, &cancel));

	EXPECT_EQ(1, command(other.fd, AFSYNC_IOC_SUBMIT, &submit));
	EXPECT_EQ(1, command(other.fd, AFSYNC_IOC_START, &start));
	EXPECT_EQ(0, ring_next(&other).res);
	EXPECT_EQ(-ENOENT, command(other.fd, AFSYNC_IOC_CANCEL, &cancel));
	ring_close(&other);
}

#define MOST	32768	/* entries of the largest ring */

TEST_F(hold, order_of_32768_held_requests_is_that_in_which_they_were_started)
{
	unsigned int n = rounds(MOST / 2) * 2, i;
	static struct afsync_sqe sqes[MOST];
	struct ring ring;

	ring_open(&ring, MOST);
	for (i = 0; i < n; i++) {
		sqes[i] = sqe_of(self->s.file, i % 3 == 0, 7 + i % 2);
		sqes[i].flags = AFSYNC_SQE_HOLD;
	}
	ASSERT_EQ(n, ring_submit(&ring, sqes, n, NULL));
	EXPECT_EQ(n, fdinfo_number(ring.fd, "in_flight"));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(n / 2, ring_start(&ring, 8));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(n / 2, ring_start(&ring, 7));
	EXPECT_EQ(-ENOENT, ring_start(&ring, 7));
	EXPECT_EQ(0, ring_ready(&ring));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < n; i++)
		ASSERT_EQ(i < n / 2 ? 8 : 7, ring_next(&ring).user_data);
	EXPECT_EQ(0, ring_ready(&ring));
	ring_close(&ring);
}

static void *start_all(void *arg)
{
	struct ring *ring = arg;

	return (void *)(intptr_t)ring_start(ring, 7);
}

/* No request can run, so each of them is held or queued, and can be cancelled. */
TEST_F(hold, cancel_misses_none_of_those_that_are_being_started)
{
	unsigned int i, round, count = 1000;
	pthread_t thread;
	struct ring ring;
	__u32 running;

	ring_open(&ring, 1024);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (round = 0; round < rounds(50); round++) {
		for (i = 0; i < count; i++)
			ASSERT_EQ(1, ring_hold(&ring, self->s.file, 7));
		thread = thread_start(start_all, &ring);
		if (round % 2)
			sched_yield();
		EXPECT_EQ(count, afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_USER_DATA, 7, 0,
						   &running));
		EXPECT_EQ(0, running);
		thread_join(thread);
		for (i = 0; i < count; i++)
			EXPECT_EQ(-ECANCELED, ring_next(&ring).res);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, ring_next(&ring).user_data);
	ring_close(&ring);
}

TEST_HARNESS_MAIN
