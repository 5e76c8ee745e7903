// SPDX-License-Identifier: GPL-2.0-only
/*
 * P4 merging: one sync covers all requests that wait for a file when it starts, and is as
 * strong as the strongest of them; a request that arrives later is not covered. Across
 * threads and processes; where sync is per open file, per open file.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <grp.h>
#include <sys/fsuid.h>

FIXTURE(merge) {
	struct stage s;
};

FIXTURE_SETUP(merge)
{
	STAGE_SETUP(&self->s, "afsync_sim", 256);
}

FIXTURE_TEARDOWN(merge)
{
	stage_close(&self->s);
}

/* Lets one sync of the file start and stay, so that later requests wait. */
static void hold_one(struct stage *s)
{
	sim_hold(s->ctl, SIM_GATE_FSYNC);
	need(ring_queue(&s->ring, s->file, AFSYNC_OP_FDATASYNC, 0) == 1);
	sim_wait_started(s->ctl, SIM_GATE_FSYNC, 1);
}

/* Reads count completions; returns how many of them were not merged. */
static unsigned int read_unmerged(struct ring *ring, unsigned int count)
{
	unsigned int unmerged = 0;
	struct afsync_cqe cqe;

	while (count--) {
		cqe = ring_next(ring);
		need(cqe.res == 0);
		unmerged += !(cqe.flags & AFSYNC_CQE_MERGED);
	}
	return unmerged;
}

#define PROCESSES	4
#define EACH		25

TEST_F(merge, hundred_requests_of_four_processes_on_a_busy_file_are_one_sync)
{
	long long syncs = counter("syncs"), merged = counter("merged");
	long long submitted = counter("submitted"), completed = counter("completed");
	struct turn queued, released[PROCESSES];
	unsigned int unmerged = 0, i, j;
	pid_t pids[PROCESSES];

	turn_init(&queued);
	hold_one(&self->s);
	for (i = 0; i < PROCESSES; i++) {
		turn_init(&released[i]);
		pids[i] = fork();
		need(pids[i] >= 0);
		if (!pids[i]) {
			int file = world_open(&self->s.world, "file", O_RDWR);
			struct ring ring;

			ring_open(&ring, EACH);
			for (j = 0; j < EACH; j++)
				need(ring_queue(&ring, file, j % 2, j) == 1);
			turn_post(&queued);
			turn_wait(&released[i], 1);
			_exit(read_unmerged(&ring, EACH));
		}
	}
	turn_wait(&queued, PROCESSES);
	ASSERT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < PROCESSES; i++) {
		turn_post(&released[i]);
		unmerged += child_wait(pids[i]);
	}
	EXPECT_EQ(1, unmerged);
	EXPECT_EQ(1, read_unmerged(&self->s.ring, 1));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));

	EXPECT_EQ(syncs + 2, counter("syncs"));
	EXPECT_EQ(merged + PROCESSES * EACH - 1, counter("merged"));
	EXPECT_EQ(submitted + PROCESSES * EACH + 1, counter("submitted"));
	EXPECT_EQ(completed + PROCESSES * EACH + 1, counter("completed"));
}

TEST_F(merge, request_queued_during_a_sync_is_not_covered_by_it)
{
	hold_one(&self->s);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 1));
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(0, ring_next(&self->s.ring).user_data);
	/* The second has a sync of its own, which is held again. */
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, read_unmerged(&self->s.ring, 1));
}

TEST_F(merge, array_on_an_idle_file_is_one_sync)
{
	struct afsync_sqe sqes[100];
	unsigned int i, n;
	char name[16];
	int file;

	/* All are queued before the first worker starts. */
	for (n = 0; n < rounds(50); n++) {
		/* Another one: the worker of the last one may not have ended yet. */
		snprintf(name, sizeof(name), "idle%u", n);
		file = world_open(&self->s.world, name, O_RDWR);
		for (i = 0; i < 100; i++)
			sqes[i] = sqe_of(file, AFSYNC_OP_FSYNC, i);
		ASSERT_EQ(100, ring_submit(&self->s.ring, sqes, 100, NULL));
		ASSERT_EQ(1, read_unmerged(&self->s.ring, 100));
		ASSERT_EQ(1, sim_started(file, SIM_GATE_FSYNC));
		close(file);
	}
}

#define TO_END	LLONG_MAX

