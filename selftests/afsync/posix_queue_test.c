// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: aio_fsync returns once the sync is queued; the status goes from
 * EINPROGRESS to the result, which is given once; and the control block is the
 * program's again from then on.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

FIXTURE(queue) {
	struct stage s;
};

FIXTURE_SETUP(queue)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(queue)
{
	stage_close(&self->s);
}

/*
 * NetBSD: the call returns immediately after the synchronization request has been
 * enqueued; the synchronization may or may not have completed.
 * AIX, illumos: returns when the request has been initiated or queued, even when the
 * data cannot be synchronized immediately; returns 0 if successfully queued.
 */
TEST_F(queue, call_returns_0_while_the_sync_cannot_be_done)
{
	struct aiocb block = block_of(self->s.file);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, aio_fsync(O_SYNC, &block));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(EINPROGRESS, aio_error(&block));
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
}

/*
 * AIX, illumos: when the request is queued, the error status is EINPROGRESS; when all
 * data has been transferred, it is reset to reflect the success or failure.
 */
TEST_F(queue, status_is_einprogress_from_the_call_to_the_end_and_then_0)
{
	struct aiocb blocks[3];
	int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 3; i++) {
		blocks[i] = block_of(self->s.file);
		ASSERT_EQ(0, sync_queue(O_SYNC, &blocks[i]));
		EXPECT_EQ(EINPROGRESS, aio_error(&blocks[i]));
		sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EINPROGRESS, aio_error(&blocks[i]));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, block_wait(&blocks[i]));
		EXPECT_EQ(0, aio_error(&blocks[i]));
		EXPECT_EQ(0, aio_return(&blocks[i]));
	}
}

/*
 * AIX, illumos: if the operation does not complete successfully, the error status is set
 * to the error. NetBSD: aio_return() will return -1, and aio_error() returns the errno.
 */
TEST_F(queue, status_of_a_failed_sync_is_its_error_and_its_result_minus_1)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT, EROFS };
	struct aiocb block;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		sim_fail(self->s.ctl, SIM_GATE_FSYNC, errors[i], 1);
		block = block_of(self->s.file);
		ASSERT_EQ(0, sync_queue(O_DSYNC, &block));
		EXPECT_EQ(errors[i], block_wait(&block));
		EXPECT_EQ(errors[i], aio_error(&block));
		EXPECT_EQ(-1, aio_return(&block));
		/* It does not affect the next one. */
		EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	}
}

/*
 * NetBSD: O_DSYNC does the same as fdatasync(), O_SYNC the same as fsync(). AIX,
 * illumos: as if by a call to fdatasync, as if by a call to fsync.
 */
TEST_F(queue, o_dsync_is_fdatasync_and_o_sync_is_fsync_of_the_whole_file)
{
	struct sim_call call;
	__u32 n = 0, i;

	for (i = 0; i < 6; i++, n++) {
		ASSERT_EQ(1, write(self->s.file, "x", 1));
		ASSERT_EQ(0, sync_now(i % 2 ? O_SYNC : O_DSYNC, self->s.file));
		ASSERT_EQ(n + 1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
		call = sim_call(self->s.ctl, n);
		EXPECT_EQ(i % 2 == 0, call.datasync);
		EXPECT_EQ(0, call.start);
		EXPECT_EQ(LLONG_MAX, call.end);
		EXPECT_EQ(n + 1, call.writes);
	}
}

/* NetBSD: aio_return() returns the status of the operation: it has to be called. */
TEST_F(queue, aio_return_gives_the_result_once)
{
	struct aiocb block = block_of(self->s.file);

	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, block_wait(&block));
	EXPECT_EQ(0, aio_return(&block));
	errno = 0;
	EXPECT_EQ(-1, aio_return(&block));
	EXPECT_EQ(EINVAL, errno);

	/* A failed one too, and the block may be used again. */
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(EIO, block_wait(&block));
	EXPECT_EQ(-1, aio_return(&block));
	errno = 0;
	EXPECT_EQ(-1, aio_return(&block));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, block_end(&block));
}

/*
 * AIX, illumos: an illegal address before the completion is undefined; so it has to be
 * allowed after it. The page is unmapped as soon as the end can be seen.
 */
