// SPDX-License-Identifier: GPL-2.0-only
/*
 * The information for people: fdinfo of a ring, the counters, the parameters and the
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
	/* A worker of the test before may not have ended yet. */
	while (fdinfo_number(fd, "user_syncs") > 0)
		sched_yield();
	EXPECT_EQ(0, fdinfo_number(fd, "user_syncs"));
	EXPECT_EQ(parameter("max_root_syncs"), fdinfo_number(fd, "user_max_syncs"));
	EXPECT_EQ(0, fdinfo_lines(fd, "pending:"));

	ASSERT_EQ(0, afsync_cmd_eventfd(fd, event));
	EXPECT_EQ(1, fdinfo_number(fd, "eventfd"));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	EXPECT_EQ(2, fdinfo_number(fd, "in_flight"));
	EXPECT_EQ(1, fdinfo_number(fd, "user_syncs"));

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

/* --- paths --- */

#define DEPTH	3000	/* "/d" each: longer than PATH_MAX */

/* A file below so many folders. */
static int open_deep(const char *dir, int depth)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), below;

	while (depth--) {
		need(at >= 0 && mkdirat(at, "d", 0755) == 0);
		below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = below;
	}
	below = openat(at, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(below >= 0);
	close(at);
	return below;
}

TEST_F(look, fdinfo_says_of_a_path_that_is_too_long_that_it_is)
{
	char dir[] = "/tmp/afsync-deep-XXXXXX", line[128];
	int fd = self->s.ring.fd, deep, shallow, i;
	char *text;

	need(mkdtemp(dir));
	need(mount("none", dir, "tmpfs", 0, NULL) == 0);
	deep = open_deep(dir, DEPTH);
	snprintf(line, sizeof(line), "%s/file", dir);
	shallow = open(line, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(shallow >= 0);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, ring_hold(&self->s.ring, deep, i));
		ASSERT_EQ(1, ring_hold(&self->s.ring, shallow, i));
	}
	close(deep);
	close(shallow);
	text = fdinfo_read(fd);
	EXPECT_GT(PATH_MAX, strlen(text));
	free(text);
	EXPECT_EQ(40, fdinfo_lines(fd, "pending:\t"));
	EXPECT_EQ(20, fdinfo_lines(fd, "pending:\theld fsync (path too long)"));
	snprintf(line, sizeof(line), "pending:\theld fsync %s/file", dir);
	EXPECT_EQ(20, fdinfo_lines(fd, line));
	EXPECT_EQ(40, afsync_cmd_cancel(fd, AFSYNC_CANCEL_ALL, 0, 0, NULL));
	ring_wait(&self->s.ring, 40);
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
}

