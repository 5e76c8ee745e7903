// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: aio_suspend over lists that mix syncs, reads, writes and nulls, with
 * and without timeout, interrupted by a signal, and as a cancellation point.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

static const struct timespec AT_ONCE = { 0 };
static const struct timespec MOMENT = { .tv_nsec = 30000000 };
static const struct timespec FOREVER = { .tv_sec = 3600 };

FIXTURE(suspend) {
	struct stage s;
	int other;
	struct aiocb sync;	/* of the file, */
	struct aiocb write;	/* of another file, */
	struct aiocb read;	/* and of that one too: each is held until the test releases it */
	char data[2];
};

FIXTURE_SETUP(suspend)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->other = world_open(&self->s.world, "other", O_RDWR);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	sim_hold(self->other, SIM_GATE_WRITE);
	sim_hold(self->other, SIM_GATE_READ);
	self->sync = block_of(self->s.file);
	self->write = transfer_of(self->other, &self->data[0], 1, 0);
	self->read = transfer_of(self->other, &self->data[1], 1, 1);
	need(sync_queue(O_SYNC, &self->sync) == 0);
	need(write_queue(&self->write) == 0);
	need(read_queue(&self->read) == 0);
}

FIXTURE_TEARDOWN(suspend)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	sim_let_go(self->other, SIM_GATE_WRITE);
	sim_let_go(self->other, SIM_GATE_READ);
	block_wait(&self->sync);
	block_wait(&self->write);
	block_wait(&self->read);
	close(self->other);
	stage_close(&self->s);
}

TEST_F(suspend, timeout_of_nothing_or_of_a_moment_ends_with_eagain)
{
	const struct aiocb *list[] = { &self->sync, NULL, &self->write, &self->read };

	errno = 0;
	EXPECT_EQ(-1, aio_suspend(list, 4, &AT_ONCE));
	EXPECT_EQ(EAGAIN, errno);
	errno = 0;
	EXPECT_EQ(-1, aio_suspend(list, 4, &MOMENT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(EINPROGRESS, aio_error(&self->sync));
}

TEST_F(suspend, timeout_is_not_shorter_than_asked_for)
{
	const struct aiocb *list[] = { &self->sync };
	__u64 before = now_ns();

	EXPECT_EQ(-1, aio_suspend(list, 1, &MOMENT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LE(MOMENT.tv_nsec, now_ns() - before);
}

/* With the time_t of this program. */
#if defined(SYS_clock_gettime64) && defined(_TIME_BITS) && _TIME_BITS == 64
#define NR_CLOCK_GETTIME	SYS_clock_gettime64
#else
#define NR_CLOCK_GETTIME	SYS_clock_gettime
#endif

/*
 * The library would find this clock first: that of a program with a changed time
 * (libfaketime). The kernel waits by another one.
 */
static time_t clock_is_off;

int clock_gettime(clockid_t id, struct timespec *time)
{
	int ret = syscall(NR_CLOCK_GETTIME, id, time);

	if (!ret)
		time->tv_sec += clock_is_off;
	return ret;
}

TEST_F(suspend, timeout_is_as_long_under_a_clock_that_is_not_the_kernels)
{
	const struct aiocb *list[] = { &self->sync };
	struct timespec before, after;
	int i;

	for (i = 0; i < 2; i++) {
		need(syscall(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, &before) == 0);
		/* The time is after the end of the test, or has passed. */
		clock_is_off = i ? -1000000 : 1000000;
		errno = 0;
		EXPECT_EQ(-1, aio_suspend(list, 1, &MOMENT));
		EXPECT_EQ(EAGAIN, errno);
		clock_is_off = 0;
		need(syscall(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, &after) == 0);
		EXPECT_LE(MOMENT.tv_nsec, (after.tv_sec - before.tv_sec) * (long)SEC_NS +
					  after.tv_nsec - before.tv_nsec);
	}
}

struct let_go {
	int fd;
	__u32 gate;
	pid_t tid;
};

/* Opens a gate when the other thread waits. */
static void *let_go_thread(void *arg)
{
	struct let_go *go = arg;

	thread_wait_in(go->tid, NR_FUTEX);
	sim_let_go(go->fd, go->gate);
	return NULL;
}

TEST_F(suspend, wait_over_a_mixed_list_ends_with_whichever_ends_first)
{
	const struct aiocb *list[] = {
		NULL, &self->sync, NULL, &self->write, &self->read,
	};
	struct let_go steps[3] = {
		{ self->other, SIM_GATE_READ, thread_id() },
		{ self->s.ctl, SIM_GATE_FSYNC, thread_id() },
		{ self->other, SIM_GATE_WRITE, thread_id() },
	};
	const struct aiocb *ends[3] = { &self->read, &self->sync, &self->write };
	pthread_t thread;
	int i, j;

	for (i = 0; i < 3; i++) {
		thread = thread_start(let_go_thread, &steps[i]);
		ASSERT_EQ(0, aio_suspend(list, 5, i % 2 ? &FOREVER : NULL));
		EXPECT_NE(EINPROGRESS, aio_error(ends[i]));
		for (j = i + 1; j < 3; j++)
			EXPECT_EQ(EINPROGRESS, aio_error(ends[j]));
		thread_join(thread);
		/* Ended requests are not waited for again. */
		for (j = 0; j < 5; j++)
			if (list[j] == ends[i])
				list[j] = NULL;
	}
}

TEST_F(suspend, list_with_one_that_has_ended_returns_at_once)
{
	const struct aiocb *list[] = { &self->sync, &self->write, &self->read };

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_wait(&self->sync));
	EXPECT_EQ(0, aio_suspend(list, 3, NULL));
	EXPECT_EQ(0, aio_suspend(list, 3, &AT_ONCE));
	EXPECT_EQ(0, aio_suspend(list, 3, &FOREVER));
	/* The same if its result was taken, and it is the last one. */
	EXPECT_EQ(0, aio_return(&self->sync));
	list[0] = &self->write;
	list[2] = &self->sync;
	EXPECT_EQ(0, aio_suspend(list, 3, NULL));
}

TEST_F(suspend, failed_one_ends_the_wait_as_well)
{
	const struct aiocb *list[] = { &self->write, &self->sync };

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, aio_suspend(list, 2, NULL));
	EXPECT_EQ(EIO, aio_error(&self->sync));
}

TEST_F(suspend, block_may_be_in_the_list_twice)
{
	const struct aiocb *list[] = { &self->sync, &self->sync, &self->sync };

	EXPECT_EQ(-1, aio_suspend(list, 3, &MOMENT));
	EXPECT_EQ(EAGAIN, errno);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, aio_suspend(list, 3, NULL));
	EXPECT_EQ(0, aio_error(&self->sync));
}

/* --- signals --- */

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

TEST_F(suspend, signal_ends_the_wait_with_eintr)
{
	const struct aiocb *list[] = { &self->sync, NULL, &self->write };
	struct sigaction action = { .sa_handler = handler };
	struct interrupter interrupter;
	int i;

	need(sigaction(SIGUSR2, &action, NULL) == 0);
	for (i = 0; i < 2; i++) {
		handled = 0;
		interrupter_start(&interrupter, SIGUSR2);
		errno = 0;
		EXPECT_EQ(-1, aio_suspend(list, 3, i == 1 ? &FOREVER : NULL));
		EXPECT_EQ(EINTR, errno);
		interrupter_stop(&interrupter);
		EXPECT_LE(1, handled);
	}
	EXPECT_EQ(EINPROGRESS, aio_error(&self->sync));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, aio_suspend(list, 3, NULL));
	EXPECT_EQ(0, aio_error(&self->sync));
}

