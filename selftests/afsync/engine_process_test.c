// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes, on both engines of libafsync: a process that ends with work in flight,
 * however it ends, hangs nowhere and leaves nothing; fork works beside syncs; signals are
 * delivered to threads of the program; the threads of the library exist only while they
 * are needed.
 */
#include "engine.h"

FIXTURE(process) {
	struct scene s;
	int lifeline[2];	/* its end is open as long as anything of a child lives */
};

FIXTURE_ENGINES(process);

FIXTURE_SETUP(process)
{
	SCENE_SETUP(&self->s, variant->engine, 8);
	need(pipe2(self->lifeline, O_CLOEXEC) == 0);
	/* The children make rings of their own: none is shared over a fork. */
	afsync_queue_exit(self->s.ring);
	self->s.ring = NULL;
}

FIXTURE_TEARDOWN(process)
{
	close(self->lifeline[0]);
	if (self->lifeline[1] >= 0)
		close(self->lifeline[1]);
	/* Its unmount shows that no file was left behind. */
	scene_close(&self->s);
}

/* --- the end of a process --- */

enum end { BY_EXIT, BY_RETURN_OF_A_THREAD, BY__EXIT, BY_SIGKILL, BY_EXEC, NR_ENDS };

static void *exit_0(void *unused)
{
	(void)unused;
	exit(0);
}

/* A child with one sync that is held, and more that wait, one of them held by flag. */
static void child_ends(struct scene *scene, enum end end)
{
	struct afsync_ring *ring = new_ring(scene, 8);
	int i;

	for (i = 0; i < 3; i++)
		queue(ring, scene->file, AFSYNC_OP_FSYNC, i);
	queue(ring, scene->file, AFSYNC_OP_SYNCFS, 3);
	queue_held(ring, scene->file, 4);
	syncs_wait_started(scene->ctl, SIM_GATE_FSYNC, 1);
	switch (end) {
	case BY_EXIT:
		exit(0);
	case BY_RETURN_OF_A_THREAD:
		thread_join(thread_start(exit_0, NULL));
		break;
	case BY__EXIT:
		_exit(0);
	case BY_SIGKILL:
		kill(getpid(), SIGKILL);
		break;
	default:
		execl("/bin/true", "true", NULL);
	}
	_exit(1);
}

