// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: aio_sigevent determines the notification, which occurs when all
 * operations have achieved synchronized completion; all other members are ignored
 * (AIX, illumos).
 *
 * Needs afsync_sim.
 */
#include "posix.h"

#include <sys/resource.h>

#define SIGNAL	(SIGRTMIN + 3)

FIXTURE(notify) {
	struct stage s;
	sigset_t signals;
};

FIXTURE_SETUP(notify)
{
	STAGE_SETUP(&self->s, "afsync_sim", 256);
	/* Blocked in this thread, which takes them one by one. */
	sigemptyset(&self->signals);
	sigaddset(&self->signals, SIGNAL);
	sigaddset(&self->signals, SIGUSR1);
	need(pthread_sigmask(SIG_BLOCK, &self->signals, NULL) == 0);
}

FIXTURE_TEARDOWN(notify)
{
	stage_close(&self->s);
}

static struct aiocb signalling_block(int fd, int signal, int value)
{
	struct aiocb block = block_of(fd);

	block.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	block.aio_sigevent.sigev_signo = signal;
	block.aio_sigevent.sigev_value.sival_int = value;
	return block;
}

/* Waits for the next of the signals. */
static siginfo_t signal_next(const sigset_t *signals)
{
	siginfo_t info;

	memset(&info, POISON_BYTE, sizeof(info));
	while (sigwaitinfo(signals, &info) < 0)
		need(errno == EINTR);
	return info;
}

/* True if none is pending for this thread or its process. */
static bool signal_none(const sigset_t *signals)
{
	const struct timespec at_once = {};

	return sigtimedwait(signals, NULL, &at_once) == -1 && errno == EAGAIN;
}

TEST_F(notify, none_sends_nothing)
{
	struct aiocb block = block_of(self->s.file);
	sigset_t all;

	sigfillset(&all);
	need(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	block.aio_sigevent.sigev_signo = SIGNAL;
	block.aio_sigevent.sigev_value.sival_int = 1;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, block_end(&block));
	/* A block with a signal comes after it, and its signal is the only one. */
	block = signalling_block(self->s.file, SIGNAL, 2);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(2, signal_next(&all).si_value.sival_int);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_TRUE(signal_none(&all));
}

TEST_F(notify, signal_carries_the_value_and_says_that_it_is_of_asynchronous_io)
{
	struct aiocb block = signalling_block(self->s.file, SIGNAL, 0);
	siginfo_t info;

	block.aio_sigevent.sigev_value.sival_ptr = (void *)0x123456789abcULL;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	info = signal_next(&self->signals);
	EXPECT_EQ(SIGNAL, info.si_signo);
	EXPECT_EQ(SI_ASYNCIO, info.si_code);
	EXPECT_EQ((void *)0x123456789abcULL, info.si_value.sival_ptr);
	EXPECT_EQ(getpid(), info.si_pid);
	EXPECT_EQ(getuid(), info.si_uid);
	/* When the signal comes, the sync has ended. */
	EXPECT_EQ(0, aio_error(&block));
	EXPECT_EQ(0, aio_return(&block));
}

TEST_F(notify, signals_are_queued_one_for_each_sync)
{
	struct aiocb blocks[50];
	bool seen[50] = {};
	siginfo_t info;
	int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 50; i++) {
		blocks[i] = signalling_block(self->s.file, SIGNAL, i);
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &blocks[i]));
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 50; i++) {
		info = signal_next(&self->signals);
		ASSERT_LE(0, info.si_value.sival_int);
		ASSERT_GT(50, info.si_value.sival_int);
		EXPECT_FALSE(seen[info.si_value.sival_int]);
		seen[info.si_value.sival_int] = true;
		EXPECT_EQ(0, aio_error(&blocks[info.si_value.sival_int]));
	}
	EXPECT_TRUE(signal_none(&self->signals));
	for (i = 0; i < 50; i++)
		EXPECT_EQ(0, block_end(&blocks[i]));
}

/* AIX, illumos: when all operations have achieved synchronized I/O completion. */
TEST_F(notify, nothing_is_sent_before_the_earlier_write_and_the_sync_have_ended)
{
	struct aiocb sync = signalling_block(self->s.file, SIGNAL, 7);
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	EXPECT_TRUE(signal_none(&self->signals));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(EINPROGRESS, aio_error(&sync));
	EXPECT_TRUE(signal_none(&self->signals));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(7, signal_next(&self->signals).si_value.sival_int);
	EXPECT_EQ(0, block_end(&sync));
}

