// SPDX-License-Identifier: GPL-2.0-only
/*
 * P9 isolation: a filesystem that does not answer delays no user of another one.
 * isolation_fs_test.c does the same with frozen real filesystems.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/resource.h>

#define STUCK	600

FIXTURE(isolation) {
	struct world stuck;
	struct world fine;
	struct ring ring;
	int files[STUCK];
};

FIXTURE_SETUP(isolation)
{
	struct rlimit limit = { 4096, 4096 };
	char name[16];
	int i;

	WORLD_SETUP(&self->stuck, "afsync_sim");
	world_mount(&self->fine, "afsync_sim");
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	ring_open(&self->ring, 2048);
	for (i = 0; i < STUCK; i++) {
		snprintf(name, sizeof(name), "%d", i);
		self->files[i] = world_open(&self->stuck, name, O_RDWR);
		sim_hold(self->files[i], SIM_GATE_FSYNC);
	}
}

FIXTURE_TEARDOWN(isolation)
{
	int i;

	for (i = 0; i < STUCK; i++)
		sim_let_go(self->files[i], SIM_GATE_FSYNC);
	ring_close(&self->ring);
	for (i = 0; i < STUCK; i++)
		close(self->files[i]);
	world_unmount(&self->stuck);
	world_unmount(&self->fine);
}

static void queue_stuck(struct ring *ring, const int *files)
{
	struct afsync_sqe sqes[STUCK];
	int i;

	for (i = 0; i < STUCK; i++)
		sqes[i] = sqe_of(files[i], AFSYNC_OP_FSYNC, i);
	need(ring_submit(ring, sqes, STUCK, NULL) == STUCK);
}

static unsigned int stuck_running(const int *files)
{
	unsigned int running = 0, i;

	for (i = 0; i < STUCK; i++)
		running += sim_started(files[i], SIM_GATE_FSYNC);
	return running;
}

TEST_F(isolation, filesystem_with_600_stuck_files_does_not_delay_another)
{
	struct afsync_cqe cqe;
	int file, i, round;
	__u64 seen = 0;
	char name[16];

	queue_stuck(&self->ring, self->files);

	/* On the same ring; every operation; more files than the number of remaining workers. */
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "%d", i);
			file = world_open(&self->fine, name, O_RDWR);
			ASSERT_EQ(1, ring_queue(&self->ring, file, round, 1000 + i));
			close(file);
		}
		for (i = 0; i < 300; i++) {
			cqe = ring_next(&self->ring);
			ASSERT_GE(cqe.user_data, 1000);
			ASSERT_EQ(0, cqe.res);
		}
	}
	EXPECT_LE(stuck_running(self->files), parameter("workers_per_fs"));

	for (i = 0; i < STUCK; i++)
		sim_let_go(self->files[i], SIM_GATE_FSYNC);
	for (i = 0; i < STUCK; i++) {
		cqe = ring_next(&self->ring);
		ASSERT_LT(cqe.user_data, STUCK);
		ASSERT_EQ(0, cqe.res);
		seen += cqe.user_data;
	}
	EXPECT_EQ((__u64)STUCK * (STUCK - 1) / 2, seen);
}

TEST_F(isolation, many_stuck_filesystems_do_not_delay_another)
{
	struct world worlds[40];
	int files[40], file, i;

	for (i = 0; i < 40; i++) {
		world_mount(&worlds[i], "afsync_sim");
		files[i] = world_open(&worlds[i], "file", O_RDWR);
		sim_hold(files[i], SIM_GATE_FSYNC);
		sim_hold(files[i], SIM_GATE_SYNCFS);
		ASSERT_EQ(1, ring_queue(&self->ring, files[i], AFSYNC_OP_FSYNC, 1));
		ASSERT_EQ(1, ring_queue(&self->ring, files[i], AFSYNC_OP_SYNCFS, 1));
		/* All run at the same time. */
		sim_wait_started(files[i], SIM_GATE_FSYNC, 1);
		sim_wait_started(files[i], SIM_GATE_SYNCFS, 1);
	}
	file = world_open(&self->fine, "file", O_RDWR);
	ASSERT_EQ(1, ring_queue(&self->ring, file, AFSYNC_OP_FSYNC, 2));
	ASSERT_EQ(2, ring_next(&self->ring).user_data);
	for (i = 0; i < 40; i++) {
		sim_let_go(files[i], SIM_GATE_FSYNC);
		sim_let_go(files[i], SIM_GATE_SYNCFS);
	}
	for (i = 0; i < 80; i++)
		ASSERT_EQ(1, ring_next(&self->ring).user_data);
	for (i = 0; i < 40; i++) {
		close(files[i]);
		world_unmount(&worlds[i]);
	}
	close(file);
}

TEST_F(isolation, what_is_queued_on_a_stuck_filesystem_can_be_cancelled)
{
	unsigned int running, i;
	int cancelled;

	queue_stuck(&self->ring, self->files);
	cancelled = afsync_cmd_cancel(self->ring.fd, AFSYNC_CANCEL_ALL, 0, 0, &running);
	ASSERT_GE(cancelled, STUCK - parameter("workers_per_fs"));
	EXPECT_EQ(STUCK, cancelled + running);
	for (i = 0; i < (unsigned int)cancelled; i++)
		ASSERT_EQ(-ECANCELED, ring_next(&self->ring).res);
	EXPECT_LE(stuck_running(self->files), parameter("workers_per_fs"));
}

TEST_F(isolation, stuck_files_delay_no_other_of_their_filesystem_while_a_worker_is_left)
{
	int stuck = parameter("workers_per_fs") - 1, i;
	int other = world_open(&self->stuck, "free", O_RDWR);

	ASSERT_LE(stuck, STUCK);
	for (i = 0; i < stuck; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->files[i], AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(1, ring_queue(&self->ring, other, AFSYNC_OP_FSYNC, 1000));
	EXPECT_EQ(1000, ring_next(&self->ring).user_data);
	close(other);
}

TEST_F(isolation, ring_of_another_program_ends_while_a_filesystem_is_stuck)
{
	int file = world_open(&self->fine, "file", O_RDWR);
	struct ring ring;

	queue_stuck(&self->ring, self->files);
	ring_open(&ring, 8);
	ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 1));
	ring_close(&ring);
	EXPECT_EQ(1, sim_stats(file).finished[SIM_GATE_FSYNC] +
		  !sim_started(file, SIM_GATE_FSYNC));
	close(file);
}

TEST_HARNESS_MAIN
