// SPDX-License-Identifier: GPL-2.0-only
/*
 * P12 bounds: a program can pin no more files and no more memory than the documented
 * limits allow; memory is charged to its cgroup; and if a resource runs out, the call
 * says EAGAIN or ENOMEM and leaves nothing half done.
 *
 * Needs afsync_sim and root; the test of the charge needs cgroup v2 with the memory
 * controller; the tests of failing allocations need a kernel with failslab.
 */
#include "faults.h"

FIXTURE(bounds) {
	struct stage s;
	long long max_user_requests;
	long long max_entries;
};

FIXTURE_SETUP(bounds)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->max_user_requests = parameter("max_user_requests");
	self->max_entries = parameter("max_entries");
}

FIXTURE_TEARDOWN(bounds)
{
	parameter_set("max_user_requests", self->max_user_requests);
	parameter_set("max_entries", self->max_entries);
	stage_close(&self->s);
}

/* Queues until refused; returns how many were taken. */
static int queue_until_refused(struct ring *ring, int file, int want)
{
	int taken = 0, ret;

	while (taken < want) {
		ret = ring_queue(ring, file, AFSYNC_OP_FSYNC, taken);
		if (ret != 1) {
			need(ret == -EAGAIN);
			break;
		}
		taken++;
	}
	return taken;
}

TEST_F(bounds, requests_of_a_user_are_limited_over_all_rings)
{
	struct ring other;

	ring_open(&other, 64);
	parameter_set("max_user_requests", 10);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(6, queue_until_refused(&self->s.ring, self->s.file, 6));
	EXPECT_EQ(4, queue_until_refused(&other, self->s.file, 6));
	EXPECT_EQ(0, queue_until_refused(&self->s.ring, self->s.file, 1));

	/* Completed requests do not count any more. */
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 6);
	ring_wait(&other, 4);
	ring_close(&other);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(4, queue_until_refused(&self->s.ring, self->s.file, 4));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 10);
}

TEST_F(bounds, requests_of_one_user_do_not_count_for_another)
{
	struct turn queued;
	pid_t pid;

	parameter_set("max_user_requests", 10);
	turn_init(&queued);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(10, queue_until_refused(&self->s.ring, self->s.file, 20));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		struct ring ring;

		need(setresuid(1000, 1000, 1000) == 0);
		ring_open(&ring, 64);
		need(queue_until_refused(&ring, self->s.file, 20) == 10);
		turn_post(&queued);
		/* The first sync of the file is at the gate: the exit waits for that. */
		_exit(0);
	}
	turn_wait(&queued, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(bounds, requests_count_for_the_user_who_made_the_ring)
{
	pid_t pid;

	parameter_set("max_user_requests", 10);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(4, queue_until_refused(&self->s.ring, self->s.file, 4));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(setresuid(1000, 1000, 1000) == 0);
		need(queue_until_refused(&self->s.ring, self->s.file, 20) == 6);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, queue_until_refused(&self->s.ring, self->s.file, 1));
}

TEST_F(bounds, cancelled_requests_and_ended_rings_do_not_count)
{
	struct ring other;

	parameter_set("max_user_requests", 10);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, queue_until_refused(&self->s.ring, self->s.file, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ring_open(&other, 64);
	EXPECT_EQ(9, queue_until_refused(&other, self->s.file, 20));
	/* These requests were only waiting: closing cancels them and returns when they are gone. */
	ring_close(&other);
	EXPECT_EQ(9, queue_until_refused(&self->s.ring, self->s.file, 20));
}

TEST_F(bounds, array_is_queued_up_to_the_limit_and_what_was_not_queued_does_not_count)
{
	struct afsync_sqe sqes[20];
	__s32 error;
	int i;

	for (i = 0; i < 20; i++)
		sqes[i] = sqe_of(self->s.file, AFSYNC_OP_FSYNC, i);
	parameter_set("max_user_requests", 10);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	sqes[3].fd = -1;
	EXPECT_EQ(3, ring_submit(&self->s.ring, sqes, 20, &error));
	EXPECT_EQ(-EBADF, error);
	sqes[3].fd = self->s.file;
	EXPECT_EQ(7, ring_submit(&self->s.ring, sqes, 20, &error));
	EXPECT_EQ(-EAGAIN, error);
	EXPECT_EQ(-EAGAIN, ring_submit(&self->s.ring, sqes, 20, &error));

	/* With a lower limit, more than that are in flight. */
	parameter_set("max_user_requests", 5);
	EXPECT_EQ(-EAGAIN, ring_submit(&self->s.ring, sqes, 20, &error));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 10);
	while (ring_ready(&self->s.ring))
		EXPECT_EQ(0, ring_next(&self->s.ring).res);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(5, ring_submit(&self->s.ring, sqes, 20, &error));
}