static void expect_clean_end(struct __test_metadata *_metadata, struct scene *scene,
			     int *lifeline, enum end end)
{
	pid_t pid;
	char c;

	gate_close(scene->ctl, SIM_GATE_FSYNC);
	pid = fork();
	need(pid >= 0);
	if (!pid)
		child_ends(scene, end);
	close(lifeline[1]);
	lifeline[1] = -1;
	syncs_wait_started(scene->ctl, SIM_GATE_FSYNC, 1);
	/* The kernel waits for a running sync; user space does not. */
	if (is_device(scene))
		gate_open(scene->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(end == BY_SIGKILL ? 128 + SIGKILL : 0, child_wait(pid));
	EXPECT_EQ(0, read(lifeline[0], &c, 1));
	gate_open(scene->ctl, SIM_GATE_FSYNC);
}

TEST_F(process, exit_with_work_in_flight_leaves_nothing)
{
	expect_clean_end(_metadata, &self->s, self->lifeline, BY_EXIT);
}

TEST_F(process, exit_in_another_thread_with_work_in_flight_leaves_nothing)
{
	expect_clean_end(_metadata, &self->s, self->lifeline, BY_RETURN_OF_A_THREAD);
}

TEST_F(process, _exit_with_work_in_flight_leaves_nothing)
{
	expect_clean_end(_metadata, &self->s, self->lifeline, BY__EXIT);
}

TEST_F(process, SIGKILL_with_work_in_flight_leaves_nothing)
{
	expect_clean_end(_metadata, &self->s, self->lifeline, BY_SIGKILL);
}

TEST_F(process, exec_with_work_in_flight_leaves_nothing)
{
	expect_clean_end(_metadata, &self->s, self->lifeline, BY_EXEC);
}

static void *kill_asleep(void *arg)
{
	pid_t *pid = arg;

	thread_wait_asleep(*pid);
	need(kill(*pid, SIGKILL) == 0);
	return NULL;
}

TEST_F(process, SIGKILL_ends_a_wait)
{
	struct afsync_cqe *cqe;
	pthread_t thread;
	pid_t pid;

	pid = fork();
	need(pid >= 0);
	if (!pid) {
		afsync_wait_cqe(new_ring(&self->s, 8), &cqe);
		_exit(1);
	}
	thread = thread_start(kill_asleep, &pid);
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	thread_join(thread);
}

/* --- fork --- */

struct worker {
	const struct scene *scene;
	int file;
	bool stop;
};

static void *sync_all_the_time(void *arg)
{
	struct worker *worker = arg;
	struct afsync_ring *ring = new_ring(worker->scene, 8);

	while (!__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
		prepare(ring, worker->file, 1);
		need(afsync_submit_and_wait(ring, 1) == 1);
		need(next_cqe(ring).res == 0);
	}
	afsync_queue_exit(ring);
	return NULL;
}

TEST_F(process, child_of_a_fork_beside_syncs_has_rings_of_its_own_and_ends)
{
	struct worker worker = { .scene = &self->s, .file = self->s.file };
	pthread_t threads[2];
	struct afsync_ring *ring;
	unsigned int i;
	pid_t pid;

#ifdef __SANITIZE_ADDRESS__
	SKIP(return, "AddressSanitizer of GCC 12 forks with its allocator's lock held by a thread");
#endif
	for (i = 0; i < 2; i++)
		threads[i] = thread_start(sync_all_the_time, &worker);
	for (i = 0; i < rounds(16); i++) {
		pid = fork();
		need(pid >= 0);
		if (!pid) {
			if (i % 2) {
				ring = new_ring(&self->s, 8);
				queue(ring, self->s.file, AFSYNC_OP_FSYNC, i);
				need(next_cqe(ring).user_data == i);
				afsync_queue_exit(ring);
			}
			/* exit() runs the library's destructors, too. */
			exit(0);
		}
		ASSERT_EQ(0, child_wait(pid));
	}
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		thread_join(threads[i]);
}

TEST_F(process, fork_with_work_in_flight_takes_nothing_from_the_parent)
{
	struct afsync_ring *ring = new_ring(&self->s, 8);
	pid_t pid;
	int i;

	self->s.ring = ring;
	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	queue(ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	for (i = 0; i < 3; i++) {
		pid = fork();
		need(pid >= 0);
		if (!pid)
			_exit(0);
		EXPECT_EQ(0, child_wait(pid));
	}
	queue(ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, next_cqe(ring).user_data);
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* A ring of the device is shared instead: fork_test.c. */
TEST(ring_of_threads_is_EBADF_in_the_child_and_unharmed_in_the_parent)
{
	struct afsync_cqe *cqe;
	struct scene s;
	int event, fd;
	pid_t pid;

	SCENE_SETUP(&s, AFSYNC_INIT_THREADS, 8);
	event = eventfd(0, EFD_CLOEXEC);
	fd = afsync_ring_fd(s.ring);
	need(event >= 0 && fd >= 0);
	hold_one(&s, AFSYNC_OP_FSYNC, 1);
	queue_held(s.ring, s.file, 2);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		prepare(s.ring, s.file, 3);
		need(LIB(afsync_submit(s.ring)) == -EBADF);
		need(LIB(afsync_wait_cqe(s.ring, &cqe)) == -EBADF);
		need(LIB(afsync_start(s.ring, 2)) == -EBADF);
		need(LIB(afsync_cancel_all(s.ring)) == -EBADF);
		need(LIB(afsync_register_eventfd(s.ring, event)) == -EBADF);
		need(LIB(afsync_ring_fd(s.ring)) == -EBADF);
		afsync_queue_exit(s.ring);
		need(fcntl(fd, F_GETFD) < 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(fd, afsync_ring_fd(s.ring));
	EXPECT_EQ(1, LIB(afsync_start(s.ring, 2)));
	gate_open(s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(1, next_cqe(s.ring).user_data);
	EXPECT_EQ(2, next_cqe(s.ring).user_data);
	close(event);
	scene_close(&s);
}

/* --- threads --- */

static unsigned int nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int n = 0;

	need(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static volatile sig_atomic_t strayed;

static void stray_handler(int sig)
{
	strayed = sig;
}

/* All signals for which a handler can be installed, except those of the C library. */
static bool is_testable(int sig)
{
	struct sigaction action;

	return sig != SIGKILL && sig != SIGSTOP && !sigaction(sig, NULL, &action);
}

TEST_F(process, signals_of_the_process_are_never_taken_by_a_thread_of_the_library)
{
	struct sigaction action = { .sa_handler = stray_handler };
	sigset_t all, pending;
	int sig;

	for (sig = 1; sig <= SIGRTMAX; sig++)
		if (is_testable(sig))
			need(sigaction(sig, &action, NULL) == 0);
	/* The threads begin while nothing is blocked, and then the program blocks all. */
	self->s.ring = new_ring(&self->s, 8);
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	need(afsync_ring_fd(self->s.ring) >= 0);
	sigfillset(&all);
	need(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	for (sig = 1; sig <= SIGRTMAX; sig++)
		if (is_testable(sig))
			need(kill(getpid(), sig) == 0);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 2));
	EXPECT_EQ(0, strayed);
	need(sigpending(&pending) == 0);
	for (sig = 1; sig <= SIGRTMAX; sig++)
		if (is_testable(sig) && sig != SIGCONT)
			EXPECT_EQ(1, sigismember(&pending, sig)) TH_LOG("signal %d", sig);
}

TEST_F(process, there_is_no_thread_before_the_first_request_and_none_when_all_is_idle)
{
	need(nr_threads() == 1);
	self->s.ring = new_ring(&self->s, 8);
	prepare(self->s.ring, self->s.file, 1);
	EXPECT_EQ(1, nr_threads());
	need(afsync_submit(self->s.ring) == 1);
	need(next_cqe(self->s.ring).res == 0);
	if (is_device(&self->s))
		EXPECT_EQ(1, nr_threads());
	/* Idle threads end after some time, ring or no ring. */
	while (nr_threads() != 1)
		poll(NULL, 0, 10);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	afsync_queue_exit(self->s.ring);
	self->s.ring = NULL;
	while (nr_threads() != 1)
		poll(NULL, 0, 10);
}

TEST_HARNESS_MAIN