/* The wait ends by that signal or by the end of the operation itself. */
TEST_F(suspend, notification_by_signal_wakes_the_waiter)
{
	struct aiocb block = block_of(self->other);
	const struct aiocb *list[] = { &block };
	struct sigaction action = { .sa_handler = handler };
	unsigned int i, n = rounds(500);

	need(sigaction(SIGUSR2, &action, NULL) == 0);
	sim_let_go(self->other, SIM_GATE_WRITE);
	sim_let_go(self->other, SIM_GATE_READ);
	for (i = 0; i < n; i++) {
		block = block_of(self->other);
		block.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
		block.aio_sigevent.sigev_signo = SIGUSR2;
		ASSERT_EQ(0, sync_queue(O_SYNC, &block));
		while (aio_error(&block) == EINPROGRESS)
			need(aio_suspend(list, 1, NULL) == 0 || errno == EINTR);
		ASSERT_EQ(0, aio_return(&block));
	}
}

/* --- threads --- */

struct waiter {
	const struct aiocb *list[3];
	struct turn *turn;
	int ret;
	pid_t tid;
};

static void *waiter_thread(void *arg)
{
	struct waiter *waiter = arg;

	waiter->tid = thread_id();
	turn_post(waiter->turn);
	waiter->ret = aio_suspend(waiter->list, 3, NULL);
	return NULL;
}

TEST_F(suspend, every_thread_that_waits_for_the_sync_is_woken)
{
	struct waiter waiters[10];
	pthread_t threads[10];
	struct turn turn;
	int i;

	turn_init(&turn);
	for (i = 0; i < 10; i++) {
		waiters[i] = (struct waiter) {
			.list = { &self->write, NULL, &self->sync },
			.turn = &turn, .ret = 77,
		};
		threads[i] = thread_start(waiter_thread, &waiters[i]);
	}
	turn_wait(&turn, 10);
	for (i = 0; i < 10; i++)
		thread_wait_in(waiters[i].tid, NR_FUTEX);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 10; i++) {
		thread_join(threads[i]);
		EXPECT_EQ(0, waiters[i].ret);
	}
}

