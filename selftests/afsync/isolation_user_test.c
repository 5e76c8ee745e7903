// SPDX-License-Identifier: GPL-2.0-only
/*
 * P9 isolation between users: whatever the syncs of one user do, those of another run, on
 * the same filesystem and on the same file; the number of one user's running syncs is
 * bounded over all filesystems; further requests wait without a thread and can be
 * cancelled. isolation_fuse_test.c does the same with the filesystems of an attacker.
 *
 * The ring decides the user of a request: the user that made it. Here one process makes
 * most rings, and changes its real user for that.
 *
 * Needs afsync_sim, root, and user namespaces.
 */
#include "common.h"

#include <sys/fsuid.h>
#include <sys/resource.h>

#define WORLDS		12
#define FILES		70	/* of each world: more than may run there */
#define REQUESTS	(WORLDS * FILES)

#define USER		2000
#define OTHER		3000
#define LATE		4000	/* and above: users whose first ring is made by a test */
#define SUB_IDS		100000

#define SLAB		"/sys/kernel/slab/afsync_fileq/objects"

FIXTURE(users) {
	struct world worlds[WORLDS];
	struct world idle;		/* nothing is stuck there */
	int files[WORLDS][FILES];
	struct ring ring;		/* of USER, whose syncs get stuck */
	struct ring other;
	struct ring root;
	unsigned int workers;
	long long max_user_syncs;
};

FIXTURE_SETUP(users)
{
	struct rlimit limit = { 4096, 4096 };
	char name[16];
	int i, j;

	WORLD_SETUP(&self->idle, "afsync_sim");
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	self->workers = parameter("workers_per_fs");
	self->max_user_syncs = access(PARAMETERS "max_user_syncs", F_OK) ? 0 :
			       parameter("max_user_syncs");
	for (i = 0; i < WORLDS; i++) {
		world_mount(&self->worlds[i], "afsync_sim");
		for (j = 0; j < FILES; j++) {
			snprintf(name, sizeof(name), "%d", j);
			self->files[i][j] = world_open(&self->worlds[i], name, O_RDWR);
			sim_hold(self->files[i][j], SIM_GATE_FSYNC);
		}
	}
	ring_open_as(&self->ring, USER, 2048);
	ring_open_as(&self->other, OTHER, 256);
	ring_open(&self->root, 256);
	/* A worker of the test before may not have ended yet. */
	while (fdinfo_number(self->ring.fd, "user_syncs") > 0)
		sched_yield();
}

static void let_go(int files[][FILES])
{
	int i, j;

	for (i = 0; i < WORLDS; i++)
		for (j = 0; j < FILES; j++)
			sim_let_go(files[i][j], SIM_GATE_FSYNC);
}

FIXTURE_TEARDOWN(users)
{
	int i, j;

	if (self->max_user_syncs)
		parameter_set("max_user_syncs", self->max_user_syncs);
	let_go(self->files);
	ring_close(&self->ring);
	ring_close(&self->other);
	ring_close(&self->root);
	for (i = 0; i < WORLDS; i++) {
		for (j = 0; j < FILES; j++)
			close(self->files[i][j]);
		world_unmount(&self->worlds[i]);
	}
	world_unmount(&self->idle);
}

/* How many syncs of these files have started so far. */
static unsigned int started(const int *files)
{
	unsigned int sum = 0, i;

	for (i = 0; i < FILES; i++)
		sum += sim_started(files[i], SIM_GATE_FSYNC);
	return sum;
}

static unsigned int started_in_all(int files[][FILES])
{
	unsigned int sum = 0, i;

	for (i = 0; i < WORLDS; i++)
		sum += started(files[i]);
	return sum;
}

/* Queues a sync of each file of a world, numbered from @first. */
static void queue_world(struct ring *ring, const int *files, __u64 first)
{
	struct afsync_sqe sqes[FILES];
	int i;

	for (i = 0; i < FILES; i++)
		sqes[i] = sqe_of(files[i], AFSYNC_OP_FSYNC, first + i);
	need(ring_submit(ring, sqes, FILES, NULL) == FILES);
}

