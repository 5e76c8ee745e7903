// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters of each filesystem: correct, for root only, and only for filesystems with
 * requests and the few that are kept.
 *
 * Needs afsync_sim, root and debugfs.
 */
#include "common.h"

#include <sys/sysmacros.h>

#define FILESYSTEMS	"/sys/kernel/debug/afsync/filesystems"
/* Filesystems without requests that the module keeps, see fs_stats.c. */
#define KEPT		64

FIXTURE(fs_stats) {
	struct stage s;
};

FIXTURE_SETUP(fs_stats)
{
	if (access(FILESYSTEMS, F_OK))
		SKIP(exit(255), "no %s: mount debugfs", FILESYSTEMS);
	STAGE_SETUP(&self->s, "afsync_sim", 128);
}

FIXTURE_TEARDOWN(fs_stats)
{
	stage_close(&self->s);
}

/* The position of a column in the heading. */
static int column_of(char *heading, const char *name)
{
	char *word;
	int i;

	for (i = 0; (word = strsep(&heading, " ")); i++)
		if (!strcmp(word, name))
			return i;
	need(!"there is such a column");
	return -1;
}

/* The lines of a device number and type; the last one in @line, which the caller frees. */
static unsigned int lines_of(dev_t dev, const char *type, char **heading, char **line)
{
	char *text = text_read(FILESYSTEMS), *rest = text, start[64], *one;
	unsigned int count = 0;

	*heading = strdup(strsep(&rest, "\n"));
	*line = NULL;
	snprintf(start, sizeof(start), "%u:%u %s ", major(dev), minor(dev), type);
	while ((one = strsep(&rest, "\n"))) {
		if (strncmp(one, start, strlen(start)))
			continue;
		free(*line);
		*line = strdup(one);
		count++;
	}
	free(text);
	return count;
}

static dev_t dev_of(int fd)
{
	struct stat st;

	need(fstat(fd, &st) == 0);
	return st.st_dev;
}

/* A counter of the filesystem of @fd, 0 if it has no line. */
static __u64 fs_counter(int fd, const char *name)
{
	char *heading, *line, *rest, *word = NULL;
	unsigned int count = lines_of(dev_of(fd), "afsync_sim", &heading, &line);
	int column = column_of(heading, name);
	__u64 value;

	need(count < 2);
	rest = line;
	while (rest && column-- >= 0)
		word = strsep(&rest, " ");
	need(!line || word);
	value = word ? strtoull(word, NULL, 10) : 0;
	free(heading);
	free(line);
	return value;
}

TEST_F(fs_stats, requests_and_syncs_of_a_filesystem_are_counted)
{
	int ctl = self->s.ctl, file = self->s.file, i;
	__u64 requests = fs_counter(ctl, "requests"), syncs = fs_counter(ctl, "syncs");
	__u64 merged = fs_counter(ctl, "merged"), completed = fs_counter(ctl, "completed");
	__u64 failed = fs_counter(ctl, "failed"), cancelled = fs_counter(ctl, "cancelled");

	/* One runs; of ten that wait three are cancelled, and one sync serves seven. */
	sim_hold(ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i <= 10; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, file, AFSYNC_OP_FSYNC, 1 + i / 8));
	EXPECT_EQ(requests + 11, fs_counter(ctl, "requests"));
	EXPECT_EQ(11, fs_counter(ctl, "in_flight"));
	EXPECT_EQ(syncs, fs_counter(ctl, "syncs"));
	EXPECT_EQ(3, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 2, 0, NULL));
	sim_let_go(ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, 11);

	EXPECT_EQ(requests + 11, fs_counter(ctl, "requests"));
	EXPECT_EQ(syncs + 2, fs_counter(ctl, "syncs"));
	EXPECT_EQ(merged + 6, fs_counter(ctl, "merged"));
	EXPECT_EQ(completed + 11, fs_counter(ctl, "completed"));
	EXPECT_EQ(cancelled + 3, fs_counter(ctl, "cancelled"));
	EXPECT_EQ(failed, fs_counter(ctl, "failed"));
	EXPECT_EQ(0, fs_counter(ctl, "in_flight"));
}

