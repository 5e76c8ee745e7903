// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: fork, exec and exit with syncs pending, thousands outstanding, and
 * many threads.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>

FIXTURE(process) {
	struct stage s;
};

FIXTURE_SETUP(process)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(process)
{
	stage_close(&self->s);
}

/* A child that dies with the test. */
static pid_t child(void)
{
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid)
		need(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	return pid;
}

/* --- fork --- */

TEST_F(process, child_has_nothing_in_flight_and_syncs_by_itself)
{
	struct aiocb block = block_of(self->s.file), mine;
	int other;
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	pid = child();
	if (!pid) {
		/* The child does not have the parent's sync. */
		if (aio_cancel(self->s.file, NULL) != AIO_ALLDONE)
			_exit(1);
		other = world_open(&self->s.world, "other", O_RDWR);
		mine = transfer_of(other, "x", 1, 0);
		if (write_queue(&mine) || sync_now(O_SYNC, other))
			_exit(2);
		if (block_end(&mine) != 1)
			_exit(3);
		/* Its copy of the parent's block is memory like any other. */
		block = block_of(other);
		if (sync_queue(O_DSYNC, &block) || block_end(&block))
			_exit(4);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(EINPROGRESS, aio_error(&block));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(process, child_may_leave_by_any_door_and_the_parents_sync_goes_on)
{
	struct aiocb sync = block_of(self->s.file);
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	pid_t pid;
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	for (i = 0; i < 4; i++) {
		pid = child();
		if (!pid) {
			if (i == 0)
				exit(i);
			if (i == 1)
				_exit(i);
			if (i == 2)
				raise(SIGKILL);
			sync_now(O_SYNC, world_open(&self->s.world, "other", O_RDWR));
			exit(i);
		}
		EXPECT_EQ(i == 2 ? 128 + SIGKILL : i, child_wait(pid));
	}
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(1, sim_last_call(self->s.ctl).writes);
}

struct hammer {
	const struct world *world;
	bool stop;
	unsigned int wrong;
	unsigned int done;
};

static void *hammer_thread(void *arg)
{
	struct hammer *hammer = arg;
	int file = world_open(hammer->world, "file", O_RDWR);
	struct aiocb write, sync;

	while (!__atomic_load_n(&hammer->stop, __ATOMIC_RELAXED)) {
		write = transfer_of(file, "x", 1, 0);
		sync = block_of(file);
		need(write_queue(&write) == 0);
		need(sync_queue(O_DSYNC, &sync) == 0);
		hammer->wrong += block_end(&sync) != 0;
		hammer->wrong += block_end(&write) != 1;
		__atomic_fetch_add(&hammer->done, 1, __ATOMIC_RELAXED);
	}
	close(file);
	return NULL;
}

/* The child must not find a lock of the library taken. */
TEST_F_TIMEOUT(process, forks_while_threads_queue_never_hang_the_child, LONG_TIMEOUT)
{
	unsigned int i, n = rounds(100);
	struct hammer hammers[4];
	pthread_t threads[4];
	pid_t pid;

	for (i = 0; i < 4; i++) {
		hammers[i] = (struct hammer) { .world = &self->s.world };
		threads[i] = thread_start(hammer_thread, &hammers[i]);
	}
	for (i = 0; i < 4; i++)
		while (!__atomic_load_n(&hammers[i].done, __ATOMIC_RELAXED))
			sched_yield();
	for (i = 0; i < n; i++) {
		pid = child();
		if (!pid) {
			int fd = world_open(&self->s.world, "other", O_RDWR);

			_exit(sync_now(i % 2 ? O_SYNC : O_DSYNC, fd) ? 1 : 0);
		}
		ASSERT_EQ(0, child_wait(pid));
	}
	for (i = 0; i < 4; i++) {
		__atomic_store_n(&hammers[i].stop, true, __ATOMIC_RELAXED);
		thread_join(threads[i]);
		EXPECT_EQ(0, hammers[i].wrong);
		EXPECT_LT(0, hammers[i].done);
	}
}

struct first {
	int file;
	int ret;
	struct turn turn;
};

static void *first_thread(void *arg)
{
	struct first *first = arg;

	turn_wait(&first->turn, 1);
	first->ret = sync_now(O_SYNC, first->file);
	return NULL;
}

/* The first call sets the library up; a fork may come in the middle of it. */
TEST_F_TIMEOUT(process, forks_during_the_first_call_leave_each_process_its_own_syncs,
	       LONG_TIMEOUT)
{
	struct first first = { .file = self->s.file };
	unsigned int i, j, n = rounds(100);
	pid_t pid, seconds[8];
	pthread_t thread;
	int ret;

	for (i = 0; i < n; i++) {
		pid = child();
		if (!pid) {
			turn_init(&first.turn);
			thread = thread_start(first_thread, &first);
			turn_post(&first.turn);
			/* One after the other, to fork at different points of the call. */
			for (j = 0; j < 8; j++) {
				seconds[j] = child();
				if (!seconds[j])
					_exit(sync_now(O_DSYNC, self->s.file) ? 1 : 0);
			}
			thread_join(thread);
			ret = first.ret ? 2 : 0;
			for (j = 0; j < 8; j++)
				ret |= child_wait(seconds[j]);
			_exit(ret);
		}
		ASSERT_EQ(0, child_wait(pid));
	}
}

TEST_F(process, children_of_children_are_served)
{
	int depth;
	pid_t pid;

	for (depth = 0; depth < 4; depth++) {
		need(sync_now(O_SYNC, self->s.file) == 0);
		pid = child();
		if (pid)
			break;
	}
	if (depth == 4)
		_exit(0);
	if (depth)
		_exit(child_wait(pid));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(4, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* --- exec --- */

TEST_F(process, program_executed_with_syncs_pending_starts_anew)
{
	struct aiocb running, queued;
	char path[PATH_MAX], data[7] = "";
	struct turn turn;
	int other;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/other", self->s.world.dir);
	turn_init(&turn);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	pid = child();
	if (!pid) {
		running = block_of(self->s.file);
		queued = block_of(self->s.file);
		need(sync_queue(O_SYNC, &running) == 0);
		need(sync_queue(O_SYNC, &queued) == 0);
		sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
		turn_post(&turn);
		worker_exec(path);
	}
	turn_wait(&turn, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, child_wait(pid));
	other = world_open(&self->s.world, "other", O_RDONLY);
	EXPECT_EQ(6, read(other, data, 6));
	EXPECT_STREQ("worker", data);
	EXPECT_EQ(1, sim_last_call(other).writes);
	close(other);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/* A spawned program shares the parent's memory until it is executed. */
TEST_F(process, programs_spawned_with_syncs_pending_leave_them_alone)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	struct aiocb sync = block_of(self->s.file);
	char *const argv[] = { "true", NULL };
	pid_t pid;
	int i;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	for (i = 0; i < 5; i++) {
		need(posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0);
		EXPECT_EQ(0, child_wait(pid));
	}
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, self->s.file));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/* --- exit --- */

static void *last_thread(void *arg)
{
	(void)arg;
	exit(23);
}

FIXTURE(leave) {
	struct stage s;
};

FIXTURE_VARIANT(leave) {
	int how;
	int code;
	bool write;	/* the syncs wait for a write that runs */
};

FIXTURE_VARIANT_ADD(leave, exit) { .how = 0, .code = 21 };
FIXTURE_VARIANT_ADD(leave, _exit) { .how = 1, .code = 22 };
FIXTURE_VARIANT_ADD(leave, kill) { .how = 2, .code = 128 + SIGKILL };
FIXTURE_VARIANT_ADD(leave, exit_of_another_thread) { .how = 3, .code = 23 };
FIXTURE_VARIANT_ADD(leave, abort) { .how = 4, .code = 128 + SIGABRT };
FIXTURE_VARIANT_ADD(leave, exit_behind_a_write) { .how = 0, .code = 21, .write = true };
FIXTURE_VARIANT_ADD(leave, kill_behind_a_write) {
	.how = 2, .code = 128 + SIGKILL, .write = true,
};

FIXTURE_SETUP(leave)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(leave)
{
	stage_close(&self->s);
}

TEST_F(leave, process_with_syncs_pending_ends_and_leaves_nothing_behind)
{
	struct aiocb blocks[5], write;
	struct rlimit none = {};
	struct turn turn;
	pid_t pid;
	int i;

	turn_init(&turn);
	sim_hold(self->s.ctl, variant->write ? SIM_GATE_WRITE : SIM_GATE_FSYNC);
	pid = child();
	if (!pid) {
		write = transfer_of(self->s.file, "x", 1, 0);
		if (variant->write)
			need(write_queue(&write) == 0);
		for (i = 0; i < 5; i++) {
			blocks[i] = block_of(self->s.file);
			need(sync_queue(O_SYNC, &blocks[i]) == 0);
		}
		if (variant->write)
			sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
		else
			sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
		need(setrlimit(RLIMIT_CORE, &none) == 0);
		turn_post(&turn);
		switch (variant->how) {
		case 0:
			exit(21);
		case 1:
			_exit(22);
		case 2:
			raise(SIGKILL);
			break;
		case 3:
			thread_start(last_thread, NULL);
			pthread_exit(NULL);
		default:
			signal(SIGABRT, SIG_DFL);
			abort();
		}
	}
	turn_wait(&turn, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(variant->code, child_wait(pid));
	/* The teardown unmounts: nothing pins the file. */
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/*
 * When main() has returned, the control blocks on its stack are gone, and requests in
 * flight end while exit() runs: nothing may be written there. An exit handler of the
 * program can still wait for requests whose blocks it has kept.
 */
static struct {
	struct aiocb write;
	struct aiocb gone;	/* a sync whose memory is reused by then */
	struct aiocb kept;	/* a sync queued after it */
	int ctl;
	int file;
} at_exit;

static void at_exit_handler(void)
{
	struct aiocb poison;
	int wrong;

	memset(&poison, 0x5a, sizeof(poison));
	at_exit.gone = poison;
	sim_let_go(at_exit.ctl, SIM_GATE_WRITE);
	wrong = block_end(&at_exit.kept) != 0;
	wrong += 2 * (block_end(&at_exit.write) != 1);
	wrong += 4 * (memcmp(&at_exit.gone, &poison, sizeof(poison)) != 0);
	wrong += 8 * (sync_now(O_DSYNC, at_exit.file) != 0);
	_exit(wrong);
}

TEST_F(process, exit_writes_to_no_block_that_may_be_gone)
{
	pid_t pid;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	pid = child();
	if (!pid) {
		/* Before the first request, as in most programs: the handler runs late. */
		need(atexit(at_exit_handler) == 0);
		at_exit.ctl = self->s.ctl;
		at_exit.file = self->s.file;
		at_exit.write = transfer_of(self->s.file, "x", 1, 0);
		at_exit.gone = block_of(self->s.file);
		at_exit.kept = block_of(self->s.file);
		need(write_queue(&at_exit.write) == 0);
		need(sync_queue(O_SYNC, &at_exit.gone) == 0);
		need(sync_queue(O_SYNC, &at_exit.kept) == 0);
		exit(99);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* The sync belongs to the process, not to the thread that queued it. */
static void *queue_thread(void *arg)
{
	struct aiocb *block = arg;

	need(sync_queue(O_SYNC, block) == 0);
	return NULL;
}

TEST_F(process, sync_of_a_thread_that_has_ended_goes_on)
{
	struct aiocb block = block_of(self->s.file);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	thread_join(thread_start(queue_thread, &block));
	EXPECT_EQ(EINPROGRESS, aio_error(&block));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
}

/* --- many --- */

TEST_F_TIMEOUT(process, thousands_can_be_outstanding_and_each_ends_once, LONG_TIMEOUT)
{
	unsigned int i, n = rounds(4000), signals = 0;
	const struct timespec at_once = {};
	struct aiocb *blocks = calloc(n, sizeof(*blocks));
	siginfo_t info;
	sigset_t set;

	need(blocks);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < n; i++) {
		blocks[i] = block_of(self->s.file);
		if (i % 10 == 0) {
			blocks[i].aio_sigevent.sigev_notify = SIGEV_SIGNAL;
			blocks[i].aio_sigevent.sigev_signo = SIGRTMIN;
		}
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &blocks[i]));
	}
	for (i = 0; i < n; i++)
		ASSERT_EQ(EINPROGRESS, aio_error(&blocks[i]));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, block_end(&blocks[i]));
	for (i = 0; i < (n + 9) / 10; i++) {
		need(sigwaitinfo(&set, &info) == SIGRTMIN);
		signals++;
	}
	EXPECT_EQ((n + 9) / 10, signals);
	EXPECT_EQ(-1, sigtimedwait(&set, NULL, &at_once));
	free(blocks);
}

/* AIX, illumos, NetBSD: EAGAIN. No queued request is lost by it. */
TEST_F_TIMEOUT(process, more_than_there_is_room_for_is_eagain_and_room_comes_back,
	       LONG_TIMEOUT)
{
	unsigned int i, round, taken, n = 40000;
	struct aiocb *blocks = calloc(n, sizeof(*blocks));
	int ret = 0;

	need(blocks);
	for (round = 0; round < 2; round++) {
		sim_hold(self->s.ctl, SIM_GATE_FSYNC);
		for (taken = 0; taken < n; taken++) {
			blocks[taken] = block_of(self->s.file);
			ret = sync_queue(O_DSYNC, &blocks[taken]);
			if (ret)
				break;
		}
		EXPECT_EQ(-EAGAIN, ret);
		EXPECT_LE(1000, taken);
		sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
		for (i = 0; i < taken; i++)
			ASSERT_EQ(0, block_end(&blocks[i]));
	}
	free(blocks);
}

struct crowd {
	const struct world *world;
	unsigned int number;
	unsigned int count;
	unsigned int wrong;
};

/* Writes and syncs, on a file of its own and on one that all share. */
static void *crowd_thread(void *arg)
{
	struct aiocb writes[4], syncs[2];
	const struct aiocb *list[2] = { &syncs[0], &syncs[1] };
	struct crowd *crowd = arg;
	unsigned int i, j;
	int files[2];
	char name[16];

	snprintf(name, sizeof(name), "own%u", crowd->number);
	files[0] = world_open(crowd->world, name, O_RDWR);
	files[1] = world_open(crowd->world, "file", O_RDWR);
	for (i = 0; i < crowd->count; i++) {
		for (j = 0; j < 4; j++) {
			writes[j] = transfer_of(files[j % 2], "x", 1, j);
			need(write_queue(&writes[j]) == 0);
		}
		for (j = 0; j < 2; j++) {
			syncs[j] = block_of(files[j]);
			need(sync_queue(i % 2 ? O_SYNC : O_DSYNC, &syncs[j]) == 0);
		}
		need(aio_suspend(list, 2, NULL) == 0);
		if (i % 7 == 0)
			aio_cancel(files[0], NULL);
		for (j = 0; j < 2; j++) {
			int end = block_end(&syncs[j]);

			crowd->wrong += end && !(end == -ECANCELED && i % 7 == 0);
		}
		for (j = 0; j < 4; j++) {
			int end = block_end(&writes[j]);

			crowd->wrong += end != 1 && !(end == -ECANCELED && i % 7 == 0);
		}
	}
	close(files[0]);
	close(files[1]);
	return NULL;
}

TEST_F_TIMEOUT(process, sixteen_threads_write_and_sync_at_once, LONG_TIMEOUT)
{
	struct crowd crowds[16];
	pthread_t threads[16];
	int i;

	for (i = 0; i < 16; i++) {
		crowds[i] = (struct crowd) { &self->s.world, i, rounds(500), 0 };
		threads[i] = thread_start(crowd_thread, &crowds[i]);
	}
	for (i = 0; i < 16; i++) {
		thread_join(threads[i]);
		EXPECT_EQ(0, crowds[i].wrong);
	}
}

TEST_HARNESS_MAIN