TEST_F(notify, failed_sync_is_notified_as_well)
{
	struct aiocb block = signalling_block(self->s.file, SIGNAL, 9);

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(9, signal_next(&self->signals).si_value.sival_int);
	EXPECT_EQ(EIO, aio_error(&block));
	EXPECT_EQ(-1, aio_return(&block));
}

TEST_F(notify, reads_and_writes_are_notified_too)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0), read;
	char data = 0;

	write.aio_sigevent = signalling_block(0, SIGNAL, 1).aio_sigevent;
	ASSERT_EQ(0, write_queue(&write));
	EXPECT_EQ(1, signal_next(&self->signals).si_value.sival_int);
	EXPECT_EQ(1, block_end(&write));
	read = transfer_of(self->s.file, &data, 1, 0);
	read.aio_sigevent = signalling_block(0, SIGUSR1, 2).aio_sigevent;
	ASSERT_EQ(0, read_queue(&read));
	EXPECT_EQ(2, signal_next(&self->signals).si_value.sival_int);
	EXPECT_EQ(1, block_end(&read));
	EXPECT_EQ('x', data);
}

/* A cleared aiocb asks for signal 0, which is none. */
TEST_F(notify, signal_0_is_accepted_and_sends_nothing)
{
	struct aiocb block;

	memset(&block, 0, sizeof(block));
	need(block.aio_sigevent.sigev_notify == SIGEV_SIGNAL);
	block.aio_fildes = self->s.file;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, block_end(&block));
	EXPECT_TRUE(signal_none(&self->signals));
}

/* NetBSD: the request could not be enqueued due to invalid arguments. */
TEST_F(notify, impossible_notification_is_einval_and_nothing_is_queued)
{
	static const struct {
		int notify;
		int signal;
	} cases[] = {
		{ SIGEV_SIGNAL, 200 }, { SIGEV_SIGNAL, -1 }, { SIGEV_SIGNAL, 65 },
		{ 77, SIGUSR1 }, { -1, SIGUSR1 }, { SIGEV_THREAD_ID, 200 },
	};
	struct aiocb block;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		block = block_of(self->s.file);
		block.aio_sigevent.sigev_notify = cases[i].notify;
		block.aio_sigevent.sigev_signo = cases[i].signal;
		block.aio_sigevent._sigev_un._tid = thread_id();
		EXPECT_EQ(-EINVAL, sync_queue(O_SYNC, &block)) {
			TH_LOG("case %u", i);
			block_wait(&block);
		}
	}
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/*
 * The sigevent is that of the call. (The notification happens when the program may
 * already have seen the end, and given the memory another meaning.)
 */
TEST_F(notify, sigevent_is_copied_at_the_call)
{
	struct aiocb block = signalling_block(self->s.file, SIGNAL, 5);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	block.aio_sigevent.sigev_value.sival_int = 6;
	block.aio_sigevent.sigev_signo = SIGUSR1;
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/* A sync whose end shows that the first has ended: it cannot overtake it. */
	while (aio_error(&block) == EINPROGRESS)
		sched_yield();
	memset(&block, POISON_BYTE, sizeof(block));
	EXPECT_EQ(5, signal_next(&self->signals).si_value.sival_int);
	EXPECT_TRUE(signal_none(&self->signals));
}

/* POSIX: aio_error(), aio_return() and aio_suspend() may be called in a handler. */
static struct aiocb handled_block;
static volatile sig_atomic_t handled_error, handled_result, handled_suspend;

static void handler(int signal)
{
	const struct aiocb *list[] = { &handled_block };

	(void)signal;
	handled_error = aio_error(&handled_block);
	handled_suspend = aio_suspend(list, 1, NULL);
	handled_result = aio_return(&handled_block);
}

