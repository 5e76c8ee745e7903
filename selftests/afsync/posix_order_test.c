// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: all reads and writes that are queued on the file when aio_fsync is
 * called have ended, and are durable, before it completes; what is queued later neither
 * delays it nor is promised anything.
 *
 * AIX, illumos: aio_fsync asynchronously forces all I/O operations associated with the
 * file and queued at the time of the call to the synchronized I/O completion state.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

FIXTURE(order) {
	struct stage s;
};

FIXTURE_SETUP(order)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(order)
{
	stage_close(&self->s);
}

/* Where the earlier transfer comes from, and where the sync. */
FIXTURE(before) {
	struct stage s;
	int file;
};

FIXTURE_VARIANT(before) {
	int op;
	bool read;
	bool dup;	/* the sync on a dup'd descriptor */
	bool open;	/* the sync on another open file of the file */
	int prio;	/* of the transfer, */
	int sync_prio;	/* and of the sync: 0 is the highest */
};

/* The simple cases; glibc does these too. */
FIXTURE_VARIANT_ADD(before, fsync_after_write) { .op = O_SYNC };
FIXTURE_VARIANT_ADD(before, fdatasync_after_write) { .op = O_DSYNC };
FIXTURE_VARIANT_ADD(before, fsync_after_read) { .op = O_SYNC, .read = true };
FIXTURE_VARIANT_ADD(before, fdatasync_after_read) { .op = O_DSYNC, .read = true };

/* "associated with the file indicated by the file descriptor" */
FIXTURE_VARIANT_ADD(before, fsync_by_a_dup_after_write) { .op = O_SYNC, .dup = true };

FIXTURE_VARIANT_ADD(before, fsync_by_a_dup_after_read) {
	.op = O_SYNC, .dup = true, .read = true,
};

FIXTURE_VARIANT_ADD(before, fsync_by_another_open_file_after_write) {
	.op = O_SYNC, .open = true,
};

/* "all": whatever their priorities */
FIXTURE_VARIANT_ADD(before, fsync_after_write_of_higher_priority) {
	.op = O_SYNC, .sync_prio = 5,
};

FIXTURE_VARIANT_ADD(before, fsync_after_write_of_lower_priority) {
	.op = O_SYNC, .prio = 20,
};

FIXTURE_VARIANT_ADD(before, fsync_by_a_dup_after_write_of_lower_priority) {
	.op = O_SYNC, .prio = 20, .dup = true,
};

FIXTURE_SETUP(before)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->file = self->s.file;
	if (variant->dup)
		self->file = dup(self->s.file);
	if (variant->open)
		self->file = world_open(&self->s.world, "file", O_RDWR);
}

FIXTURE_TEARDOWN(before)
{
	if (self->file != self->s.file)
		close(self->file);
	stage_close(&self->s);
}

TEST_F(before, sync_waits_for_it)
{
	__u32 gate = variant->read ? SIM_GATE_READ : SIM_GATE_WRITE;
	struct aiocb transfers[3], sync;
	char data[3] = "abc";
	unsigned int i, calls;

	sim_hold(self->s.ctl, gate);
	for (i = 0; i < 3; i++) {
		transfers[i] = transfer_of(self->s.file, data + i, 1, i);
		transfers[i].aio_reqprio = variant->prio;
		ASSERT_EQ(0, variant->read ? read_queue(&transfers[i]) :
					     write_queue(&transfers[i]));
	}
	sync = block_of(self->file);
	sync.aio_reqprio = variant->sync_prio;
	ASSERT_EQ(0, sync_queue(variant->op, &sync));
	sim_wait_started(self->s.ctl, gate, 1);
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	calls = sim_started(self->s.ctl, SIM_GATE_FSYNC);

	sim_let_go(self->s.ctl, gate);
	EXPECT_EQ(0, block_end(&sync));
	/* All have ended, and only then was the file synced. */
	for (i = 0; i < 3; i++)
		EXPECT_NE(EINPROGRESS, aio_error(&transfers[i]));
	EXPECT_EQ(3, sim_stats(self->s.ctl).finished[gate]);
	EXPECT_EQ(calls + 1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(variant->op == O_DSYNC, sim_last_call(self->s.ctl).datasync);
	if (!variant->read)
		EXPECT_EQ(3, sim_last_call(self->s.ctl).writes);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(variant->read ? 0 : 1, block_end(&transfers[i]));
}

/* Each one of them alone keeps the sync, until the last. */
TEST_F(order, sync_waits_for_the_last_of_many_transfers)
{
	struct aiocb transfers[12], sync = block_of(self->s.file);
	char data[12] = "";
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_hold(self->s.ctl, SIM_GATE_READ);
	for (i = 0; i < 12; i++) {
		transfers[i] = transfer_of(self->s.file, &data[i], 1, i);
		ASSERT_EQ(0, i % 2 ? read_queue(&transfers[i]) :
				     write_queue(&transfers[i]));
	}
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	for (i = 0; i < 5; i++) {
		sim_step(self->s.ctl, SIM_GATE_WRITE, 1);
		EXPECT_EQ(EINPROGRESS, aio_error(&sync));
	}
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_step(self->s.ctl, SIM_GATE_WRITE, 1);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(6, sim_last_call(self->s.ctl).writes);
	for (i = 0; i < 12; i++)
		EXPECT_LE(0, block_end(&transfers[i]));
}

TEST_F(order, sync_waits_for_writes_queued_by_lio_listio)
{
	struct aiocb writes[4], sync = block_of(self->s.file), *list[5];
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 4; i++) {
		writes[i] = transfer_of(self->s.file, "x", 1, i);
		writes[i].aio_lio_opcode = LIO_WRITE;
		list[i] = &writes[i];
	}
	list[4] = NULL;
	ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, 5, NULL));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(4, sim_last_call(self->s.ctl).writes);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, block_end(&writes[i]));
}

