// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings with AFSYNC_INIT_INLINE, on both engines of libafsync: the thread that submits requests
 * and waits for them runs their sync itself, if nothing else is going on. The results are those of
 * a sync in another thread. inline_test.c has what only the device does.
 */
#include <linux/ioprio.h>

#include "engine.h"

#define ENTRIES		8

FIXTURE(inline) {
	struct scene s;
	struct afsync_ring *ring;
};

FIXTURE_ENGINES(inline);

FIXTURE_SETUP(inline)
{
	SCENE_SETUP(&self->s, variant->engine, 8);
	need(afsync_queue_init(ENTRIES, &self->ring, variant->engine | AFSYNC_INIT_INLINE) == 0);
}

FIXTURE_TEARDOWN(inline)
{
	afsync_queue_exit(self->ring);
	scene_close(&self->s);
}

/* Did this thread run that sync of the file? */
static bool caller_ran(const struct scene *s, __u32 n)
{
	return sync_call(s->ctl, n).pid == (__u32)thread_id();
}

TEST_F(inline, caller_runs_the_sync_that_it_waits_for)
{
	struct afsync_cqe cqe;

	prepare(self->ring, self->s.file, 7);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	ASSERT_EQ(1, afsync_cq_ready(self->ring));
	EXPECT_TRUE(caller_ran(&self->s, 0));
	cqe = next_cqe(self->ring);
	EXPECT_EQ(7, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(0, cqe.flags);
}

TEST_F(inline, one_sync_serves_the_array)
{
	struct afsync_cqe cqe;
	int i;

	for (i = 0; i < ENTRIES; i++)
		prepare(self->ring, self->s.file, i);
	ASSERT_EQ(ENTRIES, LIB(afsync_submit_and_wait(self->ring, ENTRIES)));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_TRUE(caller_ran(&self->s, 0));
	for (i = 0; i < ENTRIES; i++) {
		cqe = next_cqe(self->ring);
		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
		EXPECT_EQ(i ? AFSYNC_CQE_MERGED : 0, cqe.flags);
	}
}

/* Submits requests with these operations and takes them; returns the first sync of the file. */
static struct sim_call sync_of(struct scene *s, struct afsync_ring *ring, const __u32 *ops, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		prepare(ring, s->file, i)->op = ops[i];
	need(afsync_submit_and_wait(ring, nr) == nr);
	need(take_unmerged(ring, nr) == 1);
	need(syncs_started(s->ctl, SIM_GATE_FSYNC) == 1);
	need(caller_ran(s, 0));
	return sync_call(s->ctl, 0);
}

TEST_F(inline, fdatasyncs_need_an_fdatasync_only)
{
	static const __u32 ops[] = { AFSYNC_OP_FDATASYNC, AFSYNC_OP_FDATASYNC };

	EXPECT_TRUE(sync_of(&self->s, self->ring, ops, 2).datasync);
}

TEST_F(inline, fsync_behind_fdatasyncs_makes_an_fsync_of_all)
{
	static const __u32 ops[] = { AFSYNC_OP_FDATASYNC, AFSYNC_OP_FDATASYNC, AFSYNC_OP_FSYNC };

	EXPECT_FALSE(sync_of(&self->s, self->ring, ops, 3).datasync);
}

TEST_F(inline, fsync_serves_the_fdatasyncs_behind_it)
{
	static const __u32 ops[] = { AFSYNC_OP_FSYNC, AFSYNC_OP_FDATASYNC };

	EXPECT_FALSE(sync_of(&self->s, self->ring, ops, 2).datasync);
}

TEST_F(inline, one_syncfs_serves_the_array)
{
	int i;

	for (i = 0; i < 3; i++)
		prepare(self->ring, self->s.file, i)->op = AFSYNC_OP_SYNCFS;
	ASSERT_EQ(3, LIB(afsync_submit_and_wait(self->ring, 3)));
	EXPECT_EQ(1, take_unmerged(self->ring, 3));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_SYNCFS));
}

