// SPDX-License-Identifier: GPL-2.0-only
/*
 * P5 errors: every open file reports every writeback error exactly once, as with plain
 * fsync; no request of a failed sync reports success, and no open file reports an error
 * that belongs to another one. Here with simulated errors; writeback_errors_test.c has
 * real filesystems on failing devices.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/resource.h>

FIXTURE(errors) {
	struct stage s;
	int other;
	int third;
};

FIXTURE_VARIANT(errors) {
	const char *type;
};

FIXTURE_VARIANT_ADD(errors, local) { .type = "afsync_sim" };
FIXTURE_VARIANT_ADD(errors, net) { .type = "afsync_simnet" };

FIXTURE_SETUP(errors)
{
	STAGE_SETUP(&self->s, variant->type, 64);
	self->other = world_open(&self->s.world, "file", O_RDWR);
	self->third = world_open(&self->s.world, "file", O_RDONLY);
}

FIXTURE_TEARDOWN(errors)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	close(self->other);
	close(self->third);
	stage_close(&self->s);
}

/*
 * Syncs files in one submit and returns the result of each. Files that share a queue form
 * one batch.
 */
static void sync_together(struct ring *ring, __u32 op, const int *files, int *results,
			  unsigned int nr)
{
	struct afsync_sqe sqes[16];
	struct afsync_cqe cqe;
	unsigned int i;

	need(nr <= ARRAY_SIZE(sqes));
	for (i = 0; i < nr; i++)
		sqes[i] = sqe_of(files[i], op, i);
	need(ring_submit(ring, sqes, nr, NULL) == (int)nr);
	for (i = 0; i < nr; i++) {
		cqe = ring_next(ring);
		results[cqe.user_data] = cqe.res;
	}
}

static int sync_one(struct ring *ring, int file)
{
	int result;

	sync_together(ring, AFSYNC_OP_FSYNC, &file, &result, 1);
	return result;
}

static int plain_fsync(int file)
{
	return fsync(file) ? -errno : 0;
}

TEST_F(errors, errno_of_the_sync_is_the_result)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT, EROFS, ESTALE, EINTR };
	long long failed = counter("failed");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		sim_fail(self->s.ctl, SIM_GATE_FSYNC, errors[i], 1);
		EXPECT_EQ(-errors[i], sync_one(&self->s.ring, self->s.file));
		EXPECT_EQ(0, sync_one(&self->s.ring, self->s.file));
	}
	EXPECT_EQ(failed + (long long)ARRAY_SIZE(errors), counter("failed"));
}

TEST_F(errors, all_requests_of_one_open_file_in_a_failed_batch_fail)
{
	int files[5], results[5], i;

	for (i = 0; i < 5; i++)
		files[i] = i % 2 ? dup(self->s.file) : self->s.file;
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 5);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(-EIO, results[i]);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	close(files[1]);
	close(files[3]);
}

/* One after the other, then together. */
TEST_F(errors, writeback_error_reaches_each_open_file_once_as_with_plain_fsync)
{
	int files[2] = { self->s.file, self->other }, results[2], round;
	int plain[2];

	plain[0] = world_open(&self->s.world, "file", O_RDWR);
	plain[1] = world_open(&self->s.world, "file", O_RDWR);

	for (round = 0; round < 4; round++) {
		sim_wb_error(self->s.ctl, EIO);
		if (round % 2) {
			sync_together(&self->s.ring, AFSYNC_OP_FDATASYNC, files, results, 2);
		} else {
			results[0] = sync_one(&self->s.ring, files[0]);
			results[1] = sync_one(&self->s.ring, files[1]);
		}
		EXPECT_EQ(plain_fsync(plain[0]), results[0]);
		EXPECT_EQ(plain_fsync(plain[1]), results[1]);
		EXPECT_EQ(-EIO, results[0]);
		EXPECT_EQ(-EIO, results[1]);

		sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 2);
		EXPECT_EQ(0, results[0]);
		EXPECT_EQ(0, results[1]);
		EXPECT_EQ(0, plain_fsync(plain[0]));
		EXPECT_EQ(0, plain_fsync(plain[1]));
	}
	close(plain[0]);
	close(plain[1]);
}

TEST_F(errors, two_errors_before_a_sync_are_told_once_and_the_last_wins)
{
	int files[2] = { self->s.file, self->other }, results[2];

	sim_wb_error(self->s.ctl, EIO);
	sim_wb_error(self->s.ctl, ENOSPC);
	sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 2);
	EXPECT_EQ(-ENOSPC, results[0]);
	EXPECT_EQ(-ENOSPC, results[1]);
	EXPECT_EQ(0, sync_one(&self->s.ring, self->s.file));
	EXPECT_EQ(0, sync_one(&self->s.ring, self->other));
}

