// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio in any process: one context used by several threads, contexts by the
 * hundred, a program that forks, ends, destroys its contexts or closes descriptors that
 * are not its own, all of it with syncs that run, are queued or wait.
 *
 * Needs afsync_sim; the tests with direct I/O need root, loop devices and the device
 * mapper.
 */
#include "aio_common.h"

#include <dirent.h>
#include <sys/ptrace.h>

FIXTURE(process) {
	struct aio_stage s;
	struct iocb iocb;
};

FIXTURE_SETUP(process)
{
	AIO_STAGE_SETUP(&self->s, 64);
}

FIXTURE_TEARDOWN(process)
{
	aio_stage_close(&self->s);
}

/* Threads */

#define THREADS		8
#define SLOTS		16

/* A thread that submits writes and syncs, and reaps the events that it gets. */
struct worker {
	struct aio_stage *s;
	pthread_t thread;
	unsigned int seed;
	struct iocb iocbs[SLOTS];
	char free[SLOTS];	/* 1: free; the thread that reaps its event sets it */
	unsigned int submitted;
	unsigned int reaped;
	unsigned int bad;
};

static unsigned int rounds_left;

static void worker_reap(struct worker *w)
{
	struct timespec soon = { 0, 1000000 };
	struct io_event events[8];
	int ret, i;

	ret = io_getevents(w->s->ctx, 1, 8, events, &soon);
	if (ret < 0)
		w->bad++;
	for (i = 0; i < ret; i++) {
		if ((long)events[i].res < 0)
			w->bad++;
		/* a slot that was already free: one event too many */
		if (__atomic_exchange_n((char *)events[i].data, 1, __ATOMIC_ACQ_REL))
			w->bad++;
		w->reaped++;
	}
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	struct iocb *iocb;
	int slot = 0, ret;
	char byte[1] = "x";

	while (__atomic_sub_fetch(&rounds_left, 1, __ATOMIC_RELAXED) < INT_MAX) {
		for (; !__atomic_load_n(&w->free[slot], __ATOMIC_ACQUIRE);
		     slot = (slot + 1) % SLOTS)
			worker_reap(w);
		iocb = &w->iocbs[slot];
		if (rand_r(&w->seed) % 2)
			prep_sync(iocb, w->s->file, slot % 2);
		else
			io_prep_pwrite(iocb, w->s->file, byte, 1, 0);
		iocb->data = &w->free[slot];
		w->free[slot] = 0;
		ret = submit_one(w->s->ctx, iocb);
		if (ret == 1) {
			w->submitted++;
			continue;
		}
		w->free[slot] = 1;
		if (ret != -EAGAIN)
			w->bad++;
		worker_reap(w);
	}
	return NULL;
}

TEST_F_TIMEOUT(process, threads_that_share_a_context_get_each_event_once, LONG_TIMEOUT)
{
	struct worker *workers = calloc(THREADS, sizeof(*workers));
	unsigned int submitted = 0, reaped = 0, bad = 0;
	int i;

	need(workers);
	rounds_left = rounds(20000);
	for (i = 0; i < THREADS; i++) {
		workers[i].s = &self->s;
		workers[i].seed = i;
		memset(workers[i].free, 1, SLOTS);
		workers[i].thread = thread_start(worker_run, &workers[i]);
	}
	for (i = 0; i < THREADS; i++) {
		thread_join(workers[i].thread);
		submitted += workers[i].submitted;
		reaped += workers[i].reaped;
	}
	for (; reaped < submitted; reaped = workers[0].reaped + reaped) {
		workers[0].reaped = 0;
		worker_reap(&workers[0]);
	}
	for (i = 0; i < THREADS; i++)
		bad += workers[i].bad;
	EXPECT_EQ(0, bad);
	EXPECT_EQ(submitted, reaped);
	EXPECT_EQ(0, events_ready(self->s.ctx));
	free(workers);
}

static void *submit_in_thread(void *arg)
{
	FIXTURE_DATA(process) *self = arg;

	need(submit_sync(self->s.ctx, &self->iocb, self->s.file, false) == 1);
	return NULL;
}