static const struct mix {
	const char *what;
	struct {
		__u32 op;
		__u64 offset;
		__u64 length;
	} asked[4];
	unsigned int nr;
	bool datasync;
	__u64 start;
	__u64 end;
} mixes[] = {
	{ "datasyncs stay a datasync", {
		{ AFSYNC_OP_FDATASYNC, 0, 0 }, { AFSYNC_OP_FDATASYNC, 0, 0 } },
	  2, true, 0, TO_END },
	{ "a sync after datasyncs makes it a sync", {
		{ AFSYNC_OP_FDATASYNC, 0, 0 }, { AFSYNC_OP_FDATASYNC, 0, 0 },
		{ AFSYNC_OP_FSYNC, 0, 0 } },
	  3, false, 0, TO_END },
	{ "a sync before datasyncs keeps it a sync", {
		{ AFSYNC_OP_FSYNC, 0, 0 }, { AFSYNC_OP_FDATASYNC, 0, 0 } },
	  2, false, 0, TO_END },
	{ "a range alone is that range", {
		{ AFSYNC_OP_FDATASYNC, 4096, 100 } },
	  1, true, 4096, 4195 },
	{ "a range of one byte", {
		{ AFSYNC_OP_FSYNC, 7, 1 } },
	  1, false, 7, 7 },
	{ "a range without a length goes to the end", {
		{ AFSYNC_OP_FSYNC, 4096, 0 } },
	  1, false, 4096, TO_END },
	{ "the largest range", {
		{ AFSYNC_OP_FSYNC, 1, LLONG_MAX } },
	  1, false, 1, TO_END },
	{ "the last byte", {
		{ AFSYNC_OP_FSYNC, LLONG_MAX, 1 } },
	  1, false, LLONG_MAX, TO_END },
	{ "ranges apart become one that holds both", {
		{ AFSYNC_OP_FDATASYNC, 100, 10 }, { AFSYNC_OP_FDATASYNC, 5000, 1 },
		{ AFSYNC_OP_FDATASYNC, 50, 10 } },
	  3, true, 50, 5000 },
	{ "a range and the whole file is the whole file", {
		{ AFSYNC_OP_FDATASYNC, 100, 10 }, { AFSYNC_OP_FDATASYNC, 0, 0 } },
	  2, true, 0, TO_END },
	{ "a range and one to the end", {
		{ AFSYNC_OP_FDATASYNC, 100, 10 }, { AFSYNC_OP_FDATASYNC, 5000, 0 } },
	  2, true, 100, TO_END },
	{ "a sync of a range and a datasync of all is a sync of all", {
		{ AFSYNC_OP_FSYNC, 100, 10 }, { AFSYNC_OP_FDATASYNC, 0, 0 } },
	  2, false, 0, TO_END },
};

TEST_F(merge, mixes_run_the_strongest_that_is_needed_and_nothing_weaker)
{
	struct afsync_sqe sqes[4];
	const struct mix *mix;
	struct sim_call call;
	unsigned int i;

	for (mix = mixes; mix < mixes + ARRAY_SIZE(mixes); mix++) {
		for (i = 0; i < mix->nr; i++) {
			sqes[i] = sqe_of(self->s.file, mix->asked[i].op, i);
			sqes[i].offset = mix->asked[i].offset;
			sqes[i].length = mix->asked[i].length;
		}
		ASSERT_EQ(mix->nr, ring_submit(&self->s.ring, sqes, mix->nr, NULL));
		EXPECT_EQ(1, read_unmerged(&self->s.ring, mix->nr));
		ASSERT_EQ(mix - mixes + 1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
		call = sim_call(self->s.ctl, mix - mixes);
		EXPECT_EQ(mix->datasync, call.datasync)
			TH_LOG("%s", mix->what);
		EXPECT_EQ(mix->start, call.start)
			TH_LOG("%s", mix->what);
		EXPECT_EQ(mix->end, call.end)
			TH_LOG("%s", mix->what);
	}
}

TEST_F(merge, cancelled_request_does_not_make_the_sync_stronger)
{
	hold_one(&self->s);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 1));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	ASSERT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 2, 0, NULL));
	EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, read_unmerged(&self->s.ring, 2));
	EXPECT_EQ(1, sim_call(self->s.ctl, 1).datasync);
}

TEST_F(merge, syncfs_requests_on_any_file_of_the_filesystem_are_one_sync)
{
	int files[3], i;

	files[0] = self->s.file;
	files[1] = world_open(&self->s.world, "other", O_RDWR);
	files[2] = world_open(&self->s.world, "dir", O_RDONLY);
	sim_hold(self->s.ctl, SIM_GATE_SYNCFS);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);
	for (i = 1; i <= 30; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, files[i % 3], AFSYNC_OP_SYNCFS, i));
	sim_let_go(self->s.ctl, SIM_GATE_SYNCFS);
	EXPECT_EQ(2, read_unmerged(&self->s.ring, 31));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_SYNCFS));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	close(files[1]);
	close(files[2]);
}

