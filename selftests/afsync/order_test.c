// SPDX-License-Identifier: GPL-2.0-only
/*
 * P3 order: requests for one file start, and complete, in the order in which they were
 * queued; different files are independent.
 *
 * Needs afsync_sim.
 */
#include "common.h"

FIXTURE(order) {
	struct stage s;
};

FIXTURE_SETUP(order)
{
	STAGE_SETUP(&self->s, "afsync_sim", 256);
}

FIXTURE_TEARDOWN(order)
{
	stage_close(&self->s);
}

TEST_F(order, syncs_of_one_file_start_in_the_order_of_their_requests)
{
	struct afsync_sqe sqe;
	__u64 i;

	/* Each request comes while the one before it runs, so none is merged. */
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 20; i++) {
		sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, i);
		sqe.offset = i;
		ASSERT_EQ(1, ring_submit(&self->s.ring, &sqe, 1, NULL));
		if (i)
			sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
		sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, i + 1);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
		EXPECT_EQ(i, sim_call(self->s.ctl, i).start);
		if (i)
			EXPECT_GE(sim_call(self->s.ctl, i).begun_ns,
				  sim_call(self->s.ctl, i - 1).ended_ns);
	}
}

TEST_F(order, merged_requests_of_several_open_files_complete_in_the_order_queued)
{
	static const __u32 ops[] = { AFSYNC_OP_FDATASYNC, AFSYNC_OP_FSYNC };
	int files[3], i;

	files[0] = self->s.file;
	files[1] = world_open(&self->s.world, "file", O_RDONLY);
	files[2] = dup(self->s.file);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, files[i % 3], ops[i % 2], i));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 100; i++)
		EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
	close(files[1]);
	close(files[2]);
}

TEST_F(order, order_holds_in_a_batch_where_some_open_files_fail)
{
	int other = world_open(&self->s.world, "file", O_RDONLY), i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i < 50; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, i % 2 ? self->s.file : other,
					AFSYNC_OP_FSYNC, i));
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 50; i++)
		EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
	close(other);
}

TEST_F(order, held_file_does_not_hold_up_another_of_the_same_ring)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct afsync_sqe sqes[2] = {
		sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1),
		sqe_of(other, AFSYNC_OP_FSYNC, 2),
	};

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(2, ring_submit(&self->s.ring, sqes, 2, NULL));
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	close(other);
}

TEST_F(order, open_files_of_one_inode_are_one_queue_across_rings)
{
	int other = world_open(&self->s.world, "file", O_RDWR);
	struct ring ring;

	ring_open(&ring, 8);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&ring, other, AFSYNC_OP_FSYNC, 2));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, ring_next(&ring).user_data);
	/* The first was complete before the second's sync began. */
	EXPECT_EQ(1, ring_ready(&self->s.ring));
	EXPECT_GE(sim_call(self->s.ctl, 1).begun_ns, sim_call(self->s.ctl, 0).ended_ns);
	ring_close(&ring);
	close(other);
}

TEST_F(order, syncfs_and_fsync_are_separate_queues)
{
	sim_hold(self->s.ctl, SIM_GATE_SYNCFS);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	sim_let_go(self->s.ctl, SIM_GATE_SYNCFS);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 4));
	EXPECT_EQ(4, ring_next(&self->s.ring).user_data);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(3, ring_next(&self->s.ring).user_data);
}

TEST_F(order, syncfs_requests_of_a_filesystem_run_in_the_order_queued)
{
	int other = world_open(&self->s.world, "other", O_RDWR), i;

	sim_hold(self->s.ctl, SIM_GATE_SYNCFS);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, ring_queue(&self->s.ring, i % 2 ? self->s.file : other,
					AFSYNC_OP_SYNCFS, i));
		if (i)
			sim_step(self->s.ctl, SIM_GATE_SYNCFS, 1);
		sim_wait_started(self->s.ctl, SIM_GATE_SYNCFS, i + 1);
	}
	sim_let_go(self->s.ctl, SIM_GATE_SYNCFS);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
	close(other);
}

struct sequence {
	const struct world *world;
	unsigned int count;
	unsigned int wrong;
};

/* Queues numbers on a file that other threads sync too and checks their order. */
static void *sequence_thread(void *arg)
{
	struct sequence *sequence = arg;
	int file = world_open(sequence->world, "file", O_RDWR);
	unsigned int queued = 0, read = 0;
	struct ring ring;

	ring_open(&ring, 16);
	while (read < sequence->count) {
		while (queued < sequence->count &&
		       ring_queue(&ring, file, queued % 2, queued) == 1)
			queued++;
		sequence->wrong += ring_next(&ring).user_data != read++;
	}
	ring_close(&ring);
	close(file);
	return NULL;
}

TEST_F_TIMEOUT(order, requests_of_four_threads_on_one_file_stay_in_order, LONG_TIMEOUT)
{
	struct sequence sequences[4];
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++) {
		sequences[i] = (struct sequence) { &self->s.world, rounds(5000), 0 };
		threads[i] = thread_start(sequence_thread, &sequences[i]);
	}
	for (i = 0; i < 4; i++) {
		thread_join(threads[i]);
		EXPECT_EQ(0, sequences[i].wrong);
	}
}

FIXTURE(order_net) {
	struct stage s;
};

FIXTURE_SETUP(order_net)
{
	STAGE_SETUP(&self->s, "afsync_simnet", 64);
}

FIXTURE_TEARDOWN(order_net)
{
	stage_close(&self->s);
}

TEST_F(order_net, open_files_of_one_inode_are_independent_where_sync_is_per_open_file)
{
	int other = world_open(&self->s.world, "file", O_RDWR);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, 2));
	/* Both run at the same time, or this never returns. */
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 2);
	close(other);
}

TEST_F(order_net, descriptors_of_one_open_file_are_one_queue)
{
	int other = dup(self->s.file);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, 2));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	EXPECT_GE(sim_call(self->s.ctl, 1).begun_ns, sim_call(self->s.ctl, 0).ended_ns);
	close(other);
}

TEST_HARNESS_MAIN