TEST_F(bounds, entries_of_new_rings_are_limited)
{
	struct afsync_setup setup;
	struct afsync_info info;
	int fd = device_open();

	parameter_set("max_entries", 16);
	EXPECT_EQ(-EINVAL, afsync_cmd_setup(fd, 17, &setup));
	EXPECT_EQ(0, afsync_cmd_info(fd, &info));
	EXPECT_EQ(16, info.max_entries);
	EXPECT_EQ(0, afsync_cmd_setup(fd, 16, &setup));
	EXPECT_EQ(16, setup.entries);
	close(fd);
	/* An existing ring keeps its size. */
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(64, queue_until_refused(&self->s.ring, self->s.file, 100));
}

TEST_F(bounds, parameters_refuse_what_makes_no_sense)
{
	static const struct {
		const char *path;
		const char *value;
	} refused[] = {
		{ PARAMETERS "max_entries", "0" },
		{ PARAMETERS "max_entries", "32769" },
		{ PARAMETERS "max_entries", "-1" },
		{ PARAMETERS "max_entries", "many" },
		{ PARAMETERS "max_user_requests", "0" },
		{ PARAMETERS "max_user_requests", "-1" },
		{ PARAMETERS "max_user_requests", "4294967296" },
		{ PARAMETERS "max_user_requests", "few" },
		{ PARAMETERS "workers_per_fs", "1" },
		{ PARAMETERS "max_user_syncs", "0" },
		{ PARAMETERS "max_user_syncs", "513" },
		{ PARAMETERS "max_user_syncs", "-1" },
		{ PARAMETERS "max_user_syncs", "few" },
		{ PARAMETERS "max_root_syncs", "0" },
		{ PARAMETERS "max_root_syncs", "513" },
		{ PARAMETERS "max_root_syncs", "-1" },
		{ PARAMETERS "max_root_syncs", "few" },
	};
	long long max_user_syncs = parameter("max_user_syncs");
	long long max_root_syncs = parameter("max_root_syncs");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		EXPECT_GT(0, text_write(refused[i].path, refused[i].value))
			TH_LOG("number %u", i);
	EXPECT_EQ(self->max_entries, parameter("max_entries"));
	EXPECT_EQ(self->max_user_requests, parameter("max_user_requests"));
	EXPECT_EQ(max_user_syncs, parameter("max_user_syncs"));
	EXPECT_EQ(max_root_syncs, parameter("max_root_syncs"));
}

TEST_F(bounds, parameters_of_syncs_take_their_whole_range)
{
	static const char * const names[] = { "max_user_syncs", "max_root_syncs" };
	static const int values[] = { 1, 512 };
	long long saved;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		saved = parameter(names[i / 2]);
		parameter_set(names[i / 2], values[i % 2]);
		EXPECT_EQ(values[i % 2], parameter(names[i / 2]));
		parameter_set(names[i / 2], saved);
	}
}

TEST_F(bounds, number_of_files_pinned_is_the_number_of_requests)
{
	struct sim_stats before, after;
	int file, i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	before = sim_stats(self->s.ctl);
	for (i = 0; i < 100; i++) {
		file = world_open(&self->s.world, "file", O_RDWR);
		ring_queue(&self->s.ring, file, AFSYNC_OP_FSYNC, i);
		close(file);
	}
	/* The kernel took 64; it does not hold the file of the refused one. */
	after = sim_stats(self->s.ctl);
	EXPECT_EQ(before.finished[SIM_GATE_RELEASE] + 36, after.finished[SIM_GATE_RELEASE]);
}

/* --- memory --- */

#define CGROUP	"/sys/fs/cgroup/afsync-test"
#define CHARGED	10000

static long long charged_now(void)
{
	return number_read(CGROUP "/memory.current");
}

TEST_F(bounds, memory_of_rings_and_requests_is_charged_to_the_cgroup)
{
	struct turn queued, go_on;
	pid_t pid;

	/* Stays on if it was on already. */
	text_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755) || access(CGROUP "/memory.current", R_OK)) {
		rmdir(CGROUP);
		SKIP(return, "no cgroup v2 with the memory controller");
	}
	turn_init(&queued);
	turn_init(&go_on);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		long long start, ring_made, requests_made;
		struct ring ring;

		/* Each CPU charges ahead: all measured charges should come from one. */
		stay_on_this_cpu();
		need(text_write(CGROUP "/cgroup.procs", "0") == 0);
		start = charged_now();
		ring_open(&ring, 32768);
		ring_made = charged_now();
		need(queue_until_refused(&ring, self->s.file, CHARGED) == CHARGED);
		requests_made = charged_now();
		fprintf(stderr, "# charged for 32768 entries %lld, for %d requests %lld\n",
			ring_made - start, CHARGED, requests_made - ring_made);
		/*
		 * An entry has 16 bytes; a request is no smaller than the struct that was
		 * submitted.
		 */
		need(ring_made - start >= 32768 * 16);
		need(requests_made - ring_made >= CHARGED * 40);
		turn_post(&queued);
		turn_wait(&go_on, 1);
		_exit(0);
	}
	turn_wait(&queued, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	turn_post(&go_on);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, rmdir(CGROUP));
}

