// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting, on both engines of libafsync: minimum counts, relative and absolute times,
 * signals with and without SA_RESTART, signal masks, and the wait of a submit.
 * engine_eventfd_test.c has eventfd, poll and epoll.
 */
#include "engine.h"

#define FILES	4

/* For files that can be held one by one, so that completions come one by one. */
FIXTURE(wait) {
	struct scene s;
	int files[FILES];
};

FIXTURE_ENGINES(wait);

FIXTURE_SETUP(wait)
{
	char name[16];
	int i;

	SCENE_SETUP(&self->s, variant->engine, 8);
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		self->files[i] = scene_file(&self->s, name, O_RDWR);
		gate_close(self->files[i], SIM_GATE_FSYNC);
		queue(self->s.ring, self->files[i], AFSYNC_OP_FSYNC, i);
	}
}

FIXTURE_TEARDOWN(wait)
{
	int i;

	for (i = 0; i < FILES; i++) {
		gate_open(self->files[i], SIM_GATE_FSYNC);
		close(self->files[i]);
	}
	scene_close(&self->s);
}

static void complete(int fd)
{
	gate_open(fd, SIM_GATE_FSYNC);
}

/* --- counts --- */

/* A thread in one wait. */
struct waiter {
	struct afsync_ring *ring;
	unsigned int wait_nr;
	struct __kernel_timespec ts;	/* or until */
	bool timeout, until;
	int ret;
	bool done;
	pid_t tid;
	pthread_t thread;
	struct turn ready;
};

static void *waiter_thread(void *arg)
{
	struct waiter *w = arg;

	w->tid = thread_id();
	turn_post(&w->ready);
	if (w->until)
		w->ret = afsync_wait_cqes_until(w->ring, NULL, w->wait_nr, &w->ts, NULL);
	else
		w->ret = afsync_wait_cqes(w->ring, NULL, w->wait_nr,
					  w->timeout ? &w->ts : NULL, NULL);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_done(struct waiter *w)
{
	return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

/* Returns when the thread sleeps. */
static void waiter_start(struct waiter *w, struct afsync_ring *ring)
{
	w->ring = ring;
	turn_init(&w->ready);
	w->thread = thread_start(waiter_thread, w);
	turn_wait(&w->ready, 1);
	thread_wait_asleep(w->tid);
}

TEST_F(wait, ends_when_the_minimum_is_there_and_not_before)
{
	struct waiter waiter = { .wait_nr = 3 };

	waiter_start(&waiter, self->s.ring);
	complete(self->files[0]);
	complete(self->files[1]);
	EXPECT_EQ(0, LIB(afsync_wait_cqes(self->s.ring, NULL, 2, NULL, NULL)));
	/* Woken or not, it continues to sleep with two. */
	thread_wait_asleep(waiter.tid);
	EXPECT_FALSE(is_done(&waiter));
	complete(self->files[2]);
	thread_join(waiter.thread);
	EXPECT_EQ(0, waiter.ret);
	EXPECT_EQ(3, LIB(afsync_cq_ready(self->s.ring)));
}

TEST_F(wait, several_threads_each_get_their_minimum)
{
	struct waiter waiters[FILES] = {};
	int i;

	for (i = 0; i < FILES; i++) {
		waiters[i].wait_nr = FILES - i;
		waiter_start(&waiters[i], self->s.ring);
	}
	for (i = 0; i < FILES; i++) {
		complete(self->files[i]);
		thread_join(waiters[FILES - 1 - i].thread);
		EXPECT_EQ(0, waiters[FILES - 1 - i].ret);
		EXPECT_EQ(i + 1, afsync_cq_ready(self->s.ring));
	}
}

TEST_F(wait, for_none_only_looks)
{
	struct afsync_cqe *cqe = (void *)POISON64;

	EXPECT_EQ(-EAGAIN, LIB(afsync_wait_cqes(self->s.ring, &cqe, 0, NULL, NULL)));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(0, LIB(afsync_submit_and_wait(self->s.ring, 0)));
	complete(self->files[2]);
	EXPECT_EQ(0, LIB(afsync_wait_cqe(self->s.ring, &cqe)));
	EXPECT_EQ(0, LIB(afsync_wait_cqes(self->s.ring, &cqe, 0, NULL, NULL)));
	EXPECT_EQ(2, cqe->user_data);
	EXPECT_EQ(0, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 0, NULL, NULL)));
	EXPECT_EQ(2, cqe->user_data);
}