/* Paths of about the longest length that can be shown, from both sides of it. */
TEST_F(look, fdinfo_shows_all_paths_that_are_not_too_long_whole)
{
	char dir[] = "/tmp/afsync-deep-XXXXXX", name[256], *text, *line, *end;
	unsigned int length, whole = 0, too_long = 0;
	int fd = self->s.ring.fd, at, file, i;

	need(mkdtemp(dir));
	need(mount("none", dir, "tmpfs", 0, NULL) == 0);
	memset(name, 'n', 200);
	name[200] = '\0';
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	length = strlen(dir);
	/* 4,020 bytes of folders, then names that end at and beyond the end of the page. */
	for (i = 0; i < 20; i++) {
		need(mkdirat(at, name, 0755) == 0);
		file = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		need(file >= 0);
		close(at);
		at = file;
		length += 201;
	}
	for (i = PATH_MAX - 40; i < PATH_MAX + 24; i++) {
		memset(name, 'f', i - length - 1);
		name[i - length - 1] = '\0';
		file = openat(at, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		need(file >= 0);
		ASSERT_EQ(1, ring_hold(&self->s.ring, file, i));
		close(file);
	}
	close(at);
	text = fdinfo_read(fd);
	for (line = text; (line = strstr(line, "pending:\theld fsync ")); line = end) {
		line += strlen("pending:\theld fsync ");
		end = strchr(line, '\n');
		need(end);
		if (!strncmp(line, "(path too long)", end - line)) {
			too_long++;
			continue;
		}
		/* In the order of the requests: one byte longer each. */
		EXPECT_EQ(0, strncmp(line, dir, strlen(dir)));
		EXPECT_EQ(PATH_MAX - 40 + whole, end - line);
		EXPECT_EQ('f', end[-1]);
		whole++;
	}
	free(text);
	EXPECT_EQ(64, whole + too_long);
	/* Paths that other files of /proc show are shown: up to PATH_MAX with the final zero. */
	EXPECT_LE(32, whole);
	EXPECT_LE(24, too_long);
	EXPECT_EQ(64, afsync_cmd_cancel(fd, AFSYNC_CANCEL_ALL, 0, 0, NULL));
	ring_wait(&self->s.ring, 64);
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
}

struct reader {
	int fd;
	const char *dir;
	bool stop;
	unsigned int reads;
	unsigned int wrong;
};

/* "pending:\tSTATE OP DIR/raceNUMBER" and nothing else */
static bool line_is_right(const char *line, const char *dir)
{
	char state[16], op[16], path[128], start[64];
	int end = -1;

	snprintf(start, sizeof(start), "%s/race", dir);
	return sscanf(line, "pending:\t%15[a-z] %15[a-z] %127s%n", state, op, path, &end) == 3 &&
	       !line[end] && !strncmp(path, start, strlen(start)) &&
	       strspn(path + strlen(start), "0123456789") == strlen(path + strlen(start)) &&
	       (!strcmp(state, "held") || !strcmp(state, "queued") ||
		!strcmp(state, "running")) &&
	       (!strcmp(op, "fsync") || !strcmp(op, "fdatasync") || !strcmp(op, "syncfs"));
}

static void *read_all_the_time(void *arg)
{
	unsigned int lines, in_flight;
	struct reader *reader = arg;
	char *text, *rest, *line;

	while (!__atomic_load_n(&reader->stop, __ATOMIC_RELAXED)) {
		text = fdinfo_read(reader->fd);
		rest = text;
		lines = 0;
		in_flight = 0;
		while ((line = strsep(&rest, "\n"))) {
			if (sscanf(line, "in_flight:\t%u", &in_flight) == 1)
				continue;
			if (strncmp(line, "pending:", 8))
				continue;
			lines++;
			reader->wrong += !line_is_right(line, reader->dir);
		}
		reader->wrong += lines > 64 || lines > in_flight;
		free(text);
		__atomic_add_fetch(&reader->reads, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(look, fdinfo_can_be_read_while_requests_come_and_go, LONG_TIMEOUT)
{
	struct reader reader = { .fd = self->s.ring.fd, .dir = self->s.world.dir };
	struct afsync_sqe sqes[100];
	unsigned int i, j, n = rounds(300);
	pthread_t threads[2];
	char name[32];
	int ret;

	for (i = 0; i < 2; i++)
		threads[i] = thread_start(read_all_the_time, &reader);
	for (i = 0; i < n || !__atomic_load_n(&reader.reads, __ATOMIC_RELAXED); i++) {
		for (j = 0; j < ARRAY_SIZE(sqes); j++) {
			/* The memory of a finished request is soon reused. */
			snprintf(name, sizeof(name), "race%u", (i * 7 + j) % 150);
			sqes[j] = sqe_of(world_open(&self->s.world, name, O_RDWR), j % 3,
					 j % 5);
			if (j % 4 == 0)
				sqes[j].flags = AFSYNC_SQE_HOLD;
		}
		ASSERT_EQ(100, ring_submit(&self->s.ring, sqes, 100, NULL));
		for (j = 0; j < ARRAY_SIZE(sqes); j++)
			close(sqes[j].fd);
		if (i % 2)
			afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, i % 5, 0,
					  NULL);
		for (j = 0; j < 5; j++) {
			ret = ring_start(&self->s.ring, j);
			ASSERT_TRUE(ret > 0 || ret == -ENOENT);
		}
		for (j = 0; j < ARRAY_SIZE(sqes); j++) {
			ret = ring_next(&self->s.ring).res;
			ASSERT_TRUE(ret == 0 || ret == -ECANCELED);
		}
	}
	__atomic_store_n(&reader.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		thread_join(threads[i]);
	EXPECT_EQ(0, reader.wrong);
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
	/* When the ring has ended, all its events have been traced. */
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