/* --- workqueues --- */

#define TRACING		"/sys/kernel/tracing/"
#define USERS		50
#define FIRST_USER	20000

static bool trace_calls_of(const char *function)
{
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	return !text_write(TRACING "set_ftrace_filter", function) &&
	       !text_write(TRACING "current_tracer", "function");
}

static unsigned int calls_of(const char *function)
{
	char *trace = text_read(TRACING "trace"), *at = trace, name[64];
	unsigned int count = 0;

	snprintf(name, sizeof(name), " %s <-", function);
	while ((at = strstr(at, name))) {
		count++;
		at++;
	}
	free(trace);
	return count;
}

/*
 * The workqueues of a user are charged to no cgroup; the user exists for a moment after the
 * last ring.
 */
TEST_F(bounds, workqueues_of_users_that_are_gone_are_freed)
{
	struct ring ring;
	int i;

	if (!trace_calls_of("destroy_workqueue"))
		SKIP(return, "the kernel cannot trace functions");
	for (i = 0; i < USERS; i++) {
		ring_open_as(&ring, FIRST_USER + i, 8);
		ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, i));
		ASSERT_EQ(1, ring_hold(&ring, self->s.file, i));
		ring_wait(&ring, 1);
		ring_close(&ring);
	}
	while (calls_of("destroy_workqueue") < USERS)
		sched_yield();
	text_write(TRACING "current_tracer", "nop");
}

#define FILESYSTEMS	200

TEST_F(bounds, filesystems_of_a_user_need_no_workqueue)
{
	char dir[] = "/run/afsync.XXXXXX", path[64];
	struct afsync_sqe sqe;
	struct ring ring;
	int i, file;

	if (!trace_calls_of("alloc_workqueue*"))
		SKIP(return, "the kernel cannot trace functions");
	need(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	ring_open(&ring, FILESYSTEMS);
	for (i = 0; i < FILESYSTEMS; i++) {
		need(mount("none", dir, "tmpfs", 0, NULL) == 0);
		file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		sqe = sqe_of(file, AFSYNC_OP_FSYNC, i);
		sqe.flags = AFSYNC_SQE_HOLD;
		ASSERT_EQ(1, ring_submit(&ring, &sqe, 1, NULL));
		close(file);
		need(umount2(dir, MNT_DETACH) == 0);
	}
	EXPECT_LE(calls_of("alloc_workqueue"), 2);
	ring_close(&ring);
	text_write(TRACING "current_tracer", "nop");
	rmdir(dir);
}

/* --- memory that runs out --- */

TEST_F(bounds, every_allocation_of_a_submit_that_fails_is_EAGAIN_and_queues_nothing)
{
	long long submitted = counter("submitted");
	unsigned int nth, again = 0, queued = 0;
	bool happened;
	int ret;

	if (!faults_ready())
		SKIP(return, "no failslab in this kernel");
	/* Fail the first step, then the second ... until there is none left to fail. */
	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 100);
		fault_set(nth);
		ret = ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, nth);
		happened = fault_happened();
		if (ret == 1) {
			/* Either nothing failed, or an optional step did. */
			EXPECT_EQ(nth, ring_next(&self->s.ring).user_data);
			queued++;
			continue;
		}
		EXPECT_TRUE(happened && is_fault(ret, -EAGAIN))
			TH_LOG("step %u: %d", nth, ret);
		again += ret == -EAGAIN;
	}
	EXPECT_NE(0, again);
	EXPECT_EQ(submitted + queued, counter("submitted"));
	EXPECT_EQ(0, counter("in_flight"));
}

TEST_F(bounds, every_allocation_of_a_setup_that_fails_is_ENOMEM_and_makes_no_ring)
{
	unsigned int nth, nomem = 0;
	struct afsync_setup setup;
	bool happened;
	int fd, ret;

	if (!faults_ready())
		SKIP(return, "no failslab in this kernel");
	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 100);
		fd = device_open();
		fault_set(nth);
		ret = afsync_cmd_setup(fd, 64, &setup);
		happened = fault_happened();
		if (ret)
			EXPECT_TRUE(happened && is_fault(ret, -ENOMEM))
				TH_LOG("step %u: %d", nth, ret);
		if (ret == -ENOMEM) {
			EXPECT_EQ(-ENXIO, afsync_cmd_wait(fd, 0, 0, 0, 0));
			nomem++;
		}
		close(fd);
	}
	EXPECT_NE(0, nomem);
}

TEST_HARNESS_MAIN