TEST_F(wait, for_the_whole_ring_is_possible_and_for_more_is_not)
{
	struct afsync_cqe *cqe = (void *)POISON64;
	int i;

	EXPECT_EQ(-EINVAL, LIB(afsync_wait_cqes(self->s.ring, &cqe, 9, NULL, NULL)));
	EXPECT_EQ(NULL, cqe);
	prepare(self->s.ring, self->s.file, 1);
	EXPECT_EQ(-EINVAL, LIB(afsync_submit_and_wait(self->s.ring, 9)));
	EXPECT_EQ(1, LIB(afsync_sq_ready(self->s.ring)));
	for (i = 0; i < FILES; i++)
		complete(self->files[i]);
	prepare(self->s.ring, self->s.file, 2);
	prepare(self->s.ring, self->s.file, 3);
	prepare(self->s.ring, self->s.file, 4);
	EXPECT_EQ(4, LIB(afsync_submit_and_wait(self->s.ring, 8)));
	EXPECT_EQ(8, LIB(afsync_cq_ready(self->s.ring)));
}

/* --- times --- */

static struct __kernel_timespec monotonic_in(long ns)
{
	struct timespec now;

	need(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	now.tv_nsec += ns;
	now.tv_sec += now.tv_nsec / 1000000000;
	now.tv_nsec %= 1000000000;
	return (struct __kernel_timespec) { now.tv_sec, now.tv_nsec };
}

static bool has_come(const struct __kernel_timespec *ts)
{
	return now_ns() >= ts->tv_sec * SEC_NS + ts->tv_nsec;
}

TEST_F(wait, no_time_only_looks)
{
	struct __kernel_timespec past[] = { { 0, 0 }, { 0, 1 }, monotonic_in(0) };
	struct afsync_cqe *cqe;
	unsigned int i;

	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqe_timeout(self->s.ring, &cqe, &no_time)));
	EXPECT_EQ(NULL, cqe);
	for (i = 0; i < ARRAY_SIZE(past); i++)
		EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 1, &past[i],
							     NULL)));
	complete(self->files[0]);
	need(afsync_wait_cqe(self->s.ring, &cqe) == 0);
	EXPECT_EQ(0, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &no_time, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->s.ring, &cqe, 2, &no_time, NULL)));
	EXPECT_EQ(NULL, cqe);
	for (i = 0; i < ARRAY_SIZE(past); i++) {
		EXPECT_EQ(0, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 1, &past[i],
							NULL)));
		EXPECT_EQ(0, cqe->user_data);
	}
}

TEST_F(wait, time_ends_it_and_not_too_early)
{
	const struct __kernel_timespec ts = { .tv_nsec = 20000000 };
	struct __kernel_timespec until;
	struct afsync_cqe *cqe;

	until = monotonic_in(ts.tv_nsec);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqe_timeout(self->s.ring, &cqe, &ts)));
	EXPECT_TRUE(has_come(&until));
	until = monotonic_in(ts.tv_nsec);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->s.ring, &cqe, 2, &ts, NULL)));
	EXPECT_TRUE(has_come(&until));
	until = monotonic_in(ts.tv_nsec);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 1, &until, NULL)));
	EXPECT_TRUE(has_come(&until));
	until = monotonic_in(ts.tv_nsec);
	EXPECT_EQ(-ETIME, LIB(afsync_submit_and_wait_timeout(self->s.ring, &cqe, 1, &ts,
							     NULL)));
	EXPECT_TRUE(has_come(&until));
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->s.ring)));
	until = monotonic_in(ts.tv_nsec);
	EXPECT_EQ(-ETIME, LIB(afsync_submit_and_wait_until(self->s.ring, &cqe, 1, &until,
							   NULL)));
	EXPECT_TRUE(has_come(&until));
	EXPECT_EQ(NULL, cqe);
}

TEST_F(wait, completion_ends_it_before_the_time)
{
	struct __kernel_timespec until = monotonic_in(0);
	struct afsync_cqe *cqe;

	until.tv_sec += 3600;
	complete(self->files[0]);
	EXPECT_EQ(0, LIB(afsync_wait_cqe_timeout(self->s.ring, &cqe, &ages)));
	EXPECT_EQ(0, cqe->user_data);
	complete(self->files[1]);
	EXPECT_EQ(0, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 2, &until, NULL)));
	complete(self->files[2]);
	EXPECT_EQ(0, LIB(afsync_submit_and_wait_timeout(self->s.ring, &cqe, 3, &ages, NULL)));
	EXPECT_EQ(0, cqe->user_data);
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->s.ring)));
}

