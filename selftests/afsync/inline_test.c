// SPDX-License-Identifier: GPL-2.0-only
/*
 * AFSYNC_SETUP_INLINE: a thread that submits and then waits for nothing else runs the
 * sync itself, and all promises hold as if a worker had.
 *
 * Needs afsync_sim and afsync_simnet.
 */
#include "common.h"

#include <linux/ioprio.h>

FIXTURE(inline) {
	struct stage s;
};

FIXTURE_SETUP(inline)
{
	STAGE_SETUP(&self->s, "afsync_sim", 8);
	ring_close(&self->s.ring);
	ring_open_with(&self->s.ring, 64, AFSYNC_SETUP_INLINE);
}

FIXTURE_TEARDOWN(inline)
{
	stage_close(&self->s);
}

/* Submits an array and waits for that many completions; returns the result of the submit. */
static struct afsync_submit submit_and_wait(struct ring *ring, const struct afsync_sqe *sqes,
					    __u32 nr, __u32 min_complete)
{
	struct afsync_submit submit = submit_of(sqes, nr);

	submit.flags = AFSYNC_SUBMIT_WAIT;
	submit.min_complete = min_complete;
	need(command(ring->fd, AFSYNC_IOC_SUBMIT, &submit) == (int)nr);
	need(submit.error == 0);
	return submit;
}

static void sync_file(struct ring *ring, int fd, __u64 user_data)
{
	struct afsync_sqe sqe = sqe_of(fd, AFSYNC_OP_FSYNC, user_data);

	submit_and_wait(ring, &sqe, 1, 1);
}

/* Another thread that submits and waits for one completion. */
struct caller {
	struct ring *ring;
	struct afsync_sqe sqes[2];
	__u32 nr;
	pthread_t thread;
	pid_t tid;
	struct afsync_submit submit;
	struct turn begins;
	volatile bool ended;
};

static void *caller_thread(void *arg)
{
	struct caller *caller = arg;

	caller->tid = thread_id();
	turn_post(&caller->begins);
	caller->submit = submit_and_wait(caller->ring, caller->sqes, caller->nr, 1);
	caller->ended = true;
	return NULL;
}

static void caller_start(struct caller *caller, struct stage *s, __u64 user_data, int second)
{
	*caller = (struct caller) { .ring = &s->ring, .nr = second < 0 ? 1 : 2 };
	caller->sqes[0] = sqe_of(s->file, AFSYNC_OP_FSYNC, user_data);
	caller->sqes[1] = sqe_of(second, AFSYNC_OP_FSYNC, user_data + 1);
	turn_init(&caller->begins);
	caller->thread = thread_start(caller_thread, caller);
	turn_wait(&caller->begins, 1);
}

static void caller_join(struct caller *caller)
{
	thread_join(caller->thread);
	close(caller->begins.fds[0]);
	close(caller->begins.fds[1]);
}

/* Returns when it is in the sync, which stops there. */
static void caller_in_sync(struct caller *caller, struct stage *s)
{
	sim_hold(s->ctl, SIM_GATE_FSYNC);
	caller_start(caller, s, 1, -1);
	sim_wait_started(s->ctl, SIM_GATE_FSYNC, 1);
	need(sim_call(s->ctl, 0).pid == (__u32)caller->tid);
}

