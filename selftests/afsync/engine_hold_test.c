// SPDX-License-Identifier: GPL-2.0-only
/*
 * Held requests, on both engines of libafsync: with AFSYNC_SQE_HOLD a request is taken at
 * once, with its file, its entry and every error, and is queued by afsync_start() only.
 */
#include "engine.h"

FIXTURE(hold) {
	struct scene s;
};

FIXTURE_ENGINES(hold);

FIXTURE_SETUP(hold)
{
	SCENE_SETUP(&self->s, variant->engine, 8);
}

FIXTURE_TEARDOWN(hold)
{
	scene_close(&self->s);
}

/* All queued requests for this file have completed. */
static void pass_through(struct afsync_ring *ring, int fd)
{
	queue(ring, fd, AFSYNC_OP_FSYNC, 99);
	need(next_cqe(ring).user_data == 99);
}

TEST_F(hold, held_request_neither_runs_nor_delays_others)
{
	queue_held(self->s.ring, self->s.file, 1);
	pass_through(self->s.ring, self->s.file);
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, afsync_cq_ready(self->s.ring));

	EXPECT_EQ(1, LIB(afsync_start(self->s.ring, 1)));
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(hold, held_request_is_not_taken_along_by_those_that_wait)
{
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	queue_held(self->s.ring, self->s.file, 3);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 4);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(4, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
	EXPECT_EQ(1, afsync_start(self->s.ring, 3));
	EXPECT_EQ(3, next_cqe(self->s.ring).user_data);
}

TEST_F(hold, sync_covers_what_was_written_before_the_start)
{
	queue_held(self->s.ring, self->s.file, 1);
	ASSERT_EQ(1, write(self->s.file, "x", 1));
	pass_through(self->s.ring, self->s.file);
	ASSERT_EQ(1, write(self->s.file, "x", 1));
	ASSERT_EQ(1, afsync_start(self->s.ring, 1));
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	EXPECT_EQ(2, sync_call(self->s.ctl, 1).writes);
}

TEST_F(hold, its_place_in_the_order_is_that_of_the_start)
{
	queue_held(self->s.ring, self->s.file, 1);
	hold_one(&self->s, AFSYNC_OP_FSYNC, 2);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3);
	ASSERT_EQ(1, afsync_start(self->s.ring, 1));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);

	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(3, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
}

TEST_F(hold, requests_with_the_same_data_start_together_and_are_merged)
{
	int i;

	for (i = 0; i < 4; i++)
		queue_held(self->s.ring, self->s.file, 7);
	EXPECT_EQ(4, LIB(afsync_start(self->s.ring, 7)));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i ? AFSYNC_CQE_MERGED : 0, next_cqe(self->s.ring).flags);
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(hold, only_those_that_were_asked_for_start)
{
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 1)));
	queue_held(self->s.ring, self->s.file, 1);
	queue_held(self->s.ring, self->s.file, 2);
	EXPECT_EQ(1, LIB(afsync_start(self->s.ring, 2)));
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	pass_through(self->s.ring, self->s.file);
	EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 2)));
	EXPECT_EQ(1, LIB(afsync_start(self->s.ring, 1)));
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
}

TEST_F(hold, range_starts_together_and_no_others)
{
	struct afsync_cqe cqe;
	int i;

	for (i = 9; i >= 5; i--)
		queue_held(self->s.ring, self->s.file, i);
	EXPECT_EQ(-EINVAL, LIB(afsync_start_range(self->s.ring, 8, 6)));
	EXPECT_EQ(3, LIB(afsync_start_range(self->s.ring, 6, 8)));
	for (i = 8; i >= 6; i--) {
		cqe = next_cqe(self->s.ring);
		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(i == 8 ? 0 : AFSYNC_CQE_MERGED, cqe.flags);
	}
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(-ENOENT, LIB(afsync_start_range(self->s.ring, 6, 8)));
	EXPECT_EQ(2, LIB(afsync_start_range(self->s.ring, 0, UINT64_MAX)));
	EXPECT_EQ(9, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(5, next_cqe(self->s.ring).user_data);
}

TEST_F(hold, request_that_is_queued_already_cannot_be_started)
{
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 1)));
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 2)));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 2));
}

