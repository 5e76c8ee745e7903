// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a completion can be seen, the module has released the file (P6): its filesystem
 * can be unmounted at once, its locks are free, and the released reference may have been
 * its last one.
 *
 * Nothing is tried twice here: an umount that says EBUSY once fails the test.
 *
 * Needs root, loop devices and the device mapper; a filesystem that the kernel or
 * the machine lacks is skipped.
 */
#include "fs_rig.h"

#include <sys/file.h>
#include <sys/statvfs.h>

#define FILES	4

FIXTURE(let_go_first) {
	struct memdev disk;
	struct ring ring;
};

FIXTURE_VARIANT(let_go_first) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(let_go_first, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(let_go_first, xfs) { .id = FS_XFS };

FIXTURE_SETUP(let_go_first)
{
	FS_OR_SKIP(variant->id);
	own_world();
	need(memdev_open(&self->disk, fs_image(variant->id)) == 0);
	ring_open(&self->ring, 64);
}

FIXTURE_TEARDOWN(let_go_first)
{
	ring_close(&self->ring);
	memdev_close(&self->disk);
}

static int create(int nr, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/mnt/fs/file%d", nr);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	need(fd >= 0);
	need(write_page(fd, 0, text) == 0);
	return fd;
}

TEST_F_TIMEOUT(let_go_first, umount_right_after_the_completion_is_never_busy, LONG_TIMEOUT)
{
	unsigned int round, nr = rounds(300);
	char text[32];
	int fd;

	for (round = 0; round < nr; round++) {
		ASSERT_EQ(0, fs_mount(variant->id, self->disk.path, "/mnt/fs"));
		snprintf(text, sizeof(text), "afsync: round %u.", round);
		fd = create(0, text);
		ASSERT_EQ(1, ring_queue(&self->ring, fd, round % 3, round));
		close(fd);
		ASSERT_EQ(0, ring_next(&self->ring).res);
		ASSERT_EQ(0, umount2("/mnt/fs", 0)) {
			TH_LOG("round %u: %s", round, strerror(errno));
		}
	}
	EXPECT_TRUE(image_has(self->disk.image, text));
}

TEST_F_TIMEOUT(let_go_first, umount_after_the_last_of_many_files_is_never_busy, LONG_TIMEOUT)
{
	unsigned int round, nr = rounds(100);
	struct afsync_sqe sqes[4 * FILES];
	int fds[FILES], i;

	for (round = 0; round < nr; round++) {
		ASSERT_EQ(0, fs_mount(variant->id, self->disk.path, "/mnt/fs"));
		for (i = 0; i < FILES; i++)
			fds[i] = create(i, "afsync: one of many");
		/* merged ones, other operations, all in flight at once */
		for (i = 0; i < 4 * FILES; i++)
			sqes[i] = sqe_of(fds[i % FILES], i % 3, i);
		ASSERT_EQ(4 * FILES, ring_submit(&self->ring, sqes, 4 * FILES, NULL));
		for (i = 0; i < FILES; i++)
			close(fds[i]);
		for (i = 0; i < 4 * FILES; i++)
			ASSERT_EQ(0, ring_next(&self->ring).res);
		ASSERT_EQ(0, umount2("/mnt/fs", 0));
	}
}

TEST_F_TIMEOUT(let_go_first, a_lock_held_by_the_file_is_free_at_the_completion, LONG_TIMEOUT)
{
	unsigned int round, nr = rounds(1000);
	int fd, other;

	ASSERT_EQ(0, fs_mount(variant->id, self->disk.path, "/mnt/fs"));
	other = create(0, "afsync: locked");
	for (round = 0; round < nr; round++) {
		fd = create(0, "afsync: locked");
		ASSERT_EQ(0, flock(fd, LOCK_EX | LOCK_NB));
		ASSERT_EQ(1, ring_queue(&self->ring, fd, AFSYNC_OP_FSYNC, round));
		close(fd);
		ASSERT_EQ(0, ring_next(&self->ring).res);
		ASSERT_EQ(0, flock(other, LOCK_EX | LOCK_NB)) {
			TH_LOG("round %u: %s", round, strerror(errno));
		}
		ASSERT_EQ(0, flock(other, LOCK_UN));
	}
	close(other);
	EXPECT_EQ(0, umount2("/mnt/fs", 0));
}

/* Blocks that are free once everything is written back. */
static fsblkcnt_t free_blocks(void)
{
	struct statvfs st;
	int dir = open("/mnt/fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	need(dir >= 0 && syncfs(dir) == 0);
	close(dir);
	need(statvfs("/mnt/fs", &st) == 0);
	return st.f_bfree;
}

TEST_F_TIMEOUT(let_go_first, the_last_reference_of_a_deleted_file_may_be_the_requests, LONG_TIMEOUT)
{
	unsigned int round, nr = rounds(100);
	struct statvfs before, after;
	int fd;

	ASSERT_EQ(0, fs_mount(variant->id, self->disk.path, "/mnt/fs"));
	free_blocks();
	ASSERT_EQ(0, statvfs("/mnt/fs", &before));
	for (round = 0; round < nr; round++) {
		fd = create(0, "afsync: deleted");
		ASSERT_EQ(0, unlink("/mnt/fs/file0"));
		ASSERT_EQ(1, ring_queue(&self->ring, fd, round % 3, round));
		close(fd);
		ASSERT_EQ(0, ring_next(&self->ring).res);
	}
	/* the inodes are gone: they went with the last references */
	ASSERT_EQ(0, umount2("/mnt/fs", 0));
	ASSERT_EQ(0, fs_mount(variant->id, self->disk.path, "/mnt/fs"));
	free_blocks();
	ASSERT_EQ(0, statvfs("/mnt/fs", &after));
	/* xfs keeps the blocks of an inode chunk and of its btrees */
	EXPECT_GE(after.f_bfree + 16, before.f_bfree);
	EXPECT_EQ(before.f_files - before.f_ffree, after.f_files - after.f_ffree);
	EXPECT_EQ(0, umount2("/mnt/fs", 0));
}

FIXTURE(let_go_held) {
	struct rig rig;
	struct ring ring;
};

FIXTURE_VARIANT(let_go_held) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(let_go_held, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(let_go_held, xfs) { .id = FS_XFS };

FIXTURE_SETUP(let_go_held)
{
	FS_OR_SKIP(variant->id);
	own_world();
	rig_up(&self->rig, variant->id, "held");
	rig_make_file(&self->rig);
	ring_open(&self->ring, 64);
}

FIXTURE_TEARDOWN(let_go_held)
{
	if (self->rig.dm.suspended)
		dm_resume(&self->rig.dm);
	ring_close(&self->ring);
	rig_down(&self->rig);
}

/* A sync through its own open file that stays stuck until the device is resumed. */
static void stick(FIXTURE_DATA(let_go_held) *self)
{
	int fd = rig_open(&self->rig);

	need(write_page(fd, RIG_GOOD, "afsync: stuck") == 0);
	need(dm_suspend(&self->rig.dm) == 0);
	need(ring_queue(&self->ring, fd, AFSYNC_OP_FSYNC, 1000) == 1);
	WAIT_UNTIL(ring_pending(&self->ring, "running") == 1);
	close(fd);
}

TEST_F(let_go_held, a_cancelled_request_has_let_go_while_the_running_one_is_stuck)
{
	int nr = 32, i, other, fds[32];
	struct afsync_cqe cqe;
	__u32 running;

	other = rig_open(&self->rig);
	stick(self);
	for (i = 0; i < nr; i++) {
		fds[i] = rig_open(&self->rig);
		/* shared locks, so that all of them have to end */
		ASSERT_EQ(0, flock(fds[i], LOCK_SH | LOCK_NB));
		ASSERT_EQ(1, ring_queue(&self->ring, fds[i], AFSYNC_OP_FSYNC, i));
		close(fds[i]);
	}
	ASSERT_EQ(-1, flock(other, LOCK_EX | LOCK_NB));
	ASSERT_EQ(EWOULDBLOCK, errno);
	ASSERT_EQ(nr, afsync_cmd_cancel(self->ring.fd, AFSYNC_CANCEL_ALL, 0, 0, &running));
	EXPECT_EQ(1U, running);
	for (i = 0; i < nr; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	EXPECT_EQ(0, flock(other, LOCK_EX | LOCK_NB));
	EXPECT_EQ(1, ring_pending(&self->ring, "running"));
	close(other);

	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	cqe = ring_next(&self->ring);
	EXPECT_EQ(1000U, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	/* with that, no reference holds the filesystem: the tear-down unmounts it */
}

TEST_F(let_go_held, a_filesystem_unmounted_lazily_goes_with_the_last_request)
{
	struct afsync_cqe cqe;
	int dev;

	stick(self);
	ASSERT_EQ(0, umount2(self->rig.dir, MNT_DETACH));
	/* still there: only the request holds it */
	dev = open(self->rig.dm.path, O_RDWR | O_EXCL | O_CLOEXEC);
	ASSERT_EQ(-1, dev);
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	cqe = ring_next(&self->ring);
	EXPECT_EQ(1000U, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	/* The kernel takes a detached mount apart by itself; the device goes with it. */
	dm_gone(&self->rig.dm);
	EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: stuck"));
	memdev_close(&self->rig.disk);
}

TEST_F(let_go_held, a_ring_that_goes_first_lets_go_of_all_it_had_queued)
{
	int i, fd, other;

	other = rig_open(&self->rig);
	for (i = 0; i < 32; i++) {
		fd = rig_open(&self->rig);
		ASSERT_EQ(0, flock(fd, LOCK_SH | LOCK_NB));
		ASSERT_EQ(0, write_page(fd, i % RIG_PAGES, "afsync: orphaned"));
		ASSERT_EQ(1, ring_queue(&self->ring, fd, AFSYNC_OP_FSYNC, i));
		close(fd);
	}
	ring_close(&self->ring);
	EXPECT_EQ(0, flock(other, LOCK_EX | LOCK_NB));
	close(other);
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
