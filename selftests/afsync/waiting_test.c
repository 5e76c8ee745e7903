// SPDX-License-Identifier: GPL-2.0-only
/*
 * P13 waiting: minimum counts, timeouts, signals and signal masks of the waiting ioctl,
 * waiting in the submit, and poll and epoll on the ring. eventfd_test.c has the eventfd.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <sys/epoll.h>
#include <sys/select.h>

#define FILES	6

/* For files that can be held one by one, so that completions come one by one. */
FIXTURE(wait) {
	struct stage s;
	int files[FILES];
};

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	handled = sig;
}

static void handle(int sig, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	need(sigaction(sig, &action, NULL) == 0);
	handled = 0;
}

static __u64 mask_of(int sig)
{
	return 1ULL << (sig - 1);
}

FIXTURE_SETUP(wait)
{
	char name[16];
	int i;

	STAGE_SETUP(&self->s, "afsync_sim", 8);
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		self->files[i] = world_open(&self->s.world, name, O_RDWR);
		sim_hold(self->files[i], SIM_GATE_FSYNC);
	}
}

FIXTURE_TEARDOWN(wait)
{
	int i;

	for (i = 0; i < FILES; i++)
		sim_let_go(self->files[i], SIM_GATE_FSYNC);
	ring_close(&self->s.ring);
	self->s.ring.fd = -1;
	for (i = 0; i < FILES; i++)
		close(self->files[i]);
	stage_close(&self->s);
}

static void queue_all(struct ring *ring, const int *files)
{
	int i;

	for (i = 0; i < FILES; i++)
		need(ring_queue(ring, files[i], AFSYNC_OP_FSYNC, i) == 1);
}

/* A thread in one wait. */
struct waiter {
	int fd;
	struct afsync_wait wait;
	int ret;
	pid_t tid;
	pthread_t thread;
	struct turn ready;
};

static void *waiter_thread(void *arg)
{
	struct waiter *waiter = arg;

	waiter->tid = thread_id();
	turn_post(&waiter->ready);
	waiter->ret = command(waiter->fd, AFSYNC_IOC_WAIT, &waiter->wait);
	return NULL;
}

/* Returns when the thread sleeps in the wait. */
static void waiter_start(struct waiter *waiter, struct ring *ring)
{
	waiter->fd = ring->fd;
	turn_init(&waiter->ready);
	waiter->thread = thread_start(waiter_thread, waiter);
	turn_wait(&waiter->ready, 1);
	thread_wait_in(waiter->tid, SYS_ioctl);
}

TEST_F(wait, wait_returns_when_the_minimum_is_there_and_not_before)
{
	struct waiter waiter = { .wait.min_complete = 3 };
	int i;

	queue_all(&self->s.ring, self->files);
	waiter_start(&waiter, &self->s.ring);
	for (i = 0; i < 2; i++)
		sim_let_go(self->files[i], SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 2);
	/* Woken or not, it continues to sleep with two. */
	thread_wait_in(waiter.tid, SYS_ioctl);
	sim_let_go(self->files[2], SIM_GATE_FSYNC);
	thread_join(waiter.thread);
	EXPECT_EQ(3, waiter.ret);
}

TEST_F(wait, several_waiters_each_get_their_minimum)
{
	struct waiter waiters[4] = {};
	int i;

	queue_all(&self->s.ring, self->files);
	for (i = 0; i < 4; i++) {
		waiters[i].wait.min_complete = 4 - i;
		waiter_start(&waiters[i], &self->s.ring);
	}
	for (i = 0; i < 4; i++) {
		sim_let_go(self->files[i], SIM_GATE_FSYNC);
		thread_join(waiters[3 - i].thread);
		EXPECT_GE(waiters[3 - i].ret, i + 1);
	}
}

TEST_F(wait, minimum_of_zero_returns_the_count_at_once)
{
	EXPECT_EQ(0, afsync_cmd_wait(self->s.ring.fd, 0, 0, 0, 0));
	queue_all(&self->s.ring, self->files);
	EXPECT_EQ(0, afsync_cmd_wait(self->s.ring.fd, 0, 0, 0, 0));
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	EXPECT_EQ(1, afsync_cmd_wait(self->s.ring.fd, 1, 0, 0, 0));
	EXPECT_EQ(1, afsync_cmd_wait(self->s.ring.fd, 0, 0, 0, 0));
}

TEST_F(wait, minimum_of_the_whole_ring_is_possible_and_more_is_not)
{
	int i;

	EXPECT_EQ(-EINVAL, afsync_cmd_wait(self->s.ring.fd, 9, 0, 0, 0));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	EXPECT_EQ(8, afsync_cmd_wait(self->s.ring.fd, 8, 0, 0, 0));
}