TEST_F(notify, handler_of_the_signal_takes_the_result)
{
	struct sigaction action = { .sa_handler = handler };
	sigset_t none;
	int i;

	need(sigaction(SIGNAL, &action, NULL) == 0);
	sigemptyset(&none);
	handled_block = signalling_block(self->s.file, SIGNAL, 0);
	for (i = 0; i < 50; i++) {
		handled_error = 77;
		handled_result = 77;
		handled_suspend = 77;
		if (i % 2)
			sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
		ASSERT_EQ(0, sync_queue(O_SYNC, &handled_block));
		/* Unblocks the signal while it waits. */
		need(sigsuspend(&none) == -1);
		EXPECT_EQ(i % 2 ? EIO : 0, handled_error);
		EXPECT_EQ(i % 2 ? -1 : 0, handled_result);
		EXPECT_EQ(0, handled_suspend);
	}
}

/* --- thread --- */

struct heard {
	struct turn turn;
	const struct aiocb *block;
	pthread_t thread;
	void *value;
	size_t stack;
	size_t guard;
	int detach;
	int error;
	pid_t tid;
};

static void notified(union sigval value)
{
	struct heard *heard = value.sival_ptr;
	pthread_attr_t attr;

	heard->thread = pthread_self();
	heard->tid = thread_id();
	heard->value = value.sival_ptr;
	heard->error = aio_error(heard->block);
	need(pthread_getattr_np(pthread_self(), &attr) == 0);
	pthread_attr_getstacksize(&attr, &heard->stack);
	pthread_attr_getguardsize(&attr, &heard->guard);
	pthread_attr_getdetachstate(&attr, &heard->detach);
	pthread_attr_destroy(&attr);
	turn_post(&heard->turn);
}

static struct aiocb calling_block(int fd, struct heard *heard, pthread_attr_t *attr)
{
	struct aiocb block = block_of(fd);

	block.aio_sigevent.sigev_notify = SIGEV_THREAD;
	block.aio_sigevent.sigev_notify_function = notified;
	block.aio_sigevent.sigev_notify_attributes = attr;
	block.aio_sigevent.sigev_value.sival_ptr = heard;
	memset(heard, POISON_BYTE, sizeof(*heard));
	turn_init(&heard->turn);
	return block;
}

TEST_F(notify, thread_gets_the_value_in_a_thread_of_its_own)
{
	struct heard heard;
	struct aiocb block = calling_block(self->s.file, &heard, NULL);

	heard.block = &block;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	turn_wait(&heard.turn, 1);
	EXPECT_EQ(&heard, heard.value);
	EXPECT_NE(thread_id(), heard.tid);
	EXPECT_EQ(0, heard.error);
	EXPECT_EQ(PTHREAD_CREATE_DETACHED, heard.detach);
	EXPECT_EQ(0, block_end(&block));
}

TEST_F(notify, attributes_of_the_thread_are_honoured)
{
	const size_t stack = 3 << 20, guard = 64 << 10;
	struct heard heard;
	pthread_attr_t attr;
	struct aiocb block;

	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setstacksize(&attr, stack) == 0);
	need(pthread_attr_setguardsize(&attr, guard) == 0);
	block = calling_block(self->s.file, &heard, &attr);
	heard.block = &block;
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	turn_wait(&heard.turn, 1);
	EXPECT_EQ(stack, heard.stack);
	EXPECT_EQ(guard, heard.guard);
	EXPECT_EQ(0, block_end(&block));
	pthread_attr_destroy(&attr);
}

/* The attributes are part of the copy at the call. */
TEST_F(notify, attributes_may_go_as_soon_as_the_call_has_returned)
{
	const size_t stack = 3 << 20;
	struct heard heard;
	pthread_attr_t attr;
	struct aiocb block;

	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setstacksize(&attr, stack) == 0);
	block = calling_block(self->s.file, &heard, &attr);
	heard.block = &block;
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	need(pthread_attr_destroy(&attr) == 0);
	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setstacksize(&attr, 2 * stack) == 0);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	turn_wait(&heard.turn, 1);
	EXPECT_EQ(stack, heard.stack);
	EXPECT_EQ(0, block_end(&block));
	pthread_attr_destroy(&attr);
}

/* What the function of a notification sees of its thread. */
struct place {
	struct turn turn;
	void *local;
	cpu_set_t cpus;
	sigset_t mask;
};

static void look_around(union sigval value)
{
	struct place *place = value.sival_ptr;

	place->local = __builtin_frame_address(0);
	need(sched_getaffinity(0, sizeof(place->cpus), &place->cpus) == 0);
	need(pthread_sigmask(SIG_BLOCK, NULL, &place->mask) == 0);
	turn_post(&place->turn);
}