/*
 * Queues the syncs of all worlds, one world after the other, each with the next of the
 * rings, which belong to one user. A filesystem gets half of the syncs that the user has
 * left, and at most workers_per_fs. Returns how many then run; all of them have started.
 */
static unsigned int fill(struct ring *rings, int nr, int files[][FILES], unsigned int limit,
			 unsigned int workers)
{
	unsigned int left = limit, expected;
	int i;

	for (i = 0; i < WORLDS; i++) {
		queue_world(&rings[i % nr], files[i], i * FILES);
		expected = (left + 1) / 2 < workers ? (left + 1) / 2 : workers;
		while (started(files[i]) < expected)
			sched_yield();
		left -= expected;
	}
	return limit - left;
}

/* Each has one completion, and none failed. */
static bool all_told_once(struct ring *rings, int nr)
{
	static unsigned int seen[REQUESTS];
	struct afsync_cqe cqe;
	int i, j;

	for (i = 0; i < WORLDS; i++) {
		for (j = 0; j < FILES; j++) {
			cqe = ring_next(&rings[i % nr]);
			if (cqe.user_data >= REQUESTS || cqe.res || seen[cqe.user_data]++)
				return false;
		}
	}
	for (i = 0; i < nr; i++)
		if (ring_ready(&rings[i]))
			return false;
	return true;
}

static int sync_now(struct ring *ring, int file, __u32 op)
{
	need(ring_queue(ring, file, op, 0) == 1);
	return ring_next(ring).res;
}

/* Every operation on files of that world that no other ring uses. */
static bool can_sync(struct ring *ring, const struct world *world)
{
	char name[32];
	bool good = true;
	int op, file;

	for (op = 0; op < 3; op++) {
		snprintf(name, sizeof(name), "free%d", op);
		file = world_open(world, name, O_RDWR);
		good &= !sync_now(ring, file, op);
		close(file);
	}
	return good;
}

TEST_F(users, stuck_syncs_of_a_user_delay_no_other_user_on_that_filesystem)
{
	queue_world(&self->ring, self->files[0], 0);
	while (started(self->files[0]) < self->workers)
		sched_yield();
	EXPECT_TRUE(can_sync(&self->root, &self->worlds[0]));
	EXPECT_TRUE(can_sync(&self->other, &self->worlds[0]));
	EXPECT_EQ(self->workers, started(self->files[0]));
}

/* Submits one and waits, so that the thread may run it itself. */
static void submit_and_wait(struct ring *ring, int file)
{
	struct afsync_sqe sqe = sqe_of(file, AFSYNC_OP_FSYNC, 0);
	struct afsync_submit submit = submit_of(&sqe, 1);

	submit.flags = AFSYNC_SUBMIT_WAIT;
	submit.min_complete = 1;
	need(command(ring->fd, AFSYNC_IOC_SUBMIT, &submit) == 1);
	need(ring_next(ring).res == 0);
}

TEST_F(users, stuck_sync_of_a_reader_does_not_delay_the_writer_of_the_file)
{
	int reader = world_open(&self->idle, "shared", O_RDONLY);
	int writer = world_open(&self->idle, "shared", O_RDWR);
	struct ring inline_ring;

	ring_open_with(&inline_ring, 8, AFSYNC_SETUP_INLINE);
	sim_hold_user(writer, SIM_GATE_FSYNC, USER);
	setfsuid(USER);
	ASSERT_EQ(1, ring_queue(&self->ring, reader, AFSYNC_OP_FSYNC, 1));
	setfsuid(0);
	sim_wait_started(writer, SIM_GATE_FSYNC, 1);

	EXPECT_EQ(0, sync_now(&self->root, writer, AFSYNC_OP_FSYNC));
	EXPECT_EQ(0, sync_now(&self->other, writer, AFSYNC_OP_FDATASYNC));
	submit_and_wait(&inline_ring, writer);
	EXPECT_EQ(3, sim_stats(writer).finished[SIM_GATE_FSYNC]);
	EXPECT_EQ(0, ring_ready(&self->ring));

	sim_let_go(writer, SIM_GATE_FSYNC);
	EXPECT_EQ(1, ring_next(&self->ring).user_data);
	ring_close(&inline_ring);
	close(reader);
	close(writer);
}

