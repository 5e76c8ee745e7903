// SPDX-License-Identifier: GPL-2.0-only
/*
 * P7 clean end: when the last close of a ring, or the exit or the killing of its process,
 * has returned, nothing of it is left in the kernel. unload_test.sh unloads the module.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/file.h>

#define MANY	1000

FIXTURE(end) {
	struct stage s;
	struct turn queued;
};

FIXTURE_VARIANT(end) {
	bool killed;
	bool mapped;	/* only the mapping keeps the ring */
};

FIXTURE_VARIANT_ADD(end, killed) { .killed = true };
FIXTURE_VARIANT_ADD(end, killed_with_only_the_mapping) { .killed = true, .mapped = true };
FIXTURE_VARIANT_ADD(end, exits) { .killed = false };
FIXTURE_VARIANT_ADD(end, exits_with_only_the_mapping) { .mapped = true };

FIXTURE_SETUP(end)
{
	STAGE_SETUP(&self->s, "afsync_sim", 8);
	turn_init(&self->queued);
}

FIXTURE_TEARDOWN(end)
{
	stage_close(&self->s);
}

/*
 * One running request, held by the parent, and MANY that wait for the same file, each
 * with an open file of its own that only the request refers to. The first is locked.
 */
static void child_queue(struct stage *s, bool mapped)
{
	struct ring ring;
	int file, i;

	/* As for any process: only its own ring counts. */
	ring_close(&s->ring);
	ring_open(&ring, MANY + 1);
	for (i = 0; i <= MANY; i++) {
		file = world_open(&s->world, "file", O_RDWR);
		if (!i)
			need(flock(file, LOCK_EX | LOCK_NB) == 0);
		need(ring_queue(&ring, file, i % 2, i) == 1);
		if (!i)
			sim_wait_started(s->ctl, SIM_GATE_FSYNC, 1);
		close(file);
	}
	if (mapped)
		close(ring.fd);
}

TEST_F(end, nothing_is_left_of_a_process_with_a_running_and_a_thousand_queued_requests)
{
	long long cancelled = counter("cancelled");
	struct sim_stats stats;
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		child_queue(&self->s, variant->mapped);
		turn_post(&self->queued);
		while (variant->killed)
			pause();
		_exit(0);
	}
	turn_wait(&self->queued, 1);
	EXPECT_EQ(-1, flock(self->s.file, LOCK_EX | LOCK_NB));
	if (variant->killed)
		need(kill(pid, SIGKILL) == 0);

	/* The queued requests are cancelled although the first still runs, for which it waits. */
	sim_wait_started(self->s.ctl, SIM_GATE_RELEASE, MANY);
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(variant->killed ? 128 + SIGKILL : 0, child_wait(pid));

	/* Everything is gone at once. */
	EXPECT_EQ(0, flock(self->s.file, LOCK_EX | LOCK_NB));
	EXPECT_EQ(0, counter("in_flight"));
	EXPECT_EQ(cancelled + MANY, counter("cancelled"));
	stats = sim_stats(self->s.ctl);
	EXPECT_EQ(1, stats.started[SIM_GATE_FSYNC]);
	EXPECT_EQ(MANY + 1, stats.finished[SIM_GATE_RELEASE]);

	close(self->s.file);
	close(self->s.ctl);
	EXPECT_EQ(0, umount(self->s.world.dir));
	need(mount("none", self->s.world.dir, "afsync_sim", 0, NULL) == 0);
	ring_close(&self->s.ring);
	stage_open(&self->s, 8);
}

FIXTURE(last_close) {
	struct stage s;
};

FIXTURE_SETUP(last_close)
{
	STAGE_SETUP(&self->s, "afsync_sim", MANY + 1);
}

FIXTURE_TEARDOWN(last_close)
{
	stage_close(&self->s);
}

static void *let_go_once_closing(void *arg)
{
	struct stage *s = arg;

	/* The queued ones are cancelled first: their open file is released. */
	sim_wait_started(s->ctl, SIM_GATE_RELEASE, 1);
	sim_let_go(s->ctl, SIM_GATE_FSYNC);
	return NULL;
}

TEST_F(last_close, close_cancels_what_is_queued_and_waits_for_what_runs)
{
	int other = world_open(&self->s.world, "file", O_RDWR), i;
	long long cancelled = counter("cancelled");
	struct sim_stats stats;
	pthread_t thread;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i <= MANY; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, i));
	close(other);
	need(munmap(self->s.ring.header, self->s.ring.size) == 0);
	self->s.ring.header = NULL;

	thread = thread_start(let_go_once_closing, &self->s);
	ring_close(&self->s.ring);
	stats = sim_stats(self->s.ctl);
	EXPECT_EQ(1, stats.started[SIM_GATE_FSYNC]);
	EXPECT_EQ(1, stats.finished[SIM_GATE_FSYNC]);
	EXPECT_EQ(1, stats.finished[SIM_GATE_RELEASE]);
	EXPECT_EQ(cancelled + MANY, counter("cancelled"));
	EXPECT_EQ(0, counter("in_flight"));
	thread_join(thread);
}

TEST_F(last_close, mapping_that_outlives_the_descriptor_gets_the_completions)
{
	struct ring *ring = &self->s.ring;
	int event = eventfd(0, EFD_CLOEXEC);
	struct afsync_cqe cqe;
	__u64 count;

	ASSERT_EQ(0, afsync_cmd_eventfd(ring->fd, event));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(ring, self->s.file, AFSYNC_OP_FSYNC, 7));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(0, close(ring->fd));
	ring->fd = -1;
	EXPECT_FALSE(ring_take(ring, &cqe));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(8, read(event, &count, 8));
	ASSERT_TRUE(ring_take(ring, &cqe));
	EXPECT_EQ(7, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	close(event);
}

TEST_F(last_close, ring_that_ends_while_its_batch_runs_for_another_ring)
{
	struct ring other;
	int i;

	ring_open(&other, 8);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	/* These two become one batch, which runs for the first of them. */
	ASSERT_EQ(1, ring_queue(&other, self->s.file, AFSYNC_OP_FSYNC, 2));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_close(&other);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, counter("in_flight"));
}

TEST_F(last_close, closing_the_file_changes_nothing_for_what_is_queued_on_it)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	close(self->s.file);
	self->s.file = -1;
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, sim_stats(self->s.ctl).finished[SIM_GATE_RELEASE]);
}

TEST_HARNESS_MAIN