static void notify_at(int fd, struct place *place, pthread_attr_t *attr)
{
	struct aiocb block = block_of(fd);

	memset(place, 0, sizeof(*place));
	turn_init(&place->turn);
	block.aio_sigevent.sigev_notify = SIGEV_THREAD;
	block.aio_sigevent.sigev_notify_function = look_around;
	block.aio_sigevent.sigev_notify_attributes = attr;
	block.aio_sigevent.sigev_value.sival_ptr = place;
	need(sync_queue(O_SYNC, &block) == 0);
	need(block_end(&block) == 0);
	turn_wait(&place->turn, 1);
}

TEST_F(notify, thread_runs_on_the_stack_that_the_program_gave_it)
{
	const size_t size = 1 << 20;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct place place;
	pthread_attr_t attr;

	need(stack != MAP_FAILED);
	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setstack(&attr, stack, size) == 0);
	notify_at(self->s.file, &place, &attr);
	EXPECT_LE((uintptr_t)stack, (uintptr_t)place.local);
	EXPECT_GT((uintptr_t)stack + size, (uintptr_t)place.local);
	pthread_attr_destroy(&attr);
}

TEST_F(notify, thread_has_the_cpus_and_the_signal_mask_of_the_attributes)
{
	struct place place;
	pthread_attr_t attr;
	sigset_t mask;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu) == 0);
	need(pthread_attr_setsigmask_np(&attr, &mask) == 0);
	notify_at(self->s.file, &place, &attr);
	EXPECT_TRUE(CPU_EQUAL(&cpu, &place.cpus));
	EXPECT_EQ(1, sigismember(&place.mask, SIGUSR2));
	EXPECT_EQ(0, sigismember(&place.mask, SIGUSR1));
	pthread_attr_destroy(&attr);
}

/* A CPU that does not exist: EINVAL of pthread_create(3). */
TEST_F(notify, thread_that_cannot_have_its_cpus_runs_on_others)
{
	struct place place;
	pthread_attr_t attr;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(CPU_SETSIZE - 1, &cpu);
	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu) == 0);
	notify_at(self->s.file, &place, &attr);
	EXPECT_FALSE(CPU_EQUAL(&cpu, &place.cpus));
	pthread_attr_destroy(&attr);
}

TEST_F(notify, missing_function_is_einval)
{
	struct aiocb block = block_of(self->s.file);

	block.aio_sigevent.sigev_notify = SIGEV_THREAD;
	EXPECT_EQ(-EINVAL, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* A refused call notifies neither now nor later. */
TEST_F(notify, refused_call_creates_no_thread)
{
	long long limit = parameter("max_user_requests");
	struct aiocb block, first = block_of(self->s.file);
	struct heard heard, again;

	ASSERT_EQ(0, sync_now(O_SYNC, self->s.file));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	parameter_set("max_user_requests", 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &first));
	block = calling_block(self->s.file, &heard, NULL);
	EXPECT_EQ(-EAGAIN, sync_queue(O_SYNC, &block));
	parameter_set("max_user_requests", limit);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&first));
	/* A later notification comes, and the first did not come before it. */
	block = calling_block(self->s.file, &again, NULL);
	again.block = &block;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	turn_wait(&again.turn, 1);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(0, poll(&(struct pollfd) { .fd = heard.turn.fds[0], .events = POLLIN }, 1, 0));
}

/* A function that waits blocks no other notification. */
static void waits_for_a_turn(union sigval value)
{
	struct turn *turns = value.sival_ptr;

	turn_post(&turns[0]);
	turn_wait(&turns[1], 1);
	turn_post(&turns[0]);
}

TEST_F(notify, function_that_waits_does_not_hold_up_other_syncs)
{
	struct aiocb block = block_of(self->s.file);
	struct turn turns[2];

	turn_init(&turns[0]);
	turn_init(&turns[1]);
	block.aio_sigevent.sigev_notify = SIGEV_THREAD;
	block.aio_sigevent.sigev_notify_function = waits_for_a_turn;
	block.aio_sigevent.sigev_value.sival_ptr = turns;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	turn_wait(&turns[0], 1);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	EXPECT_EQ(0, block_end(&block));
	turn_post(&turns[1]);
	turn_wait(&turns[0], 1);
}