TEST_F(queue, memory_of_the_block_may_go_as_soon_as_the_end_is_seen)
{
	unsigned int i, n = rounds(500), wrong = 0;
	struct aiocb *block;

	for (i = 0; i < n; i++) {
		block = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(block != MAP_FAILED);
		*block = block_of(self->s.file);
		need(sync_queue(O_DSYNC, block) == 0);
		while (aio_error(block) == EINPROGRESS)
			;
		wrong += aio_error(block) != 0;
		need(munmap(block, 4096) == 0);
	}
	EXPECT_EQ(0, wrong);
}

/* The same with the memory reused at once: the library writes nothing there. */
TEST_F(queue, block_is_not_touched_after_the_result_was_taken)
{
	struct aiocb blocks[32], copy;
	unsigned int round, i, changed = 0, n = rounds(50);

	memset(&copy, 0x5a, sizeof(copy));
	for (round = 0; round < n; round++) {
		sim_hold(self->s.ctl, SIM_GATE_FSYNC);
		for (i = 0; i < 32; i++) {
			blocks[i] = block_of(self->s.file);
			need(sync_queue(i % 2 ? O_SYNC : O_DSYNC, &blocks[i]) == 0);
		}
		sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
		for (i = 0; i < 32; i++) {
			need(block_end(&blocks[i]) == 0);
			memcpy(&blocks[i], &copy, sizeof(copy));
		}
		need(sync_now(O_SYNC, self->s.file) == 0);
		for (i = 0; i < 32; i++)
			changed += memcmp(&blocks[i], &copy, sizeof(copy)) != 0;
	}
	EXPECT_EQ(0, changed);
}

/*
 * NetBSD: aiocbp should be zeroed before the call to avoid passing bogus information.
 * Here it need not be.
 */
TEST_F(queue, block_in_memory_that_was_never_cleared_is_accepted)
{
	static const unsigned char fills[] = { 0xcc, 0xff, 0x01, 0x7f };
	struct aiocb block;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fills); i++) {
		memset(&block, fills[i], sizeof(block));
		block.aio_fildes = self->s.file;
		block.aio_reqprio = 0;
		memset(&block.aio_sigevent, 0, sizeof(block.aio_sigevent));
		block.aio_sigevent.sigev_notify = SIGEV_NONE;
		ASSERT_EQ(0, sync_queue(O_SYNC, &block));
		EXPECT_EQ(0, block_end(&block));
	}
	EXPECT_EQ(ARRAY_SIZE(fills), sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/*
 * NetBSD: modifications of the block before the request has completed are not allowed.
 * The fields that a program may set have been read by then, so changes do no harm either.
 */
TEST_F(queue, changes_of_the_block_after_the_call_have_no_effect)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct aiocb block = block_of(self->s.file);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	block.aio_fildes = other;
	block.aio_lio_opcode = LIO_WRITE;
	block.aio_reqprio = -1;
	block.aio_buf = NULL;
	block.aio_nbytes = SIZE_MAX;
	block.aio_offset = -1;
	memset(&block.aio_sigevent, POISON_BYTE, sizeof(block.aio_sigevent));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_started(other, SIM_GATE_FSYNC));
	close(other);
}

TEST_F(queue, syncs_of_one_file_end_in_the_order_of_their_calls)
{
	struct aiocb blocks[40];
	int i, j;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 40; i++) {
		blocks[i] = block_of(self->s.file);
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &blocks[i]));
		sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/*
	 * When the last has ended, all have; checked backwards, none is later than its
	 * successor.
	 */
	for (i = 39; i >= 0; i--) {
		ASSERT_EQ(0, block_wait(&blocks[i]));
		for (j = 0; j < i; j++)
			ASSERT_EQ(0, aio_error(&blocks[j]));
	}
	for (i = 0; i < 40; i++)
		EXPECT_EQ(0, aio_return(&blocks[i]));
}

TEST_F(queue, success_leaves_errno_alone)
{
	struct aiocb block = block_of(self->s.file);
	const struct aiocb *list[] = { &block };

	errno = ENOTNAM;
	ASSERT_EQ(0, aio_fsync(O_SYNC, &block));
	while (aio_error(&block) == EINPROGRESS)
		need(aio_suspend(list, 1, NULL) == 0);
	EXPECT_EQ(0, aio_return(&block));
	EXPECT_EQ(ENOTNAM, errno);
}

TEST_HARNESS_MAIN
