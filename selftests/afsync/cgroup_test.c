// SPDX-License-Identifier: GPL-2.0-only
/*
 * The I/O cgroup of a sync: on a filesystem that does not charge writeback to the owner of
 * the dirty pages, the writes of a sync are charged to the cgroup of the process that
 * queued it, like those of fsync(2); later writes are not.
 *
 * Needs root, vfat, loop devices, and cgroup v2 with the io controller.
 */
#include "fs_common.h"

#define ROOT	"/sys/fs/cgroup"
#define BYTES	(512 * 1024LL)
#define NR	3	/* cgroups a and b, and the one of the test */

static const char * const groups[NR] = { ROOT "/afsync-a", ROOT "/afsync-b", NULL };

FIXTURE(cgroup) {
	struct memdev disk;
	char device[32];	/* as io.stat names it */
	struct turn begin[NR];
	struct turn done;
	pid_t pids[NR];
	bool *failed;
};

/* The job of each process: a whole file of new data, made durable. */
static bool write_and_sync(int file, struct ring *ring, int by)
{
	static char data[BYTES];
	static int count;

	memset(data, ++count, sizeof(data));
	if (pwrite(file, data, BYTES, 0) != BYTES)
		return false;
	if (!ring)
		return !fsync(file);
	return ring_queue(ring, file, by % 2, 0) == 1 && ring_next(ring).res == 0;
}

/* Writes at each request from the test, in its cgroup. */
static void member(FIXTURE_DATA(cgroup) *self, int nr)
{
	char path[64];
	struct ring ring;
	int file, i;

	if (groups[nr]) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", groups[nr]);
		need(text_write(path, "0") == 0);
	}
	snprintf(path, sizeof(path), "/mnt/vfat/file%d", nr);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(file >= 0);
	ring_open(&ring, 8);
	for (i = 0;; i++) {
		turn_wait(&self->begin[nr], 1);
		/* The first one uses fsync(2), to see that its writes are charged at all. */
		*self->failed |= !write_and_sync(file, i ? &ring : NULL, i);
		turn_post(&self->done);
	}
}

FIXTURE_SETUP(cgroup)
{
	char path[64];
	struct stat st;
	int i;

	FS_OR_SKIP(FS_VFAT);
	/* Stays on if it was on already. */
	text_write(ROOT "/cgroup.subtree_control", "+io");
	for (i = 0; i < NR && groups[i]; i++) {
		rmdir(groups[i]);
		snprintf(path, sizeof(path), "%s/io.stat", groups[i]);
		if (mkdir(groups[i], 0755) || access(path, R_OK)) {
			rmdir(groups[i]);
			SKIP(exit(255), "no cgroup v2 with the io controller");
		}
	}
	own_mounts();
	need(mount("afsync-test", "/mnt", "tmpfs", 0, NULL) == 0);
	need(memdev_open(&self->disk, fs_image(FS_VFAT)) == 0);
	need(fs_mount(FS_VFAT, self->disk.path, "/mnt/vfat") == 0);
	need(stat("/mnt/vfat", &st) == 0);
	snprintf(self->device, sizeof(self->device), "%u:%u ", major(st.st_dev),
		 minor(st.st_dev));
	self->failed = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			    0);
	need(self->failed != MAP_FAILED);
	turn_init(&self->done);
	for (i = 0; i < NR; i++) {
		turn_init(&self->begin[i]);
		self->pids[i] = fork();
		need(self->pids[i] >= 0);
		if (!self->pids[i])
			member(self, i);
	}
}

FIXTURE_TEARDOWN(cgroup)
{
	int i;

	for (i = 0; i < NR; i++) {
		kill(self->pids[i], SIGKILL);
		child_wait(self->pids[i]);
		if (groups[i])
			EXPECT_EQ(0, rmdir(groups[i]));
	}
	need(umount2("/mnt/vfat", 0) == 0);
	memdev_close(&self->disk);
}

/* Bytes written to the device that are charged to a cgroup. */
static long long charged(FIXTURE_DATA(cgroup) *self, int nr)
{
	char path[64], *text, *line, *at;
	long long bytes = 0;

	snprintf(path, sizeof(path), "%s/io.stat", groups[nr]);
	text = text_read(path);
	for (line = text; line && *line; line = (at = strchr(line, '\n')) ? at + 1 : NULL) {
		if (strncmp(line, self->device, strlen(self->device)))
			continue;
		at = strstr(line, "wbytes=");
		if (at)
			bytes = strtoll(at + strlen("wbytes="), NULL, 10);
		break;
	}
	free(text);
	return bytes;
}

/* Has the process of that number write and sync. */
static bool turn_of(FIXTURE_DATA(cgroup) *self, int nr)
{
	turn_post(&self->begin[nr]);
	turn_wait(&self->done, 1);
	return !*self->failed;
}

TEST_F(cgroup, writes_of_a_sync_are_charged_to_the_cgroup_of_who_queued_it_and_to_no_other)
{
	unsigned int round, nr, i;
	long long before[2];

	/* In turn, so that the same worker syncs for all of them. */
	for (round = 0; round < 10; round++) {
		for (nr = 0; nr < NR; nr++) {
			for (i = 0; i < 2; i++)
				before[i] = charged(self, i);
			ASSERT_TRUE(turn_of(self, nr));
			for (i = 0; i < 2; i++) {
				EXPECT_LE(before[i] + (i == nr ? BYTES : 0), charged(self, i))
					TH_LOG("round %u", round);
				EXPECT_TRUE(i == nr || before[i] == charged(self, i))
					TH_LOG("round %u", round);
			}
		}
	}
}

FS_TESTS_MAIN(FS_VFAT)
