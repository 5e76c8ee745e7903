// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: lio_listio with LIO_WAIT and LIO_NOWAIT, and the requests that a sync
 * after it waits for (posix_order_test has more of that).
 *
 * Needs afsync_sim.
 */
#include "posix.h"

FIXTURE(lio) {
	struct stage s;
};

FIXTURE_SETUP(lio)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(lio)
{
	stage_close(&self->s);
}

static struct aiocb listed(struct aiocb block, int opcode)
{
	block.aio_lio_opcode = opcode;
	return block;
}

TEST_F(lio, wait_returns_when_all_of_the_list_have_ended)
{
	char out[4] = "abcd", in[4] = "";
	struct aiocb blocks[8], *list[12] = {};
	int i;

	for (i = 0; i < 4; i++) {
		blocks[i] = listed(transfer_of(self->s.file, out + i, 1, i), LIO_WRITE);
		list[i + 1] = &blocks[i];
	}
	blocks[4] = listed(block_of(-1), LIO_NOP);
	list[7] = &blocks[4];
	ASSERT_EQ(0, lio_listio(LIO_WAIT, list, 12, NULL));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, aio_error(&blocks[i]));
		EXPECT_EQ(1, aio_return(&blocks[i]));
		blocks[i] = listed(transfer_of(self->s.file, in + i, 1, i), LIO_READ);
	}
	ASSERT_EQ(0, lio_listio(LIO_WAIT, list, 12, NULL));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, block_end(&blocks[i]));
	EXPECT_EQ(0, memcmp(in, out, 4));
	EXPECT_EQ(4, sim_started(self->s.ctl, SIM_GATE_WRITE));
}

TEST_F(lio, wait_gives_eio_if_one_has_failed_and_its_block_says_which)
{
	struct aiocb blocks[3], *list[3];
	int i;

	for (i = 0; i < 3; i++) {
		blocks[i] = listed(transfer_of(i == 1 ? -1 : self->s.file, "x", 1, i),
				   LIO_WRITE);
		list[i] = &blocks[i];
	}
	errno = 0;
	EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 3, NULL));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(1, block_end(&blocks[0]));
	EXPECT_EQ(EBADF, aio_error(&blocks[1]));
	EXPECT_EQ(1, block_end(&blocks[2]));

	/* The same if it fails only while it runs. */
	sim_fail(self->s.ctl, SIM_GATE_WRITE, ENOSPC, 1);
	blocks[0] = listed(transfer_of(self->s.file, "x", 1, 0), LIO_WRITE);
	errno = 0;
	EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 1, NULL));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-ENOSPC, block_end(&blocks[0]));
}

TEST_F(lio, nowait_returns_while_nothing_can_be_done)
{
	struct aiocb blocks[3], *list[3];
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 3; i++) {
		blocks[i] = listed(transfer_of(self->s.file, "x", 1, i), LIO_WRITE);
		list[i] = &blocks[i];
	}
	ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, 3, NULL));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EINPROGRESS, aio_error(&blocks[i]));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(1, block_end(&blocks[i]));
}

TEST_F(lio, nowait_notifies_once_when_all_have_ended)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN + 1,
		.sigev_value.sival_int = 21,
	};
	const struct timespec at_once = {};
	struct aiocb blocks[4], *list[4];
	siginfo_t info;
	sigset_t set;
	char data;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	for (i = 0; i < 3; i++)
		blocks[i] = listed(transfer_of(self->s.file, "x", 1, i), LIO_WRITE);
	blocks[3] = listed(transfer_of(self->s.file, &data, 1, 9), LIO_READ);
	for (i = 0; i < 4; i++)
		list[i] = &blocks[i];
	ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, 4, &event));
	/* The sigevent was copied at the call. */
	event.sigev_value.sival_int = 22;
	EXPECT_EQ(0, block_wait(&blocks[3]));
	sim_step(self->s.ctl, SIM_GATE_WRITE, 2);
	EXPECT_EQ(-1, sigtimedwait(&set, NULL, &at_once));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	need(sigwaitinfo(&set, &info) == SIGRTMIN + 1);
	EXPECT_EQ(21, info.si_value.sival_int);
	EXPECT_EQ(SI_ASYNCIO, info.si_code);
	for (i = 0; i < 4; i++)
		EXPECT_LE(0, block_end(&blocks[i]));
	EXPECT_EQ(-1, sigtimedwait(&set, NULL, &at_once));
}