TEST_F(wait, timeout_of_zero_only_looks)
{
	queue_all(&self->s.ring, self->files);
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 1);
	EXPECT_EQ(1, afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 2, AFSYNC_WAIT_TIMEOUT, 0, 0));
}

TEST_F(wait, relative_timeout_ends_the_wait_and_not_too_early)
{
	__u64 begin = now_ns();

	queue_all(&self->s.ring, self->files);
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_TIMEOUT,
					  20000000, 0));
	EXPECT_GE(now_ns() - begin, 20000000);
}

TEST_F(wait, absolute_timeout_is_a_time_of_the_monotonic_clock)
{
	__u32 flags = AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME;
	__u64 deadline = now_ns() + 20000000;

	queue_all(&self->s.ring, self->files);
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 1, flags, deadline, 0));
	EXPECT_GE(now_ns(), deadline);
	/* A deadline in the past, and the start of time. */
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 1, flags, deadline, 0));
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 1, flags, 0, 0));
	/* A distant deadline: the completion comes first. */
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	EXPECT_EQ(1, afsync_cmd_wait(self->s.ring.fd, 1, flags, now_ns() + FOREVER_NS, 0));
}

/* The clock of its children is @seconds ahead of this one. */
static bool clock_of_children_ahead(long seconds)
{
	char text[64];
	int fd, n;

	if (unshare(CLONE_NEWTIME) && (errno == EINVAL || errno == ENOSYS))
		return false;
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "monotonic %ld 0\n", seconds);
	need(fd >= 0 && write(fd, text, n) == n);
	close(fd);
	return true;
}

/* In the first, the machine's clock has passed the deadline, in the second it is far away. */
TEST_F(wait, absolute_timeout_is_a_time_of_the_callers_time_namespace)
{
	__u32 flags = AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME;
	long day = 24 * 60 * 60;
	int ring = self->s.ring.fd;
	struct turn far;
	pid_t pid;

	if (!clock_of_children_ahead(-(long)(now_ns() / SEC_NS)))
		SKIP(return, "the kernel has no time namespaces");
	turn_init(&far);
	queue_all(&self->s.ring, self->files);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(now_ns() < 60 * SEC_NS);
		turn_post(&far);
		_exit(afsync_cmd_wait(ring, 1, flags, now_ns() + FOREVER_NS, 0) != 1);
	}
	turn_wait(&far, 1);
	thread_wait_in(pid, SYS_ioctl);
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	EXPECT_EQ(0, child_wait(pid));
	ring_next(&self->s.ring);

	need(clock_of_children_ahead(day));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(now_ns() > day * SEC_NS);
		_exit(afsync_cmd_wait(ring, 1, flags, now_ns() + 1000, 0) != -ETIME);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(wait, largest_timeouts_do_not_overflow)
{
	static const __u32 flags[] = {
		AFSYNC_WAIT_TIMEOUT, AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME,
	};
	static const __u64 times[] = { ~0ULL, 1ULL << 63, LLONG_MAX, LLONG_MAX - 1 };
	struct waiter waiter;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (j = 0; j < ARRAY_SIZE(times); j++) {
			memset(&waiter, 0, sizeof(waiter));
			waiter.wait.min_complete = 1;
			waiter.wait.flags = flags[i];
			waiter.wait.timeout_ns = times[j];
			ASSERT_EQ(1, ring_queue(&self->s.ring, self->files[0],
						AFSYNC_OP_FSYNC, 1));
			waiter_start(&waiter, &self->s.ring);
			sim_step(self->files[0], SIM_GATE_FSYNC, 1);
			thread_join(waiter.thread);
			EXPECT_EQ(1, waiter.ret);
			ring_next(&self->s.ring);
		}
	}
}

TEST_F(wait, signal_without_SA_RESTART_ends_the_wait_with_EINTR)
{
	struct waiter waiter = { .wait.min_complete = 1 };

	handle(SIGUSR1, 0);
	queue_all(&self->s.ring, self->files);
	waiter_start(&waiter, &self->s.ring);
	need(pthread_kill(waiter.thread, SIGUSR1) == 0);
	thread_join(waiter.thread);
	EXPECT_EQ(-EINTR, waiter.ret);
	EXPECT_EQ(SIGUSR1, handled);
}

