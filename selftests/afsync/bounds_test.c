// SPDX-License-Identifier: GPL-2.0-only
/*
 * P12 bounds: a program can pin no more files and no more memory than the documented
 * limits allow; memory is charged to its cgroup; and what cannot be had is EAGAIN or
 * ENOMEM with nothing half done.
 *
 * Needs afsync_sim and root; the test of the charge needs cgroup v2 with the memory
 * controller; the tests of failing allocations need a kernel with failslab.
 */
#include "common.h"

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
	pid_t pid;

	parameter_set("max_user_requests", 10);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(10, queue_until_refused(&self->s.ring, self->s.file, 20));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		struct ring ring;

		need(setresuid(1000, 1000, 1000) == 0);
		ring_open(&ring, 64);
		need(queue_until_refused(&ring, self->s.file, 20) == 10);
		need(afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL) > 0);
		_exit(0);
	}
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
	/* These were only waiting: closing cancels them and returns when they are gone. */
	ring_close(&other);
	EXPECT_EQ(9, queue_until_refused(&self->s.ring, self->s.file, 20));
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
	/* A ring that is there keeps its size. */
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
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		EXPECT_GT(0, text_write(refused[i].path, refused[i].value))
			TH_LOG("number %u", i);
	EXPECT_EQ(self->max_entries, parameter("max_entries"));
	EXPECT_EQ(self->max_user_requests, parameter("max_user_requests"));
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
	/* 64 were taken; what was refused is not held. */
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

	/* Left on where it is on already. */
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

		need(text_write(CGROUP "/cgroup.procs", "0") == 0);
		start = charged_now();
		ring_open(&ring, 32768);
		ring_made = charged_now();
		need(queue_until_refused(&ring, self->s.file, CHARGED) == CHARGED);
		requests_made = charged_now();
		fprintf(stderr, "# charged for 32768 entries %lld, for %d requests %lld\n",
			ring_made - start, CHARGED, requests_made - ring_made);
		/* 16 bytes an entry; a request is no smaller than what was submitted. */
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

#define FAILSLAB "/sys/kernel/debug/failslab/"

/*
 * Makes the nth allocation of this thread fail from here on; 0 turns it off. Returns
 * what was left: 0 says that one has failed.
 */
static int fail_nth(int n)
{
	char text[16] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), left;

	need(fd >= 0);
	need(read(fd, text, sizeof(text) - 1) > 0);
	left = atoi(text);
	snprintf(text, sizeof(text), "%d", n);
	need(pwrite(fd, text, strlen(text), 0) > 0);
	close(fd);
	return left;
}

static bool failslab_ready(void)
{
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	return !access("/proc/thread-self/fail-nth", W_OK) &&
	       !text_write(FAILSLAB "ignore-gfp-wait", "N");
}

TEST_F(bounds, every_allocation_of_a_submit_that_fails_is_EAGAIN_and_queues_nothing)
{
	long long submitted = counter("submitted");
	int nth, ret, left, failed = 0;

	if (!failslab_ready())
		SKIP(return, "no failslab in this kernel");
	/* Fail the first, then the second ... until there is none to fail. */
	for (nth = 1; nth < 100; nth++) {
		fail_nth(nth);
		ret = ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, nth);
		left = fail_nth(0);
		if (ret == 1) {
			EXPECT_EQ(nth, ring_next(&self->s.ring).user_data);
			if (left)
				break;
			continue;
		}
		EXPECT_EQ(-EAGAIN, ret);
		failed++;
	}
	EXPECT_LT(nth, 100);
	EXPECT_NE(0, failed);
	EXPECT_EQ(submitted + nth - failed, counter("submitted"));
	EXPECT_EQ(0, counter("in_flight"));
}

TEST_F(bounds, every_allocation_of_a_setup_that_fails_is_ENOMEM_and_makes_no_ring)
{
	int fd = device_open(), nth, ret, left, failed = 0;
	struct afsync_setup setup;

	if (!failslab_ready())
		SKIP(return, "no failslab in this kernel");
	for (nth = 1; nth < 100; nth++) {
		fail_nth(nth);
		ret = afsync_cmd_setup(fd, 64, &setup);
		left = fail_nth(0);
		if (!ret) {
			if (left)
				break;
			close(fd);
			fd = device_open();
			continue;
		}
		EXPECT_EQ(-ENOMEM, ret);
		EXPECT_EQ(-ENXIO, afsync_cmd_wait(fd, 0, 0, 0, 0));
		failed++;
	}
	EXPECT_LT(nth, 100);
	EXPECT_NE(0, failed);
	close(fd);
}

TEST_HARNESS_MAIN
