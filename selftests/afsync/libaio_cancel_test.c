// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio: io_cancel() cancels a sync that has not started: it returns
 * -EINPROGRESS, which is the kernel's sign that the request's event comes like all
 * events, and the event has -ECANCELED. A running sync cannot be cancelled (-EAGAIN) and
 * ends as if there had been no call. Kernel AIO's own syncs can never be cancelled.
 *
 * Needs afsync_sim; the tests with direct I/O need root, loop devices and the device
 * mapper.
 */
#include "aio_common.h"

#define EXPECT_EVENT(ctx, iocb, result) do {				\
	struct io_event event = event_next(ctx);			\
									\
	EXPECT_EQ(iocb, event.obj);					\
	EXPECT_EQ((long)(result), (long)event.res);			\
	EXPECT_EQ(0, event.res2);					\
} while (0)

FIXTURE(cancel) {
	struct aio_stage s;
	struct iocb running;
	struct io_event unused;
};

/* One sync runs, and stays. */
FIXTURE_SETUP(cancel)
{
	AIO_STAGE_SETUP(&self->s, 64);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	need(submit_sync(self->s.ctx, &self->running, self->s.file, false) == 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
}

FIXTURE_TEARDOWN(cancel)
{
	aio_stage_close(&self->s);
}

TEST_F(cancel, queued_sync_is_cancelled_and_never_runs)
{
	struct iocb queued;
	bool datasync;
	int i;

	for (i = 0; i < 10; i++) {
		datasync = i % 2;
		ASSERT_EQ(1, submit_sync(self->s.ctx, &queued, self->s.file, datasync));
		ASSERT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &queued, &self->unused));
		EXPECT_EVENT(self->s.ctx, &queued, -ECANCELED);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &self->running, 0);
	others_sync(self->s.other, 5);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, events_ready(self->s.ctx));
}

TEST_F(cancel, running_sync_is_not_cancelled_and_ends_as_ever)
{
	EXPECT_EQ(-EAGAIN, io_cancel(self->s.ctx, &self->running, &self->unused));
	others_sync(self->s.other, 5);
	EXPECT_EQ(0, events_ready(self->s.ctx));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &self->running, 0);
}

TEST_F(cancel, only_the_sync_that_is_named_is_cancelled)
{
	struct iocb queued[5];
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(1, submit_sync(self->s.ctx, &queued[i], self->s.file, i % 2));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &queued[2], &self->unused));
	EXPECT_EVENT(self->s.ctx, &queued[2], -ECANCELED);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &self->running, 0);
	for (i = 0; i < 5; i++)
		if (i != 2)
			EXPECT_EVENT(self->s.ctx, &queued[i], 0);
}

TEST_F(cancel, cancelled_sync_has_its_data_its_eventfd_and_its_callback)
{
	int event = eventfd(0, EFD_CLOEXEC);
	struct io_event got;
	struct iocb queued;
	__u64 count = 0;

	need(event >= 0);
	prep_sync(&queued, self->s.file, false);
	queued.data = self;
	io_set_eventfd(&queued, event);
	ASSERT_EQ(1, submit_one(self->s.ctx, &queued));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &queued, &self->unused));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(8, read(event, &count, sizeof(count)));
	EXPECT_EQ(1, count);
	got = event_next(self->s.ctx);
	if (got.obj == &self->running)
		got = event_next(self->s.ctx);
	EXPECT_EQ(&queued, got.obj);
	EXPECT_EQ(self, got.data);
	close(event);
}

TEST_F(cancel, iocb_can_be_submitted_again)
{
	struct iocb queued;

	ASSERT_EQ(1, submit_sync(self->s.ctx, &queued, self->s.file, false));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &queued, &self->unused));
	EXPECT_EVENT(self->s.ctx, &queued, -ECANCELED);
	ASSERT_EQ(1, submit_one(self->s.ctx, &queued));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &self->running, 0);
	EXPECT_EVENT(self->s.ctx, &queued, 0);
}

