// SPDX-License-Identifier: GPL-2.0-only
/*
 * P8 cancel: a queued request can be cancelled by its user data, by open file, by both or all
 * at once, and completes with -ECANCELED; a running one cannot, the call says so, and it
 * completes normally.
 *
 * Needs afsync_sim.
 */
#include "common.h"

FIXTURE(cancel) {
	struct stage s;
	int other;
	__u32 running;
};

FIXTURE_SETUP(cancel)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->other = world_open(&self->s.world, "file", O_RDWR);
	self->running = POISON32;
}

FIXTURE_TEARDOWN(cancel)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	close(self->other);
	stage_close(&self->s);
}

/* Request 0 runs and is held; 1 to count wait, the even ones on the other open file. */
static void queue_behind_held(struct stage *s, int other, int count)
{
	int i;

	sim_hold(s->ctl, SIM_GATE_FSYNC);
	need(ring_queue(&s->ring, s->file, AFSYNC_OP_FSYNC, 0) == 1);
	sim_wait_started(s->ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i <= count; i++)
		need(ring_queue(&s->ring, i % 2 ? s->file : other,
				AFSYNC_OP_FSYNC, i) == 1);
}

/* Takes count completions that all have to be cancelled; a bit for each user data. */
static __u64 take_cancelled(struct ring *ring, unsigned int count)
{
	struct afsync_cqe cqe;
	__u64 bits = 0;

	ring_wait(ring, count);
	while (count--) {
		need(ring_take(ring, &cqe));
		need(cqe.res == -ECANCELED && cqe.flags == 0 && cqe.user_data < 64);
		need(!(bits & 1ULL << cqe.user_data));
		bits |= 1ULL << cqe.user_data;
	}
	return bits;
}

TEST_F(cancel, queued_request_is_cancelled_by_user_data)
{
	long long cancelled = counter("cancelled");

	queue_behind_held(&self->s, self->other, 4);
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 3, 0,
				       &self->running));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(1ULL << 3, take_cancelled(&self->s.ring, 1));
	EXPECT_EQ(cancelled + 1, counter("cancelled"));

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	EXPECT_EQ(4, ring_next(&self->s.ring).user_data);
}

TEST_F(cancel, all_queued_requests_with_the_same_user_data_are_cancelled)
{
	int i;

	queue_behind_held(&self->s, self->other, 1);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 42));
	EXPECT_EQ(5, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 42, 0, NULL));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
}

TEST_F(cancel, queued_requests_are_cancelled_by_open_file)
{
	int again = dup(self->other);

	queue_behind_held(&self->s, self->other, 6);
	/* Another descriptor of the same open file will do. */
	EXPECT_EQ(3, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0, again,
				       &self->running));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(1ULL << 2 | 1ULL << 4 | 1ULL << 6, take_cancelled(&self->s.ring, 3));
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0, again,
					     NULL));
	close(again);
}

TEST_F(cancel, another_open_of_the_same_file_does_not_match)
{
	queue_behind_held(&self->s, self->s.file, 4);
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0,
					     self->other, &self->running));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
}

TEST_F(cancel, user_data_and_file_together_select_what_matches_both)
{
	queue_behind_held(&self->s, self->other, 4);
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA |
					     AFSYNC_CANCEL_FD, 1, self->other, NULL));
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA |
				       AFSYNC_CANCEL_FD, 2, self->other, NULL));
	EXPECT_EQ(1ULL << 2, take_cancelled(&self->s.ring, 1));
}

TEST_F(cancel, all_cancels_what_is_queued_and_counts_what_runs)
{
	queue_behind_held(&self->s, self->other, 6);
	EXPECT_EQ(6, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0,
				       &self->running));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(0x7e, take_cancelled(&self->s.ring, 6));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(cancel, running_request_cannot_be_cancelled_and_completes_normally)
{
	struct afsync_cqe cqe;

	queue_behind_held(&self->s, self->other, 0);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 0, 0,
					       &self->running));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0,
					       self->s.file, &self->running));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0,
					       &self->running));
	EXPECT_EQ(1, self->running);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	cqe = ring_next(&self->s.ring);
	EXPECT_EQ(0, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
}

TEST_F(cancel, all_requests_of_a_running_batch_count_as_running)
{
	queue_behind_held(&self->s, self->other, 4);
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0,
					       &self->running));
	EXPECT_EQ(4, self->running);
}