TEST_F(process, sync_outlives_the_thread_that_submitted_it)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	thread_join(thread_start(submit_in_thread, self));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(&self->iocb, event_next(self->s.ctx).obj);
}

/* Contexts */

TEST_F_TIMEOUT(process, contexts_by_the_hundred_get_their_own_events, LONG_TIMEOUT)
{
	int contexts = rounds(400);
	io_context_t *ctxs = calloc(contexts, sizeof(*ctxs));
	struct iocb *iocbs = calloc(2 * contexts, sizeof(*iocbs));
	struct io_event events[2];
	char byte[1] = "x";
	int i, round;

	need(ctxs && iocbs);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < contexts; i++) {
			ctxs[i] = NULL;
			ASSERT_EQ(0, io_setup(4, &ctxs[i]));
		}
		sim_hold(self->s.ctl, SIM_GATE_FSYNC);
		for (i = 0; i < contexts; i++) {
			io_prep_pwrite(&iocbs[2 * i], self->s.file, byte, 1, 0);
			ASSERT_EQ(1, submit_one(ctxs[i], &iocbs[2 * i]));
			ASSERT_EQ(1, submit_sync(ctxs[i], &iocbs[2 * i + 1], self->s.file,
						 i % 2));
		}
		sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
		for (i = contexts - 1; i >= 0; i--) {
			events_wait(ctxs[i], events, 2);
			EXPECT_EQ(&iocbs[2 * i], events[0].obj);
			EXPECT_EQ(&iocbs[2 * i + 1], events[1].obj);
			EXPECT_EQ(0, events_ready(ctxs[i]));
			EXPECT_EQ(0, io_destroy(ctxs[i]));
		}
	}
	free(ctxs);
	free(iocbs);
}

/* The address of a context is used again by the next one. */
TEST_F_TIMEOUT(process, context_that_follows_another_knows_nothing_of_it, LONG_TIMEOUT)
{
	unsigned int i, n = rounds(300), same = 0;
	io_context_t ctx, last = NULL;
	struct iocb iocbs[2];

	for (i = 0; i < n; i++) {
		ctx = NULL;
		ASSERT_EQ(0, io_setup(4, &ctx));
		same += ctx == last;
		last = ctx;
		ASSERT_EQ(1, submit_sync(ctx, &iocbs[0], self->s.file, false));
		EXPECT_EQ(&iocbs[0], event_next(ctx).obj);
		/* one has not ended when the context is destroyed */
		ASSERT_EQ(1, submit_sync(ctx, &iocbs[1], self->s.file, false));
		EXPECT_EQ(0, io_destroy(ctx));
	}
	EXPECT_LT(0, same);
}

static void *destroy(void *arg)
{
	io_context_t ctx = arg;

	return (void *)(long)io_destroy(ctx);
}

TEST_F(process, io_destroy_ends_running_and_queued_syncs)
{
	long long cancelled = counter("cancelled");
	struct iocb iocbs[20];
	io_context_t ctx = NULL;
	pthread_t thread;
	void *ret;
	int i;

	need(io_setup(32, &ctx) == 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, submit_sync(ctx, &iocbs[i], self->s.file, i % 2));
		if (!i)
			sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	}
	thread = thread_start(destroy, ctx);
	/* it cancels the queued ones, and waits for the one that runs */
	WAIT_UNTIL(counter("cancelled") == cancelled + 19);
	others_sync(self->s.other, 5);
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	need(pthread_join(thread, &ret) == 0);
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(-EINVAL, submit_sync(ctx, &iocbs[0], self->s.file, false));
	EXPECT_EQ(-EINVAL, io_destroy(ctx));
}

struct getter {
	io_context_t ctx;
	int min;
	pid_t tid;	/* 0 until it runs */
	int ret;
};

static void *get_events(void *arg)
{
	struct getter *g = arg;
	struct io_event events[4];

	__atomic_store_n(&g->tid, thread_id(), __ATOMIC_RELEASE);
	g->ret = io_getevents(g->ctx, g->min, 4, events, NULL);
	return NULL;
}