TEST_F(users, sync_of_a_reader_that_waits_for_a_worker_does_not_delay_the_writer_of_the_file)
{
	int reader = world_open(&self->worlds[0], "shared", O_RDONLY);
	int writer = world_open(&self->worlds[0], "shared", O_RDWR);

	queue_world(&self->ring, self->files[0], 0);
	while (started(self->files[0]) < self->workers)
		sched_yield();
	ASSERT_EQ(1, ring_queue(&self->ring, reader, AFSYNC_OP_FSYNC, 1000));
	EXPECT_EQ(0, sync_now(&self->root, writer, AFSYNC_OP_FSYNC));
	EXPECT_EQ(0, sync_now(&self->other, writer, AFSYNC_OP_FSYNC));
	EXPECT_EQ(2, sim_started(writer, SIM_GATE_FSYNC));
	close(reader);
	close(writer);
}

TEST_F(users, requests_of_two_users_on_one_file_are_neither_merged_nor_ordered)
{
	struct ring *rings[] = { &self->ring, &self->other };
	int file = self->files[0][0], i, j, unmerged;
	struct afsync_cqe cqe;

	/* Both run at the same time, or this never returns. */
	for (i = 0; i < 2; i++)
		ASSERT_EQ(1, ring_queue(rings[i], file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(file, SIM_GATE_FSYNC, 2);
	for (j = 1; j < 10; j++)
		for (i = 0; i < 2; i++)
			ASSERT_EQ(1, ring_queue(rings[i], file, AFSYNC_OP_FSYNC, j));
	sim_let_go(file, SIM_GATE_FSYNC);
	for (i = 0; i < 2; i++) {
		for (j = 0, unmerged = 0; j < 10; j++) {
			cqe = ring_next(rings[i]);
			EXPECT_EQ(j, cqe.user_data);
			EXPECT_EQ(0, cqe.res);
			unmerged += !(cqe.flags & AFSYNC_CQE_MERGED);
		}
		EXPECT_EQ(2, unmerged);
	}
	EXPECT_EQ(4, sim_started(file, SIM_GATE_FSYNC));
}

TEST_F(users, requests_of_one_user_on_one_file_are_one_queue_in_all_its_processes)
{
	int file = self->files[0][0], i;
	struct turn queued, go_on;
	pid_t pid;

	turn_init(&queued);
	turn_init(&go_on);
	ASSERT_EQ(1, ring_queue(&self->ring, file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(file, SIM_GATE_FSYNC, 1);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		struct ring ring;

		need(setresuid(USER, USER, USER) == 0);
		ring_open(&ring, 16);
		for (i = 1; i < 10; i++)
			need(ring_queue(&ring, file, AFSYNC_OP_FSYNC, i) == 1);
		turn_post(&queued);
		turn_wait(&go_on, 1);
		for (i = 1; i < 10; i++)
			need(ring_next(&ring).user_data == (__u64)i);
		_exit(0);
	}
	turn_wait(&queued, 1);
	ASSERT_EQ(1, ring_queue(&self->ring, file, AFSYNC_OP_FSYNC, 10));
	EXPECT_EQ(1, sim_started(file, SIM_GATE_FSYNC));
	sim_let_go(file, SIM_GATE_FSYNC);
	turn_post(&go_on);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, ring_next(&self->ring).user_data);
	EXPECT_EQ(10, ring_next(&self->ring).user_data);
	EXPECT_EQ(2, sim_started(file, SIM_GATE_FSYNC));
}

/* --- the bound over all filesystems --- */

TEST_F(users, syncs_of_a_user_are_bounded_over_all_filesystems_and_delay_nobody_else)
{
	unsigned int limit = self->max_user_syncs ?: 128, threads = kernel_threads();
	int i;

	EXPECT_EQ(limit, fdinfo_number(self->ring.fd, "user_max_syncs"));
	ASSERT_EQ(limit, fill(&self->ring, 1, self->files, limit, self->workers));
	EXPECT_EQ(limit, fdinfo_number(self->ring.fd, "user_syncs"));
	EXPECT_EQ(0, fdinfo_number(self->other.fd, "user_syncs"));
	EXPECT_EQ(0, fdinfo_number(self->root.fd, "user_syncs"));

	for (i = 0; i < WORLDS; i++) {
		EXPECT_TRUE(can_sync(&self->root, &self->worlds[i]));
		EXPECT_TRUE(can_sync(&self->other, &self->worlds[i]));
	}
	EXPECT_TRUE(can_sync(&self->root, &self->idle));
	EXPECT_TRUE(can_sync(&self->other, &self->idle));
	/* Waiting requests have no thread; the pools of the kernel have a few idle ones. */
	EXPECT_GE(threads + limit + 32, kernel_threads());
	EXPECT_EQ(limit, started_in_all(self->files));
	EXPECT_EQ(0, ring_ready(&self->ring));

	let_go(self->files);
	EXPECT_TRUE(all_told_once(&self->ring, 1));
	EXPECT_EQ(REQUESTS, started_in_all(self->files));
	while (fdinfo_number(self->ring.fd, "user_syncs"))
		sched_yield();
}

TEST_F(users, own_syncs_run_on_another_filesystem_while_seven_are_stuck)
{
	int i, file;

	/* 64 + 32 + 16 + 8 + 4 + 2 + 1, with the defaults. */
	for (i = 0; i < 7; i++) {
		queue_world(&self->ring, self->files[i], 0);
		while (!started(self->files[i]))
			sched_yield();
	}
	/* Not in the stuck ring, to know whose completion it is. */
	ring_close(&self->other);
	ring_open_as(&self->other, USER, 256);
	EXPECT_TRUE(can_sync(&self->other, &self->idle));
	for (i = 0; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		file = world_open(&self->idle, name, O_RDWR);
		ASSERT_EQ(1, ring_queue(&self->other, file, AFSYNC_OP_FSYNC, i));
		close(file);
	}
	for (i = 0; i < 200; i++)
		EXPECT_EQ(0, ring_next(&self->other).res);
	EXPECT_EQ(0, ring_ready(&self->ring));
	EXPECT_GE(self->max_user_syncs - 1, started_in_all(self->files));
}

TEST_F(users, files_that_wait_for_a_worker_get_it_in_the_order_queued)
{
	unsigned int i, workers = self->workers;

	queue_world(&self->ring, self->files[0], 0);
	while (started(self->files[0]) < workers)
		sched_yield();
	for (i = 0; i + workers < FILES; i++) {
		EXPECT_EQ(workers + i, started(self->files[0]));
		EXPECT_EQ(0, sim_started(self->files[0][workers + i], SIM_GATE_FSYNC));
		sim_let_go(self->files[0][i], SIM_GATE_FSYNC);
		sim_wait_started(self->files[0][workers + i], SIM_GATE_FSYNC, 1);
	}
}

TEST_F(users, filesystem_that_has_none_gets_the_worker_that_another_one_gives_back)
{
	unsigned int limit = self->max_user_syncs ?: 128, i, waiting = 0;

	ASSERT_EQ(limit, fill(&self->ring, 1, self->files, limit, self->workers));
	for (i = 8; i < WORLDS; i++)
		EXPECT_EQ(0, started(self->files[i]));
	/* More wait on the first, but 63 of its syncs still run. */
	sim_let_go(self->files[0][0], SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->ring).user_data);
	while (started_in_all(self->files) < limit + 1)
		sched_yield();
	for (i = 8; i < WORLDS; i++)
		waiting += started(self->files[i]);
	EXPECT_EQ(1, waiting);
}

TEST_F(users, what_waits_for_a_worker_can_be_cancelled)
{
	unsigned int limit = self->max_user_syncs ?: 128, i;
	__u32 running;

	ASSERT_EQ(limit, fill(&self->ring, 1, self->files, limit, self->workers));
	EXPECT_EQ(REQUESTS - limit, afsync_cmd_cancel(self->ring.fd, AFSYNC_CANCEL_ALL, 0, 0,
						      &running));
	EXPECT_EQ(limit, running);
	for (i = 0; i < REQUESTS - limit; i++)
		ASSERT_EQ(-ECANCELED, ring_next(&self->ring).res);
	let_go(self->files);
	for (i = 0; i < limit; i++)
		EXPECT_EQ(0, ring_next(&self->ring).res);
	EXPECT_EQ(limit, started_in_all(self->files));
	EXPECT_EQ(0, ring_ready(&self->ring));
	/* The emptied queues block no other request. */
	EXPECT_EQ(0, sync_now(&self->ring, self->files[WORLDS - 1][0], AFSYNC_OP_FSYNC));
}

#define EACH	100

TEST_F(users, cancelled_requests_leave_nothing_in_the_line_for_a_worker)
{
	unsigned int limit = self->max_user_syncs ?: 128, i, j, n = rounds(200);
	/* A debug kernel keeps freed memory for a while (KASAN). */
	bool exact = rounds(10) == 10 && !access(SLAB, R_OK);
	long long objects = 0;
	int file;

	ASSERT_EQ(limit, fill(&self->ring, 1, self->files, limit, self->workers));
	if (exact)
		objects = number_read(SLAB);
	ring_close(&self->other);
	ring_open_as(&self->other, USER, 256);
	for (i = 0; i < n; i++) {
		for (j = 0; j < EACH; j++) {
			file = memfd_create("afsync", MFD_CLOEXEC);
			ASSERT_EQ(1, ring_queue(&self->other, file, AFSYNC_OP_FSYNC, j));
			close(file);
		}
		ASSERT_EQ(EACH, afsync_cmd_cancel(self->other.fd, AFSYNC_CANCEL_ALL, 0, 0,
						  NULL));
		for (j = 0; j < EACH; j++)
			ASSERT_EQ(-ECANCELED, ring_next(&self->other).res);
	}
	if (exact)
		EXPECT_LT(number_read(SLAB), objects + n * EACH / 2);
}

TEST_F(users, limit_of_syncs_holds_for_users_made_later)
{
	struct ring late;

	ASSERT_NE(0, self->max_user_syncs);
	parameter_set("max_user_syncs", 3);
	ring_open_as(&late, LATE, 2048);
	EXPECT_EQ(3, fdinfo_number(late.fd, "user_max_syncs"));
	EXPECT_EQ(self->max_user_syncs, fdinfo_number(self->ring.fd, "user_max_syncs"));
	EXPECT_EQ(parameter("max_root_syncs"), fdinfo_number(self->root.fd, "user_max_syncs"));

	ASSERT_EQ(3, fill(&late, 1, self->files, 3, self->workers));
	EXPECT_EQ(3, fdinfo_number(late.fd, "user_syncs"));
	EXPECT_EQ(2, started(self->files[0]));
	EXPECT_EQ(1, started(self->files[1]));
	EXPECT_TRUE(can_sync(&self->ring, &self->worlds[0]));
	EXPECT_EQ(3, started_in_all(self->files));
	let_go(self->files);
	EXPECT_TRUE(all_told_once(&late, 1));
	ring_close(&late);
}

struct mill {
	struct ring ring;
	struct world *worlds;
	unsigned int rounds;
	unsigned int submitted;
	unsigned int told;
};

/* Queues on all worlds, and cancels now and then. */
static void *mill_thread(void *arg)
{
	struct mill *mill = arg;
	struct afsync_sqe sqes[40];
	unsigned int i, j;
	char name[16];

	for (i = 0; i < mill->rounds; i++) {
		for (j = 0; j < ARRAY_SIZE(sqes); j++) {
			snprintf(name, sizeof(name), "mill%u", (i + j) % 16);
			sqes[j] = sqe_of(world_open(&mill->worlds[j % 5], name, O_RDWR),
					 j % 2, j);
		}
		need(ring_submit(&mill->ring, sqes, ARRAY_SIZE(sqes), NULL) ==
		     (int)ARRAY_SIZE(sqes));
		mill->submitted += ARRAY_SIZE(sqes);
		for (j = 0; j < ARRAY_SIZE(sqes); j++)
			close(sqes[j].fd);
		if (i % 3 == 0)
			afsync_cmd_cancel(mill->ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
		if (i % 3 == 1)
			afsync_cmd_cancel(mill->ring.fd, AFSYNC_CANCEL_USER_DATA, i % 40, 0,
					  NULL);
		for (j = 0; j < ARRAY_SIZE(sqes); j++) {
			struct afsync_cqe cqe = ring_next(&mill->ring);

			need(cqe.res == 0 || cqe.res == -ECANCELED);
			mill->told++;
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(users, everything_is_told_however_few_syncs_may_run, LONG_TIMEOUT)
{
	unsigned int limit, i;
	struct mill mills[3];
	pthread_t threads[3];

	ASSERT_NE(0, self->max_user_syncs);
	for (limit = 1; limit < 4; limit++) {
		parameter_set("max_user_syncs", limit);
		for (i = 0; i < 3; i++) {
			mills[i] = (struct mill) { .worlds = self->worlds,
						   .rounds = rounds(300) };
			ring_open_as(&mills[i].ring, LATE + limit, 64);
			EXPECT_EQ(limit, fdinfo_number(mills[i].ring.fd, "user_max_syncs"));
		}
		for (i = 0; i < 3; i++)
			threads[i] = thread_start(mill_thread, &mills[i]);
		for (i = 0; i < 3; i++)
			thread_join(threads[i]);
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(mills[i].submitted, mills[i].told);
			EXPECT_EQ(0, ring_ready(&mills[i].ring));
			ring_close(&mills[i].ring);
		}
	}
}

/* --- user namespaces --- */

/* A process in a user namespace that @owner made; root gives it the ids. */
struct inside {
	struct turn made, mapped, done, go_on;
	pid_t pid;
};

static bool inside_start(struct inside *inside, uid_t owner)
{
	char path[64], map[64];

	turn_init(&inside->made);
	turn_init(&inside->mapped);
	turn_init(&inside->done);
	turn_init(&inside->go_on);
	inside->pid = fork();
	need(inside->pid >= 0);
	if (!inside->pid) {
		need(setresuid(owner, owner, owner) == 0);
		need(unshare(CLONE_NEWUSER) == 0);
		turn_post(&inside->made);
		turn_wait(&inside->mapped, 1);
		return true;
	}
	turn_wait(&inside->made, 1);
	if (owner)
		snprintf(map, sizeof(map), "0 %u 1\n1 %u 1000", owner, SUB_IDS);
	else
		snprintf(map, sizeof(map), "0 %u 1000", SUB_IDS);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", inside->pid);
	need(text_write(path, map) == 0);
	/* A process without a group there cannot make a process with another one. */
	snprintf(path, sizeof(path), "/proc/%d/gid_map", inside->pid);
	need(text_write(path, "0 0 1") == 0);
	turn_post(&inside->mapped);
	return false;
}

/* The child says that it is done and continues when the parent says so. */
static void inside_pause(struct inside *inside)
{
	turn_post(&inside->done);
	turn_wait(&inside->go_on, 1);
}

TEST_F(users, users_of_a_namespace_share_the_bound_of_its_owner)
{
	static const uid_t ids[] = { 0, 1, 2, 1000 };
	unsigned int limit = self->max_user_syncs ?: 128, i;
	struct ring rings[ARRAY_SIZE(ids)];
	struct inside inside;

	if (inside_start(&inside, USER)) {
		for (i = 0; i < ARRAY_SIZE(ids); i++)
			ring_open_as(&rings[i], ids[i], 512);
		need(fill(rings, ARRAY_SIZE(ids), self->files, limit, self->workers) == limit);
		inside_pause(&inside);
		_exit(!all_told_once(rings, ARRAY_SIZE(ids)));
	}
	turn_wait(&inside.done, 1);
	EXPECT_EQ(limit, fdinfo_number(self->ring.fd, "user_syncs"));
	EXPECT_EQ(0, fdinfo_number(self->root.fd, "user_syncs"));
	for (i = 0; i < WORLDS; i++) {
		EXPECT_TRUE(can_sync(&self->root, &self->worlds[i]));
		EXPECT_TRUE(can_sync(&self->other, &self->worlds[i]));
	}
	EXPECT_EQ(limit, started_in_all(self->files));
	let_go(self->files);
	turn_post(&inside.go_on);
	EXPECT_EQ(0, child_wait(inside.pid));
}

/*
 * A user with subordinate ids becomes one of them in the initial namespace by a set-user-ID
 * file of that id. The login stays.
 */
TEST_F(users, user_ids_of_one_login_are_one_user_and_root_is_another)
{
	struct ring one, another, root;
	pid_t pid;

	if (access("/proc/self/loginuid", W_OK))
		SKIP(return, "no audit in this kernel");
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(text_write("/proc/self/loginuid", "7000") == 0);
		ring_open_as(&one, 7001, 8);
		ring_open_as(&another, 7002, 8);
		ring_open(&root, 8);
		need(ring_queue(&one, self->files[0][0], AFSYNC_OP_FSYNC, 0) == 1);
		sim_wait_started(self->files[0][0], SIM_GATE_FSYNC, 1);
		need(fdinfo_number(another.fd, "user_syncs") == 1);
		need(fdinfo_number(root.fd, "user_syncs") == 0);
		sim_let_go(self->files[0][0], SIM_GATE_FSYNC);
		ring_wait(&one, 1);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(users, user_of_a_namespace_in_a_namespace_is_the_owner_of_the_outermost)
{
	struct inside inside;
	struct ring ring;

	ASSERT_EQ(1, ring_queue(&self->ring, self->files[0][0], AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->files[0][0], SIM_GATE_FSYNC, 1);
	if (inside_start(&inside, USER)) {
		need(setresuid(5, 5, 5) == 0);
		need(unshare(CLONE_NEWUSER) == 0);
		ring_open(&ring, 8);
		need(fdinfo_number(ring.fd, "user_syncs") == 1);
		need(ring_queue(&ring, self->files[1][0], AFSYNC_OP_FSYNC, 0) == 1);
		sim_wait_started(self->files[1][0], SIM_GATE_FSYNC, 1);
		inside_pause(&inside);
		_exit(ring_next(&ring).res != 0);
	}
	turn_wait(&inside.done, 1);
	EXPECT_EQ(2, fdinfo_number(self->ring.fd, "user_syncs"));
	EXPECT_EQ(0, fdinfo_number(self->other.fd, "user_syncs"));
	let_go(self->files);
	turn_post(&inside.go_on);
	EXPECT_EQ(0, child_wait(inside.pid));
}

TEST_F(users, namespace_that_root_made_is_a_user_of_its_own)
{
	unsigned int limit = self->max_user_syncs ?: 128;
	struct inside first, second;
	struct ring rings[2];

	ASSERT_EQ(limit, fill(&self->ring, 1, self->files, limit, self->workers));
	if (inside_start(&first, 0)) {
		int file = world_open(&self->idle, "held", O_RDWR);

		ring_open_as(&rings[0], 0, 8);
		ring_open_as(&rings[1], 5, 8);
		need(fdinfo_number(rings[0].fd, "user_max_syncs") == limit);
		need(can_sync(&rings[0], &self->worlds[0]));
		sim_hold(file, SIM_GATE_FSYNC);
		need(ring_queue(&rings[0], file, AFSYNC_OP_FSYNC, 0) == 1);
		sim_wait_started(file, SIM_GATE_FSYNC, 1);
		need(fdinfo_number(rings[1].fd, "user_syncs") == 1);
		inside_pause(&first);
		sim_let_go(file, SIM_GATE_FSYNC);
		_exit(ring_next(&rings[0]).res != 0);
	}
	turn_wait(&first.done, 1);
	EXPECT_EQ(0, fdinfo_number(self->root.fd, "user_syncs"));
	EXPECT_EQ(limit, fdinfo_number(self->ring.fd, "user_syncs"));
	/* With the same ids, but another namespace. */
	if (inside_start(&second, 0)) {
		ring_open_as(&rings[0], 0, 8);
		_exit(fdinfo_number(rings[0].fd, "user_syncs") != 0 ||
		      !can_sync(&rings[0], &self->worlds[0]));
	}
	EXPECT_EQ(0, child_wait(second.pid));
	turn_post(&first.go_on);
	EXPECT_EQ(0, child_wait(first.pid));
}

TEST_HARNESS_MAIN