TEST_F(inline, caller_runs_the_sync)
{
	struct afsync_cqe cqe;

	sync_file(&self->s.ring, self->s.file, 7);
	EXPECT_EQ(thread_id(), sim_call(self->s.ctl, 0).pid);
	ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
	EXPECT_EQ(7, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(0, cqe.flags);
}

TEST_F(inline, one_sync_serves_the_array)
{
	struct afsync_sqe sqes[8];
	struct afsync_cqe cqe;
	int i;

	for (i = 0; i < 8; i++)
		sqes[i] = sqe_of(self->s.file, AFSYNC_OP_FSYNC, i);
	submit_and_wait(&self->s.ring, sqes, 8, 1);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(thread_id(), sim_call(self->s.ctl, 0).pid);
	for (i = 0; i < 8; i++) {
		ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(i ? AFSYNC_CQE_MERGED : 0, cqe.flags);
	}
}

TEST_F(inline, without_the_flag_a_worker_runs_it)
{
	struct ring ring;

	ring_open(&ring, 8);
	sync_file(&ring, self->s.file, 7);
	EXPECT_NE(thread_id(), sim_call(self->s.ctl, 0).pid);
	ring_close(&ring);
}

/* Submits and takes all completions: did this thread run the first sync of the file? */
static bool caller_ran(struct stage *s, struct afsync_submit submit)
{
	int nr = submit.nr;

	need(command(s->ring.fd, AFSYNC_IOC_SUBMIT, &submit) == nr);
	while (nr--)
		ring_next(&s->ring);
	return sim_call(s->ctl, 0).pid == (__u32)thread_id();
}

static struct afsync_submit waiting(const struct afsync_sqe *sqes, __u32 nr)
{
	struct afsync_submit submit = submit_of(sqes, nr);

	submit.flags = AFSYNC_SUBMIT_WAIT;
	submit.min_complete = 1;
	return submit;
}

TEST_F(inline, who_does_not_wait_runs_nothing)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);

	EXPECT_FALSE(caller_ran(&self->s, submit_of(&sqe, 1)));
}

TEST_F(inline, who_waits_for_no_completion_runs_nothing)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = waiting(&sqe, 1);

	submit.min_complete = 0;
	EXPECT_FALSE(caller_ran(&self->s, submit));
}

TEST_F(inline, who_set_a_timeout_runs_nothing)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = waiting(&sqe, 1);

	submit.wait_flags = AFSYNC_WAIT_TIMEOUT;
	submit.timeout_ns = FOREVER_NS;
	EXPECT_FALSE(caller_ran(&self->s, submit));
}

TEST_F(inline, who_waits_for_a_signal_runs_nothing)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = waiting(&sqe, 1);

	submit.wait_flags = AFSYNC_WAIT_SIGMASK;
	EXPECT_FALSE(caller_ran(&self->s, submit));
}

TEST_F(inline, several_files_are_left_to_workers)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct afsync_sqe sqes[2] = {
		sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1), sqe_of(other, AFSYNC_OP_FSYNC, 2),
	};

	EXPECT_FALSE(caller_ran(&self->s, waiting(sqes, 2)));
	close(other);
}

TEST_F(inline, while_another_request_is_in_flight_a_worker_runs_it)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	int other = world_open(&self->s.world, "other", O_RDWR);

	ASSERT_EQ(1, ring_hold(&self->s.ring, other, 2));
	EXPECT_FALSE(caller_ran(&self->s, waiting(&sqe, 1)));
	ASSERT_EQ(1, ring_start(&self->s.ring, 2));
	ring_next(&self->s.ring);
	close(other);
}

TEST_F(inline, while_a_completion_is_unread_a_worker_runs_it)
{
	int other = world_open(&self->s.world, "other", O_RDWR);

	sync_file(&self->s.ring, other, 2);
	sync_file(&self->s.ring, self->s.file, 1);
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	EXPECT_NE(thread_id(), sim_call(self->s.ctl, 0).pid);
	close(other);
}

TEST_F(inline, who_names_a_priority_gets_a_worker)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);

	sqe.ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 3);
	EXPECT_FALSE(caller_ran(&self->s, waiting(&sqe, 1)));
	EXPECT_EQ(sqe.ioprio, sim_call(self->s.ctl, 0).ioprio);
}

TEST_F(inline, priority_of_one_is_that_of_the_sync_of_all)
{
	struct afsync_sqe sqes[2] = {
		sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1), sqe_of(self->s.file, AFSYNC_OP_FSYNC, 2),
	};

	sqes[1].ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 3);
	EXPECT_FALSE(caller_ran(&self->s, waiting(sqes, 2)));
	EXPECT_EQ(sqes[1].ioprio, sim_call(self->s.ctl, 0).ioprio);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(inline, who_drains_gets_a_worker)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);

	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_FALSE(caller_ran(&self->s, waiting(&sqe, 1)));
}

