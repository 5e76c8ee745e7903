// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that links libafsync-posix and finds no device: libafsync's threads sync, and
 * nothing that is particular to them is visible. posix_linked_test.c has the tests that are
 * the same with the device.
 *
 * Hides the device in a mount namespace of its own. Needs afsync_sim and root.
 */
#define POSIX_LINKED
#include "posix.h"

#include <mqueue.h>
#include <sys/resource.h>
#include <sys/socket.h>

FIXTURE(threads) {
	struct world world;
	int file;
	int other;
	int ctl;
};

FIXTURE_SETUP(threads)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->ctl = world_open(&self->world, "file", O_RDONLY);
	self->file = world_open(&self->world, "file", O_RDWR);
	self->other = world_open(&self->world, "other", O_RDWR);
	need(mount("none", "/dev", "tmpfs", 0, NULL) == 0);
}

FIXTURE_TEARDOWN(threads)
{
	__u32 gate;

	for (gate = 0; gate < SIM_NR_GATES; gate++)
		sim_let_go(self->ctl, gate);
	need(umount("/dev") == 0);
	close(self->ctl);
	close(self->file);
	close(self->other);
	world_unmount(&self->world);
}

/* Queues the syncs, the first of which is held in the filesystem. */
static void queue_behind_one(FIXTURE_DATA(threads) *self, struct aiocb *blocks, int n)
{
	int i;

	sim_hold(self->ctl, SIM_GATE_FSYNC);
	for (i = 0; i < n; i++) {
		blocks[i] = block_of(self->file);
		need(sync_queue(O_SYNC, &blocks[i]) == 0);
		if (!i)
			sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	}
}

TEST_F(threads, syncs_that_wait_for_one_file_are_done_by_one)
{
	enum { SYNCS = 20 };
	struct aiocb blocks[SYNCS];
	unsigned int i, failed = 0;

	queue_behind_one(self, blocks, SYNCS);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	for (i = 0; i < SYNCS; i++)
		failed += block_end(&blocks[i]) != 0;
	EXPECT_EQ(0, failed);
	EXPECT_EQ(2, sim_started(self->ctl, SIM_GATE_FSYNC));
}

/* All requests of one sync have its error, and the next one has none. */
TEST_F(threads, error_shows_in_all_that_one_sync_was_for)
{
	struct aiocb blocks[3];

	queue_behind_one(self, blocks, 3);
	sim_fail(self->ctl, SIM_GATE_FSYNC, EIO, 2);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(-EIO, block_end(&blocks[0]));
	EXPECT_EQ(-EIO, block_end(&blocks[1]));
	EXPECT_EQ(-EIO, block_end(&blocks[2]));
	EXPECT_EQ(0, sync_now(O_SYNC, self->file));
}

/* Gives the socket, by which threads receive descriptors, as little room as possible. */
static void narrow_the_socket(void)
{
	int fd, type, least = 1, narrowed = 0;
	socklen_t size;

	for (fd = 0; fd < 1024; fd++) {
		size = sizeof(type);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_SEQPACKET)
			continue;
		need(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) == 0);
		narrowed++;
	}
	need(narrowed == 1);
}

/* At any speed; each is an open file of its own. */
TEST_F(threads, more_files_than_can_be_under_way_at_once_are_all_taken)
{
	enum { FILES = 500 };
	static struct aiocb blocks[FILES];
	unsigned int i, refused = 0, failed = 0;
	static int fds[FILES];

	need(setrlimit(RLIMIT_NOFILE, &(struct rlimit) { 4096, 4096 }) == 0);
	need(sync_now(O_SYNC, self->file) == 0);
	narrow_the_socket();
	for (i = 0; i < FILES; i++)
		fds[i] = world_open(&self->world, "file", O_RDWR);
	for (i = 0; i < FILES; i++) {
		blocks[i] = block_of(fds[i]);
		refused += sync_queue(O_DSYNC, &blocks[i]) != 0;
	}
	EXPECT_EQ(0, refused);
	for (i = 0; i < FILES && !refused; i++)
		failed += block_end(&blocks[i]) != 0;
	EXPECT_EQ(0, failed);
	for (i = 0; i < FILES; i++)
		close(fds[i]);
}