static pthread_t getter_start(struct getter *g)
{
	pthread_t thread = thread_start(get_events, g);

	while (!__atomic_load_n(&g->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	thread_wait_asleep(g->tid);
	return thread;
}

TEST_F(process, io_destroy_ends_the_wait_of_another_thread)
{
	struct getter g = { .min = 2 };
	pthread_t getter, thread;
	void *ret;

	need(io_setup(4, &g.ctx) == 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(g.ctx, &self->iocb, self->s.file, false));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	getter = getter_start(&g);
	thread = thread_start(destroy, g.ctx);
	thread_join(getter);
	EXPECT_EQ(-EINVAL, g.ret);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	need(pthread_join(thread, &ret) == 0);
	EXPECT_EQ(0, (long)ret);
}

/* Operations of a program by system calls of its own, beside the library. */
TEST_F(process, system_calls_of_the_program_itself_work_with_the_contexts_of_the_library)
{
	struct iocb iocb, *list[] = { &iocb };
	struct io_event event;
	unsigned long raw = 0;

	/* submitted by the program itself */
	prep_sync(&iocb, self->s.file, false);
	ASSERT_EQ(1, syscall(SYS_io_submit, self->s.ctx, 1, list));
	EXPECT_EQ(&iocb, event_next(self->s.ctx).obj);
	/* read by the program itself */
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	ASSERT_EQ(1, syscall(SYS_io_getevents, self->s.ctx, 1, 1, &event, NULL));
	EXPECT_EQ(&iocb, event.obj);
	EXPECT_EQ(0, event.res);
	/* a context that is unknown to the library */
	ASSERT_EQ(0, syscall(SYS_io_setup, 4, &raw));
	ASSERT_EQ(1, submit_one((io_context_t)raw, &iocb));
	event = event_next((io_context_t)raw);
	EXPECT_EQ(&iocb, event.obj);
	EXPECT_EQ(0, event.res);
	EXPECT_EQ(0, io_destroy((io_context_t)raw));
	/* and one that it knows, but whose end it does not */
	ASSERT_EQ(0, syscall(SYS_io_destroy, self->s.ctx));
	EXPECT_EQ(-EINVAL, submit_one(self->s.ctx, &iocb));
	EXPECT_EQ(-EINVAL, io_destroy(self->s.ctx));
	self->s.ctx = NULL;
	ASSERT_EQ(0, io_setup(4, &self->s.ctx));
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	EXPECT_EQ(0, event_next(self->s.ctx).res);
}

/* fork */

static int syncs_in_child(struct aio_stage *s)
{
	io_context_t ctx = NULL;
	struct io_event event;
	struct iocb iocb;

	/* contexts are not inherited */
	if (submit_sync(s->ctx, &iocb, s->other, false) != -EINVAL)
		return 1;
	if (io_setup(4, &ctx) || submit_sync(ctx, &iocb, s->other, false) != 1)
		return 2;
	event = event_next(ctx);
	if (event.obj != &iocb || event.res)
		return 3;
	return io_destroy(ctx) ? 4 : 0;
}

TEST_F(process, child_of_a_fork_has_syncs_of_its_own)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < rounds(30); i++) {
		ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, false));
		pid = fork();
		need(pid >= 0);
		if (!pid)
			_exit(syncs_in_child(&self->s));
		EXPECT_EQ(0, child_wait(pid));
		EXPECT_EQ(&self->iocb, event_next(self->s.ctx).obj);
	}
}

TEST_F(process, fork_and_the_end_of_the_child_leave_the_syncs_of_the_parent_alone)
{
	struct iocb queued;
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, false));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &queued, self->s.file, true));
	pid = fork();
	need(pid >= 0);
	if (!pid)
		exit(syncs_in_child(&self->s));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, events_ready(self->s.ctx));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(&self->iocb, event_next(self->s.ctx).obj);
	EXPECT_EQ(&queued, event_next(self->s.ctx).obj);
	EXPECT_EQ(0, self->iocb.key);
}