TEST_F(inline, fsync_and_syncfs_are_two_syncs)
{
	prepare(self->ring, self->s.file, 1);
	prepare(self->ring, self->s.file, 2)->op = AFSYNC_OP_SYNCFS;
	ASSERT_EQ(2, LIB(afsync_submit_and_wait(self->ring, 2)));
	EXPECT_EQ(2, take_unmerged(self->ring, 2));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_SYNCFS));
}

TEST_F(inline, each_request_of_the_array_reports_the_error_of_its_sync)
{
	int i;

	sync_fail(self->s.ctl, SIM_GATE_FSYNC, EDQUOT, 1);
	for (i = 0; i < 3; i++)
		prepare(self->ring, self->s.file, i);
	ASSERT_EQ(3, LIB(afsync_submit_and_wait(self->ring, 3)));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EDQUOT, next_cqe(self->ring).res);
	prepare(self->ring, self->s.file, 4);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(0, next_cqe(self->ring).res);
}

TEST_F(inline, invalid_request_stays_and_those_before_it_are_done)
{
	prepare(self->ring, self->s.file, 1);
	prepare(self->ring, self->s.file, 2)->flags = 1U << 31;
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(1, afsync_sq_ready(self->ring));
	EXPECT_EQ(-EINVAL, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(0, afsync_cq_ready(self->ring));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* --- what is left to another thread --- */

TEST_F(inline, who_does_not_wait_runs_nothing)
{
	queue(self->ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(0, next_cqe(self->ring).res);
	EXPECT_FALSE(caller_ran(&self->s, 0));
}

TEST_F(inline, who_set_a_timeout_runs_nothing)
{
	struct afsync_cqe *cqe;

	prepare(self->ring, self->s.file, 1);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 1, &ages, NULL)));
	EXPECT_FALSE(caller_ran(&self->s, 0));
}

TEST_F(inline, who_named_a_priority_runs_nothing)
{
	prepare(self->ring, self->s.file, 1)->ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 3);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(0, next_cqe(self->ring).res);
	EXPECT_FALSE(caller_ran(&self->s, 0));
}

TEST_F(inline, several_files_are_left_to_others)
{
	int other = scene_file(&self->s, "other", O_RDWR);

	prepare(self->ring, self->s.file, 1);
	prepare(self->ring, other, 2);
	ASSERT_EQ(2, LIB(afsync_submit_and_wait(self->ring, 2)));
	EXPECT_EQ(2, take_unmerged(self->ring, 2));
	EXPECT_FALSE(caller_ran(&self->s, 0));
	close(other);
}

TEST_F(inline, held_request_in_the_array_waits_for_its_start)
{
	prepare(self->ring, self->s.file, 1);
	afsync_sqe_set_flags(prepare(self->ring, self->s.file, 2), AFSYNC_SQE_HOLD);
	ASSERT_EQ(2, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(0, afsync_cq_ready(self->ring));
	EXPECT_EQ(1, LIB(afsync_start(self->ring, 2)));
	EXPECT_EQ(2, next_cqe(self->ring).user_data);
}

TEST_F(inline, while_a_request_is_in_flight_others_run_them)
{
	int other = scene_file(&self->s, "other", O_RDWR);

	queue_held(self->ring, other, 1);
	prepare(self->ring, self->s.file, 2);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(2, next_cqe(self->ring).user_data);
	EXPECT_FALSE(caller_ran(&self->s, 0));
	ASSERT_EQ(1, LIB(afsync_start(self->ring, 1)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	close(other);
}

TEST_F(inline, while_a_completion_is_unread_others_run_them)
{
	int other = scene_file(&self->s, "other", O_RDWR);

	prepare(self->ring, other, 1);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	prepare(self->ring, self->s.file, 2);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 2)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(2, next_cqe(self->ring).user_data);
	EXPECT_FALSE(caller_ran(&self->s, 0));
	close(other);
}

TEST_HARNESS_MAIN