TEST_F(hold, errors_are_found_when_it_is_submitted)
{
	int reader = scene_file(&self->s, "file", O_RDONLY), pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	afsync_sqe_set_flags(prepare(self->s.ring, -1, 1), AFSYNC_SQE_HOLD);
	EXPECT_EQ(-EBADF, LIB(afsync_submit(self->s.ring)));
	need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
	afsync_sqe_set_flags(prepare(self->s.ring, pipes[1], 1), AFSYNC_SQE_HOLD);
	EXPECT_EQ(-EINVAL, LIB(afsync_submit(self->s.ring)));
	need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
	afsync_sqe_set_flags(prepare(self->s.ring, reader, 1),
			     AFSYNC_SQE_HOLD | AFSYNC_SQE_WRITABLE);
	EXPECT_EQ(-EBADF, LIB(afsync_submit(self->s.ring)));
	need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 1)));
	close(reader);
}

TEST_F(hold, held_requests_have_their_entries)
{
	int i;

	for (i = 0; i < 8; i++)
		queue_held(self->s.ring, self->s.file, i);
	prepare(self->s.ring, self->s.file, 8);
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(1, LIB(afsync_start(self->s.ring, 0)));
	EXPECT_EQ(0, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(1, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(8, next_cqe(self->s.ring).user_data);
}

TEST_F(hold, the_file_is_that_of_the_submit)
{
	int file = scene_file(&self->s, "first", O_RDWR);
	int again = scene_file(&self->s, "first", O_RDWR);
	int other = scene_file(&self->s, "second", O_RDWR);

	queue_held(self->s.ring, file, 1);
	ASSERT_EQ(file, dup2(other, file));
	ASSERT_EQ(1, afsync_start(self->s.ring, 1));
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	EXPECT_EQ(1, syncs_started(again, SIM_GATE_FSYNC));
	EXPECT_EQ(0, syncs_started(other, SIM_GATE_FSYNC));
	close(file);
	close(again);
	close(other);
}

TEST_F(hold, held_request_can_be_cancelled)
{
	unsigned int running = POISON32;

	queue_held(self->s.ring, self->s.file, 1);
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_USER_DATA, 1, -1,
					     &running)));
	EXPECT_EQ(0, running);
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 1)));

	queue_held(self->s.ring, self->s.file, 2);
	EXPECT_EQ(1, LIB(afsync_cancel_fd(self->s.ring, self->s.file)));
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	EXPECT_EQ(0, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(hold, end_of_the_ring_ends_held_requests_without_a_sync)
{
	queue_held(self->s.ring, self->s.file, 1);
	queue_held(self->s.ring, self->s.file, 2);
	afsync_queue_exit(self->s.ring);
	self->s.ring = new_ring(&self->s, 8);
	pass_through(self->s.ring, self->s.file);
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* Each is started or cancelled, never both or neither. */
struct race {
	struct afsync_ring *ring;
	unsigned int count;
	unsigned int won;
};

static void *cancel_each(void *arg)
{
	struct race *race = arg;
	unsigned int i;

	for (i = 0; i < race->count; i++)
		if (afsync_cancel(race->ring, i) == 1)
			race->won++;
	return NULL;
}

TEST_F(hold, start_against_cancel_ends_each_once)
{
	struct race race = { .count = 256 };
	unsigned int i, round, cancelled;
	struct afsync_cqe cqe;
	pthread_t thread;

	race.ring = new_ring(&self->s, race.count);
	for (round = 0; round < rounds(10); round++) {
		race.won = 0;
		cancelled = 0;
		for (i = 0; i < race.count; i++)
			queue_held(race.ring, self->s.file, i);
		thread = thread_start(cancel_each, &race);
		for (i = 0; i < race.count; i++)
			afsync_start(race.ring, i);
		thread_join(thread);
		for (i = 0; i < race.count; i++) {
			cqe = next_cqe(race.ring);
			ASSERT_TRUE(cqe.res == 0 || cqe.res == -ECANCELED);
			cancelled += cqe.res == -ECANCELED;
		}
		EXPECT_EQ(race.won, cancelled);
		EXPECT_EQ(0, afsync_cq_ready(race.ring));
	}
	afsync_queue_exit(race.ring);
}

TEST_HARNESS_MAIN