/* An error that was reported already does not belong to a file that is opened later. */
TEST_F(errors, old_error_of_one_open_file_never_shows_on_another_in_its_batch)
{
	int files[2], results[2], late, order;

	for (order = 0; order < 2; order++) {
		sim_wb_error(self->s.ctl, EIO);
		need(plain_fsync(self->third) == -EIO);
		late = world_open(&self->s.world, "file", O_RDWR);
		need(plain_fsync(late) == 0);

		files[order] = self->other;
		files[!order] = late;
		sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 2);
		EXPECT_EQ(-EIO, results[order]);
		EXPECT_EQ(0, results[!order]);
		sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 2);
		EXPECT_EQ(0, results[0]);
		EXPECT_EQ(0, results[1]);
		close(late);
	}
	/* The file that was in no batch still reports it, once for both errors. */
	EXPECT_EQ(-EIO, sync_one(&self->s.ring, self->s.file));
	EXPECT_EQ(0, sync_one(&self->s.ring, self->s.file));
}

TEST_F(errors, error_told_by_afsync_is_not_told_again_by_fsync_and_the_other_way_round)
{
	sim_wb_error(self->s.ctl, EIO);
	EXPECT_EQ(-EIO, sync_one(&self->s.ring, self->s.file));
	EXPECT_EQ(0, plain_fsync(self->s.file));
	EXPECT_EQ(-EIO, plain_fsync(self->other));
	EXPECT_EQ(0, sync_one(&self->s.ring, self->other));
}

TEST_F(errors, cancelled_request_leaves_the_error_to_the_next)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->other, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->other, AFSYNC_OP_FSYNC, 2));
	ASSERT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 2, 0, NULL));
	EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	sim_wb_error(self->s.ctl, EIO);
	EXPECT_EQ(-EIO, sync_one(&self->s.ring, self->other));
}

static void *close_ring(void *arg)
{
	ring_close(arg);
	return NULL;
}

/*
 * The limit that is documented with P5: no program reads the entry of a ring that is closed,
 * and the error that its sync received is not reported elsewhere. A process that is killed
 * in fsync(2) loses it likewise.
 */
TEST_F(errors, documented_limit_ring_closed_while_its_sync_runs_takes_the_error_with_it)
{
	int held = dup(self->s.file), released = world_open(&self->s.world, "file", O_RDONLY);
	pthread_t thread;

	need(held >= 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	/*
	 * Shows that the end of the ring has begun: the request is cancelled, and its file
	 * released.
	 */
	ASSERT_EQ(1, ring_hold(&self->s.ring, released, 2));
	close(released);
	sim_wb_error(self->s.ctl, EIO);

	thread = thread_start(close_ring, &self->s.ring);
	sim_wait_started(self->s.ctl, SIM_GATE_RELEASE, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	thread_join(thread);
	EXPECT_EQ(-EIO, sim_call(self->s.ctl, 0).result);

	EXPECT_EQ(0, plain_fsync(held));
	EXPECT_EQ(-EIO, plain_fsync(self->other));
	EXPECT_EQ(0, plain_fsync(self->other));
	close(held);
}

TEST_F(errors, syncfs_tells_each_open_file_once)
{
	int files[3] = { self->s.file, self->other, self->s.file }, results[3], i;

	sim_wb_error(self->s.ctl, EIO);
	sync_together(&self->s.ring, AFSYNC_OP_SYNCFS, files, results, 3);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EIO, results[i]);
	sync_together(&self->s.ring, AFSYNC_OP_SYNCFS, files, results, 3);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, results[i]);
	EXPECT_EQ(-1, syncfs(self->third));
	EXPECT_EQ(0, syncfs(self->third));
	/* The file's own error is separate, as with syncfs(2). */
	EXPECT_EQ(-EIO, sync_one(&self->s.ring, self->s.file));
}

TEST_F(errors, failed_syncfs_fails_for_its_open_file_and_others_get_their_own)
{
	int files[2] = { self->s.file, self->other }, results[2];

	sim_fail(self->s.ctl, SIM_GATE_SYNCFS, ENOSPC, 1);
	sync_together(&self->s.ring, AFSYNC_OP_SYNCFS, files, results, 2);
	EXPECT_EQ(-ENOSPC, results[0]);
	EXPECT_EQ(0, results[1]);
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_SYNCFS));
}

/* Filesystems where open files share a sync. */
FIXTURE(batch_errors) {
	struct stage s;
	int other;
	int third;
};

FIXTURE_SETUP(batch_errors)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->other = world_open(&self->s.world, "file", O_RDWR);
	self->third = world_open(&self->s.world, "file", O_RDONLY);
}

FIXTURE_TEARDOWN(batch_errors)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	close(self->other);
	close(self->third);
	stage_close(&self->s);
}

