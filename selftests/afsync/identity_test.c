// SPDX-License-Identifier: GPL-2.0-only
/*
 * P10 identity: a sync runs with the credentials of the thread that queued it, with the
 * I/O priority that the request names, and as an I/O flusher if that thread is one.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <linux/ioprio.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#define PR_GET_IO_FLUSHER	58
#endif

#define BE(level)	IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, level)
#define RT(level)	IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, level)
#define IDLE		IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)
/* The macro makes another class of these. */
#define BAD_LEVEL(class)	((class) << IOPRIO_CLASS_SHIFT | IOPRIO_NR_LEVELS)

FIXTURE(identity) {
	struct stage s;
};

FIXTURE_SETUP(identity)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(identity)
{
	stage_close(&self->s);
}

/* Syncs once for all the requests and returns the state that the sync saw. */
static struct sim_call sync_with(struct stage *s, const __u32 *ioprios, unsigned int nr)
{
	struct afsync_sqe sqes[8];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		sqes[i] = sqe_of(s->file, AFSYNC_OP_FSYNC, i);
		sqes[i].ioprio = ioprios[i];
	}
	need(ring_submit(&s->ring, sqes, nr, NULL) == (int)nr);
	for (i = 0; i < nr; i++)
		need(ring_next(&s->ring).res == 0);
	return sim_call(s->ctl, sim_started(s->ctl, SIM_GATE_FSYNC) - 1);
}

static struct sim_call sync_with_one(struct stage *s, __u32 ioprio)
{
	return sync_with(s, &ioprio, 1);
}

TEST_F(identity, sync_runs_as_the_thread_that_queued_it)
{
	struct sim_call call;

	call = sync_with_one(&self->s, 0);
	EXPECT_EQ(0, call.fsuid);
	EXPECT_EQ(0, call.fsgid);
	setfsgid(2000);
	setfsuid(1000);
	call = sync_with_one(&self->s, 0);
	EXPECT_EQ(1000, call.fsuid);
	EXPECT_EQ(2000, call.fsgid);
	setfsuid(0);
	setfsgid(0);
	/* The worker no longer has that user's credentials. */
	call = sync_with_one(&self->s, 0);
	EXPECT_EQ(0, call.fsuid);
	EXPECT_EQ(0, call.fsgid);
}

TEST_F(identity, sync_keeps_the_credentials_of_the_time_of_the_submit)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	setfsuid(1000);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	setfsuid(0);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 2);
	EXPECT_EQ(1000, sim_call(self->s.ctl, 1).fsuid);
}

TEST_F(identity, ring_inherited_by_another_user_runs_as_that_user)
{
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		need(setresgid(2000, 2000, 2000) == 0 && setresuid(1000, 1000, 1000) == 0);
		_exit(ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1) != 1);
	}
	ASSERT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1000, sim_call(self->s.ctl, 0).fsuid);
	EXPECT_EQ(2000, sim_call(self->s.ctl, 0).fsgid);
}

TEST_F(identity, sync_of_its_own_after_a_failed_one_runs_as_who_queued_it)
{
	int other = world_open(&self->s.world, "file", O_RDWR);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	setfsuid(1000);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	setfsuid(1001);
	ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_FSYNC, 2));
	setfsuid(0);
	/* These two are one batch, whose first sync fails. */
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(-EIO, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1000, sim_call(self->s.ctl, 1).fsuid);
	EXPECT_EQ(1001, sim_call(self->s.ctl, 2).fsuid);
	close(other);
}

TEST_F(identity, sync_runs_with_the_io_priority_of_its_request)
{
	const __u32 ioprios[] = { BE(0), BE(3), BE(7), IDLE, RT(0), RT(7) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ioprios); i++)
		EXPECT_EQ(ioprios[i], sync_with_one(&self->s, ioprios[i]).ioprio);
}

TEST_F(identity, worker_has_its_own_io_priority_back_afterwards)
{
	__u32 normal = sync_with_one(&self->s, 0).ioprio;
	unsigned int again = 0, i;
	struct sim_call call;
	__u32 marked;

	/* The same thread has to come round again for this to show something. */
	for (i = 0; i < 10000 && again < 20; i++) {
		call = sync_with_one(&self->s, IDLE);
		ASSERT_EQ(IDLE, call.ioprio);
		marked = call.pid;
		call = sync_with_one(&self->s, 0);
		ASSERT_EQ(normal, call.ioprio);
		again += call.pid == marked;
	}
	EXPECT_EQ(20, again);
}

TEST_F(identity, batch_runs_with_the_highest_io_priority_of_its_requests)
{
	const __u32 levels[] = { BE(7), BE(2), BE(5) };
	const __u32 classes[] = { IDLE, BE(7), IDLE };
	const __u32 realtime[] = { BE(0), RT(7), IDLE };

	EXPECT_EQ(BE(2), sync_with(&self->s, levels, 3).ioprio);
	EXPECT_EQ(BE(7), sync_with(&self->s, classes, 3).ioprio);
	EXPECT_EQ(RT(7), sync_with(&self->s, realtime, 3).ioprio);
}

TEST_F(identity, request_that_names_no_io_priority_is_not_slowed_by_its_batch)
{
	const __u32 idle[] = { IDLE, 0, BE(7) };
	const __u32 high[] = { 0, BE(1), 0 };

	EXPECT_EQ(BE(4), sync_with(&self->s, idle, 3).ioprio);
	EXPECT_EQ(BE(1), sync_with(&self->s, high, 3).ioprio);
}

