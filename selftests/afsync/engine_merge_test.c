// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merging, on both engines of libafsync: one sync covers all requests that wait for an open
 * file when it starts, and is as strong as the strongest of them; a request that arrives
 * later is not covered. This includes requests from several rings and threads of a process.
 */
#include "engine.h"

FIXTURE(merge) {
	struct scene s;
};

FIXTURE_ENGINES(merge);

FIXTURE_SETUP(merge)
{
	SCENE_SETUP(&self->s, variant->engine, 128);
}

FIXTURE_TEARDOWN(merge)
{
	scene_close(&self->s);
}

TEST_F(merge, all_that_wait_when_a_sync_starts_are_served_by_it)
{
	struct afsync_cqe cqe;
	int i, again = dup(self->s.file);

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i <= 100; i++)
		queue(self->s.ring, i % 2 ? self->s.file : again, i % 3 % 2, i);
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i <= 100; i++) {
		cqe = next_cqe(self->s.ring);
		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
		/* The first is the one for which the sync ran. */
		EXPECT_EQ(i <= 1 ? 0 : AFSYNC_CQE_MERGED, cqe.flags);
	}
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	close(again);
}

TEST_F(merge, one_queued_after_the_start_is_not_served_by_it)
{
	hold_one(&self->s, AFSYNC_OP_FDATASYNC, 0);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 1);
	gate_step(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, next_cqe(self->s.ring).user_data);
	/* The second has a sync of its own, which is held again. */
	syncs_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, take_unmerged(self->s.ring, 1));
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(merge, sync_covers_what_was_written_before_the_request)
{
	int i;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(1, write(self->s.file, "x", 1));
		queue(self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, i);
	}
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 4));
	EXPECT_EQ(0, sync_call(self->s.ctl, 0).writes);
	EXPECT_EQ(3, sync_call(self->s.ctl, 1).writes);
}

TEST_F(merge, array_on_an_idle_file_is_one_sync)
{
	unsigned int i, n;
	char name[16];
	int file;

	for (n = 0; n < 20; n++) {
		/* Another one: the last sync may not have ended quite yet. */
		snprintf(name, sizeof(name), "idle%u", n);
		file = scene_file(&self->s, name, O_RDWR);
		for (i = 0; i < 100; i++)
			prepare(self->s.ring, file, i);
		ASSERT_EQ(100, LIB(afsync_submit(self->s.ring)));
		ASSERT_EQ(1, take_unmerged(self->s.ring, 100));
		ASSERT_EQ(1, syncs_started(file, SIM_GATE_FSYNC));
		close(file);
	}
}

static const struct mix {
	const char *what;
	__u32 ops[3];
	unsigned int nr;
	bool datasync;
} mixes[] = {
	{ "a datasync alone", { AFSYNC_OP_FDATASYNC }, 1, true },
	{ "a sync alone", { AFSYNC_OP_FSYNC }, 1, false },
	{ "datasyncs stay a datasync", { AFSYNC_OP_FDATASYNC, AFSYNC_OP_FDATASYNC }, 2, true },
	{ "a datasync rides on a sync before it", { AFSYNC_OP_FSYNC, AFSYNC_OP_FDATASYNC },
	  2, false },
	{ "a sync behind datasyncs makes them a sync",
	  { AFSYNC_OP_FDATASYNC, AFSYNC_OP_FDATASYNC, AFSYNC_OP_FSYNC }, 3, false },
};

TEST_F(merge, datasync_rides_on_a_sync_and_not_the_other_way_round)
{
	const struct mix *mix;
	__u32 syncs = 0;
	unsigned int i;

	for (mix = mixes; mix < mixes + ARRAY_SIZE(mixes); mix++) {
		hold_one(&self->s, AFSYNC_OP_FDATASYNC, 0);
		for (i = 0; i < mix->nr; i++)
			queue(self->s.ring, self->s.file, mix->ops[i], i);
		gate_open(self->s.ctl, SIM_GATE_FSYNC);
		EXPECT_EQ(2, take_unmerged(self->s.ring, mix->nr + 1))
			TH_LOG("%s", mix->what);
		syncs += 2;
		ASSERT_EQ(syncs, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
		EXPECT_EQ(1, sync_call(self->s.ctl, syncs - 2).datasync);
		EXPECT_EQ(mix->datasync, sync_call(self->s.ctl, syncs - 1).datasync)
			TH_LOG("%s", mix->what);
	}
}

/* An engine may treat a range as it likes, if it syncs all of it. */
TEST_F(merge, ranges_are_covered)
{
	struct sim_call call;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	afsync_prep_fdatasync_range(afsync_get_sqe(self->s.ring), self->s.file, 100, 10);
	afsync_prep_fsync_range(afsync_get_sqe(self->s.ring), self->s.file, 5000, 1);
	afsync_prep_fdatasync_range(afsync_get_sqe(self->s.ring), self->s.file, 50, 10);
	ASSERT_EQ(3, afsync_submit(self->s.ring));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 4));
	call = sync_call(self->s.ctl, 1);
	EXPECT_EQ(0, call.datasync);
	EXPECT_LE(call.start, 50);
	EXPECT_GE(call.end, 5000);
}

TEST_F(merge, cancelled_request_does_not_make_the_sync_stronger)
{
	hold_one(&self->s, AFSYNC_OP_FDATASYNC, 0);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	ASSERT_EQ(1, afsync_cancel(self->s.ring, 2));
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 2));
	EXPECT_EQ(1, sync_call(self->s.ctl, 1).datasync);
}

TEST_F(merge, requests_of_two_rings_share_a_sync)
{
	struct afsync_ring *other = new_ring(&self->s, 64);
	int i;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 0; i < 40; i++)
		queue(i % 2 ? self->s.ring : other, self->s.file, AFSYNC_OP_FSYNC, i);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, take_unmerged(other, 20));
	EXPECT_EQ(1, take_unmerged(self->s.ring, 21));
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	afsync_queue_exit(other);
}

struct submitter {
	const struct scene *scene;
	struct afsync_ring *ring;
	pthread_t thread;
};

static void *submit_some(void *arg)
{
	struct submitter *submitter = arg;
	int i;

	for (i = 0; i < 25; i++)
		queue(submitter->ring, submitter->scene->file, AFSYNC_OP_FDATASYNC, i);
	return NULL;
}

TEST_F(merge, hundred_requests_of_four_threads_on_a_busy_file_are_one_sync)
{
	struct submitter submitters[4];
	unsigned int i, unmerged = 0;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 0; i < 4; i++) {
		submitters[i].scene = &self->s;
		submitters[i].ring = new_ring(&self->s, 32);
		submitters[i].thread = thread_start(submit_some, &submitters[i]);
	}
	for (i = 0; i < 4; i++)
		thread_join(submitters[i].thread);
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 4; i++) {
		unmerged += take_unmerged(submitters[i].ring, 25);
		afsync_queue_exit(submitters[i].ring);
	}
	EXPECT_EQ(1, unmerged);
	EXPECT_EQ(1, take_unmerged(self->s.ring, 1));
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(merge, syncfs_requests_are_one_sync_of_their_own)
{
	int i;

	gate_close(self->s.ctl, SIM_GATE_SYNCFS);
	queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 0);
	syncs_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);
	for (i = 1; i <= 30; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, i);
	gate_open(self->s.ctl, SIM_GATE_SYNCFS);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 31));
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_SYNCFS));
	EXPECT_EQ(0, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_HARNESS_MAIN
