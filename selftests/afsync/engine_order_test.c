// SPDX-License-Identifier: GPL-2.0-only
/*
 * Order, on both engines of libafsync: requests for one open file start, and complete, in
 * the order in which they were queued; different files are independent.
 */
#include "engine.h"

FIXTURE(order) {
	struct scene s;
};

FIXTURE_ENGINES(order);

FIXTURE_SETUP(order)
{
	SCENE_SETUP(&self->s, variant->engine, 128);
}

FIXTURE_TEARDOWN(order)
{
	scene_close(&self->s);
}

TEST_F(order, syncs_of_one_file_start_in_the_order_of_their_requests)
{
	/* A pattern that distinguishes the calls. */
	static const __u32 ops[] = { 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1 };
	struct sim_call call;
	__u64 ended = 0;
	unsigned int i;

	/* Each request comes while the one before it runs, so none is merged. */
	gate_close(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		queue(self->s.ring, self->s.file, ops[i], i);
		if (i)
			gate_step(self->s.ctl, SIM_GATE_FSYNC);
		syncs_wait_started(self->s.ctl, SIM_GATE_FSYNC, i + 1);
	}
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
		call = sync_call(self->s.ctl, i);
		EXPECT_EQ(ops[i], call.datasync);
		EXPECT_GE(call.begun_ns, ended);
		ended = call.ended_ns;
	}
}

TEST_F(order, merged_requests_complete_in_the_order_queued)
{
	int i, again = dup(self->s.file);

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i < 100; i++)
		queue(self->s.ring, i % 3 ? self->s.file : again, i % 2, i);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 100; i++)
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
	close(again);
}

TEST_F(order, order_of_an_array_is_the_order_of_the_completions)
{
	int i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 64; i++)
			prepare(self->s.ring, self->s.file, i)->op = i % 2;
		ASSERT_EQ(64, LIB(afsync_submit(self->s.ring)));
		for (i = 0; i < 64; i++)
			ASSERT_EQ(i, next_cqe(self->s.ring).user_data);
	}
}

TEST_F(order, held_file_does_not_hold_up_another_of_the_same_ring)
{
	int other = scene_file(&self->s, "other", O_RDWR);

	gate_close(self->s.ctl, SIM_GATE_FSYNC);
	prepare(self->s.ring, self->s.file, 1);
	prepare(self->s.ring, other, 2);
	ASSERT_EQ(2, afsync_submit(self->s.ring));
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(0, syncs_finished(self->s.ctl, SIM_GATE_FSYNC));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	close(other);
}

TEST_F(order, sixteen_held_files_do_not_hold_up_the_next)
{
	int files[17], i;
	char name[16];

	for (i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "held%d", i);
		files[i] = scene_file(&self->s, name, O_RDWR);
		if (i < 16)
			gate_close(files[i], SIM_GATE_FSYNC);
		queue(self->s.ring, files[i], AFSYNC_OP_FSYNC, i);
	}
	EXPECT_EQ(16, next_cqe(self->s.ring).user_data);
	/* All of them run at the same time, or this never returns. */
	for (i = 0; i < 16; i++)
		syncs_wait_started(files[i], SIM_GATE_FSYNC, 1);
	for (i = 0; i < 16; i++) {
		gate_open(files[15 - i], SIM_GATE_FSYNC);
		EXPECT_EQ(15 - i, next_cqe(self->s.ring).user_data);
	}
	for (i = 0; i < 17; i++)
		close(files[i]);
}

TEST_F(order, rings_of_a_process_share_the_queue_of_an_open_file)
{
	struct afsync_ring *other = new_ring(&self->s, 8);

	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	queue(other, self->s.file, AFSYNC_OP_FSYNC, 2);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, next_cqe(other).user_data);
	/* The first was complete before the second's sync began. */
	EXPECT_EQ(1, afsync_cq_ready(self->s.ring));
	EXPECT_GE(sync_call(self->s.ctl, 1).begun_ns, sync_call(self->s.ctl, 0).ended_ns);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	afsync_queue_exit(other);
}

TEST_F(order, syncfs_and_fsync_are_separate_queues)
{
	gate_close(self->s.ctl, SIM_GATE_SYNCFS);
	queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 1);
	syncs_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	gate_open(self->s.ctl, SIM_GATE_SYNCFS);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);

	gate_close(self->s.ctl, SIM_GATE_FSYNC);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3);
	queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 4);
	EXPECT_EQ(4, next_cqe(self->s.ring).user_data);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(3, next_cqe(self->s.ring).user_data);
}

TEST_F(order, syncfs_requests_run_in_the_order_queued)
{
	int i;

	gate_close(self->s.ctl, SIM_GATE_SYNCFS);
	for (i = 0; i < 20; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, i);
		if (i)
			gate_step(self->s.ctl, SIM_GATE_SYNCFS);
		syncs_wait_started(self->s.ctl, SIM_GATE_SYNCFS, i + 1);
	}
	gate_open(self->s.ctl, SIM_GATE_SYNCFS);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
}

struct sequence {
	const struct scene *scene;
	int file;
	unsigned int count;
	unsigned int wrong;
};

/* Queues numbers on an open file that other threads sync too, and checks their order. */
static void *sequence_thread(void *arg)
{
	struct sequence *sequence = arg;
	struct afsync_ring *ring = new_ring(sequence->scene, 16);
	unsigned int queued = 0, taken = 0;

	while (taken < sequence->count) {
		while (queued < sequence->count && queued - taken < 16) {
			queue(ring, sequence->file, queued % 2, queued);
			queued++;
		}
		sequence->wrong += next_cqe(ring).user_data != taken++;
	}
	afsync_queue_exit(ring);
	return NULL;
}

TEST_F(order, requests_of_four_threads_on_one_open_file_stay_in_order)
{
	struct sequence sequences[4];
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++) {
		sequences[i] = (struct sequence) { &self->s, self->s.file, rounds(1000), 0 };
		threads[i] = thread_start(sequence_thread, &sequences[i]);
	}
	for (i = 0; i < 4; i++) {
		thread_join(threads[i]);
		EXPECT_EQ(0, sequences[i].wrong);
	}
}

TEST_HARNESS_MAIN
