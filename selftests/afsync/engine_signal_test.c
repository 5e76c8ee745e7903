// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals while waiting, on both engines of libafsync: a handler ends a wait with -EINTR,
 * one with SA_RESTART does not, and a signal mask applies to the whole wait, from its
 * first moment to its last.
 */
#include <stdatomic.h>

#include "engine.h"

FIXTURE(sig) {
	struct scene s;
};

FIXTURE_ENGINES(sig);

FIXTURE_SETUP(sig)
{
	SCENE_SETUP(&self->s, variant->engine, 8);
	gate_close(self->s.ctl, SIM_GATE_FSYNC);
}

FIXTURE_TEARDOWN(sig)
{
	scene_close(&self->s);
}

static atomic_int handled;

static void handler(int sig)
{
	(void)sig;
	handled++;
}

static void handle_usr1(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	handled = 0;
	need(sigaction(SIGUSR1, &action, NULL) == 0);
}

/* The kinds of waits. */
enum wait { WAIT_CQE, WAIT_TIMEOUT, WAIT_CQES, WAIT_UNTIL, WAIT_SUBMIT, WAIT_SUBMIT_TIMEOUT,
	    NR_WAITS };

static int wait_in(struct afsync_ring *ring, enum wait wait)
{
	struct __kernel_timespec until = { .tv_sec = now_ns() / SEC_NS + 3600 };
	struct afsync_cqe *cqe;

	switch (wait) {
	case WAIT_CQE:
		return afsync_wait_cqe(ring, &cqe);
	case WAIT_TIMEOUT:
		return afsync_wait_cqe_timeout(ring, &cqe, &ages);
	case WAIT_CQES:
		return afsync_wait_cqes(ring, &cqe, 1, NULL, NULL);
	case WAIT_UNTIL:
		return afsync_wait_cqes_until(ring, &cqe, 1, &until, NULL);
	case WAIT_SUBMIT:
		return afsync_submit_and_wait(ring, 1);
	default:
		return afsync_submit_and_wait_timeout(ring, &cqe, 1, &ages, NULL);
	}
}

struct interrupter {
	pthread_t thread;
	pid_t tid;
	int release;		/* after the signals, release the syncs of this file */
	bool stop;
};

static bool stopped(struct interrupter *it)
{
	return __atomic_load_n(&it->stop, __ATOMIC_ACQUIRE);
}

/* One more each time the thread sleeps: one may have come a moment before the wait. */
static void *interrupt(void *arg)
{
	struct interrupter *it = arg;
	int before;

	while (!stopped(it)) {
		before = handled;
		need(pthread_kill(it->thread, SIGUSR1) == 0);
		while (handled == before && !stopped(it))
			sched_yield();
		if (it->release >= 0 && handled > 5) {
			gate_open(it->release, SIM_GATE_FSYNC);
			break;
		}
		thread_wait_asleep(it->tid);
	}
	return NULL;
}

static void *interrupt_asleep(void *arg)
{
	struct interrupter *it = arg;

	thread_wait_asleep(it->tid);
	return interrupt(it);
}

/* Returns the result of the wait during which SIGUSR1 came. */
static int interrupted(struct afsync_ring *ring, enum wait wait, int flags, int release)
{
	struct interrupter it = { pthread_self(), thread_id(), release, false };
	pthread_t thread;
	int ret;

	handle_usr1(flags);
	thread = thread_start(interrupt_asleep, &it);
	ret = wait_in(ring, wait);
	__atomic_store_n(&it.stop, true, __ATOMIC_RELEASE);
	thread_join(thread);
	need(handled > 0);
	return ret;
}

TEST_F(sig, handler_ends_every_wait)
{
	enum wait wait;

	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	for (wait = 0; wait < NR_WAITS; wait++) {
		EXPECT_EQ(-EINTR, interrupted(self->s.ring, wait, 0, -1))
			TH_LOG("wait %d", wait);
		EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
	}
}

TEST_F(sig, restarting_handler_ends_no_wait)
{
	enum wait wait;

	for (wait = 0; wait < NR_WAITS; wait++) {
		gate_close(self->s.ctl, SIM_GATE_FSYNC);
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, wait);
		EXPECT_EQ(0, interrupted(self->s.ring, wait, SA_RESTART, self->s.ctl))
			TH_LOG("wait %d", wait);
		EXPECT_EQ(wait, next_cqe(self->s.ring).user_data);
	}
}

TEST_F(sig, any_handler_ends_the_wait_of_a_submit_that_queued_something)
{
	int flags;

	for (flags = 0; flags < 2; flags++) {
		prepare(self->s.ring, self->s.file, flags);
		EXPECT_EQ(1, interrupted(self->s.ring, WAIT_SUBMIT,
					 flags ? SA_RESTART : 0, -1));
		EXPECT_EQ(-EINTR, LIB(afsync_sq_wait_result(self->s.ring)));
		EXPECT_EQ(0, LIB(afsync_sq_ready(self->s.ring)));
		EXPECT_EQ(0, LIB(afsync_cq_ready(self->s.ring)));
	}
}

static void *interrupt_all_the_time(void *arg)
{
	struct interrupter *it = arg;

	while (!stopped(it)) {
		need(pthread_kill(it->thread, SIGUSR1) == 0);
		sched_yield();
	}
	return NULL;
}

