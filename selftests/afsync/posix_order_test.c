// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: all reads and writes that are queued on the file at the call of
 * aio_fsync have ended, and are durable, before it completes; later requests neither
 * delay it nor have any promise.
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

/* The descriptors of the earlier transfer and of the sync. */
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

/* The simple cases; glibc passes these too. */
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

/* "all": with any priorities */
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
	/* The file was synced only after all had ended. */
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

/* Each of them alone delays the sync, until the last has ended. */
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
	/* POSIX: appending writes are in the order of their calls. */
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
	write = transfer_of(self->s.file, "x", 1, 1);
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

/* The same with a later one of higher priority: glibc would run that one first. */
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

/* Each sync waits for the requests queued before it, and for nothing else. */
TEST_F(order, two_syncs_with_a_write_between_them_wait_for_one_and_for_two)
{
	struct aiocb syncs[2], read, write;
	char data;

	syncs[0] = block_of(self->s.file);
	syncs[1] = block_of(self->s.file);
	read = transfer_of(self->s.file, &data, 1, 0);
	write = transfer_of(self->s.file, "x", 1, 1);
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
	write = transfer_of(self->s.file, "x", 1, 1);
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
	/* In fact the read came after the write. */
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

/* Reads that wait for a writer delay no other request. */
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

/* glibc's call to ask for fewer threads changes how many run, and not the order. */
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

/*
 * The order of reads and writes among themselves. glibc runs all requests of a descriptor
 * one after the other; here those of a file that overlap keep the order of their calls.
 */
TEST_F(order, overlapping_writes_are_done_in_the_order_of_their_calls)
{
	int others[2] = { dup(self->s.file), world_open(&self->s.world, "file", O_RDWR) };
	char data[13] = "";
	struct aiocb writes[5];
	int i;

	writes[0] = transfer_of(self->s.file, "aaaaaaaa", 8, 0);
	writes[1] = transfer_of(others[0], "bbbb", 4, 6);
	writes[2] = transfer_of(others[1], "cc", 2, 2);
	writes[3] = transfer_of(self->s.file, "d", 1, 3);
	/* Overlaps with none of them. */
	writes[4] = transfer_of(self->s.file, "ee", 2, 10);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, write_queue(&writes[i]));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 2);
	EXPECT_TRUE(block_stays(&writes[1], &self->s.ring, self->s.file));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_WRITE));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 5; i++)
		EXPECT_EQ((ssize_t)writes[i].aio_nbytes, block_end(&writes[i]));
	EXPECT_EQ(12, pread(self->s.file, data, 12, 0));
	EXPECT_STREQ("aacdaabbbbee", data);
	close(others[0]);
	close(others[1]);
}

TEST_F(order, read_sees_the_writes_called_before_it_and_not_those_after)
{
	struct aiocb first, read, second;
	char data[5] = "";

	need(pwrite(self->s.file, "0000", 4, 0) == 4);
	first = transfer_of(self->s.file, "11", 2, 0);
	read = transfer_of(self->s.file, data, 4, 0);
	second = transfer_of(self->s.file, "22", 2, 2);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_hold(self->s.ctl, SIM_GATE_READ);
	ASSERT_EQ(0, write_queue(&first));
	ASSERT_EQ(0, read_queue(&read));
	ASSERT_EQ(0, write_queue(&second));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 2);
	EXPECT_TRUE(block_stays(&read, &self->s.ring, self->s.file));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_READ));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(2, block_end(&first));
	sim_wait_started(self->s.ctl, SIM_GATE_READ, 1);
	EXPECT_TRUE(block_stays(&second, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EQ(4, block_end(&read));
	EXPECT_STREQ("1100", data);
	EXPECT_EQ(2, block_end(&second));
}

/* Neighbours, overlapping reads, and a write of size 0 all run at once. */
TEST_F(order, requests_that_do_not_overlap_wait_for_nothing)
{
	struct aiocb writes[5], reads[3];
	char data[3][4];
	int i;

	writes[0] = transfer_of(self->s.file, "aaaa", 4, 4);
	writes[1] = transfer_of(self->s.file, "bbbb", 4, 0);
	writes[2] = transfer_of(self->s.file, "cccc", 4, 8);
	writes[3] = transfer_of(self->s.file, "", 0, 6);
	writes[4] = transfer_of(self->s.file, "dddd", 4, 1 << 20);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_hold(self->s.ctl, SIM_GATE_READ);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, write_queue(&writes[i]));
	for (i = 0; i < 3; i++) {
		reads[i] = transfer_of(self->s.file, data[i], 4, 100 + i);
		ASSERT_EQ(0, read_queue(&reads[i]));
	}
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 5);
	sim_wait_started(self->s.ctl, SIM_GATE_READ, 3);
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 5; i++)
		EXPECT_EQ((ssize_t)writes[i].aio_nbytes, block_end(&writes[i]));
	for (i = 0; i < 3; i++)
		EXPECT_LE(0, block_end(&reads[i]));
}

TEST_F(order, request_at_an_impossible_offset_fails_and_delays_nothing)
{
	struct aiocb write, bad[4];
	char data[4];
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	write = transfer_of(self->s.file, "aaaa", 4, 0);
	ASSERT_EQ(0, write_queue(&write));
	bad[0] = transfer_of(self->s.file, "bbbb", 4, LLONG_MAX);
	bad[1] = transfer_of(self->s.file, data, 4, LLONG_MAX - 1);
	bad[2] = transfer_of(self->s.file, "bbbb", 4, -2);
	bad[3] = transfer_of(self->s.file, data, 4, LLONG_MIN);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, i % 2 ? read_queue(&bad[i]) : write_queue(&bad[i]));
		EXPECT_GT(0, block_end(&bad[i]));
	}
	EXPECT_EQ(EINPROGRESS, aio_error(&write));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(4, block_end(&write));
}