TEST_F_TIMEOUT(process, child_of_a_threaded_program_has_syncs_of_its_own, LONG_TIMEOUT)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	unsigned int i;
	pid_t pid;

	need(worker);
	rounds_left = 1 << 30;
	worker->s = &self->s;
	memset(worker->free, 1, SLOTS);
	worker->thread = thread_start(worker_run, worker);
	for (i = 0; i < rounds(50); i++) {
		pid = fork();
		need(pid >= 0);
		if (!pid) {
			pid = fork();
			need(pid >= 0);
			if (!pid)
				_exit(syncs_in_child(&self->s));
			_exit(child_wait(pid) ?: syncs_in_child(&self->s));
		}
		EXPECT_EQ(0, child_wait(pid));
	}
	__atomic_store_n(&rounds_left, 0, __ATOMIC_RELAXED);
	thread_join(worker->thread);
	while (worker->reaped < worker->submitted)
		worker_reap(worker);
	EXPECT_EQ(0, worker->bad);
	free(worker);
}

/* The end of the process */

FIXTURE(end) {
	struct aio_stage s;
	struct turn ready;
};

FIXTURE_VARIANT(end) {
	int how;
};

enum { EXITS, EXITS_AT_ONCE, IS_KILLED, EXECS };

FIXTURE_VARIANT_ADD(end, exit) { .how = EXITS };
FIXTURE_VARIANT_ADD(end, exit_at_once) { .how = EXITS_AT_ONCE };
FIXTURE_VARIANT_ADD(end, killed) { .how = IS_KILLED };
FIXTURE_VARIANT_ADD(end, exec) { .how = EXECS };

FIXTURE_SETUP(end)
{
	AIO_STAGE_SETUP(&self->s, 64);
	turn_init(&self->ready);
}

FIXTURE_TEARDOWN(end)
{
	aio_stage_close(&self->s);
}

static void end_with_syncs(struct aio_stage *s, struct turn *ready, int how)
{
	io_context_t ctx = NULL;
	struct iocb iocbs[20];
	int i;

	need(io_setup(32, &ctx) == 0);
	for (i = 0; i < 20; i++) {
		need(submit_sync(ctx, &iocbs[i], s->file, i % 2) == 1);
		if (!i)
			sim_wait_started(s->ctl, SIM_GATE_FSYNC, 1);
	}
	turn_post(ready);
	switch (how) {
	case EXITS:
		exit(0);
	case EXITS_AT_ONCE:
		_exit(0);
	case EXECS:
		execl("/bin/true", "true", NULL);
		_exit(1);
	default:
		for (;;)
			pause();
	}
}

TEST_F(end, process_ends_with_syncs_that_run_and_are_queued)
{
	long long cancelled = counter("cancelled");
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	pid = fork();
	need(pid >= 0);
	if (!pid)
		end_with_syncs(&self->s, &self->ready, variant->how);
	turn_wait(&self->ready, 1);
	if (variant->how == IS_KILLED)
		need(kill(pid, SIGKILL) == 0);
	/* the queued ones are cancelled, and the call waits for the one that runs */
	WAIT_UNTIL(counter("cancelled") == cancelled + 19);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(variant->how == IS_KILLED ? 128 + SIGKILL : 0, child_wait(pid));
	EXPECT_EQ(1, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	others_sync(self->s.other, 5);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, counter("in_flight"));
}

/* Descriptors that are not the program's */

/* The library's descriptor of the device, or -1. */
static int device_descriptor(void)
{
	char path[300], target[32] = "";
	struct dirent *entry;
	int found = -1;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	need(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) > 0 &&
		    !strcmp(target, DEVICE))
			found = atoi(entry->d_name);
	}
	closedir(dir);
	return found;
}

