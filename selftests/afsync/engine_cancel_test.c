// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancelling, on both engines of libafsync: a waiting request can be cancelled by its
 * user data, by open file, by both or all at once, and completes with -ECANCELED; a
 * running one cannot, is counted, and completes normally.
 */
#include "engine.h"

#define BOTH	(AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD)

FIXTURE(cancel) {
	struct scene s;
	int other;		/* of another file, which is held, too */
	unsigned int running;
};

FIXTURE_ENGINES(cancel);

FIXTURE_SETUP(cancel)
{
	SCENE_SETUP(&self->s, variant->engine, 64);
	self->other = scene_file(&self->s, "other", O_RDWR);
	self->running = POISON32;
}

FIXTURE_TEARDOWN(cancel)
{
	gate_open(self->other, SIM_GATE_FSYNC);
	close(self->other);
	scene_close(&self->s);
}

/* Request 0 of each of the two files runs and is held. */
static void hold_both(struct scene *scene, int other)
{
	hold_one(scene, AFSYNC_OP_FSYNC, 0);
	gate_close(other, SIM_GATE_FSYNC);
	queue(scene->ring, other, AFSYNC_OP_FSYNC, 0);
	syncs_wait_started(other, SIM_GATE_FSYNC, 1);
}

/* Takes count completions that all have to be cancelled; a bit for each user data. */
static __u64 take_cancelled(struct afsync_ring *ring, unsigned int count)
{
	struct afsync_cqe cqe;
	__u64 bits = 0;

	while (count--) {
		cqe = next_cqe(ring);
		need(cqe.res == -ECANCELED && cqe.flags == 0 && cqe.user_data < 64);
		need(!(bits & 1ULL << cqe.user_data));
		bits |= 1ULL << cqe.user_data;
	}
	return bits;
}

TEST_F(cancel, by_user_data)
{
	int i;

	hold_both(&self->s, self->other);
	for (i = 1; i <= 4; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	EXPECT_EQ(1, LIB(afsync_cancel(self->s.ring, 3)));
	EXPECT_EQ(1ULL << 3, take_cancelled(self->s.ring, 1));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel(self->s.ring, 3)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel(self->s.ring, 5)));
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel(self->s.ring, 0)));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(4, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel(self->s.ring, 4)));
}

TEST_F(cancel, all_with_the_same_user_data_on_whatever_file)
{
	int i;

	hold_both(&self->s, self->other);
	for (i = 0; i < 6; i++)
		queue(self->s.ring, i % 2 ? self->s.file : self->other, AFSYNC_OP_FSYNC, 42);
	EXPECT_EQ(6, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_USER_DATA, 42, -1,
					     &self->running)));
	EXPECT_EQ(0, self->running);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
}

TEST_F(cancel, by_open_file_through_any_descriptor_of_it)
{
	int again = dup(self->s.file), i;

	hold_both(&self->s, self->other);
	for (i = 1; i <= 6; i++)
		queue(self->s.ring, i % 2 ? self->s.file : self->other, AFSYNC_OP_FSYNC, i);
	EXPECT_EQ(3, LIB(afsync_cancel_fd(self->s.ring, again)));
	EXPECT_EQ(1ULL << 1 | 1ULL << 3 | 1ULL << 5, take_cancelled(self->s.ring, 3));
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_fd(self->s.ring, again)));
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_FD, 99, again,
						     &self->running)));
	EXPECT_EQ(1, self->running);
	close(again);
}

TEST_F(cancel, another_open_of_the_same_file_does_not_match)
{
	hold_both(&self->s, self->other);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_fd(self->s.ring, self->s.ctl)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_fd(self->s.ring, afsync_ring_fd(self->s.ring))));
	EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
}

TEST_F(cancel, request_whose_descriptor_was_closed_is_found_by_another_of_its_open_file)
{
	int fd = scene_file(&self->s, "file", O_RDWR), again = dup(fd);

	queue_held(self->s.ring, fd, 1);
	/* The number now belongs to another file. */
	need(dup2(self->other, fd) == fd);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_fd(self->s.ring, fd)));
	EXPECT_EQ(1, LIB(afsync_cancel_fd(self->s.ring, again)));
	EXPECT_EQ(1ULL << 1, take_cancelled(self->s.ring, 1));
	close(again);
	close(fd);
}

TEST_F(cancel, what_matches_both_and_how_many_of_it_run)
{
	hold_both(&self->s, self->other);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	queue(self->s.ring, self->other, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, self->other, AFSYNC_OP_FSYNC, 2);

	EXPECT_EQ(1, LIB(afsync_cancel_match(self->s.ring, BOTH, 0, self->s.file,
					     &self->running)));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(1ULL << 0, take_cancelled(self->s.ring, 1));
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_match(self->s.ring, BOTH, 0, self->s.file,
						     &self->running)));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->s.ring, BOTH, 2, self->s.file,
					     &self->running)));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(1ULL << 2, take_cancelled(self->s.ring, 1));
	self->running = POISON32;
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_match(self->s.ring, BOTH, 2, self->s.file,
						   &self->running)));
	EXPECT_EQ(0, self->running);

	/* By user data alone: of both files. */
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_USER_DATA, 0, -1,
					     &self->running)));
	EXPECT_EQ(2, self->running);
	EXPECT_EQ(1ULL << 0, take_cancelled(self->s.ring, 1));
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_FD, 99, self->other,
					     NULL)));
	EXPECT_EQ(1ULL << 2, take_cancelled(self->s.ring, 1));
}