/* A user who may not have the requested scheduling (EPERM) is notified all the same. */
TEST_F(notify, thread_that_may_not_be_scheduled_as_asked_for_runs_without_that)
{
	struct sched_param param = { .sched_priority = 1 };
	struct rlimit none = {};
	struct aiocb blocks[8];
	struct heard heard[8];
	pthread_attr_t attr;
	pid_t pid;
	int i;

	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED) == 0);
	need(pthread_attr_setschedpolicy(&attr, SCHED_FIFO) == 0);
	need(pthread_attr_setschedparam(&attr, &param) == 0);
	need(pthread_attr_setstacksize(&attr, 3 << 20) == 0);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(setrlimit(RLIMIT_RTPRIO, &none) == 0);
		need(setresuid(1000, 1000, 1000) == 0);
		for (i = 0; i < 8; i++) {
			blocks[i] = calling_block(self->s.file, &heard[i], &attr);
			heard[i].block = &blocks[i];
			need(sync_queue(O_SYNC, &blocks[i]) == 0);
		}
		need(sync_now(O_SYNC, self->s.file) == 0);
		for (i = 0; i < 8; i++) {
			turn_wait(&heard[i].turn, 1);
			need(heard[i].stack == 3 << 20);
			need(block_end(&blocks[i]) == 0);
		}
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* Even thousands of them: if the order were kept, each one would delay the others. */
TEST_F(notify, threads_that_cannot_be_had_hold_up_no_request_and_no_other_thread)
{
	static struct aiocb blocks[1000];
	struct heard heard, unheard;
	struct aiocb block;
	pthread_attr_t attr;
	int i;

	need(pthread_attr_init(&attr) == 0);
	need(pthread_attr_setstacksize(&attr, 1UL << (sizeof(long) * 8 - 4)) == 0);
	for (i = 0; i < 1000; i++) {
		blocks[i] = calling_block(self->s.file, &unheard, &attr);
		close(unheard.turn.fds[0]);
		close(unheard.turn.fds[1]);
		ASSERT_EQ(0, sync_queue(O_SYNC, &blocks[i]));
	}
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, block_end(&blocks[i]));
	block = calling_block(self->s.file, &heard, NULL);
	heard.block = &block;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	turn_wait(&heard.turn, 1);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	pthread_attr_destroy(&attr);
}