/* The sum of offset and size overflows. */
TEST_F(order, request_of_impossible_size_waits_for_the_write_it_overlaps)
{
	struct aiocb write, read;
	static char data[8];

	if (sizeof(size_t) < 8)
		SKIP(return, "no size of 32 bits is impossible");
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	write = transfer_of(self->s.file, "aaaa", 4, 1000);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	read = transfer_of(self->s.file, data, SIZE_MAX, 10);
	ASSERT_EQ(0, read_queue(&read));
	EXPECT_TRUE(block_stays(&read, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(4, block_end(&write));
	EXPECT_GT(0, block_end(&read));
}

/* With only one thread, which is busy, a queue by priority would reverse the order. */
TEST_F(order, priority_does_not_change_the_order_of_overlapping_requests)
{
	const struct aioinit init = { .aio_threads = 1, .aio_num = 1 };
	struct aiocb writes[4];
	char data[3] = "";
	int i;

	aio_init(&init);
	writes[0] = transfer_of(self->s.file, "x", 1, 100);
	writes[1] = transfer_of(self->s.file, "aa", 2, 0);
	writes[2] = transfer_of(self->s.file, "b", 1, 1);
	writes[3] = transfer_of(self->s.file, "c", 1, 0);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 4; i++) {
		writes[i].aio_reqprio = i ? 20 - i : 0;
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 4; i++)
		EXPECT_LE(1, block_end(&writes[i]));
	EXPECT_EQ(2, pread(self->s.file, data, 2, 0));
	EXPECT_STREQ("cb", data);
}

/* It writes at the end that the file has once all earlier requests are done. */
TEST_F(order, write_that_appends_comes_after_all_before_it_and_before_all_after_it)
{
	int file = world_open(&self->s.world, "file", O_WRONLY | O_APPEND);
	struct aiocb first, append, second, read;
	char data[9] = "";

	need(pwrite(self->s.file, "0123", 4, 0) == 4);
	first = transfer_of(self->s.file, "4567", 4, 4);
	append = transfer_of(file, "A", 1, 0);
	read = transfer_of(self->s.file, data, 2, 8);
	second = transfer_of(self->s.file, "Z", 1, 8);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&first));
	ASSERT_EQ(0, write_queue(&append));
	ASSERT_EQ(0, read_queue(&read));
	ASSERT_EQ(0, write_queue(&second));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	EXPECT_TRUE(block_stays(&append, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(4, block_end(&first));
	EXPECT_EQ(1, block_end(&append));
	EXPECT_EQ(1, block_end(&read));
	EXPECT_STREQ("A", data);
	EXPECT_EQ(1, block_end(&second));
	EXPECT_EQ(9, pread(self->s.file, data, 9, 0));
	EXPECT_EQ(0, memcmp("01234567Z", data, 9));
	close(file);
}

#define PLACES	64

/* The contents of the file and the results of the reads are compared with a model. */
TEST_F_TIMEOUT(order, requests_at_random_places_give_the_same_result_as_one_by_one, LONG_TIMEOUT)
{
	char file[PLACES] = "", out[40][PLACES], in[40][PLACES], want[40][PLACES];
	int fds[3] = { self->s.file, dup(self->s.file), -1 };
	unsigned int i, j, n = rounds(400), from, size, random = 1, wrong = 0;
	struct aiocb blocks[40];

	fds[2] = world_open(&self->s.world, "file", O_RDWR);
	need(pwrite(self->s.file, file, PLACES, 0) == PLACES);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 40; j++) {
			random = random * 1103515245 + 12345;
			from = random >> 16 & (PLACES - 1);
			size = 1 + (random >> 22 & 15);
			if (from + size > PLACES)
				size = PLACES - from;
			memset(out[j], i * 40 + j, size);
			blocks[j] = transfer_of(fds[j % 3], random >> 26 & 1 ? in[j] : out[j],
						size, from);
			blocks[j].aio_reqprio = random >> 27 & 7;
			blocks[j].aio_lio_opcode = random >> 26 & 1 ? LIO_READ : LIO_WRITE;
			if (blocks[j].aio_lio_opcode == LIO_READ) {
				memcpy(want[j], file + from, size);
				need(read_queue(&blocks[j]) == 0);
			} else {
				memcpy(file + from, out[j], size);
				need(write_queue(&blocks[j]) == 0);
			}
		}
		for (j = 0; j < 40; j++) {
			size = blocks[j].aio_nbytes;
			if (block_end(&blocks[j]) != (ssize_t)size)
				wrong++;
			else if (blocks[j].aio_lio_opcode == LIO_READ)
				wrong += !!memcmp(in[j], want[j], size);
		}
		need(pread(self->s.file, in[0], PLACES, 0) == PLACES);
		wrong += !!memcmp(in[0], file, PLACES);
		ASSERT_EQ(0, wrong) {
			TH_LOG("round %u", i);
		}
	}
	close(fds[1]);
	close(fds[2]);
}

/* The parent's requests in flight do not delay the child's. */
TEST_F(order, child_does_not_wait_for_requests_of_its_parent)
{
	struct aiocb writes[2], read;
	char data[4];
	pid_t pid;
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 2; i++) {
		writes[i] = transfer_of(self->s.file, "aaaa", 4, 0);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		read = transfer_of(self->s.file, data, 4, 0);
		_exit(read_queue(&read) || block_end(&read) != 0);
	}
	need(waitpid(pid, &i, 0) == pid);
	EXPECT_EQ(0, i);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(4, block_end(&writes[i]));
}

TEST_HARNESS_MAIN
