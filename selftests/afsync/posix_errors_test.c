// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: if an operation that was queued before the sync fails, its error
 * shows in the aio_error of the sync.
 *
 * AIX: "Falls eine der E/A-Operationen in der Warteschlange fehlschlägt", in the event
 * that any of the queued I/O operations fail (illumos), aio_fsync returns the error
 * condition defined for read and write, in the error status of the asynchronous fsync.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

FIXTURE(errors) {
	struct stage s;
};

FIXTURE_SETUP(errors)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(errors)
{
	stage_close(&self->s);
}

/* One transfer that fails on command, and the sync behind it. */
FIXTURE(earlier) {
	struct stage s;
	int file;
};

FIXTURE_VARIANT(earlier) {
	bool read;
	bool dup;	/* the sync on a dup'd descriptor */
	int op;
	int error;
};

FIXTURE_VARIANT_ADD(earlier, write_enospc) { .op = O_SYNC, .error = ENOSPC };
FIXTURE_VARIANT_ADD(earlier, write_eio) { .op = O_DSYNC, .error = EIO };
FIXTURE_VARIANT_ADD(earlier, write_efbig) { .op = O_SYNC, .error = EFBIG };

FIXTURE_VARIANT_ADD(earlier, write_edquot_on_a_dup) {
	.op = O_SYNC, .error = EDQUOT, .dup = true,
};

FIXTURE_VARIANT_ADD(earlier, read_eio) { .op = O_SYNC, .error = EIO, .read = true };

FIXTURE_VARIANT_ADD(earlier, read_eoverflow_on_a_dup) {
	.op = O_DSYNC, .error = EOVERFLOW, .read = true, .dup = true,
};

FIXTURE_SETUP(earlier)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->file = variant->dup ? dup(self->s.file) : self->s.file;
}

FIXTURE_TEARDOWN(earlier)
{
	if (variant->dup)
		close(self->file);
	stage_close(&self->s);
}

TEST_F(earlier, error_shows_in_the_sync)
{
	__u32 gate = variant->read ? SIM_GATE_READ : SIM_GATE_WRITE;
	struct aiocb transfer, sync = block_of(self->file);
	char data = 'x';

	sim_hold(self->s.ctl, gate);
	sim_fail(self->s.ctl, gate, variant->error, 1);
	transfer = transfer_of(self->s.file, &data, 1, 0);
	ASSERT_EQ(0, variant->read ? read_queue(&transfer) : write_queue(&transfer));
	ASSERT_EQ(0, sync_queue(variant->op, &sync));
	sim_wait_started(self->s.ctl, gate, 1);
	EXPECT_EQ(EINPROGRESS, aio_error(&sync));
	sim_let_go(self->s.ctl, gate);
	EXPECT_EQ(variant->error, block_wait(&sync));
	EXPECT_EQ(-1, aio_return(&sync));
	EXPECT_EQ(-variant->error, block_end(&transfer));
	/* Reported once: a later sync does not see it. */
	EXPECT_EQ(0, sync_now(variant->op, self->file));
}

TEST_F(errors, first_of_several_errors_shows_and_the_rest_is_synced)
{
	struct aiocb writes[6], sync = block_of(self->s.file);
	int i, failed = 0;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 2);
	for (i = 0; i < 6; i++) {
		writes[i] = transfer_of(self->s.file, "x", 1, i);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(-ENOSPC, block_end(&sync));
	for (i = 0; i < 6; i++)
		failed += block_end(&writes[i]) == -ENOSPC;
	EXPECT_EQ(2, failed);
	/* The four successful ones were synced all the same. */
	EXPECT_EQ(4, sim_last_call(self->s.ctl).writes);
}

/* It was queued at the calls of all these syncs. */
TEST_F(errors, error_shows_in_every_sync_queued_while_the_transfer_was)
{
	struct aiocb write, syncs[3];
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 1);
	write = transfer_of(self->s.file, "x", 1, 0);
	ASSERT_EQ(0, write_queue(&write));
	for (i = 0; i < 3; i++) {
		syncs[i] = block_of(self->s.file);
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &syncs[i]));
	}
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ENOSPC, block_end(&syncs[i]));
	EXPECT_EQ(-ENOSPC, block_end(&write));
}

