// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stuck filesystem delays no program that uses another one (P9).
 *
 * 600 files have a sync stuck on one filesystem, more than run on one filesystem at once:
 * its device is suspended, in one variant after the filesystem was frozen. Then every
 * operation runs on a second filesystem of the same type. Needs root, loop devices and
 * the device mapper.
 */
#include "fs_rig.h"

#define STUCK	600
#define OTHERS	64

FIXTURE(isolation_fs) {
	struct rig stuck;
	struct rig other;
	struct ring ring;		/* of the program that uses both */
	struct ring stuck_ring;		/* of one that uses only the stuck one */
	int fds[STUCK];
};

FIXTURE_VARIANT(isolation_fs) {
	enum fs_id id;
	bool frozen;
};

FIXTURE_VARIANT_ADD(isolation_fs, ext4_suspended) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(isolation_fs, ext4_frozen) { .id = FS_EXT4, .frozen = true };
FIXTURE_VARIANT_ADD(isolation_fs, xfs_suspended) { .id = FS_XFS };
FIXTURE_VARIANT_ADD(isolation_fs, xfs_frozen) { .id = FS_XFS, .frozen = true };

static int create(const char *dir, int nr)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/file%d", dir, nr);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	need(fd >= 0);
	return fd;
}

/* Queues a sync on each file; they are stuck from the start. */
FIXTURE_SETUP(isolation_fs)
{
	int i, dir;

	FS_OR_SKIP(variant->id);
	own_world();
	rig_up(&self->stuck, variant->id, "stuck");
	rig_up(&self->other, variant->id, "other");
	ring_open(&self->ring, 1024);
	ring_open(&self->stuck_ring, 1024);
	for (i = 0; i < STUCK; i++) {
		self->fds[i] = create(self->stuck.dir, i);
		need(write_page(self->fds[i], 0, "afsync: first content") == 0);
	}
	dir = open(self->stuck.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(dir >= 0 && syncfs(dir) == 0);
	close(dir);
	/* A frozen filesystem has nothing dirty; there the flush of the device is stuck. */
	if (variant->frozen) {
		need(dm_suspend_frozen(&self->stuck.dm) == 0);
	} else {
		for (i = 0; i < STUCK; i++)
			need(write_page(self->fds[i], 0, "afsync: stuck content") == 0);
		need(dm_suspend(&self->stuck.dm) == 0);
	}
	for (i = 0; i < STUCK; i++)
		need(ring_queue(&self->stuck_ring, self->fds[i], AFSYNC_OP_FSYNC, i) == 1);
	WAIT_UNTIL(ring_pending(&self->stuck_ring, "running") > 0);
}

FIXTURE_TEARDOWN(isolation_fs)
{
	int i;

	if (self->stuck.dm.suspended)
		dm_resume(&self->stuck.dm);
	ring_close(&self->ring);
	ring_close(&self->stuck_ring);
	for (i = 0; i < STUCK; i++)
		close(self->fds[i]);
	rig_down(&self->stuck);
	rig_down(&self->other);
}

/* Every operation on many files of the other filesystem, through that ring. */
static void use_other(struct __test_metadata *_metadata, FIXTURE_DATA(isolation_fs) *self,
		      struct ring *ring)
{
	struct afsync_cqe cqe;
	int i, fd;

	for (i = 0; i < OTHERS; i++) {
		fd = create(self->other.dir, i);
		ASSERT_EQ(0, write_page(fd, 0, "afsync: isolated"));
		ASSERT_EQ(1, ring_queue(ring, fd, i % 3, 5000 + i));
		close(fd);
	}
	for (i = 0; i < OTHERS; i++) {
		cqe = ring_next(ring);
		EXPECT_LE(5000U, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	EXPECT_TRUE(image_has(self->other.disk.image, "afsync: isolated"));
}

/* Resumes, and takes the completions of nr syncs that were stuck. */
static void thaw(struct __test_metadata *_metadata, FIXTURE_DATA(isolation_fs) *self, int nr)
{
	bool seen[STUCK] = { false };
	struct afsync_cqe cqe;
	int i;

	ASSERT_EQ(0, dm_resume(&self->stuck.dm));
	for (i = 0; i < nr; i++) {
		cqe = ring_next(&self->stuck_ring);
		ASSERT_GT((__u64)STUCK, cqe.user_data);
		EXPECT_FALSE(seen[cqe.user_data]);
		seen[cqe.user_data] = true;
		EXPECT_EQ(0, cqe.res);
	}
	EXPECT_EQ(0U, ring_ready(&self->stuck_ring));
}

TEST_F(isolation_fs, syncs_of_another_filesystem_complete)
{
	use_other(_metadata, self, &self->ring);
	EXPECT_EQ(0U, ring_ready(&self->stuck_ring));
	thaw(_metadata, self, STUCK);
	if (!variant->frozen)
		EXPECT_TRUE(image_has(self->stuck.disk.image, "afsync: stuck content"));
}

TEST_F(isolation_fs, syncs_of_another_filesystem_complete_in_the_ring_with_stuck_ones)
{
	use_other(_metadata, self, &self->stuck_ring);
	EXPECT_EQ(0U, ring_ready(&self->stuck_ring));
	thaw(_metadata, self, STUCK);
}

TEST_F(isolation_fs, syncs_of_files_without_a_filesystem_of_their_own_complete)
{
	int fd = open(self->other.disk.path, O_RDWR | O_CLOEXEC);

	/* a block device, tmpfs and a device node */
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, sync_one(&self->ring, fd, AFSYNC_OP_FSYNC));
	close(fd);
	fd = create("/mnt", 0);
	EXPECT_EQ(0, sync_one(&self->ring, fd, AFSYNC_OP_FSYNC));
	EXPECT_EQ(0, sync_one(&self->ring, fd, AFSYNC_OP_SYNCFS));
	close(fd);
	thaw(_metadata, self, STUCK);
}

TEST_F(isolation_fs, queued_requests_of_the_stuck_filesystem_can_be_cancelled)
{
	__u32 running, expected = parameter("workers_per_fs");
	struct afsync_cqe cqe;
	int cancelled, i;

	ASSERT_GT((__u32)STUCK, expected);
	cancelled = afsync_cmd_cancel(self->stuck_ring.fd, AFSYNC_CANCEL_ALL, 0, 0, &running);
	/* running requests cannot be cancelled, and their number is limited */
	EXPECT_EQ(STUCK, cancelled + (int)running);
	EXPECT_GE(expected, running);
	EXPECT_LT(0U, running);
	for (i = 0; i < cancelled; i++) {
		cqe = ring_next(&self->stuck_ring);
		ASSERT_EQ(-ECANCELED, cqe.res);
	}
	EXPECT_EQ(0U, ring_ready(&self->stuck_ring));
	use_other(_metadata, self, &self->ring);
	thaw(_metadata, self, running);
}

TEST_F(isolation_fs, the_stuck_filesystem_runs_on_after_the_thaw)
{
	int i;

	thaw(_metadata, self, STUCK);
	for (i = 0; i < STUCK; i += 100) {
		ASSERT_EQ(0, write_page(self->fds[i], 0, "afsync: after the thaw"));
		EXPECT_EQ(0, sync_one(&self->ring, self->fds[i], AFSYNC_OP_FSYNC));
	}
	EXPECT_TRUE(image_has(self->stuck.disk.image, "afsync: after the thaw"));
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