/* POSIX: a cancellation point. The library uses nothing of the thread afterwards. */
TEST_F(suspend, thread_can_be_cancelled_while_it_waits)
{
	struct waiter waiter;
	pthread_t thread;
	struct turn turn;
	void *result;
	int i;

	turn_init(&turn);
	for (i = 0; i < 10; i++) {
		waiter = (struct waiter) {
			.list = { &self->write, &self->sync, &self->read },
			.turn = &turn,
		};
		thread = thread_start(waiter_thread, &waiter);
		turn_wait(&turn, 1);
		thread_wait_in(waiter.tid, NR_FUTEX);
		need(pthread_cancel(thread) == 0);
		need(pthread_join(thread, &result) == 0);
		EXPECT_EQ(PTHREAD_CANCELED, result);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&self->sync));
	sim_let_go(self->other, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&self->write));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

static sigjmp_buf out;

static void leave_wait(int signal)
{
	(void)signal;
	siglongjmp(out, 1);
}

/* Reuses the stack of the wait. */
static __attribute__((noinline)) void cover_stack(int depth)
{
	volatile char room[4096];

	memset((char *)room, 0x41, sizeof(room));
	if (depth)
		cover_stack(depth - 1);
}

static void *leaver_thread(void *arg)
{
	struct waiter *waiter = arg;
	int type;

	waiter->tid = thread_id();
	turn_post(waiter->turn);
	if (!sigsetjmp(out, 1)) {
		aio_suspend(waiter->list, 3, NULL);
		return NULL;
	}
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	cover_stack(3);
	pthread_exit(waiter);
}

/* POSIX: aio_suspend() is async-signal-safe, so a handler may leave it by siglongjmp(). */
TEST_F(suspend, thread_that_left_the_wait_by_siglongjmp_can_end)
{
	struct sigaction action = { .sa_handler = leave_wait };
	struct waiter waiter = { .list = { &self->write, &self->sync, &self->read } };
	pthread_t thread;
	struct turn turn;
	void *result;

	need(sigaction(SIGUSR1, &action, NULL) == 0);
	turn_init(&turn);
	waiter.turn = &turn;
	thread = thread_start(leaver_thread, &waiter);
	turn_wait(&turn, 1);
	thread_wait_in(waiter.tid, NR_FUTEX);
	need(pthread_kill(thread, SIGUSR1) == 0);
	need(pthread_join(thread, &result) == 0);
	EXPECT_EQ(&waiter, result);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&self->sync));
}

/* POSIX of the timeout: a timespec with 0 to 999,999,999 nanoseconds. */
TEST_F(suspend, timeout_that_is_no_time_is_einval)
{
	static const struct timespec none[] = {
		{ .tv_nsec = -1 }, { .tv_nsec = 1000000000 }, { .tv_sec = 1, .tv_nsec = LONG_MAX },
	};
	const struct aiocb *list[] = { &self->sync };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(none); i++) {
		errno = 0;
		EXPECT_EQ(-1, aio_suspend(list, 1, &none[i]));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(suspend, negative_timeout_is_over_and_the_longest_is_not)
{
	const struct timespec before = { .tv_sec = -1 }, longest = { .tv_sec = LONG_MAX };
	struct let_go go = { self->s.ctl, SIM_GATE_FSYNC, thread_id() };
	const struct aiocb *list[] = { &self->sync };
	pthread_t thread;

	errno = 0;
	EXPECT_EQ(-1, aio_suspend(list, 1, &before));
	EXPECT_EQ(EAGAIN, errno);
	thread = thread_start(let_go_thread, &go);
	EXPECT_EQ(0, aio_suspend(list, 1, &longest));
	EXPECT_EQ(0, aio_error(&self->sync));
	thread_join(thread);
}

TEST_F(suspend, list_that_cannot_be_is_einval)
{
	const struct aiocb *list[] = { &self->sync }, **volatile missing = NULL;

	errno = 0;
	EXPECT_EQ(-1, aio_suspend(list, -1, &AT_ONCE));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, aio_suspend(missing, 1, &AT_ONCE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, aio_suspend(missing, 0, &AT_ONCE));
}

TEST_F(suspend, list_of_a_thousand_with_one_sync_at_its_end)
{
	const struct aiocb *list[1000] = { [500] = &self->write, [999] = &self->sync };
	struct let_go go = { self->s.ctl, SIM_GATE_FSYNC, thread_id() };
	pthread_t thread = thread_start(let_go_thread, &go);

	EXPECT_EQ(0, aio_suspend(list, 1000, NULL));
	EXPECT_EQ(0, aio_error(&self->sync));
	thread_join(thread);
}

TEST_HARNESS_MAIN
