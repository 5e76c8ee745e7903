// SPDX-License-Identifier: GPL-2.0-only
/*
 * P6 let go first: when a completion can be seen, the module no longer holds the file;
 * close and then umount succeed, a lock held by it is free.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/file.h>

FIXTURE(let_go) {
	struct stage s;
};

FIXTURE_SETUP(let_go)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(let_go)
{
	stage_close(&self->s);
}

/* Drops the test's own reference of the file. */
static void close_file(struct stage *s)
{
	need(close(s->file) == 0);
	s->file = -1;
}

TEST_F(let_go, release_of_the_file_has_ended_before_the_completion_can_be_seen)
{
	struct pollfd pollfd = { .fd = self->s.ring.fd, .events = POLLIN };

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	close_file(&self->s);

	/* Now the request holds the last reference; stop where it drops it. */
	sim_hold(self->s.ctl, SIM_GATE_RELEASE);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	sim_wait_started(self->s.ctl, SIM_GATE_RELEASE, 1);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_RELEASE]);

	sim_let_go(self->s.ctl, SIM_GATE_RELEASE);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, sim_stats(self->s.ctl).finished[SIM_GATE_RELEASE]);
}

TEST_F(let_go, all_files_of_a_batch_are_released_before_its_first_completion)
{
	int files[10], i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 10; i++) {
		files[i] = world_open(&self->s.world, "file", O_RDWR);
		ASSERT_EQ(1, ring_queue(&self->s.ring, files[i], AFSYNC_OP_FSYNC, i));
		close(files[i]);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/* The first may have started alone; the last is in the second batch. */
	for (i = 0; i < 10; i++)
		ring_next(&self->s.ring);
	EXPECT_EQ(10, sim_stats(self->s.ctl).finished[SIM_GATE_RELEASE]);
}

TEST_F(let_go, release_of_a_cancelled_file_has_ended_before_the_completion_can_be_seen)
{
	int other = world_open(&self->s.world, "file", O_RDWR);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, 2));
	close(other);
	sim_hold(self->s.ctl, SIM_GATE_RELEASE);
	ASSERT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 2, 0, NULL));
	sim_wait_started(self->s.ctl, SIM_GATE_RELEASE, 1);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	sim_let_go(self->s.ctl, SIM_GATE_RELEASE);
	EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, sim_stats(self->s.ctl).finished[SIM_GATE_RELEASE]);
}

TEST_F(let_go, lock_of_a_closed_file_is_free_at_its_completion)
{
	unsigned int i, n = rounds(1000);
	int other, waiter;

	waiter = world_open(&self->s.world, "file", O_RDWR);
	for (i = 0; i < n; i++) {
		other = world_open(&self->s.world, "file", O_RDWR);
		ASSERT_EQ(0, flock(other, LOCK_EX | LOCK_NB));
		ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, i));
		close(other);
		ring_next(&self->s.ring);
		ASSERT_EQ(0, flock(waiter, LOCK_EX | LOCK_NB));
		ASSERT_EQ(0, flock(waiter, LOCK_UN));
	}
	close(waiter);
}

FIXTURE(unmount) {
	struct world world;
	struct ring ring;
};

FIXTURE_VARIANT(unmount) {
	const char *type;
};

FIXTURE_VARIANT_ADD(unmount, local) { .type = "afsync_sim" };
FIXTURE_VARIANT_ADD(unmount, net) { .type = "afsync_simnet" };

FIXTURE_SETUP(unmount)
{
	WORLD_SETUP(&self->world, variant->type);
	world_unmount(&self->world);
	ring_open(&self->ring, 16);
}

FIXTURE_TEARDOWN(unmount)
{
	ring_close(&self->ring);
}

TEST_F_TIMEOUT(unmount, umount_at_the_completion_never_finds_it_busy, LONG_TIMEOUT)
{
	unsigned int i, j, n = rounds(1000);
	int file;

	for (i = 0; i < n; i++) {
		world_mount(&self->world, variant->type);
		for (j = 0; j < 4; j++) {
			file = world_open(&self->world, j % 2 ? "a" : "b", O_RDWR);
			ASSERT_EQ(1, write(file, "x", 1));
			ASSERT_EQ(1, ring_queue(&self->ring, file, (i + j) % 3, j));
			close(file);
		}
		for (j = 0; j < 4; j++)
			ASSERT_EQ(0, ring_next(&self->ring).res);
		ASSERT_EQ(0, umount(self->world.dir));
		ASSERT_EQ(0, rmdir(self->world.dir));
	}
}

TEST_F(unmount, umount_after_the_close_of_the_ring_never_finds_it_busy)
{
	unsigned int i, j, n = rounds(200);
	struct ring ring;
	int file;

	for (i = 0; i < n; i++) {
		world_mount(&self->world, variant->type);
		ring_open(&ring, 16);
		for (j = 0; j < 16; j++) {
			file = world_open(&self->world, j % 2 ? "a" : "b", O_RDWR);
			ASSERT_EQ(1, ring_queue(&ring, file, (i + j) % 3, j));
			close(file);
		}
		ring_close(&ring);
		ASSERT_EQ(0, umount(self->world.dir));
		ASSERT_EQ(0, rmdir(self->world.dir));
	}
}

TEST_HARNESS_MAIN