/* In rings of one user; isolation_user_test.c has those of several. */
TEST_F(merge, requests_with_other_credentials_may_share_a_sync_of_a_local_file)
{
	hold_one(&self->s);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	setfsuid(1000);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	setfsuid(0);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, read_unmerged(&self->s.ring, 3));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* --- drain --- */

TEST_F(merge, sync_with_drain_starts_after_direct_io_in_flight_has_ended)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	__u64 ended;

	sqe.flags = AFSYNC_SQE_DRAIN;
	sim_dio_begin(self->s.ctl);
	ASSERT_EQ(1, ring_submit(&self->s.ring, &sqe, 1, NULL));
	ended = now_ns();
	sim_dio_end(self->s.ctl);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_GE(sim_call(self->s.ctl, 0).begun_ns, ended);
}

TEST_F(merge, sync_without_drain_does_not_wait_for_direct_io)
{
	sim_dio_begin(self->s.ctl);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, sim_stats(self->s.ctl).dio);
	sim_dio_end(self->s.ctl);
}

TEST_F(merge, one_request_with_drain_makes_its_batch_drain)
{
	struct afsync_sqe sqes[3];
	unsigned int i;
	__u64 ended;

	for (i = 0; i < 3; i++)
		sqes[i] = sqe_of(self->s.file, AFSYNC_OP_FDATASYNC, i);
	sqes[1].flags = AFSYNC_SQE_DRAIN;
	sim_dio_begin(self->s.ctl);
	ASSERT_EQ(3, ring_submit(&self->s.ring, sqes, 3, NULL));
	ended = now_ns();
	sim_dio_end(self->s.ctl);
	EXPECT_EQ(1, read_unmerged(&self->s.ring, 3));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_GE(sim_call(self->s.ctl, 0).begun_ns, ended);
}

/* --- where sync is per open file --- */

FIXTURE(merge_net) {
	struct stage s;
	int other;
};

FIXTURE_SETUP(merge_net)
{
	STAGE_SETUP(&self->s, "afsync_simnet", 256);
	self->other = world_open(&self->s.world, "file", O_RDWR);
}

FIXTURE_TEARDOWN(merge_net)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	close(self->other);
	stage_close(&self->s);
}

TEST_F(merge_net, requests_are_merged_for_each_open_file_alone)
{
	struct sim_call call;
	__u32 ids[2];
	int i;

	ids[0] = sim_open_id(self->s.file);
	ids[1] = sim_open_id(self->other);
	hold_one(&self->s);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->other, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	for (i = 0; i < 40; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, i % 2 ? self->s.file : self->other,
					AFSYNC_OP_FSYNC, i));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(4, read_unmerged(&self->s.ring, 42));
	ASSERT_EQ(4, sim_started(self->s.ctl, SIM_GATE_FSYNC));

	/* Two calls for each of the two. */
	for (i = 2; i < 4; i++) {
		call = sim_call(self->s.ctl, i);
		EXPECT_TRUE(call.open_id == ids[0] || call.open_id == ids[1]);
	}
	EXPECT_NE(sim_call(self->s.ctl, 2).open_id, sim_call(self->s.ctl, 3).open_id);
}

TEST_F(merge_net, credentials_do_not_share_a_sync_and_keep_their_order)
{
	static const __u32 users[] = { 0, 0, 1000, 1000, 0, 1001 };
	static const __u32 synced[] = { 0, 0, 1000, 0, 1001 };
	unsigned int i;

	hold_one(&self->s);
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		setfsuid(users[i]);
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
		setfsuid(0);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).user_data);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
	ASSERT_EQ(ARRAY_SIZE(synced), sim_started(self->s.ctl, SIM_GATE_FSYNC));
	for (i = 0; i < ARRAY_SIZE(synced); i++)
		EXPECT_EQ(synced[i], sim_call(self->s.ctl, i).fsuid);
}

TEST_F(merge_net, groups_do_not_share_a_sync)
{
	gid_t groups[] = { 5, 6 };

	hold_one(&self->s);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	setfsgid(1000);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	setfsgid(0);
	need(setgroups(2, groups) == 0);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	/* Now they differ in nothing else. */
	need(setgroups(1, groups) == 0);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 4));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(5, read_unmerged(&self->s.ring, 5));
	EXPECT_EQ(5, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1000, sim_call(self->s.ctl, 2).fsgid);
	EXPECT_EQ(0, sim_call(self->s.ctl, 3).fsgid);
}

TEST_HARNESS_MAIN
