// SPDX-License-Identifier: GPL-2.0-only
/*
 * What people can look at: fdinfo of a ring, the counters, the parameters and the
 * tracepoints.
 *
 * Needs afsync_sim and root; the test of the tracepoints needs tracefs.
 */
#include "common.h"

FIXTURE(look) {
	struct stage s;
};

FIXTURE_SETUP(look)
{
	STAGE_SETUP(&self->s, "afsync_sim", 128);
}

FIXTURE_TEARDOWN(look)
{
	stage_close(&self->s);
}

TEST_F(look, fdinfo_shows_the_state_of_the_ring)
{
	int fd = self->s.ring.fd, event = eventfd(0, EFD_CLOEXEC);
	struct afsync_cqe cqe;

	EXPECT_EQ(128, fdinfo_number(fd, "entries"));
	EXPECT_EQ(0, fdinfo_number(fd, "in_flight"));
	EXPECT_EQ(0, fdinfo_number(fd, "unread"));
	EXPECT_EQ(0, fdinfo_number(fd, "eventfd"));
	EXPECT_EQ(0, fdinfo_lines(fd, "pending:"));

	ASSERT_EQ(0, afsync_cmd_eventfd(fd, event));
	EXPECT_EQ(1, fdinfo_number(fd, "eventfd"));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	EXPECT_EQ(2, fdinfo_number(fd, "in_flight"));

	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	ring_wait(&self->s.ring, 1);
	EXPECT_EQ(1, fdinfo_number(fd, "in_flight"));
	EXPECT_EQ(1, fdinfo_number(fd, "unread"));
	ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
	EXPECT_EQ(0, fdinfo_number(fd, "unread"));
	close(event);
}

TEST_F(look, fdinfo_lists_pending_requests_with_state_operation_and_path)
{
	char line[PATH_MAX + 64];
	int fd = self->s.ring.fd, other = world_open(&self->s.world, "with blank", O_RDWR);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	sim_hold(self->s.ctl, SIM_GATE_SYNCFS);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 2));
	ASSERT_EQ(1, ring_queue(&self->s.ring, other, AFSYNC_OP_SYNCFS, 3));
	sim_wait_started(self->s.ctl, SIM_GATE_SYNCFS, 1);

	EXPECT_EQ(3, fdinfo_lines(fd, "pending:\t"));
	snprintf(line, sizeof(line), "pending:\trunning fsync %s/file", self->s.world.dir);
	EXPECT_EQ(1, fdinfo_lines(fd, line));
	snprintf(line, sizeof(line), "pending:\tqueued fdatasync %s/file", self->s.world.dir);
	EXPECT_EQ(1, fdinfo_lines(fd, line));
	snprintf(line, sizeof(line), "pending:\trunning syncfs %s/with\\040blank",
		 self->s.world.dir);
	EXPECT_EQ(1, fdinfo_lines(fd, line));
	close(other);
}

TEST_F(look, fdinfo_lists_64_requests_and_counts_the_rest)
{
	int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	EXPECT_EQ(64, fdinfo_lines(self->s.ring.fd, "pending:\t"));
	EXPECT_EQ(0, fdinfo_lines(self->s.ring.fd, "more:"));
	for (; i < 100; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	EXPECT_EQ(64, fdinfo_lines(self->s.ring.fd, "pending:\t"));
	EXPECT_EQ(36, fdinfo_number(self->s.ring.fd, "more"));
	EXPECT_EQ(100, fdinfo_number(self->s.ring.fd, "in_flight"));
}

TEST_F(look, fdinfo_has_no_lines_of_a_ring_before_the_setup)
{
	int fd = device_open();

	EXPECT_EQ(-1, fdinfo_number(fd, "entries"));
	EXPECT_EQ(-1, fdinfo_number(fd, "in_flight"));
	EXPECT_EQ(0, fdinfo_lines(fd, "pending:"));
	close(fd);
}

struct counters {
	long long submitted, merged, syncs, completed, cancelled, failed, in_flight;
};

static struct counters counters_now(void)
{
	return (struct counters) {
		.submitted = counter("submitted"), .merged = counter("merged"),
		.syncs = counter("syncs"), .completed = counter("completed"),
		.cancelled = counter("cancelled"), .failed = counter("failed"),
		.in_flight = counter("in_flight"),
	};
}

TEST_F(look, counters_count_what_happened)
{
	struct counters before = counters_now(), now;
	struct afsync_sqe bad = sqe_of(-1, AFSYNC_OP_FSYNC, 0);
	int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i <= 10; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(-EBADF, ring_submit(&self->s.ring, &bad, 1, NULL));
	now = counters_now();
	EXPECT_EQ(before.submitted + 11, now.submitted);
	EXPECT_EQ(before.completed, now.completed);
	EXPECT_EQ(before.in_flight + 11, now.in_flight);
	EXPECT_EQ(before.syncs + 1, now.syncs);

	ASSERT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 10, 0, NULL));
	ring_next(&self->s.ring);
	now = counters_now();
	EXPECT_EQ(before.cancelled + 1, now.cancelled);
	EXPECT_EQ(before.completed + 1, now.completed);

	/* The second sync serves nine requests of one open file, and fails. */
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 10);
	now = counters_now();
	EXPECT_EQ(before.completed + 11, now.completed);
	EXPECT_EQ(before.syncs + 2, now.syncs);
	EXPECT_EQ(before.merged + 8, now.merged);
	EXPECT_EQ(before.failed + 9, now.failed);
	EXPECT_EQ(before.in_flight, now.in_flight);
	EXPECT_EQ(now.submitted - now.completed, now.in_flight);
}