/* AIX, illumos: only the I/O that was queued at the time of the call counts. */
TEST_F(errors, error_of_a_transfer_that_had_ended_before_the_call_does_not_show)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);

	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 1);
	ASSERT_EQ(0, write_queue(&write));
	EXPECT_EQ(-ENOSPC, block_end(&write));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

TEST_F(errors, error_of_a_later_transfer_does_not_show)
{
	struct aiocb sync = block_of(self->s.file), write;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 1);
	write = transfer_of(self->s.file, "x", 1, 0);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(-ENOSPC, block_end(&write));
}

/* The same if the sync still waits for an earlier one when the later one fails. */
TEST_F(errors, error_of_a_later_transfer_does_not_show_in_a_sync_that_still_waits)
{
	struct aiocb sync = block_of(self->s.file), read, write;
	char data;

	sim_hold(self->s.ctl, SIM_GATE_READ);
	read = transfer_of(self->s.file, &data, 1, 0);
	ASSERT_EQ(0, read_queue(&read));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 1);
	write = transfer_of(self->s.file, "x", 1, 1);
	ASSERT_EQ(0, write_queue(&write));
	EXPECT_EQ(ENOSPC, block_wait(&write));
	EXPECT_EQ(EINPROGRESS, aio_error(&sync));
	sim_wait_started(self->s.ctl, SIM_GATE_READ, 1);
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(-ENOSPC, block_end(&write));
	EXPECT_EQ(0, block_end(&read));
}

TEST_F(errors, error_of_another_file_does_not_show)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct aiocb sync = block_of(self->s.file), writes[2];

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_fail(other, SIM_GATE_WRITE, EIO, 1);
	writes[0] = transfer_of(self->s.file, "x", 1, 0);
	writes[1] = transfer_of(other, "x", 1, 0);
	ASSERT_EQ(0, write_queue(&writes[0]));
	ASSERT_EQ(0, write_queue(&writes[1]));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(-EIO, block_end(&writes[1]));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&writes[0]));
	close(other);
}

/* AIX, illumos: or if the operation queued by aio_fsync itself fails. */
TEST_F(errors, error_of_the_sync_itself_shows_after_a_good_write)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	struct aiocb sync = block_of(self->s.file);

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(-EIO, block_end(&sync));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

TEST_F(errors, sync_never_succeeds_where_both_have_failed)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	struct aiocb sync = block_of(self->s.file);
	int error;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 1);
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	error = -block_end(&sync);
	EXPECT_TRUE(error == EIO || error == ENOSPC);
	EXPECT_EQ(-ENOSPC, block_end(&write));
}

/*
 * The pages that could not be written back: each open file reports the error once, as fsync
 * does.
 */
TEST_F(errors, writeback_error_is_told_once_to_each_open_file)
{
	int other = world_open(&self->s.world, "file", O_RDWR);

	sim_wb_error(self->s.ctl, EIO);
	EXPECT_EQ(-EIO, sync_now(O_DSYNC, self->s.file));
	EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	EXPECT_EQ(-EIO, sync_now(O_SYNC, other));
	EXPECT_EQ(0, sync_now(O_SYNC, other));
	close(other);
}

/*
 * AIX, illumos: if aio_fsync fails, outstanding I/O is not guaranteed to have been
 * completed; it continues as if aio_fsync had not been called.
 */
TEST_F(errors, refused_or_failed_sync_leaves_outstanding_writes_alone)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	struct aiocb sync = block_of(self->s.file);

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	EXPECT_EQ(-EINVAL, sync_queue(O_RDWR, &sync));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	EXPECT_EQ(EINPROGRESS, aio_error(&write));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/* A cancelled write has not failed. */
TEST_F(errors, write_that_was_cancelled_is_no_error_of_the_sync)
{
	int file = world_open(&self->s.world, "file", O_WRONLY | O_APPEND);
	struct aiocb writes[2], sync = block_of(self->s.file);

	/* The second has to wait for the first: both append. */
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	writes[0] = transfer_of(file, "x", 1, 0);
	writes[1] = transfer_of(file, "y", 1, 0);
	ASSERT_EQ(0, write_queue(&writes[0]));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, write_queue(&writes[1]));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	ASSERT_EQ(AIO_CANCELED, aio_cancel(file, &writes[1]));
	EXPECT_EQ(-ECANCELED, block_end(&writes[1]));
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&writes[0]));
	EXPECT_EQ(1, sim_last_call(self->s.ctl).writes);
	close(file);
}

TEST_HARNESS_MAIN