TEST_F(batch_errors, other_open_files_get_syncs_of_their_own_until_one_succeeds)
{
	int files[4] = { self->s.file, self->other, self->third, self->s.file };
	int results[4];

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, ENOSPC, 1);
	sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 4);
	EXPECT_EQ(-ENOSPC, results[0]);
	EXPECT_EQ(0, results[1]);
	EXPECT_EQ(0, results[2]);
	EXPECT_EQ(-ENOSPC, results[3]);

	/* The second began after all were queued, and succeeded: it serves the third. */
	ASSERT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(sim_open_id(self->s.file), sim_call(self->s.ctl, 0).open_id);
	EXPECT_EQ(sim_open_id(self->other), sim_call(self->s.ctl, 1).open_id);
}

TEST_F(batch_errors, every_open_file_gets_a_sync_of_its_own_while_they_fail)
{
	int files[4] = { self->s.file, self->other, self->third, self->s.file };
	int results[4];

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, ENOSPC, 3);
	sync_together(&self->s.ring, AFSYNC_OP_FSYNC, files, results, 4);
	EXPECT_EQ(-ENOSPC, results[0]);
	EXPECT_EQ(-ENOSPC, results[1]);
	EXPECT_EQ(-ENOSPC, results[2]);
	EXPECT_EQ(-ENOSPC, results[3]);

	ASSERT_EQ(3, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(sim_open_id(self->s.file), sim_call(self->s.ctl, 0).open_id);
	EXPECT_EQ(sim_open_id(self->other), sim_call(self->s.ctl, 1).open_id);
	EXPECT_EQ(sim_open_id(self->third), sim_call(self->s.ctl, 2).open_id);
}

TEST_F(batch_errors, sync_of_their_own_is_as_strong_as_the_batch)
{
	struct afsync_sqe sqes[2] = {
		sqe_of(self->s.file, AFSYNC_OP_FSYNC, 0),
		sqe_of(self->other, AFSYNC_OP_FSYNC, 1),
	};

	sqes[1].offset = 10;
	sqes[1].length = 5;
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 2);
	ASSERT_EQ(2, ring_submit(&self->s.ring, sqes, 2, NULL));
	EXPECT_EQ(-EIO, ring_next(&self->s.ring).res);
	EXPECT_EQ(-EIO, ring_next(&self->s.ring).res);
	ASSERT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_call(self->s.ctl, 1).datasync);
	EXPECT_LE(sim_call(self->s.ctl, 1).start, 10);
	EXPECT_GE(sim_call(self->s.ctl, 1).end, 14);
}

#define OPEN_FILES	3000

/*
 * In round 0 the first of them has reported the error already: its sync succeeds and serves
 * all.
 */
TEST_F(batch_errors, thousands_of_open_files_in_one_batch_are_told_once_each)
{
	struct rlimit limit = { OPEN_FILES + 100, OPEN_FILES + 100 };
	unsigned int nr = rounds(OPEN_FILES), round, i, syncs = 0;
	static struct afsync_sqe sqes[OPEN_FILES];
	struct afsync_cqe cqe;
	struct ring ring;
	bool told;

	need(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	ring_open(&ring, OPEN_FILES);
	for (i = 0; i < nr; i++)
		sqes[i] = sqe_of(world_open(&self->s.world, "file", O_RDWR), AFSYNC_OP_FSYNC, i);
	for (round = 0; round < 4; round++) {
		told = round == 0 || round == 2;
		if (told)
			sim_wb_error(self->s.ctl, EIO);
		if (round == 0)
			need(fsync(sqes[0].fd) == -1 && errno == EIO);
		syncs = sim_started(self->s.ctl, SIM_GATE_FSYNC);
		ASSERT_EQ(nr, ring_submit(&ring, sqes, nr, NULL));
		for (i = 0; i < nr; i++) {
			cqe = ring_next(&ring);
			ASSERT_EQ(i, cqe.user_data);
			ASSERT_EQ(told && (i || round) ? -EIO : 0, cqe.res)
				TH_LOG("round %u, file %u", round, i);
		}
		/* After a failure each file has a sync of its own, if the error may be its own. */
		syncs = sim_started(self->s.ctl, SIM_GATE_FSYNC) - syncs;
		if (round != 2)
			EXPECT_EQ(1, syncs);
	}
	for (i = 0; i < nr; i++)
		close(sqes[i].fd);
	ring_close(&ring);
}

TEST_F(batch_errors, merged_request_of_another_ring_is_told_too)
{
	struct afsync_cqe cqe;
	struct ring ring;

	ring_open(&ring, 4);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	ASSERT_EQ(1, ring_queue(&ring, self->other, AFSYNC_OP_FSYNC, 3));
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	sim_wb_error(self->s.ctl, EIO);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(-EIO, ring_next(&self->s.ring).res);
	cqe = ring_next(&ring);
	EXPECT_EQ(-EIO, cqe.res);
	EXPECT_EQ(3, cqe.user_data);
	ring_close(&ring);
}

TEST_HARNESS_MAIN