TEST(counters_and_parameters_have_the_documented_modes)
{
	static const struct {
		const char *path;
		mode_t mode;
	} files[] = {
		{ STATS "submitted", 0444 }, { STATS "merged", 0444 },
		{ STATS "syncs", 0444 }, { STATS "completed", 0444 },
		{ STATS "cancelled", 0444 }, { STATS "failed", 0444 },
		{ STATS "in_flight", 0444 },
		{ PARAMETERS "workers_per_fs", 0444 }, { PARAMETERS "max_entries", 0644 },
		{ PARAMETERS "max_user_requests", 0644 },
		{ PARAMETERS "max_user_syncs", 0644 }, { PARAMETERS "max_root_syncs", 0644 },
	};
	unsigned int i;
	struct stat st;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(0, stat(files[i].path, &st))
			TH_LOG("%s", files[i].path);
		EXPECT_EQ(files[i].mode, st.st_mode & 0777)
			TH_LOG("%s", files[i].path);
		EXPECT_LE(0, number_read(files[i].path));
	}
}

/* --- tracepoints --- */

#define TRACING		"/sys/kernel/tracing"
#define INSTANCE	TRACING "/instances/afsync-test"

static unsigned int trace_lines(const char *trace, const char *event, const char *text)
{
	char *copy = strdup(trace), *rest = copy, *line, name[64];
	unsigned int count = 0;

	snprintf(name, sizeof(name), " %s: ", event);
	while ((line = strsep(&rest, "\n")))
		count += strstr(line, name) && strstr(line, text);
	free(copy);
	return count;
}

TEST_F(look, tracepoints_tell_the_way_of_a_request)
{
	char *trace;

	if (access(TRACING "/instances", F_OK))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700))
		SKIP(return, "no tracefs with instances");
	ASSERT_EQ(0, text_write(INSTANCE "/events/afsync/enable", "1"));

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0xa1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 0xa2));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 0xa3));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0xa4));
	ASSERT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 0xa4, 0,
				       NULL));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 4);
	/* When the ring has ended, all that it did has been traced. */
	ring_close(&self->s.ring);
	text_write(INSTANCE "/events/afsync/enable", "0");
	trace = text_read(INSTANCE "/trace");

	EXPECT_EQ(4, trace_lines(trace, "afsync_submit", ""));
	EXPECT_EQ(1, trace_lines(trace, "afsync_submit", "user_data=0xa1"));
	EXPECT_EQ(2, trace_lines(trace, "afsync_submit", "op=fdatasync"));
	EXPECT_EQ(2, trace_lines(trace, "afsync_sync_start", ""));
	EXPECT_EQ(1, trace_lines(trace, "afsync_sync_start", "batch=1 datasync=0"));
	EXPECT_EQ(1, trace_lines(trace, "afsync_sync_start", "batch=2 datasync=1"));
	EXPECT_EQ(2, trace_lines(trace, "afsync_sync_done", ""));
	EXPECT_EQ(4, trace_lines(trace, "afsync_complete", ""));
	EXPECT_EQ(1, trace_lines(trace, "afsync_complete", "user_data=0xa4"));
	EXPECT_EQ(1, trace_lines(trace, "afsync_cancel", ""));
	EXPECT_EQ(1, trace_lines(trace, "afsync_cancel", "user_data=0xa4"));
	free(trace);
	EXPECT_EQ(0, rmdir(INSTANCE));
}

TEST_HARNESS_MAIN