TEST_F(inline, who_may_only_read_gets_a_worker)
{
	struct afsync_sqe sqe = sqe_of(self->s.ctl, AFSYNC_OP_FSYNC, 1);

	EXPECT_FALSE(caller_ran(&self->s, waiting(&sqe, 1)));
}

TEST_F(inline, who_waits_for_more_than_it_submits_gets_a_worker)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct afsync_submit submit = waiting(&sqe, 1);

	ASSERT_EQ(1, ring_hold(&self->s.ring, other, 2));
	ASSERT_EQ(1, ring_start(&self->s.ring, 2));
	ring_wait(&self->s.ring, 1);
	submit.min_complete = 2;
	ASSERT_EQ(1, command(self->s.ring.fd, AFSYNC_IOC_SUBMIT, &submit));
	EXPECT_EQ(2, ring_ready(&self->s.ring));
	EXPECT_NE(thread_id(), sim_call(self->s.ctl, 0).pid);
	close(other);
}

TEST_F(inline, a_part_of_the_array_that_others_run_already_is_waited_for)
{
	int slow = world_open(&self->s.world, "slow", O_RDWR);
	struct caller caller;
	struct ring other;

	/* The first file is being synced for another thread, the second one takes long. */
	ring_open(&other, 8);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&other, self->s.file, AFSYNC_OP_FSYNC, 9));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_hold(slow, SIM_GATE_FSYNC);
	caller_start(&caller, &self->s, 1, slow);
	sim_wait_started(slow, SIM_GATE_FSYNC, 1);
	EXPECT_NE(caller.tid, sim_call(slow, 0).pid);

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	caller_join(&caller);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	sim_let_go(slow, SIM_GATE_FSYNC);
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	ring_close(&other);
	close(slow);
}

TEST_F(inline, sync_has_the_priority_of_the_caller)
{
	const int who_process = 1, mine = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);

	ASSERT_EQ(0, syscall(SYS_ioprio_set, who_process, 0, mine));
	sync_file(&self->s.ring, self->s.file, 1);
	EXPECT_EQ(mine, sim_call(self->s.ctl, 0).ioprio);
	EXPECT_EQ(mine, syscall(SYS_ioprio_get, who_process, 0));
}

TEST_F(inline, files_of_a_server_are_left_to_workers)
{
	int net, ctl;

	if (!filesystem_known("afsync_simnet"))
		SKIP(return, "no afsync_simnet: load its module");
	ASSERT_EQ(0, mount("none", self->s.world.dir, "afsync_simnet", 0, NULL));
	net = world_open(&self->s.world, "file", O_RDWR);
	ctl = world_open(&self->s.world, "file", O_RDONLY);
	sync_file(&self->s.ring, net, 1);
	EXPECT_NE(thread_id(), sim_call(ctl, 0).pid);
	close(net);
	close(ctl);
	ASSERT_EQ(0, umount(self->s.world.dir));
}

TEST_F(inline, errors_are_told_as_by_a_worker)
{
	int other = world_open(&self->s.world, "file", O_RDWR);
	struct afsync_sqe sqes[3] = {
		sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1), sqe_of(other, AFSYNC_OP_FSYNC, 2),
		sqe_of(self->s.file, AFSYNC_OP_FSYNC, 3),
	};

	sim_wb_error(self->s.ctl, ENOSPC);
	submit_and_wait(&self->s.ring, sqes, 3, 3);
	EXPECT_EQ(thread_id(), sim_call(self->s.ctl, 0).pid);
	EXPECT_EQ(-ENOSPC, ring_next(&self->s.ring).res);
	EXPECT_EQ(-ENOSPC, ring_next(&self->s.ring).res);
	EXPECT_EQ(-ENOSPC, ring_next(&self->s.ring).res);
	submit_and_wait(&self->s.ring, sqes, 2, 2);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	close(other);
}