TEST_F(sig, restarted_wait_goes_on_with_what_is_left_of_its_time)
{
	const struct __kernel_timespec ts = { .tv_nsec = SEC_NS / 5 };
	struct interrupter it = { pthread_self(), thread_id(), -1, false };
	struct afsync_cqe *cqe;
	__u64 begin = now_ns();
	pthread_t thread;

	/* If each signal restarted the time, this would never end. */
	handle_usr1(SA_RESTART);
	thread = thread_start(interrupt_all_the_time, &it);
	EXPECT_EQ(-ETIME, afsync_wait_cqe_timeout(self->s.ring, &cqe, &ts));
	__atomic_store_n(&it.stop, true, __ATOMIC_RELEASE);
	thread_join(thread);
	EXPECT_GE(now_ns() - begin, SEC_NS / 5);
}

/* --- signal masks --- */

static sigset_t set_of(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	if (sig)
		sigaddset(&set, sig);
	return set;
}

static bool is_blocked(int sig)
{
	sigset_t set;

	need(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0);
	return sigismember(&set, sig);
}

static bool is_pending(int sig)
{
	sigset_t set;

	need(sigpending(&set) == 0);
	return sigismember(&set, sig);
}

/* Blocked, and pending. */
static void block_and_raise(void)
{
	sigset_t usr1 = set_of(SIGUSR1);

	need(pthread_sigmask(SIG_SETMASK, &usr1, NULL) == 0);
	need(raise(SIGUSR1) == 0);
}

TEST_F(sig, signal_that_the_mask_lets_through_ends_the_wait_though_it_was_there_before)
{
	struct __kernel_timespec until = { .tv_sec = now_ns() / SEC_NS + 3600 };
	sigset_t none = set_of(0);
	struct afsync_cqe *cqe;
	int flags;

	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	for (flags = 0; flags < 2; flags++) {
		handle_usr1(flags ? SA_RESTART : 0);
		block_and_raise();
		EXPECT_EQ(-EINTR, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, NULL, &none)));
		EXPECT_EQ(1, handled);
		block_and_raise();
		EXPECT_EQ(-EINTR, LIB(afsync_wait_cqes_until(self->s.ring, &cqe, 1, &until,
							     &none)));
		EXPECT_EQ(2, handled);
		block_and_raise();
		EXPECT_EQ(-EINTR, LIB(afsync_submit_and_wait_timeout(self->s.ring, &cqe, 1,
								     &ages, &none)));
		EXPECT_EQ(3, handled);
		/* The thread's own mask is back. */
		EXPECT_TRUE(is_blocked(SIGUSR1));

		prepare(self->s.ring, self->s.file, 2);
		block_and_raise();
		EXPECT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->s.ring, &cqe, 1, &ages,
								&none)));
		EXPECT_EQ(-EINTR, LIB(afsync_sq_wait_result(self->s.ring)));
		EXPECT_EQ(4, handled);
		EXPECT_TRUE(is_blocked(SIGUSR1));
	}
}

TEST_F(sig, signal_that_is_blocked_does_not_end_the_wait)
{
	sigset_t usr1 = set_of(SIGUSR1), none = set_of(0);
	struct afsync_cqe *cqe;

	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	handle_usr1(0);
	block_and_raise();
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &moment, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &moment, &usr1)));
	EXPECT_EQ(0, handled);
	EXPECT_TRUE(is_pending(SIGUSR1));

	/* By the mask of the wait only. */
	need(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0);
	EXPECT_EQ(1, handled);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &moment, &usr1)));
	EXPECT_FALSE(is_blocked(SIGUSR1));
}

TEST_F(sig, completions_that_are_there_win_over_a_signal)
{
	sigset_t none = set_of(0);
	struct afsync_cqe *cqe;

	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	need(afsync_wait_cqe(self->s.ring, &cqe) == 0);
	handle_usr1(0);
	block_and_raise();
	EXPECT_EQ(0, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, NULL, &none)));
	/* It is still pending, as after ppoll(2). */
	EXPECT_EQ(0, handled);
	EXPECT_TRUE(is_pending(SIGUSR1));
}

/* --- in a handler --- */

static struct scene *handler_scene;
/* User data that no request has. */
#define NO_REQUEST	(1ULL << 40)

/* The calls that are allowed in a signal handler, at any point in the library. */
static void handler_of_rings(int sig)
{
	struct scene *scene = handler_scene;
	unsigned int running;

	(void)sig;
	need(afsync_cancel(scene->ring, NO_REQUEST) == -ENOENT);
	need(afsync_cancel_match(scene->ring, AFSYNC_CANCEL_FD, 0, scene->ctl, &running) ==
	     -ENOENT);
	need(afsync_start(scene->ring, NO_REQUEST) == -ENOENT);
	afsync_cq_ready(scene->ring);
	handled++;
}

TEST_F(sig, handler_may_use_the_ring_whatever_it_interrupts)
{
	struct sigaction action = { .sa_handler = handler_of_rings, .sa_flags = SA_RESTART };
	struct interrupter it = { pthread_self(), thread_id(), -1, false };
	unsigned int i, n = rounds(500);
	pthread_t thread;

	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	handler_scene = &self->s;
	need(sigaction(SIGUSR1, &action, NULL) == 0);
	thread = thread_start(interrupt_all_the_time, &it);
	for (i = 0; i < n || !handled; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		ASSERT_EQ(i, next_cqe(self->s.ring).user_data);
	}
	__atomic_store_n(&it.stop, true, __ATOMIC_RELEASE);
	thread_join(thread);
}

TEST_HARNESS_MAIN