TEST_F(process, descriptor_of_the_device_is_out_of_the_way_and_closed_on_exec)
{
	int fd;

	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, false));
	event_next(self->s.ctx);
	fd = device_descriptor();
	ASSERT_LE(512, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

/* As daemons do: everything from 3 on is closed, even the library's descriptors. */
TEST_F(process, syncs_go_on_when_the_program_has_closed_all_descriptors)
{
	struct io_event event;
	struct iocb queued;
	int i, fd;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, false));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &queued, self->s.file, false));
	fd = device_descriptor();
	ASSERT_EQ(0, syscall(SYS_close_range, 300, ~0U, 0));
	EXPECT_TRUE(fd < 300 || fcntl(fd, F_GETFD) < 0);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(&self->iocb, event_next(self->s.ctx).obj);
	EXPECT_EQ(&queued, event_next(self->s.ctx).obj);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, submit_sync(self->s.ctx, &queued, self->s.file, i % 2));
		event = event_next(self->s.ctx);
		EXPECT_EQ(&queued, event.obj);
		EXPECT_EQ(0, event.res);
	}
}

/*
 * Otherwise data for the device would reach the file, or the file would be closed under its
 * user.
 */
TEST_F(process, file_of_the_program_in_the_place_of_the_device_is_left_alone)
{
	int device, file, i;
	struct stat st;
	char byte[1] = "x", got[2];

	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, false));
	event_next(self->s.ctx);
	device = device_descriptor();
	ASSERT_LE(0, device);
	file = memfd_create("libaio", MFD_CLOEXEC);
	need(file >= 0 && pwrite(file, "y", 1, 0) == 1);
	need(dup2(file, device) == device);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, i % 2));
		EXPECT_EQ(0, event_next(self->s.ctx).res);
		io_prep_pwrite(&self->iocb, self->s.file, byte, 1, 0);
		ASSERT_EQ(1, submit_one(self->s.ctx, &self->iocb));
		EXPECT_EQ(1, event_next(self->s.ctx).res);
	}
	EXPECT_EQ(6, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	need(fstat(file, &st) == 0);
	EXPECT_EQ(1, st.st_size);
	EXPECT_EQ(1, pread(file, got, 2, 0));
	EXPECT_EQ('y', got[0]);
	EXPECT_EQ(0, fcntl(device, F_GETFD));
	close(device);
	close(file);
}

/* A program that uses the device itself, and has closed the descriptors that it did not know. */
TEST_F(process, device_that_the_program_opened_in_that_place_is_left_alone)
{
	struct afsync_cqe cqe;
	struct ring ring;
	int device, i;

	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, false));
	event_next(self->s.ctx);
	device = device_descriptor();
	ASSERT_LE(0, device);
	ring_open(&ring, 8);
	need(dup2(ring.fd, device) == device);
	close(ring.fd);
	ring.fd = device;
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocb, self->s.file, i % 2));
		EXPECT_EQ(0, event_next(self->s.ctx).res);
		EXPECT_EQ(-EBADF, submit_sync(self->s.ctx, &self->iocb, -1, false));
	}
	EXPECT_EQ(21, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	others_sync(self->s.other, 3);
	EXPECT_EQ(0, ring_ready(&ring));
	ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, 7));
	cqe = ring_next(&ring);
	EXPECT_EQ(7, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	ring_close(&ring);
}

FIXTURE(waiting) {
	struct aio_lanes l;
	struct iocb write;
	struct iocb syncs[20];
	struct turn ready;
};

FIXTURE_SETUP(waiting)
{
	AIO_LANES_SETUP(&self->l, FS_NONE);
	turn_init(&self->ready);
}

FIXTURE_TEARDOWN(waiting)
{
	lanes_close(&self->l);
}

/* A write in flight, and syncs that wait for it. */
static void submit_waiting(FIXTURE_DATA(waiting) *self, io_context_t ctx)
{
	int i;

	prep_page_write(&self->l, &self->write, self->l.direct, LANE(0));
	need(submit_one(ctx, &self->write) == 1);
	for (i = 0; i < 20; i++)
		need(submit_sync(ctx, &self->syncs[i], self->l.direct, i % 2) == 1);
}