TEST_F(inline, what_comes_during_the_sync_is_in_the_next_and_behind_it)
{
	struct caller caller;
	struct ring other;
	int i;

	ring_open(&other, 8);
	caller_in_sync(&caller, &self->s);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(1, ring_queue(&other, self->s.file, AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(1, write(self->s.file, "x", 1));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, ring_ready(&other));

	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	caller_join(&caller);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(0, ring_ready(&other));
	EXPECT_NE(caller.tid, sim_call(self->s.ctl, 1).pid);
	EXPECT_EQ(1, sim_call(self->s.ctl, 1).writes);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i, ring_next(&other).user_data);
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	ring_close(&other);
}

TEST_F(inline, running_sync_cannot_be_cancelled)
{
	struct caller caller;
	__u32 running;

	caller_in_sync(&caller, &self->s);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0, &running));
	EXPECT_EQ(1, running);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	caller_join(&caller);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

/* Before Linux 6.6 only a kernel thread can drop the last reference at once. */
TEST_F(inline, file_closed_meanwhile_is_released_before_the_completion_can_be_seen)
{
	struct caller caller;
	struct ring other;
	__u32 running;
	int second;

	ring_open(&other, 8);
	caller_in_sync(&caller, &self->s);
	second = world_open(&self->s.world, "file", O_RDWR);
	ASSERT_EQ(1, ring_queue(&other, second, AFSYNC_OP_FSYNC, 2));
	need(close(self->s.file) == 0);
	self->s.file = -1;

	sim_hold(self->s.ctl, SIM_GATE_RELEASE);
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_RELEASE, 1);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	EXPECT_FALSE(caller.ended);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0, &running));
	EXPECT_EQ(1, running);
	/* The next batch is behind this one, whichever thread ends it. */
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));

	sim_let_go(self->s.ctl, SIM_GATE_RELEASE);
	caller_join(&caller);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, ring_next(&other).user_data);
	close(second);
	ring_close(&other);
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	handled = sig;
}

TEST_F(inline, signal_is_seen_when_the_sync_has_ended)
{
	struct sigaction action = { .sa_handler = handler };
	struct caller caller;

	need(sigaction(SIGUSR1, &action, NULL) == 0);
	caller_in_sync(&caller, &self->s);
	need(pthread_kill(caller.thread, SIGUSR1) == 0);
	EXPECT_FALSE(caller.ended);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	caller_join(&caller);
	EXPECT_EQ(SIGUSR1, handled);
	EXPECT_EQ(0, caller.submit.wait_result);
	EXPECT_EQ(1, ring_ready(&self->s.ring));
}

TEST_F(inline, killed_caller_is_gone_when_its_sync_has_ended)
{
	long long completed = counter("completed");
	pid_t child;

	need(sim_gate_cmd(self->s.ctl, SIM_IOC_HOLD, SIM_GATE_FSYNC, 1, 0) == 0);
	child = fork();
	if (!child) {
		struct ring ring;

		ring_open_with(&ring, 8, AFSYNC_SETUP_INLINE);
		sync_file(&ring, self->s.file, 1);
		_exit(0);
	}
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	need(sim_call(self->s.ctl, 0).pid == (__u32)child);
	need(kill(child, SIGKILL) == 0);
	EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
	EXPECT_EQ(completed, counter("completed"));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(128 + SIGKILL, child_wait(child));
	EXPECT_EQ(completed + 1, counter("completed"));
}

TEST_F(inline, threads_that_share_a_file_are_all_served)
{
	struct caller callers[16];
	unsigned int i, left = rounds(200);

	while (left--) {
		for (i = 0; i < 16; i++)
			caller_start(&callers[i], &self->s, i, -1);
		for (i = 0; i < 16; i++)
			caller_join(&callers[i]);
		ring_wait(&self->s.ring, 16);
		for (i = 0; i < 16; i++)
			EXPECT_EQ(0, ring_next(&self->s.ring).res);
		EXPECT_EQ(0, ring_ready(&self->s.ring));
	}
}

TEST_HARNESS_MAIN