TEST_F(cancel, completed_request_is_not_found)
{
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 5));
	ring_wait(&self->s.ring, 1);
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 5, 0,
					     &self->running));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_FD, 0,
					     self->s.file, NULL));
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL));
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

TEST_F(cancel, cancelled_request_is_not_found_again)
{
	queue_behind_held(&self->s, self->other, 1);
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 1, 0, NULL));
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 1, 0,
					     NULL));
	EXPECT_EQ(1ULL << 1, take_cancelled(&self->s.ring, 1));
}

TEST_F(cancel, requests_of_another_ring_are_not_touched)
{
	struct ring ring;

	ring_open(&ring, 8);
	queue_behind_held(&self->s, self->other, 2);
	ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(2, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL));
	EXPECT_EQ(-ENOENT, afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_USER_DATA, 2, 0, NULL));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&ring).res);
	ring_close(&ring);
}

TEST_F(cancel, syncfs_requests_are_cancelled_likewise)
{
	sim_hold(self->s.ctl, SIM_GATE_SYNCFS);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->other, AFSYNC_OP_SYNCFS, 2));
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL, 0, 0,
				       &self->running));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(1ULL << 2, take_cancelled(&self->s.ring, 1));
	sim_let_go(self->s.ctl, SIM_GATE_SYNCFS);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
}

TEST_F(cancel, cancel_wakes_who_waits)
{
	int event = eventfd(0, EFD_CLOEXEC);
	__u64 count;

	ASSERT_EQ(0, afsync_cmd_eventfd(self->s.ring.fd, event));
	queue_behind_held(&self->s, self->other, 1);
	EXPECT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 1, 0, NULL));
	ASSERT_EQ(8, read(event, &count, 8));
	EXPECT_EQ(1, count);
	EXPECT_EQ(1, ring_ready(&self->s.ring));
	close(event);
}

struct canceller {
	struct ring *ring;
	bool stop;
	unsigned long cancelled;
};

static void *cancel_all_the_time(void *arg)
{
	struct canceller *canceller = arg;
	int ret;

	while (!__atomic_load_n(&canceller->stop, __ATOMIC_RELAXED)) {
		ret = afsync_cmd_cancel(canceller->ring->fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
		need(ret > 0 || ret == -ENOENT || ret == -EALREADY);
		if (ret > 0)
			canceller->cancelled += ret;
	}
	return NULL;
}

TEST_F_TIMEOUT(cancel, cancel_and_completion_at_the_same_time_give_one_result_each,
	       LONG_TIMEOUT)
{
	struct canceller canceller = { .ring = &self->s.ring };
	unsigned long cancelled = 0;
	unsigned int i, j, n = rounds(5000), seen[16];
	struct afsync_cqe cqe;
	pthread_t thread;

	thread = thread_start(cancel_all_the_time, &canceller);
	for (i = 0; i < n; i++) {
		memset(seen, 0, sizeof(seen));
		for (j = 0; j < 16; j++)
			ASSERT_EQ(1, ring_queue(&self->s.ring, j % 2 ? self->s.file :
						self->other, AFSYNC_OP_FSYNC, j));
		for (j = 0; j < 16; j++) {
			cqe = ring_next(&self->s.ring);
			ASSERT_TRUE(cqe.res == 0 || cqe.res == -ECANCELED);
			cancelled += cqe.res == -ECANCELED;
			ASSERT_LT(cqe.user_data, 16);
			ASSERT_EQ(0, seen[cqe.user_data]++);
		}
	}
	__atomic_store_n(&canceller.stop, true, __ATOMIC_RELAXED);
	thread_join(thread);
	EXPECT_EQ(cancelled, canceller.cancelled);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
}

/* --- many at once --- */

#define MOST	32768	/* entries of the largest ring */

TEST_F(cancel, of_32767_queued_requests_all_that_match_are_cancelled_and_no_others)
{
	unsigned int n = rounds(MOST - 1), i, seen[5] = {}, expected[5] = {};
	static struct afsync_sqe sqes[MOST];
	struct afsync_cqe cqe;
	struct ring ring;
	int by_data, by_file;

	ring_open(&ring, MOST);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, 99));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 0; i < n; i++) {
		sqes[i] = sqe_of(i % 2 ? self->s.file : self->other, i % 2, i % 5);
		expected[i % 5]++;
	}
	ASSERT_EQ(n, ring_submit(&ring, sqes, n, NULL));

	by_data = afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_USER_DATA, 3, 0, &self->running);
	EXPECT_EQ(expected[3], by_data);
	EXPECT_EQ(0, self->running);
	for (i = 0, by_file = 0; i < n; i++)
		by_file += i % 5 != 3 && i % 2 == 0;
	EXPECT_EQ(by_file, afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_FD, 0, self->other,
					     &self->running));
	EXPECT_EQ(0, self->running);
	EXPECT_EQ(n - by_data - by_file, afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_ALL, 0, 0,
							   &self->running));
	EXPECT_EQ(1, self->running);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL));

	for (i = 0; i < n; i++) {
		cqe = ring_next(&ring);
		ASSERT_EQ(-ECANCELED, cqe.res);
		ASSERT_LT(cqe.user_data, 5);
		seen[cqe.user_data]++;
	}
	EXPECT_EQ(0, memcmp(expected, seen, sizeof(seen)));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(99, ring_next(&ring).user_data);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	ring_close(&ring);
}