TEST_F(wait, largest_times_do_not_overflow)
{
	const long long seconds[] = { LLONG_MAX, LLONG_MAX / 1000000000, 1LL << 32 };
	unsigned int i, until;

	for (i = 0; i < ARRAY_SIZE(seconds); i++) {
		for (until = 0; until < 2; until++) {
			struct waiter waiter = {
				.wait_nr = 1, .timeout = true, .until = until,
				.ts = { seconds[i], 999999999 },
			};

			waiter_start(&waiter, self->s.ring);
			EXPECT_FALSE(is_done(&waiter));
			gate_step(self->files[0], SIM_GATE_FSYNC);
			thread_join(waiter.thread);
			EXPECT_EQ(0, waiter.ret);
			next_cqe(self->s.ring);
			queue(self->s.ring, self->files[0], AFSYNC_OP_FSYNC, 0);
		}
	}
}

TEST_F(wait, impossible_time_is_EINVAL_and_nothing_is_queued)
{
	const struct __kernel_timespec bad[] = {
		{ -1, 0 }, { 0, -1 }, { 0, 1000000000 }, { LLONG_MIN, 0 }, { 1, LLONG_MAX },
	};
	struct afsync_cqe *cqe;
	unsigned int i;

	prepare(self->s.ring, self->s.file, 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, LIB(afsync_wait_cqe_timeout(self->s.ring, &cqe, &bad[i])));
		EXPECT_EQ(-EINVAL, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &bad[i],
							NULL)));
		EXPECT_EQ(-EINVAL, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 1, &bad[i],
							      NULL)));
		EXPECT_EQ(-EINVAL, LIB(afsync_submit_and_wait_timeout(self->s.ring, &cqe, 1,
								      &bad[i], NULL)));
		EXPECT_EQ(-EINVAL, LIB(afsync_submit_and_wait_until(self->s.ring, &cqe, 1,
								    &bad[i], NULL)));
	}
	EXPECT_EQ(1, LIB(afsync_sq_ready(self->s.ring)));
	EXPECT_EQ(0, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* --- the wait of a submit --- */

TEST_F(wait, submit_says_what_it_queued_and_beside_it_how_the_wait_ended)
{
	struct __kernel_timespec until = monotonic_in(1000000);
	struct afsync_cqe *cqe = (void *)POISON64;

	prepare(self->s.ring, self->files[0], 10);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->s.ring, &cqe, 1, &moment,
							NULL)));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->s.ring)));
	prepare(self->s.ring, self->files[0], 11);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_until(self->s.ring, &cqe, 1, &until, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->s.ring)));
	/* The user data of the last submit, whether it waited or not. */
	EXPECT_EQ(0, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->s.ring)));

	prepare(self->s.ring, self->s.file, 12);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait(self->s.ring, 1)));
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->s.ring)));
	EXPECT_EQ(12, next_cqe(self->s.ring).user_data);
}

TEST_F(wait, submit_that_queued_only_a_part_does_not_wait)
{
	prepare(self->s.ring, self->files[0], 10);
	prepare(self->s.ring, -1, 11);
	/* The first is held: a wait would not return. */
	EXPECT_EQ(1, LIB(afsync_submit_and_wait(self->s.ring, 1)));
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->s.ring)));
	EXPECT_EQ(-EBADF, LIB(afsync_submit_and_wait(self->s.ring, 1)));
}

TEST_F(wait, submit_of_nothing_is_a_wait)
{
	complete(self->files[3]);
	EXPECT_EQ(0, LIB(afsync_submit_and_wait(self->s.ring, 1)));
	EXPECT_EQ(3, next_cqe(self->s.ring).user_data);
}

TEST_F(wait, ends_when_a_request_is_cancelled)
{
	struct waiter waiter = { .wait_nr = 1 };

	syncs_wait_started(self->files[0], SIM_GATE_FSYNC, 1);
	queue(self->s.ring, self->files[0], AFSYNC_OP_FSYNC, 9);
	waiter_start(&waiter, self->s.ring);
	EXPECT_EQ(1, LIB(afsync_cancel(self->s.ring, 9)));
	thread_join(waiter.thread);
	EXPECT_EQ(0, waiter.ret);
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
}

TEST_HARNESS_MAIN
