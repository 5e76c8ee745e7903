// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio: the events of syncs come where all events of a context come, at the
 * same time as all others: through io_getevents() and io_pgetevents() with their minimum,
 * maximum, timeout and mask, on the eventfd of the request, and in the ring that the
 * kernel shares with programs that read it themselves.
 *
 * Needs afsync_sim; the tests with direct I/O need root, loop devices and the device
 * mapper.
 */
#include "aio_common.h"

#include <dlfcn.h>
#include <setjmp.h>

#define MAX	16

/* Calls of functions of the C library that a program may replace, as libfaketime does. */
static unsigned int replaced_calls;	/* atomic */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	__atomic_add_fetch(&replaced_calls, 1, __ATOMIC_RELAXED);
	return syscall(SYS_clock_gettime, clock, ts);
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
	__atomic_add_fetch(&replaced_calls, 1, __ATOMIC_RELAXED);
	return syscall(SYS_nanosleep, time, left);
}

FIXTURE(events) {
	struct aio_stage s;
	struct iocb iocbs[MAX];
	struct io_event events[MAX];
};

FIXTURE_SETUP(events)
{
	AIO_STAGE_SETUP(&self->s, 64);
}

FIXTURE_TEARDOWN(events)
{
	aio_stage_close(&self->s);
}

static void submit_syncs(FIXTURE_DATA(events) *self, int first, int count)
{
	int i;

	for (i = first; i < first + count; i++)
		need(submit_sync(self->s.ctx, &self->iocbs[i], self->s.file, i % 2) == 1);
}

/* A thread that waits in io_getevents() or io_pgetevents(). */
struct waiter {
	io_context_t ctx;
	pthread_t thread;
	pid_t tid;		/* 0 until it runs */
	long min;
	long max;
	struct timespec *timeout;
	sigset_t *mask;		/* for io_pgetevents() */
	bool done;
	int ret;
	struct io_event events[MAX];
};

static void *wait_for_events(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, thread_id(), __ATOMIC_RELEASE);
	if (w->mask)
		w->ret = io_pgetevents(w->ctx, w->min, w->max, w->events, w->timeout,
				       w->mask);
	else
		w->ret = io_getevents(w->ctx, w->min, w->max, w->events, w->timeout);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Returns when the thread waits. */
static void waiter_start(struct waiter *w)
{
	w->thread = thread_start(wait_for_events, w);
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	thread_wait_asleep(w->tid);
}

static bool waiter_done(struct waiter *w)
{
	return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

/* The call in which it waits for events. */
static long waiter_call(const struct waiter *w)
{
	return w->mask ? SYS_io_pgetevents : SYS_io_getevents;
}

/* Does the thread sleep in that system call? It may have ended, too. */
static bool thread_is_in(pid_t tid, long nr)
{
	char path[64], start[32], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	snprintf(start, sizeof(start), "%ld ", nr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return !strncmp(text, start, strlen(start));
}

/* Minimum and maximum */

TEST_F(events, no_more_events_are_returned_than_asked_for)
{
	submit_syncs(self, 0, 5);
	WAIT_UNTIL(events_ready(self->s.ctx) == 5);
	EXPECT_EQ(3, io_getevents(self->s.ctx, 0, 3, self->events, NULL));
	EXPECT_EQ(1, io_getevents(self->s.ctx, 1, 1, self->events + 3, NULL));
	EXPECT_EQ(1, events_now(self->s.ctx, self->events + 4, MAX));
	EXPECT_EQ(0, events_now(self->s.ctx, self->events, MAX));
	EXPECT_EQ(&self->iocbs[4], self->events[4].obj);
}

TEST_F(events, what_is_there_is_returned_though_it_is_more_than_the_minimum)
{
	submit_syncs(self, 0, 5);
	WAIT_UNTIL(events_ready(self->s.ctx) == 5);
	EXPECT_EQ(5, io_getevents(self->s.ctx, 1, MAX, self->events, NULL));
}

TEST_F(events, minimum_is_waited_for)
{
	struct waiter w = { .ctx = self->s.ctx, .min = 3, .max = MAX };
	int i;

	/* Each sync starts only when the one before it has ended: none is merged. */
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 3; i++) {
		submit_syncs(self, i, 1);
		if (i)
			sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
		sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, i + 1);
	}
	waiter_start(&w);
	others_sync(self->s.other, 5);
	EXPECT_FALSE(waiter_done(&w));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	thread_join(w.thread);
	EXPECT_EQ(3, w.ret);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(&self->iocbs[i], w.events[i].obj);
}