/* Each element has its own sigevent, whatever the mode is. */
TEST_F(lio, wait_notifies_for_each_element_that_asks_for_it)
{
	struct aiocb blocks[3], *list[3];
	bool seen[3] = {};
	siginfo_t info;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	for (i = 0; i < 3; i++) {
		blocks[i] = listed(transfer_of(self->s.file, "x", 1, i), LIO_WRITE);
		blocks[i].aio_sigevent.sigev_notify = SIGEV_SIGNAL;
		blocks[i].aio_sigevent.sigev_signo = SIGRTMIN + 1;
		blocks[i].aio_sigevent.sigev_value.sival_int = i;
		list[i] = &blocks[i];
	}
	ASSERT_EQ(0, lio_listio(LIO_WAIT, list, 3, NULL));
	for (i = 0; i < 3; i++) {
		need(sigwaitinfo(&set, &info) == SIGRTMIN + 1);
		ASSERT_TRUE(info.si_value.sival_int >= 0 && info.si_value.sival_int < 3);
		EXPECT_FALSE(seen[info.si_value.sival_int]);
		seen[info.si_value.sival_int] = true;
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(1, block_end(&blocks[i]));
}

/* An empty list has ended when it is called. */
TEST_F(lio, nowait_notifies_for_a_list_of_nothing)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN + 1,
		.sigev_value.sival_int = 31,
	};
	struct aiocb nop = listed(block_of(-1), LIO_NOP), *list[2] = { NULL, &nop };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, 2, &event));
	need(sigwaitinfo(&set, &info) == SIGRTMIN + 1);
	EXPECT_EQ(31, info.si_value.sival_int);
	ASSERT_EQ(0, lio_listio(LIO_WAIT, list, 2, NULL));
}

TEST_F(lio, mode_that_is_neither_and_negative_count_are_einval)
{
	struct aiocb block = listed(transfer_of(self->s.file, "x", 1, 0), LIO_WRITE);
	struct aiocb *list[1] = { &block };
	static const int modes[] = { 2, -1, 77, INT_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		errno = 0;
		EXPECT_EQ(-1, lio_listio(modes[i], list, 1, NULL));
		EXPECT_EQ(EINVAL, errno);
	}
	errno = 0;
	EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, -1, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_WRITE));
}

TEST_F(lio, unknown_operation_fails_alone)
{
	struct aiocb blocks[2], *list[2] = { &blocks[0], &blocks[1] };

	blocks[0] = listed(transfer_of(self->s.file, "x", 1, 0), 99);
	blocks[1] = listed(transfer_of(self->s.file, "y", 1, 0), LIO_WRITE);
	errno = 0;
	EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 2, NULL));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(EINVAL, aio_error(&blocks[0]));
	EXPECT_EQ(1, block_end(&blocks[1]));
}

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

/* POSIX: EINTR, and the outstanding I/O is not cancelled. */
TEST_F(lio, signal_ends_the_wait_with_eintr_and_the_list_goes_on)
{
	struct aiocb block = listed(transfer_of(self->s.file, "x", 1, 0), LIO_WRITE);
	struct sigaction action = { .sa_handler = handler };
	struct aiocb *list[1] = { &block };
	struct interrupter interrupter;

	need(sigaction(SIGUSR2, &action, NULL) == 0);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	interrupter_start(&interrupter, SIGUSR2);
	errno = 0;
	EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 1, NULL));
	EXPECT_EQ(EINTR, errno);
	interrupter_stop(&interrupter);
	EXPECT_LE(1, handled);
	EXPECT_EQ(EINPROGRESS, aio_error(&block));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&block));
}

static void *list_thread(void *arg)
{
	struct aiocb **list = arg;

	return (void *)(long)lio_listio(LIO_WAIT, list, 2, NULL);
}

/* A sync that another thread queues meanwhile waits for the list. */
TEST_F(lio, sync_waits_for_the_list_that_another_thread_waits_for)
{
	struct aiocb blocks[2], *list[2] = { &blocks[0], &blocks[1] };
	struct aiocb sync = block_of(self->s.file);
	pthread_t thread;
	void *ret;

	blocks[0] = listed(transfer_of(self->s.file, "x", 1, 0), LIO_WRITE);
	blocks[1] = listed(transfer_of(self->s.file, "y", 1, 1), LIO_WRITE);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	thread = thread_start(list_thread, list);
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_LE(1, sim_last_call(self->s.ctl).writes);
	need(pthread_join(thread, &ret) == 0);
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(1, block_end(&blocks[0]));
	EXPECT_EQ(1, block_end(&blocks[1]));
}