TEST_F(waiting, io_destroy_ends_syncs_that_wait)
{
	io_context_t ctx = NULL;
	pthread_t thread;
	void *ret;

	need(io_setup(32, &ctx) == 0);
	lane_stop(&self->l, 0);
	submit_waiting(self, ctx);
	thread = thread_start(destroy, ctx);
	others_sync(self->l.other, 10);
	lane_go(&self->l, 0);
	need(pthread_join(thread, &ret) == 0);
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(-EINVAL, io_destroy(ctx));
	EXPECT_EQ(0, counter("in_flight"));
}

TEST_F(waiting, io_destroy_ends_the_wait_of_another_thread_for_syncs_that_wait)
{
	struct getter g = { .min = 4 };
	pthread_t getter, thread;
	void *ret;

	need(io_setup(32, &g.ctx) == 0);
	lane_stop(&self->l, 0);
	submit_waiting(self, g.ctx);
	getter = getter_start(&g);
	thread = thread_start(destroy, g.ctx);
	thread_join(getter);
	/* the kernel may return events of cancelled syncs before it says so */
	EXPECT_TRUE(g.ret == -EINVAL || g.ret > 0);
	lane_go(&self->l, 0);
	need(pthread_join(thread, &ret) == 0);
	EXPECT_EQ(0, (long)ret);
}

TEST_F(waiting, process_ends_with_syncs_that_wait)
{
	io_context_t ctx = NULL;
	int i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		lane_stop(&self->l, 0);
		pid = fork();
		need(pid >= 0);
		if (!pid) {
			need(io_setup(32, &ctx) == 0);
			submit_waiting(self, ctx);
			turn_post(&self->ready);
			while (i)
				pause();
			exit(0);
		}
		turn_wait(&self->ready, 1);
		if (i)
			need(kill(pid, SIGKILL) == 0);
		others_sync(self->l.other, 10);
		lane_go(&self->l, 0);
		EXPECT_EQ(i ? 128 + SIGKILL : 0, child_wait(pid));
		EXPECT_EQ(0, counter("in_flight"));
	}
}

TEST_F(waiting, fork_leaves_the_waiting_syncs_of_the_parent_alone)
{
	pid_t pid;
	int i;

	lane_stop(&self->l, 0);
	submit_waiting(self, self->l.ctx);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		others_sync(self->l.other, 5);
		exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, events_ready(self->l.ctx));
	lane_go(&self->l, 0);
	EXPECT_EQ(&self->write, event_next(self->l.ctx).obj);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(&self->syncs[i], event_next(self->l.ctx).obj);
}

/* They cannot be started any more; each has its event all the same, with an error. */
TEST_F(waiting, syncs_that_wait_end_when_the_program_has_closed_all_descriptors)
{
	struct io_event event;
	int i;

	lane_stop(&self->l, 0);
	submit_waiting(self, self->l.ctx);
	ASSERT_EQ(0, syscall(SYS_close_range, 300, 899, 0));
	lane_go(&self->l, 0);
	EXPECT_EQ(&self->write, event_next(self->l.ctx).obj);
	for (i = 0; i < 20; i++) {
		event = event_next(self->l.ctx);
		EXPECT_NE(&self->write, event.obj);
		EXPECT_GT(0, (long)event.res);
	}
	/* and new ones are synced */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, submit_sync(self->l.ctx, &self->syncs[i], self->l.direct,
					 i % 2));
		EXPECT_EQ(0, event_next(self->l.ctx).res);
	}
}