TEST_F(fs_stats, requests_that_fail_are_counted)
{
	__u64 failed = fs_counter(self->s.ctl, "failed");

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(-EIO, ring_next(&self->s.ring).res);
	EXPECT_EQ(failed + 1, fs_counter(self->s.ctl, "failed"));
}

TEST_F(fs_stats, held_requests_and_syncs_of_the_filesystem_count_there)
{
	__u64 requests = fs_counter(self->s.ctl, "requests");
	__u64 syncs = fs_counter(self->s.ctl, "syncs");

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	EXPECT_EQ(1, fs_counter(self->s.ctl, "in_flight"));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 2));
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	ring_next(&self->s.ring);
	EXPECT_EQ(requests + 2, fs_counter(self->s.ctl, "requests"));
	EXPECT_EQ(syncs + 2, fs_counter(self->s.ctl, "syncs"));
}

/* The measured time contains the call of the filesystem. */
TEST_F(fs_stats, time_of_syncs_is_no_less_than_that_of_the_filesystem)
{
	__u64 sum = fs_counter(self->s.ctl, "sync_ns"), most, longest = 0;
	__u64 begun = now_ns(), took = 0, all;
	struct sim_call call;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
		ring_next(&self->s.ring);
		call = sim_call(self->s.ctl, i);
		took += call.ended_ns - call.begun_ns;
		if (longest < call.ended_ns - call.begun_ns)
			longest = call.ended_ns - call.begun_ns;
	}
	all = now_ns() - begun;
	sum = fs_counter(self->s.ctl, "sync_ns") - sum;
	most = fs_counter(self->s.ctl, "sync_max_ns");
	EXPECT_LE(took, sum);
	EXPECT_LE(longest, most);
	EXPECT_LE(sum, all);
}

/* The lane of the first one is gone when the second one's has become idle. */
TEST_F(fs_stats, counters_go_on_when_requests_come_and_go)
{
	struct world second;
	__u64 requests;
	int file;

	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	ring_next(&self->s.ring);
	requests = fs_counter(self->s.ctl, "requests");
	world_mount(&second, "afsync_sim");
	file = world_open(&second, "file", O_RDWR);
	ASSERT_EQ(1, ring_queue(&self->s.ring, file, AFSYNC_OP_FSYNC, 2));
	ring_next(&self->s.ring);
	EXPECT_LE(1, fs_counter(file, "requests"));
	EXPECT_EQ(requests, fs_counter(self->s.ctl, "requests"));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	ring_next(&self->s.ring);
	EXPECT_EQ(requests + 1, fs_counter(self->s.ctl, "requests"));
	close(file);
	world_unmount(&second);
}

TEST_F(fs_stats, no_more_than_a_few_are_kept)
{
	unsigned int i, there = 0, with_line;
	struct world worlds[KEPT + 20];
	int files[KEPT + 20];

	for (i = 0; i < KEPT + 20; i++) {
		world_mount(&worlds[i], "afsync_sim");
		files[i] = world_open(&worlds[i], "file", O_RDWR);
		ASSERT_EQ(1, ring_queue(&self->s.ring, files[i], AFSYNC_OP_FSYNC, i));
		ring_next(&self->s.ring);
		/* It is counted, whichever one was dropped for it. */
		EXPECT_LE(1, fs_counter(files[i], "requests"));
	}
	for (i = 0; i < KEPT + 20; i++) {
		with_line = !!fs_counter(files[i], "requests");
		there += with_line;
		/* The oldest is gone, the youngest is there. */
		if (i == 0)
			EXPECT_EQ(0, with_line);
		if (i == KEPT + 19)
			EXPECT_EQ(1, with_line);
		close(files[i]);
		world_unmount(&worlds[i]);
	}
	/* One more may be there: the one whose lane is kept. */
	EXPECT_GE(KEPT + 1, there);
}

/* Debugfs admits only root; an administrator may change that for its other files. */
TEST_F(fs_stats, only_root_may_read)
{
	struct stat st;
	int fd, error;

	ASSERT_EQ(0, stat(FILESYSTEMS, &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	ASSERT_EQ(0, seteuid(1));
	fd = open(FILESYSTEMS, O_RDONLY | O_CLOEXEC);
	error = errno;
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EACCES, error);
}

TEST_HARNESS_MAIN