TEST_F(wait, signal_with_SA_RESTART_goes_on_waiting)
{
	struct waiter waiter = { .wait.min_complete = 1 };

	handle(SIGUSR1, SA_RESTART);
	queue_all(&self->s.ring, self->files);
	waiter_start(&waiter, &self->s.ring);
	need(pthread_kill(waiter.thread, SIGUSR1) == 0);
	while (!handled)
		sched_yield();
	thread_wait_in(waiter.tid, SYS_ioctl);
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	thread_join(waiter.thread);
	EXPECT_EQ(1, waiter.ret);
}

TEST_F(wait, rest_of_a_relative_timeout_is_written_back_when_a_signal_ends_the_wait)
{
	struct waiter waiter = { .wait = {
		.min_complete = 1, .flags = AFSYNC_WAIT_TIMEOUT, .timeout_ns = FOREVER_NS,
	} };
	__u64 begin, passed;

	handle(SIGUSR1, 0);
	queue_all(&self->s.ring, self->files);
	begin = now_ns();
	waiter_start(&waiter, &self->s.ring);
	need(pthread_kill(waiter.thread, SIGUSR1) == 0);
	thread_join(waiter.thread);
	passed = now_ns() - begin;
	EXPECT_EQ(-EINTR, waiter.ret);
	EXPECT_LT(waiter.wait.timeout_ns, FOREVER_NS);
	EXPECT_GE(waiter.wait.timeout_ns, FOREVER_NS - passed);
	EXPECT_EQ(1, waiter.wait.min_complete);
	EXPECT_EQ(AFSYNC_WAIT_TIMEOUT, waiter.wait.flags);
}

TEST_F(wait, absolute_timeout_is_left_alone_by_a_signal)
{
	__u64 deadline = now_ns() + FOREVER_NS;
	struct waiter waiter = { .wait = {
		.min_complete = 1, .flags = AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME,
		.timeout_ns = deadline,
	} };

	handle(SIGUSR1, 0);
	queue_all(&self->s.ring, self->files);
	waiter_start(&waiter, &self->s.ring);
	need(pthread_kill(waiter.thread, SIGUSR1) == 0);
	thread_join(waiter.thread);
	EXPECT_EQ(-EINTR, waiter.ret);
	EXPECT_EQ(deadline, waiter.wait.timeout_ns);
}

TEST_F(wait, restarted_wait_goes_on_with_what_is_left_of_its_timeout)
{
	struct waiter waiter = { .wait = {
		.min_complete = 1, .flags = AFSYNC_WAIT_TIMEOUT, .timeout_ns = SEC_NS / 2,
	} };
	__u64 begin = now_ns();

	/* If each signal restarted the timeout, this would never end. */
	handle(SIGUSR1, SA_RESTART);
	queue_all(&self->s.ring, self->files);
	waiter_start(&waiter, &self->s.ring);
	while (pthread_tryjoin_np(waiter.thread, NULL) == EBUSY) {
		need(pthread_kill(waiter.thread, SIGUSR1) == 0);
		sched_yield();
	}
	EXPECT_EQ(-ETIME, waiter.ret);
	EXPECT_GE(now_ns() - begin, SEC_NS / 2);
}

TEST_F(wait, deadly_signal_ends_the_wait_at_once)
{
	struct turn ready;
	pid_t pid;

	turn_init(&ready);
	queue_all(&self->s.ring, self->files);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		turn_post(&ready);
		afsync_cmd_wait(self->s.ring.fd, 1, 0, 0, 0);
		_exit(1);
	}
	turn_wait(&ready, 1);
	thread_wait_in(pid, SYS_ioctl);
	need(kill(pid, SIGKILL) == 0);
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
}

static void block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

static bool is_blocked(int sig)
{
	sigset_t set;

	need(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0);
	return sigismember(&set, sig);
}

TEST_F(wait, signal_mask_lets_a_blocked_signal_end_the_wait_even_with_SA_RESTART)
{
	int flags;

	queue_all(&self->s.ring, self->files);
	block(SIGUSR1);
	for (flags = 0; flags < 2; flags++) {
		handle(SIGUSR1, flags ? SA_RESTART : 0);
		raise(SIGUSR1);
		need(!handled);
		EXPECT_EQ(-EINTR, afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_SIGMASK,
						  0, mask_of(SIGUSR2)));
		EXPECT_EQ(SIGUSR1, handled);
		/* The thread's own mask is back. */
		EXPECT_TRUE(is_blocked(SIGUSR1));
		EXPECT_FALSE(is_blocked(SIGUSR2));
	}
}

TEST_F(wait, signal_mask_keeps_a_signal_from_ending_the_wait)
{
	handle(SIGUSR1, 0);
	queue_all(&self->s.ring, self->files);
	block(SIGUSR1);
	raise(SIGUSR1);
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_SIGMASK |
					  AFSYNC_WAIT_TIMEOUT, 1000, mask_of(SIGUSR1)));
	EXPECT_EQ(0, handled);
	EXPECT_TRUE(is_blocked(SIGUSR1));
}