TEST_F(events, several_threads_that_wait_get_each_event_once)
{
	struct waiter w[4];
	int i, j;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	submit_syncs(self, 0, 8);
	for (i = 0; i < 4; i++) {
		w[i] = (struct waiter){ .ctx = self->s.ctx, .min = 2, .max = 2 };
		waiter_start(&w[i]);
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 4; i++) {
		thread_join(w[i].thread);
		EXPECT_EQ(2, w[i].ret);
		for (j = 0; j < w[i].ret; j++)
			((struct iocb *)w[i].events[j].obj)->data = self;
	}
	for (i = 0; i < 8; i++)
		EXPECT_EQ(self, self->iocbs[i].data);
}

/* Timeout */

TEST_F(events, timeout_of_zero_does_not_wait)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	submit_syncs(self, 0, 1);
	EXPECT_EQ(0, events_now(self->s.ctx, self->events, MAX));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	WAIT_UNTIL(events_ready(self->s.ctx));
	EXPECT_EQ(1, events_now(self->s.ctx, self->events, MAX));
}

TEST_F(events, timeout_ends_the_wait_with_what_is_there)
{
	struct timespec timeout = { 0, 100 * 1000 * 1000 };
	__u64 begun;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	submit_syncs(self, 0, 1);
	begun = now_ns();
	EXPECT_EQ(0, io_getevents(self->s.ctx, 1, MAX, self->events, &timeout));
	EXPECT_LE(100 * 1000 * 1000, now_ns() - begun);

	/* the event of another file comes, that of the held sync does not */
	prep_sync(&self->iocbs[1], self->s.other, false);
	ASSERT_EQ(1, submit_one(self->s.ctx, &self->iocbs[1]));
	WAIT_UNTIL(events_ready(self->s.ctx) == 1);
	begun = now_ns();
	EXPECT_EQ(1, io_getevents(self->s.ctx, 2, MAX, self->events, &timeout));
	EXPECT_LE(100 * 1000 * 1000, now_ns() - begun);
	EXPECT_EQ(&self->iocbs[1], self->events[0].obj);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(&self->iocbs[0], event_next(self->s.ctx).obj);
}

TEST_F(events, events_end_the_wait_before_the_timeout)
{
	struct timespec timeout = { FOREVER_NS / SEC_NS, 0 };

	submit_syncs(self, 0, 2);
	EXPECT_EQ(2, io_getevents(self->s.ctx, 2, MAX, self->events, &timeout));
}

/* io_queue_wait(): it asks for no event and takes none, in libaio as well. */
TEST_F(events, io_queue_wait_takes_no_event)
{
	struct timespec timeout = { 0, 1000 };
	int (*queue_wait)(io_context_t ctx, struct timespec *timeout);

	/* libaio exports it, and libaio.h has it in a comment */
	queue_wait = (void *)dlsym(RTLD_DEFAULT, "io_queue_wait");
	ASSERT_TRUE(queue_wait);
	submit_syncs(self, 0, 1);
	EXPECT_EQ(0, queue_wait(self->s.ctx, &timeout));
	EXPECT_EQ(&self->iocbs[0], event_next(self->s.ctx).obj);
	EXPECT_EQ(0, queue_wait(self->s.ctx, NULL));
	EXPECT_EQ(-EINVAL, queue_wait(NULL, &timeout));
}

/* Signals */

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

static void handle_usr1(void)
{
	struct sigaction action = { .sa_handler = handler };

	need(sigaction(SIGUSR1, &action, NULL) == 0);
	handled = 0;
}