#define LONE_FILES	4
#define BEHIND		4000

struct lone_cancel {
	int ring;
	pthread_barrier_t barrier;
	int ret;
};

static void *cancel_once(void *arg)
{
	struct lone_cancel *cancel = arg;

	pthread_barrier_wait(&cancel->barrier);
	cancel->ret = afsync_cmd_cancel(cancel->ring, AFSYNC_CANCEL_ALL, 0, 0, NULL);
	return NULL;
}

/*
 * The running syncs end in the midst of the call, so that workers take the requests that
 * wait behind them: for each file all that were queued, or none.
 */
TEST_F_TIMEOUT(cancel, no_request_starts_behind_one_of_its_file_that_the_call_has_cancelled,
	       LONG_TIMEOUT)
{
	static struct afsync_sqe sqes[BEHIND];
	unsigned int round, i, served, n = rounds(100);
	bool cancelled[LONE_FILES];
	int files[LONE_FILES];
	struct lone_cancel cancel;
	static int results[BEHIND];
	struct afsync_cqe cqe;
	pthread_t thread;
	char name[16];
	struct ring ring;
	__u64 until;

	ring_open(&ring, BEHIND + LONE_FILES);
	for (i = 0; i < LONE_FILES; i++) {
		snprintf(name, sizeof(name), "lone%u", i);
		files[i] = world_open(&self->s.world, name, O_RDWR);
	}
	for (i = 0; i < BEHIND; i++)
		sqes[i] = sqe_of(files[i % LONE_FILES], AFSYNC_OP_FSYNC, i);
	cancel.ring = ring.fd;
	pthread_barrier_init(&cancel.barrier, NULL, 2);
	for (round = 0; round < n; round++) {
		for (i = 0; i < LONE_FILES; i++) {
			sim_hold(files[i], SIM_GATE_FSYNC);
			served = sim_started(files[i], SIM_GATE_FSYNC);
			ASSERT_EQ(1, ring_queue(&ring, files[i], AFSYNC_OP_FSYNC, BEHIND));
			sim_wait_started(files[i], SIM_GATE_FSYNC, served + 1);
		}
		ASSERT_EQ(BEHIND, ring_submit(&ring, sqes, BEHIND, NULL));
		thread = thread_start(cancel_once, &cancel);
		pthread_barrier_wait(&cancel.barrier);
		/* At another point of the call each time; no result depends on it. */
		for (until = now_ns() + round % 50 * 20000; now_ns() < until;)
			;
		for (i = 0; i < LONE_FILES; i++)
			sim_let_go(files[i], SIM_GATE_FSYNC);
		thread_join(thread);
		for (i = 0, served = 0; i < BEHIND + LONE_FILES; i++) {
			cqe = ring_next(&ring);
			ASSERT_TRUE(cqe.res == 0 || cqe.res == -ECANCELED);
			if (cqe.user_data < BEHIND)
				results[cqe.user_data] = cqe.res;
			served += cqe.res == 0;
		}
		memset(cancelled, 0, sizeof(cancelled));
		for (i = 0; i < BEHIND; i++) {
			if (results[i])
				cancelled[i % LONE_FILES] = true;
			else
				ASSERT_FALSE(cancelled[i % LONE_FILES])
					TH_LOG("round %u: request %u was served", round, i);
		}
		EXPECT_EQ(BEHIND + LONE_FILES - served, cancel.ret > 0 ? cancel.ret : 0);
	}
	for (i = 0; i < LONE_FILES; i++)
		close(files[i]);
	ring_close(&ring);
}

TEST_HARNESS_MAIN