TEST_F(wait, completions_that_are_there_win_over_a_signal)
{
	handle(SIGUSR1, 0);
	queue_all(&self->s.ring, self->files);
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 1);
	block(SIGUSR1);
	raise(SIGUSR1);
	EXPECT_EQ(1, afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_SIGMASK, 0, 0));
	/* It is still pending, as after ppoll(2). */
	EXPECT_EQ(0, handled);
	EXPECT_TRUE(is_blocked(SIGUSR1));
}

TEST_F(wait, signal_mask_cannot_block_SIGKILL)
{
	struct turn ready;
	pid_t pid;

	turn_init(&ready);
	queue_all(&self->s.ring, self->files);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		turn_post(&ready);
		afsync_cmd_wait(self->s.ring.fd, 1, AFSYNC_WAIT_SIGMASK, 0, ~0ULL);
		_exit(1);
	}
	turn_wait(&ready, 1);
	thread_wait_in(pid, SYS_ioctl);
	need(kill(pid, SIGKILL) == 0);
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
}

/* --- submit and wait in one call --- */

static int submit_and_wait(struct ring *ring, struct afsync_submit *submit)
{
	submit->flags |= AFSYNC_SUBMIT_WAIT;
	return command(ring->fd, AFSYNC_IOC_SUBMIT, submit);
}

TEST_F(wait, submit_waits_for_its_completions)
{
	struct afsync_sqe sqes[3];
	struct afsync_submit submit = submit_of(sqes, 3);
	int i;

	for (i = 0; i < 3; i++)
		sqes[i] = sqe_of(self->s.file, AFSYNC_OP_FSYNC, i);
	submit.min_complete = 3;
	EXPECT_EQ(3, submit_and_wait(&self->s.ring, &submit));
	EXPECT_EQ(0, submit.error);
	EXPECT_EQ(0, submit.wait_result);
	EXPECT_EQ(3, ring_ready(&self->s.ring));
}

TEST_F(wait, submit_whose_wait_times_out_says_what_it_queued)
{
	struct afsync_sqe sqe = sqe_of(self->files[0], AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = submit_of(&sqe, 1);

	submit.min_complete = 1;
	submit.wait_flags = AFSYNC_WAIT_TIMEOUT;
	submit.timeout_ns = 1000;
	EXPECT_EQ(1, submit_and_wait(&self->s.ring, &submit));
	EXPECT_EQ(-ETIME, submit.wait_result);
	EXPECT_EQ(0, submit.error);

	submit.wait_flags |= AFSYNC_WAIT_ABSTIME;
	EXPECT_EQ(1, submit_and_wait(&self->s.ring, &submit));
	EXPECT_EQ(-ETIME, submit.wait_result);
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 2);
}

TEST_F(wait, submit_whose_wait_is_interrupted_says_what_it_queued_and_is_not_restarted)
{
	struct afsync_sqe sqe = sqe_of(self->files[0], AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = submit_of(&sqe, 1);

	handle(SIGUSR1, SA_RESTART);
	block(SIGUSR1);
	raise(SIGUSR1);
	submit.min_complete = 1;
	submit.wait_flags = AFSYNC_WAIT_SIGMASK | AFSYNC_WAIT_TIMEOUT;
	submit.timeout_ns = FOREVER_NS;
	EXPECT_EQ(1, submit_and_wait(&self->s.ring, &submit));
	EXPECT_EQ(-EINTR, submit.wait_result);
	EXPECT_EQ(SIGUSR1, handled);
	EXPECT_TRUE(is_blocked(SIGUSR1));
	EXPECT_LT(submit.timeout_ns, FOREVER_NS);
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 1);
	EXPECT_EQ(1, ring_ready(&self->s.ring));
}

TEST_F(wait, submit_that_queued_only_a_part_does_not_wait)
{
	struct afsync_sqe sqes[2] = {
		sqe_of(self->files[0], AFSYNC_OP_FSYNC, 1),
		sqe_of(-1, AFSYNC_OP_FSYNC, 2),
	};
	struct afsync_submit submit = submit_of(sqes, 2);

	/* The first is held: a wait would not return. */
	submit.min_complete = 1;
	EXPECT_EQ(1, submit_and_wait(&self->s.ring, &submit));
	EXPECT_EQ(-EBADF, submit.error);
	EXPECT_EQ(0, submit.wait_result);
}