/* As many threads as the program may have: the notification comes when one more is possible. */
TEST_F(notify, thread_that_cannot_be_had_yet_comes_later)
{
	struct rlimit none = {}, old;
	struct aiocb block;
	struct heard heard;
	pid_t pid;

	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(setresuid(1000, 1000, 1000) == 0);
		need(getrlimit(RLIMIT_NPROC, &old) == 0);
		none.rlim_max = old.rlim_max;
		block = calling_block(self->s.file, &heard, NULL);
		heard.block = &block;
		sim_hold(self->s.ctl, SIM_GATE_FSYNC);
		need(sync_queue(O_SYNC, &block) == 0);
		need(setrlimit(RLIMIT_NPROC, &none) == 0);
		sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
		need(block_end(&block) == 0);
		need(sync_now(O_SYNC, self->s.file) == 0);
		/* Another notification cannot be promised now. */
		need(poll(&(struct pollfd) { .fd = heard.turn.fds[0], .events = POLLIN },
			  1, 0) == 0);
		need(setrlimit(RLIMIT_NPROC, &old) == 0);
		turn_wait(&heard.turn, 1);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* EAGAIN, and nothing is queued, if the notification is impossible. */
TEST_F(notify, thread_that_nobody_could_ever_create_is_eagain_at_the_call)
{
	struct rlimit none = {}, old;
	struct aiocb block;
	struct heard heard;
	pid_t pid;

	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(setresuid(1000, 1000, 1000) == 0);
		need(sync_now(O_SYNC, self->s.file) == 0);
		need(getrlimit(RLIMIT_NPROC, &old) == 0);
		none.rlim_max = old.rlim_max;
		need(setrlimit(RLIMIT_NPROC, &none) == 0);
		block = calling_block(self->s.file, &heard, NULL);
		heard.block = &block;
		need(sync_queue(O_SYNC, &block) == -EAGAIN);
		need(setrlimit(RLIMIT_NPROC, &old) == 0);
		need(sync_queue(O_SYNC, &block) == 0);
		turn_wait(&heard.turn, 1);
		need(block_end(&block) == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* The child does not wait for the parent's requests. */
TEST_F(notify, child_of_a_fork_gets_its_own_threads)
{
	struct heard heard, other_heard;
	struct aiocb block, mine;
	int other;
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	block = calling_block(self->s.file, &heard, NULL);
	heard.block = &block;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		other = world_open(&self->s.world, "other", O_RDWR);
		mine = calling_block(other, &other_heard, NULL);
		other_heard.block = &mine;
		need(sync_queue(O_SYNC, &mine) == 0);
		turn_wait(&other_heard.turn, 1);
		_exit(block_end(&mine) != 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	turn_wait(&heard.turn, 1);
	EXPECT_EQ(0, block_end(&block));
}

/* --- thread id --- */

struct listener {
	struct turn turns[2];
	sigset_t signals;
	siginfo_t info;
	pid_t tid;
};

static void *listener_thread(void *arg)
{
	struct listener *listener = arg;

	listener->tid = thread_id();
	turn_post(&listener->turns[0]);
	turn_wait(&listener->turns[1], 1);
	listener->info = signal_next(&listener->signals);
	return NULL;
}

/* Whether a signal is pending for that thread alone. */
static bool signal_pends(pid_t tid, int signal)
{
	char path[64], *text, *at;
	bool pends;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	text = text_read(path);
	at = strstr(text, "SigPnd:");
	need(at);
	pends = strtoull(at + 7, NULL, 16) >> (signal - 1) & 1;
	free(text);
	return pends;
}

TEST_F(notify, thread_id_sends_the_signal_to_that_thread_alone)
{
	struct listener listener = { .signals = self->signals };
	struct aiocb block = signalling_block(self->s.file, SIGNAL, 11);
	bool alone, shared = false;
	pthread_t thread;

	turn_init(&listener.turns[0]);
	turn_init(&listener.turns[1]);
	thread = thread_start(listener_thread, &listener);
	turn_wait(&listener.turns[0], 1);
	block.aio_sigevent.sigev_notify = SIGEV_THREAD_ID;
	block.aio_sigevent._sigev_un._tid = listener.tid;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	/* All threads block it, so it stays pending where it was sent. */
	do {
		alone = signal_pends(listener.tid, SIGNAL);
		shared = !alone && !signal_none(&self->signals);
	} while (!alone && !shared);
	ASSERT_TRUE(alone);
	turn_post(&listener.turns[1]);
	thread_join(thread);
	EXPECT_EQ(SIGNAL, listener.info.si_signo);
	EXPECT_EQ(SI_ASYNCIO, listener.info.si_code);
	EXPECT_EQ(11, listener.info.si_value.sival_int);
	EXPECT_TRUE(signal_none(&self->signals));
	EXPECT_EQ(0, block_end(&block));
}

/* --- other threads and signals --- */

/* All threads of the program block it: no thread of the library may be there to take it. */
TEST_F(notify, signals_of_the_process_do_not_end_up_in_threads_of_the_library)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	int other = world_open(&self->s.world, "other", O_RDWR);

	/* Its default action would end the process. */
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, sync_now(O_SYNC, other));
	need(kill(getpid(), SIGUSR1) == 0);
	EXPECT_EQ(SIGUSR1, signal_next(&self->signals).si_signo);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	close(other);
}

/* --- all other members --- */

/* AIX, illumos: all other members of the structure are ignored. */
TEST_F(notify, all_other_members_are_ignored)
{
	struct aiocb block = block_of(self->s.file);

	block.aio_offset = -1;
	block.aio_buf = (void *)1;
	block.aio_nbytes = SIZE_MAX;
	block.aio_lio_opcode = 12345;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(0, sim_last_call(self->s.ctl).start);
	EXPECT_EQ(LLONG_MAX, sim_last_call(self->s.ctl).end);
	block.aio_lio_opcode = LIO_NOP;
	block.aio_nbytes = 0;
	ASSERT_EQ(0, sync_queue(O_DSYNC, &block));
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_HARNESS_MAIN