/* Many contexts with held syncs at once: the thread in charge finds them all. */
TEST_F_TIMEOUT(waiting, syncs_that_wait_in_many_contexts_all_end, LONG_TIMEOUT)
{
	enum { CONTEXTS = 100 };
	io_context_t *ctxs = calloc(CONTEXTS, sizeof(*ctxs));
	struct iocb (*iocbs)[2] = calloc(CONTEXTS, sizeof(*iocbs));
	int i, event = eventfd(0, EFD_CLOEXEC);
	__u64 sum = 0, count;

	need(ctxs && iocbs && event >= 0);
	lane_stop(&self->l, 0);
	for (i = 0; i < CONTEXTS; i++) {
		need(io_setup(4, &ctxs[i]) == 0);
		prep_page_write(&self->l, &iocbs[i][0], self->l.direct, LANE(0));
		need(submit_one(ctxs[i], &iocbs[i][0]) == 1);
		prep_sync(&iocbs[i][1], self->l.direct, i % 2);
		io_set_eventfd(&iocbs[i][1], event);
		need(submit_one(ctxs[i], &iocbs[i][1]) == 1);
	}
	others_sync(self->l.other, 5);
	lane_go(&self->l, 0);
	/* there is no call of io_getevents() meanwhile */
	for (; sum < CONTEXTS; sum += count)
		need(read(event, &count, sizeof(count)) == sizeof(count));
	for (i = 0; i < CONTEXTS; i++) {
		EXPECT_EQ(2, events_ready(ctxs[i]));
		EXPECT_EQ(&iocbs[i][0], event_next(ctxs[i]).obj);
		EXPECT_EQ(&iocbs[i][1], event_next(ctxs[i]).obj);
		EXPECT_EQ(0, io_destroy(ctxs[i]));
	}
	close(event);
	free(ctxs);
	free(iocbs);
}

/* A process in which one thread is stopped inside io_setup() */

static struct turn setup_turn, call_turn;
static int tid_pipe[2];

static void tid_tell(void)
{
	pid_t tid = thread_id();

	need(write(tid_pipe[1], &tid, sizeof(tid)) == sizeof(tid));
}

static pid_t tid_hear(void)
{
	pid_t tid;

	need(read(tid_pipe[0], &tid, sizeof(tid)) == sizeof(tid));
	return tid;
}

static void *call_setup(void *arg)
{
	io_context_t ctx = NULL;

	(void)arg;
	tid_tell();
	turn_wait(&setup_turn, 1);
	need(io_setup(1, &ctx) == 0);
	return NULL;
}

/* Looks for a context, as each call does. */
static void *call_submit(void *arg)
{
	struct iocb iocb, *list[] = { &iocb };

	(void)arg;
	tid_tell();
	need(io_submit(NULL, 1, list) == -EINVAL);
	return NULL;
}

static void __attribute__((noreturn)) setup_and_others(void)
{
	thread_start(call_setup, NULL);
	for (;;) {
		turn_wait(&call_turn, 1);
		thread_start(call_submit, NULL);
	}
}

/* Does the thread sleep, or has it ended, before it has used a second of its CPU? */
static bool thread_rests(pid_t pid, pid_t tid)
{
	unsigned long user, system;
	char path[64], text[512], *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	for (;; sched_yield()) {
		memset(text, 0, sizeof(text));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return true;
		at = read(fd, text, sizeof(text) - 1) > 0 ? strrchr(text, ')') : NULL;
		close(fd);
		if (!at || strchr("SZX", at[2]))
			return true;
		need(sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &system) == 2);
		if (user + system > (unsigned long)sysconf(_SC_CLK_TCK))
			return false;
	}
}

/* A spinning thread with a real-time policy keeps the CPU from the stopped one. */
TEST(thread_that_is_stopped_anywhere_in_io_setup_makes_no_other_spin)
{
	int status, stops = 0;
	pid_t pid, tid;

	turn_init(&setup_turn);
	turn_init(&call_turn);
	need(pipe2(tid_pipe, O_CLOEXEC) == 0);
	pid = fork();
	need(pid >= 0);
	if (!pid)
		setup_and_others();
	tid = tid_hear();
	need(ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	need(ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0);
	turn_post(&setup_turn);
	/* Before and after each of its system calls. */
	while (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			stops++;
			turn_post(&call_turn);
			if (!thread_rests(pid, tid_hear()))
				break;
		}
		need(ptrace(PTRACE_SYSCALL, tid, 0, 0) == 0);
	}
	EXPECT_LE(2, stops);
	EXPECT_TRUE(WIFEXITED(status)) {
		TH_LOG("after %d stops", stops);
	}
	need(kill(pid, SIGKILL) == 0);
	/* The process and, if it is still traced, the thread. */
	while (waitpid(-1, &status, __WALL) > 0)
		;
}

TEST_HARNESS_MAIN