TEST_F(wait, submit_of_nothing_that_waits_is_a_wait)
{
	struct afsync_submit submit = submit_of(NULL, 0);

	submit.min_complete = 1;
	submit.wait_flags = AFSYNC_WAIT_TIMEOUT;
	EXPECT_EQ(-ETIME, submit_and_wait(&self->s.ring, &submit));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	submit.wait_flags = 0;
	EXPECT_EQ(1, submit_and_wait(&self->s.ring, &submit));

	handle(SIGUSR1, SA_RESTART);
	block(SIGUSR1);
	raise(SIGUSR1);
	submit.min_complete = 2;
	submit.wait_flags = AFSYNC_WAIT_SIGMASK | AFSYNC_WAIT_TIMEOUT;
	submit.timeout_ns = FOREVER_NS;
	EXPECT_EQ(-EINTR, submit_and_wait(&self->s.ring, &submit));
	EXPECT_LT(submit.timeout_ns, FOREVER_NS);
}

/* --- poll --- */

static int poll_now(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT };

	need(poll(&pollfd, 1, 0) >= 0);
	return pollfd.revents;
}

TEST_F(wait, ring_is_readable_while_it_has_unread_completions)
{
	struct afsync_cqe cqe;

	EXPECT_EQ(0, poll_now(self->s.ring.fd));
	queue_all(&self->s.ring, self->files);
	EXPECT_EQ(0, poll_now(self->s.ring.fd));
	sim_let_go(self->files[0], SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 1);
	EXPECT_EQ(POLLIN, poll_now(self->s.ring.fd));
	ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
	EXPECT_EQ(0, poll_now(self->s.ring.fd));
}

static void *poll_thread(void *arg)
{
	struct waiter *waiter = arg;
	struct pollfd pollfd = { .fd = waiter->fd, .events = POLLIN };

	waiter->tid = thread_id();
	turn_post(&waiter->ready);
	/* Not poll(), which is that call on some machines only. */
	waiter->ret = ppoll(&pollfd, 1, NULL, NULL);
	return NULL;
}

TEST_F(wait, sleeping_poll_is_woken_after_the_entry_can_be_seen)
{
	struct waiter waiter = { .fd = self->s.ring.fd };
	struct afsync_cqe cqe;
	unsigned int i, n = rounds(200);

	turn_init(&waiter.ready);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->files[0], AFSYNC_OP_FSYNC, i));
		waiter.thread = thread_start(poll_thread, &waiter);
		turn_wait(&waiter.ready, 1);
		thread_wait_in(waiter.tid, SYS_ppoll);
		sim_step(self->files[0], SIM_GATE_FSYNC, 1);
		thread_join(waiter.thread);
		ASSERT_EQ(1, waiter.ret);
		ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
		ASSERT_EQ(i, cqe.user_data);
	}
}

TEST_F(wait, epoll_works_level_and_edge_triggered)
{
	int level = epoll_create1(EPOLL_CLOEXEC), edge = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	struct afsync_cqe cqe;
	int i;

	ASSERT_EQ(0, epoll_ctl(level, EPOLL_CTL_ADD, self->s.ring.fd, &event));
	event.events = EPOLLIN | EPOLLET;
	ASSERT_EQ(0, epoll_ctl(edge, EPOLL_CTL_ADD, self->s.ring.fd, &event));
	queue_all(&self->s.ring, self->files);
	EXPECT_EQ(0, epoll_wait(level, &event, 1, 0));
	EXPECT_EQ(0, epoll_wait(edge, &event, 1, 0));
	for (i = 0; i < 3; i++) {
		sim_let_go(self->files[i], SIM_GATE_FSYNC);
		EXPECT_EQ(1, epoll_wait(edge, &event, 1, -1));
		EXPECT_EQ(EPOLLIN, event.events);
		EXPECT_EQ(1, epoll_wait(level, &event, 1, -1));
		EXPECT_EQ(1, epoll_wait(level, &event, 1, -1));
		/* An edge is reported once. */
		EXPECT_EQ(0, epoll_wait(edge, &event, 1, 0));
	}
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
	EXPECT_EQ(0, epoll_wait(level, &event, 1, 0));
	close(level);
	close(edge);
}

TEST_F(wait, select_works)
{
	fd_set set;

	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	FD_ZERO(&set);
	FD_SET(self->s.ring.fd, &set);
	EXPECT_EQ(1, select(self->s.ring.fd + 1, &set, NULL, NULL, NULL));
	EXPECT_TRUE(FD_ISSET(self->s.ring.fd, &set));
}

TEST(poll_without_a_ring_is_an_error)
{
	int fd = device_open();

	EXPECT_EQ(POLLERR, poll_now(fd));
	close(fd);
}

TEST_HARNESS_MAIN