TEST_F(cancel, what_is_not_outstanding_is_EINVAL)
{
	io_context_t other = NULL;
	struct iocb queued;

	need(io_setup(1, &other) == 0);
	prep_sync(&queued, self->s.file, false);
	EXPECT_EQ(-EINVAL, io_cancel(self->s.ctx, &queued, &self->unused));
	ASSERT_EQ(1, submit_one(self->s.ctx, &queued));
	/* another context, and an invalid one */
	EXPECT_EQ(-EINVAL, io_cancel(other, &queued, &self->unused));
	EXPECT_EQ(-EINVAL, io_cancel(NULL, &queued, &self->unused));
	EXPECT_EQ(-EFAULT, io_cancel(self->s.ctx, NULL, &self->unused));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &queued, &self->unused));
	EXPECT_EVENT(self->s.ctx, &queued, -ECANCELED);
	/* again, and after the end */
	EXPECT_EQ(-EINVAL, io_cancel(self->s.ctx, &queued, &self->unused));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &self->running, 0);
	EXPECT_EQ(-EINVAL, io_cancel(self->s.ctx, &self->running, &self->unused));
	need(io_destroy(other) == 0);
}

/* Requests that are no syncs are the kernel's, as before. */
TEST_F(cancel, poll_is_cancelled_by_the_kernel)
{
	struct iocb poll;
	int pipes[2];

	need(pipe2(pipes, O_CLOEXEC) == 0);
	io_prep_poll(&poll, pipes[0], POLLIN);
	ASSERT_EQ(1, submit_one(self->s.ctx, &poll));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &poll, &self->unused));
	EXPECT_EQ(&poll, event_next(self->s.ctx).obj);
	close(pipes[0]);
	close(pipes[1]);
}

/* At any moment: each is notified once, as done or as cancelled. */
TEST_F(cancel, cancelling_at_any_moment_loses_and_doubles_nothing)
{
	unsigned int i, n = rounds(1000), cancelled = 0, done = 0;
	struct iocb iocbs[2];
	struct io_event event;
	int j, ret;

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &self->running, 0);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 2; j++)
			ASSERT_EQ(1, submit_sync(self->s.ctx, &iocbs[j], self->s.file,
						 j));
		ret = io_cancel(self->s.ctx, &iocbs[i % 2], &self->unused);
		ASSERT_TRUE(ret == -EINPROGRESS || ret == -EAGAIN || ret == -EINVAL);
		for (j = 0; j < 2; j++) {
			event = event_next(self->s.ctx);
			if ((long)event.res == -ECANCELED)
				EXPECT_EQ(&iocbs[i % 2], event.obj);
			cancelled += (long)event.res == -ECANCELED;
			done += !event.res;
		}
	}
	EXPECT_EQ(2 * n, cancelled + done);
	EXPECT_EQ(0, events_ready(self->s.ctx));
}

FIXTURE(waiting) {
	struct aio_lanes l;
	struct iocb write;
	struct io_event unused;
};

/* A write is in flight, and stays. */
FIXTURE_SETUP(waiting)
{
	AIO_LANES_SETUP(&self->l, FS_NONE);
	lane_stop(&self->l, 0);
	write_begin(&self->l, &self->write, LANE(0));
}

FIXTURE_TEARDOWN(waiting)
{
	lanes_close(&self->l);
}

TEST_F(waiting, sync_that_waits_for_a_write_is_cancelled_before_the_write_ends)
{
	struct iocb sync;

	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, false));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->l.ctx, &sync, &self->unused));
	EXPECT_EVENT(self->l.ctx, &sync, -ECANCELED);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &self->write, PAGE);
	others_sync(self->l.other, 5);
	EXPECT_EQ(0, events_ready(self->l.ctx));
}

TEST_F(waiting, syncs_around_the_cancelled_one_wait_on)
{
	struct iocb syncs[3];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(1, submit_sync(self->l.ctx, &syncs[i], self->l.direct, false));
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->l.ctx, &syncs[1], &self->unused));
	EXPECT_EVENT(self->l.ctx, &syncs[1], -ECANCELED);
	others_sync(self->l.other, 20);
	EXPECT_EQ(0, events_ready(self->l.ctx));
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &self->write, PAGE);
	EXPECT_EVENT(self->l.ctx, &syncs[0], 0);
	EXPECT_EVENT(self->l.ctx, &syncs[2], 0);
}

TEST_F(waiting, all_that_wait_can_be_cancelled)
{
	struct iocb syncs[40];
	int i;

	for (i = 0; i < 40; i++)
		ASSERT_EQ(1, submit_sync(self->l.ctx, &syncs[i], self->l.direct, i % 2));
	for (i = 39; i >= 0; i--)
		ASSERT_EQ(-EINPROGRESS, io_cancel(self->l.ctx, &syncs[i], &self->unused));
	for (i = 0; i < 40; i++)
		EXPECT_EQ(-ECANCELED, (long)event_next(self->l.ctx).res);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &self->write, PAGE);
}

TEST_HARNESS_MAIN