/* The next descriptor numbers of the program. */
static void next_numbers(int fd, int *numbers, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		numbers[i] = dup(fd);
		need(numbers[i] >= 0);
	}
	for (i = 0; i < n; i++)
		close(numbers[i]);
}

/* Programs rely on the lowest number, and select() on low ones. */
TEST_F(threads, numbers_of_the_programs_descriptors_are_those_without_the_library)
{
	enum { NUMBERS = 8 };
	struct aiocb block = block_of(self->file);
	int before[NUMBERS], after[NUMBERS];

	next_numbers(self->file, before, NUMBERS);
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	next_numbers(self->file, after, NUMBERS);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
}

TEST_F(threads, by_descriptor_what_can_be_is_cancelled_and_what_runs_is_told)
{
	struct aiocb blocks[3];

	queue_behind_one(self, blocks, 3);
	EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(self->file, NULL));
	EXPECT_EQ(-ECANCELED, block_end(&blocks[1]));
	EXPECT_EQ(-ECANCELED, block_end(&blocks[2]));
	EXPECT_EQ(EINPROGRESS, aio_error(&blocks[0]));
	EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(self->file, &blocks[0]));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&blocks[0]));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(self->file, NULL));
	EXPECT_EQ(1, sim_started(self->ctl, SIM_GATE_FSYNC));
}

TEST_F(threads, sync_of_another_file_that_had_the_number_is_not_cancelled)
{
	struct aiocb blocks[2], late;
	int fd = dup(self->file);

	queue_behind_one(self, blocks, 2);
	late = block_of(fd);
	ASSERT_EQ(0, sync_queue(O_SYNC, &late));
	need(dup2(self->other, fd) == fd);
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(fd, NULL));
	EXPECT_EQ(EINPROGRESS, aio_error(&late));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&late));
	EXPECT_EQ(0, block_end(&blocks[0]));
	EXPECT_EQ(0, block_end(&blocks[1]));
	close(fd);
}

/* The threads have the file; they do not need the program's descriptor to begin. */
TEST_F(threads, sync_behind_a_write_is_done_though_all_descriptors_were_closed)
{
	struct aiocb write = transfer_of(self->file, "x", 1, 0), sync;
	int i, fd = world_open(&self->world, "file", O_RDWR);

	sim_hold(self->ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->ctl, SIM_GATE_WRITE, 1);
	sync = block_of(fd);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	for (i = 3; i < 4096; i++)
		if (i != self->file && i != self->ctl && i != self->other)
			close(i);
	EXPECT_EQ(0, sync_now(O_SYNC, self->other));
	sim_let_go(self->ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(1, sim_last_call(self->ctl).writes);
}

/* A message queue is why there can be no table of descriptors, see libafsync-posix(7). */
TEST_F(threads, call_does_not_wait_for_the_sync_where_there_can_be_no_table)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 8 };
	struct aiocb write = transfer_of(self->file, "x", 1, 0), first, second;
	mqd_t queue;

	mq_unlink("/afsync-posix-threads");
	queue = mq_open("/afsync-posix-threads", O_RDWR | O_CREAT, 0600, &attr);
	if (queue < 0)
		SKIP(return, "no message queues");
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	sim_hold(self->ctl, SIM_GATE_WRITE);
	first = block_of(self->file);
	second = block_of(self->file);
	/* Hangs if the calling thread syncs. */
	ASSERT_EQ(0, sync_queue(O_SYNC, &first));
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &second));
	EXPECT_EQ(EINPROGRESS, aio_error(&first));
	EXPECT_EQ(EINPROGRESS, aio_error(&second));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	sim_let_go(self->ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&first));
	EXPECT_EQ(0, block_end(&second));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(1, sim_last_call(self->ctl).writes);
	mq_close(queue);
	mq_unlink("/afsync-posix-threads");
}

TEST_HARNESS_MAIN