/* POSIX: such errors may be detected at the call or asynchronously. */
TEST_F(lio, nowait_accepts_a_bad_element_and_notifies_for_it)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN + 2,
		.sigev_value.sival_int = 41,
	};
	int closed = dup(self->s.file), i;
	struct aiocb blocks[5], *list[5];
	const struct timespec at_once = {};
	siginfo_t info;
	sigset_t set;

	close(closed);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	blocks[0] = listed(transfer_of(self->s.file, "x", 1, 0), LIO_WRITE);
	blocks[1] = listed(transfer_of(-1, "x", 1, 0), LIO_WRITE);
	blocks[2] = listed(transfer_of(closed, "x", 1, 0), LIO_READ);
	blocks[3] = listed(transfer_of(self->s.file, "x", 1, 0), 77);
	blocks[4] = listed(transfer_of(self->s.file, "y", 1, 1), LIO_WRITE);
	for (i = 0; i < 5; i++) {
		blocks[i].aio_sigevent.sigev_notify = SIGEV_SIGNAL;
		blocks[i].aio_sigevent.sigev_signo = SIGRTMIN + 1;
		list[i] = &blocks[i];
	}
	ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, 5, &event));
	EXPECT_EQ(1, block_end(&blocks[0]));
	EXPECT_EQ(-EBADF, block_end(&blocks[1]));
	EXPECT_EQ(-EBADF, block_end(&blocks[2]));
	EXPECT_EQ(-EINVAL, block_end(&blocks[3]));
	EXPECT_EQ(1, block_end(&blocks[4]));
	for (i = 0; i < 5; i++)
		need(sigwaitinfo(&set, &info) == SIGRTMIN + 1);
	need(sigwaitinfo(&set, &info) == SIGRTMIN + 2);
	EXPECT_EQ(41, info.si_value.sival_int);
	EXPECT_EQ(-1, sigtimedwait(&set, NULL, &at_once));
}

/* The second use of the block is refused; the first is not affected. */
TEST_F(lio, block_that_is_twice_in_the_list_is_refused_once)
{
	struct aiocb block = listed(transfer_of(self->s.file, "x", 1, 0), LIO_WRITE);
	struct aiocb *list[2] = { &block, &block };

	errno = 0;
	EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 2, NULL));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, aio_error(&block));
	EXPECT_EQ(1, block_end(&block));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_WRITE));
}

struct canceller {
	int fd;
	bool stop;
};

static void *cancel_thread(void *arg)
{
	struct canceller *canceller = arg;

	while (!__atomic_load_n(&canceller->stop, __ATOMIC_ACQUIRE)) {
		aio_cancel(canceller->fd, NULL);
		sched_yield();
	}
	return NULL;
}

/* A list is queued in one step, so a cancel of the file comes before or after it. */
TEST_F_TIMEOUT(lio, no_element_is_done_after_a_cancelled_one, LONG_TIMEOUT)
{
	unsigned int i, j, n = rounds(500), cancelled, holes = 0;
	struct aiocb blocks[16], *list[16];
	struct canceller canceller = {};
	pthread_t thread;
	int ends[2];
	char data[16];

	need(pipe(ends) == 0);
	canceller.fd = ends[1];
	thread = thread_start(cancel_thread, &canceller);
	for (i = 0; i < n && !holes; i++) {
		for (j = 0; j < 16; j++) {
			blocks[j] = listed(transfer_of(ends[1], "x", 1, 0), LIO_WRITE);
			list[j] = &blocks[j];
		}
		need(lio_listio(LIO_WAIT, list, 16, NULL) == 0 || errno == EIO);
		for (cancelled = 0, j = 0; j < 16; j++) {
			if (block_end(&blocks[j]) == -ECANCELED)
				cancelled++;
			else
				holes += cancelled != 0;
		}
		if (cancelled < 16)
			need(read(ends[0], data, 16) == (ssize_t)(16 - cancelled));
	}
	EXPECT_EQ(0, holes);
	__atomic_store_n(&canceller.stop, true, __ATOMIC_RELEASE);
	thread_join(thread);
	close(ends[0]);
	close(ends[1]);
}

TEST_HARNESS_MAIN