TEST_F(order, sync_waits_for_writes_that_append)
{
	int file = world_open(&self->s.world, "file", O_WRONLY | O_APPEND), i;
	struct aiocb writes[8], sync = block_of(self->s.file);
	char digits[] = "01234567", data[9] = "";

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 8; i++) {
		writes[i] = transfer_of(file, digits + i, 1, 0);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(8, sim_last_call(self->s.ctl).writes);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(1, block_end(&writes[i]));
	/* POSIX: writes that append are in the order of their calls. */
	EXPECT_EQ(8, pread(self->s.ctl, data, 8, 0));
	EXPECT_STREQ(digits, data);
	close(file);
}

/*
 * AIX, illumos: it is only the I/O that was queued at the time of the call that is
 * guaranteed to be forced; subsequent I/O is not guaranteed anything.
 */
TEST_F(order, later_write_does_not_delay_the_sync_and_is_not_covered)
{
	struct aiocb sync = block_of(self->s.file), write;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	write = transfer_of(self->s.file, "x", 1, 0);
	ASSERT_EQ(0, write_queue(&write));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/* Ends, or this never returns. */
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(0, sim_last_call(self->s.ctl).writes);
	EXPECT_EQ(EINPROGRESS, aio_error(&write));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
}

TEST_F(order, later_write_does_not_delay_a_sync_that_waits_for_an_earlier_read)
{
	struct aiocb sync = block_of(self->s.file), read, write;
	char data;

	sim_hold(self->s.ctl, SIM_GATE_READ);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	read = transfer_of(self->s.file, &data, 1, 0);
	write = transfer_of(self->s.file, "x", 1, 0);
	ASSERT_EQ(0, read_queue(&read));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->s.ctl, SIM_GATE_READ, 1);
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(EINPROGRESS, aio_error(&write));
	EXPECT_EQ(0, sim_last_call(self->s.ctl).writes);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(0, block_end(&read));
}

/* As above, with a later one of higher priority: glibc would run that one first. */
TEST_F(order, later_write_of_higher_priority_does_not_delay_the_sync)
{
	struct aiocb first = block_of(self->s.file), sync, write;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, sync_queue(O_SYNC, &first));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	sync = block_of(self->s.file);
	sync.aio_reqprio = 10;
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	write = transfer_of(self->s.file, "x", 1, 0);
	ASSERT_EQ(0, write_queue(&write));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&first));
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(EINPROGRESS, aio_error(&write));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
}

/* Each sync waits for what was queued before it, and for nothing else. */
TEST_F(order, two_syncs_with_a_write_between_them_wait_for_one_and_for_two)
{
	struct aiocb syncs[2], read, write;
	char data;

	syncs[0] = block_of(self->s.file);
	syncs[1] = block_of(self->s.file);
	read = transfer_of(self->s.file, &data, 1, 0);
	write = transfer_of(self->s.file, "x", 1, 0);
	sim_hold(self->s.ctl, SIM_GATE_READ);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, read_queue(&read));
	ASSERT_EQ(0, sync_queue(O_SYNC, &syncs[0]));
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_DSYNC, &syncs[1]));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EQ(0, block_end(&syncs[0]));
	EXPECT_TRUE(block_stays(&syncs[1], &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&syncs[1]));
	EXPECT_EQ(1, sim_last_call(self->s.ctl).writes);
	EXPECT_EQ(0, block_end(&read));
	EXPECT_EQ(1, block_end(&write));
}