TEST_F(cancel, all_cancels_what_waits_and_counts_what_runs)
{
	int i;

	hold_both(&self->s, self->other);
	for (i = 1; i <= 6; i++)
		queue(self->s.ring, i % 2 ? self->s.file : self->other, AFSYNC_OP_FSYNC, i);
	queue_held(self->s.ring, self->s.file, 7);
	EXPECT_EQ(7, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_ALL, 0, 0,
					     &self->running)));
	EXPECT_EQ(2, self->running);
	EXPECT_EQ(0xfe, take_cancelled(self->s.ring, 7));
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_all(self->s.ring)));
	/* A prepared request that is not submitted is not touched. */
	prepare(self->s.ring, self->s.file, 8);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	gate_open(self->other, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 2));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_all(self->s.ring)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_fd(self->s.ring, self->s.file)));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, LIB(afsync_sq_ready(self->s.ring)));
}

TEST_F(cancel, all_requests_that_a_running_sync_serves_run)
{
	int i;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i <= 4; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	gate_step(self->s.ctl, SIM_GATE_FSYNC);
	syncs_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	need(next_cqe(self->s.ring).user_data == 0);
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_ALL, 0, 0,
						     &self->running)));
	EXPECT_EQ(4, self->running);
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel(self->s.ring, 3)));
}

TEST_F(cancel, requests_of_another_ring_are_not_touched)
{
	struct afsync_ring *ring = new_ring(&self->s, 8);

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	queue(ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel(ring, 0)));
	EXPECT_EQ(1, LIB(afsync_cancel_all(self->s.ring)));
	EXPECT_EQ(1ULL << 1, take_cancelled(self->s.ring, 1));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, next_cqe(ring).res);
	afsync_queue_exit(ring);
}

TEST_F(cancel, syncfs_requests_likewise)
{
	gate_close(self->s.ctl, SIM_GATE_SYNCFS);
	queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 1);
	syncs_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 2);
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_FD, 0, self->s.file,
					     &self->running)));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(1ULL << 2, take_cancelled(self->s.ring, 1));
	gate_open(self->s.ctl, SIM_GATE_SYNCFS);
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
}

TEST_F(cancel, bad_match_is_refused_and_cancels_nothing)
{
	int path = scene_file(&self->s, "file", O_PATH);
	unsigned int bit;

	queue_held(self->s.ring, self->s.file, 1);
	EXPECT_EQ(-EBADF, LIB(afsync_cancel_fd(self->s.ring, -1)));
	EXPECT_EQ(-EBADF, LIB(afsync_cancel_fd(self->s.ring, path)));
	EXPECT_EQ(-EBADF, LIB(afsync_cancel_match(self->s.ring, BOTH, 1, -1, &self->running)));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(-EINVAL, LIB(afsync_cancel_match(self->s.ring, 0, 1, self->s.file, NULL)));
	EXPECT_EQ(-EINVAL, LIB(afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_ALL | BOTH, 1,
						   self->s.file, NULL)));
	for (bit = 3; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, LIB(afsync_cancel_match(self->s.ring, 1U << bit, 1,
							   self->s.file, NULL)));
	EXPECT_EQ(1, LIB(afsync_start(self->s.ring, 1)));
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	close(path);
}

/* --- against completions --- */

struct canceller {
	struct afsync_ring *ring;
	bool stop;
	unsigned long cancelled;
};

static void *cancel_all_the_time(void *arg)
{
	struct canceller *canceller = arg;
	int ret;

	while (!__atomic_load_n(&canceller->stop, __ATOMIC_RELAXED)) {
		ret = afsync_cancel_all(canceller->ring);
		need(ret > 0 || ret == -ENOENT || ret == -EALREADY);
		if (ret > 0)
			canceller->cancelled += ret;
	}
	return NULL;
}

TEST_F(cancel, and_completion_at_the_same_time_give_one_result_each)
{
	struct canceller canceller = { .ring = self->s.ring };
	unsigned int i, j, seen[16], n = rounds(500);
	unsigned long cancelled = 0;
	struct afsync_cqe cqe;
	pthread_t thread;

	thread = thread_start(cancel_all_the_time, &canceller);
	for (i = 0; i < n; i++) {
		memset(seen, 0, sizeof(seen));
		for (j = 0; j < 16; j++)
			queue(self->s.ring, j % 2 ? self->s.file : self->other,
			      AFSYNC_OP_FSYNC, j);
		for (j = 0; j < 16; j++) {
			cqe = next_cqe(self->s.ring);
			ASSERT_TRUE(cqe.res == 0 || cqe.res == -ECANCELED);
			cancelled += cqe.res == -ECANCELED;
			ASSERT_LT(cqe.user_data, 16);
			ASSERT_EQ(0, seen[cqe.user_data]++);
		}
		ASSERT_EQ(0, afsync_cq_ready(self->s.ring));
	}
	__atomic_store_n(&canceller.stop, true, __ATOMIC_RELAXED);
	thread_join(thread);
	EXPECT_EQ(cancelled, canceller.cancelled);
}

TEST_HARNESS_MAIN