/* --- I/O flushers --- */

static void be_flusher(bool flusher)
{
	need(prctl(PR_SET_IO_FLUSHER, flusher, 0, 0, 0) == 0);
}

/* Did this call run as one? All or nothing. */
static int as_flusher(const struct sim_call *call)
{
	return call->noio == call->local_throttle ? (int)call->noio : -1;
}

TEST_F(identity, sync_of_an_io_flusher_runs_as_one)
{
	struct sim_call call;

	call = sync_with_one(&self->s, 0);
	EXPECT_EQ(0, as_flusher(&call));
	be_flusher(true);
	call = sync_with_one(&self->s, 0);
	EXPECT_EQ(1, as_flusher(&call));
	/* A held request has the identity of the thread that submitted it. */
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	be_flusher(false);
	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	call = sim_call(self->s.ctl, 2);
	EXPECT_EQ(1, as_flusher(&call));
}

TEST_F(identity, batch_runs_as_an_io_flusher_if_one_of_its_requests_is_of_one)
{
	struct sim_call call;
	int i, j;

	for (i = 0; i < 3; i++) {
		sim_hold(self->s.ctl, SIM_GATE_FSYNC);
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
		sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2 * i + 1);
		for (j = 0; j < 3; j++) {
			be_flusher(j == i);
			ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC,
						j));
		}
		be_flusher(false);
		sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
		for (j = 0; j < 4; j++)
			EXPECT_EQ(0, ring_next(&self->s.ring).res);
		ASSERT_EQ(2 * i + 2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
		call = sim_call(self->s.ctl, 2 * i);
		EXPECT_EQ(0, as_flusher(&call));
		call = sim_call(self->s.ctl, 2 * i + 1);
		EXPECT_EQ(1, as_flusher(&call));
	}
}

TEST_F(identity, worker_is_no_io_flusher_any_more_afterwards)
{
	unsigned int again = 0, i;
	struct sim_call call;
	__u32 marked;

	/* The same thread has to come round again for this to show something. */
	for (i = 0; i < 10000 && again < 20; i++) {
		be_flusher(true);
		call = sync_with_one(&self->s, 0);
		be_flusher(false);
		ASSERT_EQ(1, as_flusher(&call));
		marked = call.pid;
		call = sync_with_one(&self->s, 0);
		ASSERT_EQ(0, as_flusher(&call));
		again += call.pid == marked;
	}
	EXPECT_EQ(20, again);
}

TEST_F(identity, thread_that_runs_its_sync_itself_stays_what_it_is)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit;
	struct sim_call call;
	struct ring ring;
	int i;

	ring_open_with(&ring, 8, AFSYNC_SETUP_INLINE);
	for (i = 0; i < 4; i++) {
		be_flusher(i % 2);
		submit = submit_of(&sqe, 1);
		submit.flags = AFSYNC_SUBMIT_WAIT;
		submit.min_complete = 1;
		ASSERT_EQ(1, command(ring.fd, AFSYNC_IOC_SUBMIT, &submit));
		EXPECT_EQ(0, ring_next(&ring).res);
		call = sim_call(self->s.ctl, i);
		EXPECT_EQ(thread_id(), call.pid);
		EXPECT_EQ(i % 2, as_flusher(&call));
		EXPECT_EQ(i % 2, prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	}
	ring_close(&ring);
}

TEST_F(identity, realtime_class_needs_a_capability)
{
	const __u32 allowed[] = { 0, BE(0), BE(7), IDLE };
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	unsigned int i;
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid) {
		need(setresuid(1000, 1000, 1000) == 0);
		sqe.ioprio = RT(7);
		need(ring_submit(&self->s.ring, &sqe, 1, NULL) == -EPERM);
		/* A priority that no thread may have is refused as such. */
		sqe.ioprio = BAD_LEVEL(IOPRIO_CLASS_RT);
		need(ring_submit(&self->s.ring, &sqe, 1, NULL) == -EINVAL);
		for (i = 0; i < ARRAY_SIZE(allowed); i++) {
			sqe.ioprio = allowed[i];
			need(ring_submit(&self->s.ring, &sqe, 1, NULL) == 1);
		}
		_exit(0);
	}
	ASSERT_EQ(0, child_wait(pid));
	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		EXPECT_EQ(0, ring_next(&self->s.ring).res);
	sqe.ioprio = RT(7);
	EXPECT_EQ(1, ring_submit(&self->s.ring, &sqe, 1, NULL));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

TEST_F(identity, invalid_io_priorities_are_refused)
{
	const __u32 invalid[] = {
		BAD_LEVEL(IOPRIO_CLASS_BE), BAD_LEVEL(IOPRIO_CLASS_RT), 1, 7,
		IOPRIO_PRIO_VALUE(4, 0), IOPRIO_PRIO_VALUE(7, 0), 1U << 16,
		0x80000000U | BE(4),
	};
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(invalid); i++) {
		sqe.ioprio = invalid[i];
		EXPECT_EQ(-EINVAL, ring_submit(&self->s.ring, &sqe, 1, NULL))
			TH_LOG("%#x", invalid[i]);
	}
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_HARNESS_MAIN