TEST_F(events, signal_interrupts_the_wait)
{
	struct waiter w = { .ctx = self->s.ctx, .min = 1, .max = MAX };

	handle_usr1();
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	submit_syncs(self, 0, 1);
	waiter_start(&w);
	while (!waiter_done(&w)) {
		pthread_kill(w.thread, SIGUSR1);
		sched_yield();
	}
	thread_join(w.thread);
	EXPECT_EQ(-EINTR, w.ret);
	EXPECT_LT(0, handled);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(&self->iocbs[0], event_next(self->s.ctx).obj);
}

TEST_F(events, io_pgetevents_lets_through_the_signals_of_its_mask_only)
{
	struct waiter w = { .ctx = self->s.ctx, .min = 1, .max = MAX };
	sigset_t usr1, none, old, all;

	handle_usr1();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigemptyset(&none);
	sigfillset(&all);
	need(pthread_sigmask(SIG_BLOCK, &usr1, &old) == 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	submit_syncs(self, 0, 1);

	/* blocked for the thread, not while it waits */
	need(raise(SIGUSR1) == 0);
	EXPECT_EQ(0, handled);
	EXPECT_EQ(-EINTR, io_pgetevents(self->s.ctx, 1, MAX, self->events, NULL, &none));
	EXPECT_EQ(1, handled);

	/* the reverse */
	need(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
	w.mask = &all;
	waiter_start(&w);
	need(pthread_kill(w.thread, SIGUSR1) == 0);
	others_sync(self->s.other, 5);
	EXPECT_FALSE(waiter_done(&w));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	thread_join(w.thread);
	EXPECT_EQ(1, w.ret);
	EXPECT_EQ(&self->iocbs[0], w.events[0].obj);
	EXPECT_EQ(2, handled);
}

/* Exits with 0 if the wait ends with the sync, otherwise with the error of the wait. */
static void wait_without_a_mask(int file)
{
	struct io_event event;
	io_context_t ctx = NULL;
	struct iocb iocb;
	int ret;

	need(io_setup(1, &ctx) == 0);
	need(submit_sync(ctx, &iocb, file, false) == 1);
	ret = io_pgetevents(ctx, 1, 1, &event, NULL, NULL);
	_exit(ret == 1 && event.obj == &iocb && !event.res ? 0 : 64 - ret);
}

/* The kernel ends io_getevents() with EINTR then, and lets io_pgetevents() wait again. */
TEST_F(events, io_pgetevents_waits_on_when_the_process_is_stopped_and_continued)
{
	int status;
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	pid = fork();
	need(pid >= 0);
	if (!pid)
		wait_without_a_mask(self->s.file);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	thread_wait_asleep(pid);
	need(kill(pid, SIGSTOP) == 0);
	need(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	need(kill(pid, SIGCONT) == 0);
	need(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(events, io_pgetevents_without_a_mask_is_io_getevents)
{
	struct timespec zero = { 0, 0 };

	submit_syncs(self, 0, 2);
	EXPECT_EQ(2, io_pgetevents(self->s.ctx, 2, MAX, self->events, NULL, NULL));
	EXPECT_EQ(0, io_pgetevents(self->s.ctx, 0, MAX, self->events, &zero, NULL));
}

/* Requests of all kinds */

TEST_F(events, requests_of_all_kinds_end_in_one_io_getevents)
{
	char text[] = "text", got[8] = "";
	struct iovec vec = { text, 2 };
	struct iocb *list[7];
	int pipes[2], i, ret;

	need(pipe2(pipes, O_CLOEXEC) == 0);
	for (i = 0; i < 7; i++)
		list[i] = &self->iocbs[i];
	io_prep_pwrite(list[0], self->s.file, text, 4, 0);
	io_prep_pread(list[1], self->s.file, got, 4, 0);
	prep_sync(list[2], self->s.file, false);
	io_prep_poll(list[3], pipes[0], POLLIN);
	prep_sync(list[4], self->s.other, true);
	io_prep_pwritev(list[5], self->s.other, &vec, 1, 0);
	prep_sync(list[6], self->s.other, false);
	for (i = 0; i < 7; i++)
		list[i]->data = (void *)(long)i;
	ASSERT_EQ(7, io_submit(self->s.ctx, 7, list));
	need(write(pipes[1], "", 1) == 1);
	ret = io_getevents(self->s.ctx, 7, MAX, self->events, NULL);
	EXPECT_EQ(7, ret);
	for (i = 0; i < ret; i++) {
		static const long results[] = { 4, 4, 0, POLLIN, 0, 2, 0 };
		long nr = (long)self->events[i].data;

		EXPECT_EQ(list[nr], self->events[i].obj);
		/* the kernel may report more poll events than the request named */
		EXPECT_EQ(results[nr],
			  (long)self->events[i].res & (nr == 3 ? POLLIN : -1));
		list[nr] = NULL;	/* each of them once */
	}
	EXPECT_STREQ("text", got);
	close(pipes[0]);
	close(pipes[1]);
}

/* eventfd */

static __u64 eventfd_count(int fd)
{
	__u64 count = 0;

	if (read(fd, &count, sizeof(count)) < 0)
		need(errno == EAGAIN);
	return count;
}

TEST_F(events, eventfd_of_the_request_is_signalled_when_its_event_is_there)
{
	int one = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int two = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd pollfd = { .fd = two, .events = POLLIN };
	int i;

	need(one >= 0 && two >= 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 3; i++) {
		prep_sync(&self->iocbs[i], self->s.file, i % 2);
		if (i)
			io_set_eventfd(&self->iocbs[i], i == 1 ? one : two);
		ASSERT_EQ(1, submit_one(self->s.ctx, &self->iocbs[i]));
	}
	others_sync(self->s.other, 5);
	EXPECT_EQ(0, eventfd_count(one));
	EXPECT_EQ(0, eventfd_count(two));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, poll(&pollfd, 1, -1));
	/* order of one file: if the last event is there, all are */
	EXPECT_EQ(3, events_now(self->s.ctx, self->events, MAX));
	EXPECT_EQ(1, eventfd_count(one));
	EXPECT_EQ(1, eventfd_count(two));
	close(one);
	close(two);
}

TEST_F(events, one_eventfd_counts_the_events_of_many_requests_of_both_kinds)
{
	int event = eventfd(0, EFD_CLOEXEC), i;
	char byte[1] = "x";
	__u64 sum = 0;

	need(event >= 0);
	for (i = 0; i < 10; i++) {
		if (i % 2)
			prep_sync(&self->iocbs[i], self->s.file, false);
		else
			io_prep_pwrite(&self->iocbs[i], self->s.file, byte, 1, 0);
		io_set_eventfd(&self->iocbs[i], event);
		ASSERT_EQ(1, submit_one(self->s.ctx, &self->iocbs[i]));
	}
	while (sum < 10)
		sum += eventfd_count(event);
	EXPECT_EQ(10, sum);
	EXPECT_EQ(10, events_now(self->s.ctx, self->events, MAX));
	close(event);
}

/* As in QEMU: the eventfd signals, the program reads the ring and never calls io_getevents(). */
TEST_F(events, program_that_reaps_the_ring_itself_finds_its_syncs_there)
{
	int event = eventfd(0, EFD_CLOEXEC), i, n = rounds(300), slot;
	struct io_event got;
	__u64 count = 0;

	need(event >= 0);
	for (i = 0; i < n; i++) {
		slot = i % MAX;
		prep_sync(&self->iocbs[slot], self->s.file, i % 2);
		io_set_eventfd(&self->iocbs[slot], event);
		ASSERT_EQ(1, submit_one(self->s.ctx, &self->iocbs[slot]));
		if (!count)
			count = eventfd_count(event);
		count--;
		got = event_reap(self->s.ctx);
		EXPECT_EQ(&self->iocbs[slot], got.obj);
		EXPECT_EQ(0, got.res);
	}
	EXPECT_EQ(0, events_ready(self->s.ctx));
	close(event);
}

FIXTURE(waiting) {
	struct aio_lanes l;
	struct iocb writes[LANES * LANE_PAGES];
	struct iocb syncs[LANES * LANE_PAGES];
};

FIXTURE_SETUP(waiting)
{
	AIO_LANES_SETUP(&self->l, FS_NONE);
}

FIXTURE_TEARDOWN(waiting)
{
	lanes_close(&self->l);
}

/* A sync that waits for the write of its number, with an eventfd or -1. */
static void write_and_sync(FIXTURE_DATA(waiting) *self, int nr, int event)
{
	write_begin(&self->l, &self->writes[nr], RIG_BAD + nr);
	prep_sync(&self->syncs[nr], self->l.direct, nr % 2);
	if (event >= 0)
		io_set_eventfd(&self->syncs[nr], event);
	need(submit_one(self->l.ctx, &self->syncs[nr]) == 1);
}

TEST_F(waiting, sync_behind_a_write_ends_for_a_program_that_only_waits_on_its_eventfd)
{
	int event = eventfd(0, EFD_CLOEXEC), i;

	need(event >= 0);
	for (i = 0; i < (int)rounds(20); i++) {
		lane_stop(&self->l, 0);
		write_and_sync(self, 0, event);
		others_sync(self->l.other, 2);
		lane_go(&self->l, 0);
		ASSERT_EQ(1, eventfd_count(event));
		ASSERT_EQ(2, events_ready(self->l.ctx));
		ASSERT_EQ(&self->writes[0], event_reap(self->l.ctx).obj);
		ASSERT_EQ(&self->syncs[0], event_reap(self->l.ctx).obj);
	}
	close(event);
}

TEST_F(waiting, sync_behind_a_write_ends_for_a_program_that_only_looks_at_the_ring)
{
	int i;

	for (i = 0; i < (int)rounds(20); i++) {
		lane_stop(&self->l, 0);
		write_and_sync(self, 0, -1);
		others_sync(self->l.other, 2);
		ASSERT_EQ(0, events_ready(self->l.ctx));
		lane_go(&self->l, 0);
		WAIT_UNTIL(events_ready(self->l.ctx) == 2);
		ASSERT_EQ(&self->writes[0], event_reap(self->l.ctx).obj);
		ASSERT_EQ(&self->syncs[0], event_reap(self->l.ctx).obj);
	}
}

TEST_F(waiting, minimum_counts_writes_and_the_syncs_that_wait_for_them)
{
	struct waiter w = { .ctx = self->l.ctx, .min = 8, .max = MAX };
	int i;

	lane_stop(&self->l, 0);
	for (i = 0; i < LANE_PAGES; i++)
		write_and_sync(self, i, -1);
	waiter_start(&w);
	others_sync(self->l.other, 5);
	EXPECT_FALSE(waiter_done(&w));
	lane_go(&self->l, 0);
	thread_join(w.thread);
	EXPECT_EQ(2 * LANE_PAGES, w.ret);
}

TEST_F(waiting, timeout_ends_the_wait_for_a_sync_that_waits)
{
	struct timespec timeout = { 0, 100 * 1000 * 1000 };
	struct io_event events[MAX];
	struct iocb sync;
	__u64 begun;

	lane_stop(&self->l, 0);
	write_and_sync(self, 0, -1);
	begun = now_ns();
	ASSERT_EQ(0, io_getevents(self->l.ctx, 2, MAX, events, &timeout));
	EXPECT_LE(100 * 1000 * 1000, now_ns() - begun);
	/* the timeout does not restart after the first event */
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.other, false));
	WAIT_UNTIL(events_ready(self->l.ctx) == 1);
	begun = now_ns();
	EXPECT_EQ(1, io_getevents(self->l.ctx, 2, MAX, events, &timeout));
	EXPECT_LE(100 * 1000 * 1000, now_ns() - begun);
	EXPECT_EQ(&sync, events[0].obj);
	lane_go(&self->l, 0);
	EXPECT_EQ(2, io_getevents(self->l.ctx, 2, MAX, events, NULL));
}

TEST_F(waiting, signal_interrupts_the_wait_for_a_sync_that_waits)
{
	struct waiter w = { .ctx = self->l.ctx, .min = 2, .max = MAX };
	struct io_event events[2];

	handle_usr1();
	lane_stop(&self->l, 0);
	write_and_sync(self, 0, -1);
	waiter_start(&w);
	while (!waiter_done(&w)) {
		pthread_kill(w.thread, SIGUSR1);
		sched_yield();
	}
	thread_join(w.thread);
	ASSERT_EQ(-EINTR, w.ret);
	lane_go(&self->l, 0);
	events_wait(self->l.ctx, events, 2);
	EXPECT_EQ(&self->syncs[0], events[1].obj);
}

/* Events of a new context so far, whether they have been read or not. */
static unsigned int events_came(io_context_t ctx)
{
	return __atomic_load_n(&((const struct aio_ring *)ctx)->tail, __ATOMIC_ACQUIRE);
}

/*
 * Has the signal ended the wait? The handler has run, so the call is over; if the thread
 * waits again, the signal was swallowed, and another one ends the test's wait for it.
 */
static bool waiter_ended_by_signal(struct waiter *w)
{
	while (!handled)
		sched_yield();
	while (!waiter_done(w)) {
		if (thread_is_in(w->tid, waiter_call(w))) {
			pthread_kill(w->thread, SIGUSR1);
			thread_join(w->thread);
			return false;
		}
		sched_yield();
	}
	thread_join(w->thread);
	return true;
}

FIXTURE(signals) {
	struct aio_lanes l;
	struct iocb iocbs[3];
	struct io_event events[3];
	sigset_t none, usr1;
};

FIXTURE_VARIANT(signals) {
	bool mask;	/* the signal is let through by io_pgetevents() alone */
};

FIXTURE_VARIANT_ADD(signals, io_getevents) { .mask = false };
FIXTURE_VARIANT_ADD(signals, io_pgetevents) { .mask = true };

FIXTURE_SETUP(signals)
{
	AIO_LANES_SETUP(&self->l, FS_NONE);
	handle_usr1();
	sigemptyset(&self->none);
	sigemptyset(&self->usr1);
	sigaddset(&self->usr1, SIGUSR1);
	if (variant->mask)
		need(pthread_sigmask(SIG_BLOCK, &self->usr1, NULL) == 0);
}

FIXTURE_TEARDOWN(signals)
{
	lanes_close(&self->l);
}

/* A write, a sync that waits for it, and a write that neither of them waits for. */
static void three_submit(FIXTURE_DATA(signals) *self)
{
	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	write_begin(&self->l, &self->iocbs[0], LANE(0));
	need(submit_sync(self->l.ctx, &self->iocbs[1], self->l.direct, false) == 1);
	write_begin(&self->l, &self->iocbs[2], LANE(1));
}

static struct waiter waiter_of(FIXTURE_DATA(signals) *self, bool mask)
{
	struct waiter w = {
		.ctx = self->l.ctx,
		.min = 12,
		.max = MAX,
		.mask = mask ? &self->none : NULL,
	};

	return w;
}

TEST_F(signals, one_signal_ends_the_wait_with_the_events_that_came)
{
	struct waiter w = waiter_of(self, variant->mask);

	three_submit(self);
	waiter_start(&w);
	lane_go(&self->l, 0);
	WAIT_UNTIL(events_came(self->l.ctx) == 2);
	lane_go(&self->l, 1);
	WAIT_UNTIL(events_came(self->l.ctx) == 3);
	thread_wait_in(w.tid, waiter_call(&w));
	need(pthread_kill(w.thread, SIGUSR1) == 0);
	EXPECT_TRUE(waiter_ended_by_signal(&w));
	EXPECT_EQ(3, w.ret);
}

TEST_F(signals, signal_that_comes_with_an_event_ends_the_wait)
{
	struct waiter w;
	int i, got;

	for (i = 0; i < (int)rounds(20); i++) {
		w = waiter_of(self, variant->mask);
		handled = 0;
		three_submit(self);
		waiter_start(&w);
		thread_wait_in(w.tid, waiter_call(&w));
		lane_go(&self->l, i % 2);
		need(pthread_kill(w.thread, SIGUSR1) == 0);
		ASSERT_TRUE(waiter_ended_by_signal(&w)) {
			TH_LOG("round %d", i);
		}
		got = w.ret == -EINTR ? 0 : w.ret;
		ASSERT_LE(0, got);
		lane_go(&self->l, !(i % 2));
		events_wait(self->l.ctx, self->events, 3 - got);
	}
}

static sigjmp_buf before_the_wait;
static int left;	/* atomic: waits that the handler has left */

static void leave(int signal)
{
	(void)signal;
	__atomic_add_fetch(&left, 1, __ATOMIC_RELEASE);
	siglongjmp(before_the_wait, 1);
}

#define LEFT_WAITS	33

/* Interrupts the given thread each time it waits. */
static void *interrupt(void *arg)
{
	const struct waiter *w = arg;
	int i;

	for (i = 0; i < LEFT_WAITS; i++) {
		while (!thread_is_in(w->tid, waiter_call(w)))
			sched_yield();
		need(pthread_kill(w->thread, SIGUSR2) == 0);
		/* Not twice: until the thread takes the signal it is still in that call. */
		WAIT_UNTIL(__atomic_load_n(&left, __ATOMIC_ACQUIRE) > i);
	}
	return NULL;
}

static void wait_and_leave(io_context_t ctx)
{
	struct io_event event;

	if (sigsetjmp(before_the_wait, 1))
		return;
	fprintf(stderr, "# io_getevents() ended: %d\n", io_getevents(ctx, 1, 1, &event, NULL));
	need(false);
}

/*
 * The library keeps 9 MiB of address space for a context that large. The measured size must
 * not grow for another reason: the threads are made before, and allocate nothing.
 */
TEST_F(waiting, wait_that_a_handler_leaves_by_longjmp_keeps_no_context)
{
	struct waiter w = { .thread = pthread_self(), .tid = thread_id() };
	struct sigaction action = { .sa_handler = leave };
	long long before = 0, limit = 128 << 20;
	io_context_t ctx;
	pthread_t other;
	int i;

	need(sigaction(SIGUSR2, &action, NULL) == 0);
	lane_stop(&self->l, 0);
	write_and_sync(self, 0, -1);
	other = thread_start(interrupt, &w);
	for (i = 0; i < LEFT_WAITS; i++) {
		ctx = NULL;
		need(io_setup(16000, &ctx) == 0);
		wait_and_leave(ctx);
		need(io_destroy(ctx) == 0);
		/* the memory for the first wait stays */
		if (!i)
			before = number_read("/proc/self/statm");
	}
	thread_join(other);
	EXPECT_LT(number_read("/proc/self/statm") - before, limit / PAGE);
}

/* A deadline of a replaced clock, given to the kernel, would end at any time, or never. */
TEST_F(waiting, clock_that_the_program_has_replaced_is_not_asked)
{
	struct timespec timeout = { 0, 1000 * 1000 };
	struct io_event events[2];

	lane_stop(&self->l, 0);
	write_and_sync(self, 0, -1);
	__atomic_store_n(&replaced_calls, 0, __ATOMIC_RELAXED);
	EXPECT_EQ(0, io_getevents(self->l.ctx, 2, 2, events, &timeout));
	lane_go(&self->l, 0);
	/* The watcher starts the sync. */
	EXPECT_EQ(2, io_getevents(self->l.ctx, 2, 2, events, NULL));
	EXPECT_EQ(0, __atomic_load_n(&replaced_calls, __ATOMIC_RELAXED));
}

TEST_HARNESS_MAIN