/* The write ends before the read that was queued earlier: both syncs still see all. */
TEST_F(order, later_transfer_that_ends_first_lets_no_sync_go)
{
	struct aiocb syncs[2], read, write;
	char data;

	syncs[0] = block_of(self->s.file);
	syncs[1] = block_of(self->s.file);
	read = transfer_of(self->s.file, &data, 1, 0);
	write = transfer_of(self->s.file, "x", 1, 0);
	sim_hold(self->s.ctl, SIM_GATE_READ);
	ASSERT_EQ(0, read_queue(&read));
	ASSERT_EQ(0, sync_queue(O_SYNC, &syncs[0]));
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &syncs[1]));
	sim_wait_started(self->s.ctl, SIM_GATE_READ, 1);
	EXPECT_EQ(0, block_wait(&write));
	EXPECT_TRUE(block_stays(&syncs[0], &self->s.ring, self->s.file));
	EXPECT_TRUE(block_stays(&syncs[1], &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EQ(0, block_end(&syncs[0]));
	EXPECT_EQ(0, block_end(&syncs[1]));
	EXPECT_EQ(1, sim_last_call(self->s.ctl).writes);
	/* The read came after the write after all. */
	EXPECT_EQ(1, block_end(&read));
	EXPECT_EQ(1, block_end(&write));
}

TEST_F(order, transfers_of_another_file_do_not_delay_the_sync)
{
	int other = world_open(&self->s.world, "other", O_RDWR), i;
	struct aiocb writes[40];

	sim_hold(other, SIM_GATE_WRITE);
	for (i = 0; i < 40; i++) {
		writes[i] = transfer_of(other, "x", 1, i);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	sim_let_go(other, SIM_GATE_WRITE);
	for (i = 0; i < 40; i++)
		EXPECT_EQ(1, block_end(&writes[i]));
	close(other);
}

/* Reads that wait for somebody to write are in nobody's way. */
TEST_F(order, reads_that_wait_on_forty_pipes_do_not_hold_up_a_sync)
{
	struct aiocb reads[40];
	int pipes[40][2], i;
	char data[40];

	for (i = 0; i < 40; i++) {
		need(pipe(pipes[i]) == 0);
		reads[i] = transfer_of(pipes[i][0], &data[i], 1, 0);
		ASSERT_EQ(0, read_queue(&reads[i]));
	}
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	for (i = 0; i < 40; i++) {
		EXPECT_EQ(EINPROGRESS, aio_error(&reads[i]));
		need(write(pipes[i][1], "x", 1) == 1);
	}
	for (i = 0; i < 40; i++) {
		EXPECT_EQ(1, block_end(&reads[i]));
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

/* glibc's way to ask for fewer threads changes how many run, and not the order. */
TEST_F(order, one_thread_for_all_transfers_is_enough)
{
	const struct aioinit init = { .aio_threads = 1, .aio_num = 1 };
	struct aiocb writes[10], sync = block_of(self->s.file);
	int i;

	aio_init(&init);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 10; i++) {
		writes[i] = transfer_of(self->s.file, "x", 1, i);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(10, sim_last_call(self->s.ctl).writes);
	for (i = 0; i < 10; i++)
		EXPECT_EQ(1, block_end(&writes[i]));
}

TEST_F(order, every_sync_sees_all_the_writes_queued_before_it)
{
	unsigned int i, j, n = rounds(200);
	struct aiocb writes[10], sync;
	int other = dup(self->s.file);

	for (i = 0; i < n; i++) {
		for (j = 0; j < 10; j++) {
			writes[j] = transfer_of(j % 2 ? other : self->s.file, "x", 1, j);
			writes[j].aio_reqprio = j;
			ASSERT_EQ(0, write_queue(&writes[j]));
		}
		sync = block_of(i % 3 ? self->s.file : other);
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &sync));
		ASSERT_EQ(0, block_end(&sync));
		ASSERT_EQ((i + 1) * 10, sim_last_call(self->s.ctl).writes);
		for (j = 0; j < 10; j++)
			ASSERT_EQ(1, block_end(&writes[j]));
	}
	close(other);
}

TEST_HARNESS_MAIN
