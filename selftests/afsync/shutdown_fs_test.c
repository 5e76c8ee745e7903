// SPDX-License-Identifier: GPL-2.0-only
/*
 * A filesystem that is shut down, or whose device dies, under pending syncs: all of them
 * complete, none with success, and nothing keeps the filesystem from being unmounted
 * afterwards (P2, P5, P6). Needs root, loop devices, the device mapper.
 */
#include "fs_rig.h"

#define PENDING	20

FIXTURE(shutdown_fs) {
	struct rig rig;
	struct ring ring;
	int fds[3];
	int dir;
};

FIXTURE_VARIANT(shutdown_fs) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(shutdown_fs, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(shutdown_fs, xfs) { .id = FS_XFS };

FIXTURE_SETUP(shutdown_fs)
{
	int i;

	FS_OR_SKIP(variant->id);
	own_world();
	rig_up(&self->rig, variant->id, "shut");
	rig_make_file(&self->rig);
	for (i = 0; i < 3; i++)
		self->fds[i] = rig_open(&self->rig);
	self->dir = open(self->rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(self->dir >= 0);
	ring_open(&self->ring, 64);
}

/* The rig's tear-down unmounts: nothing may be left. */
FIXTURE_TEARDOWN(shutdown_fs)
{
	int i;

	if (self->rig.dm.suspended)
		dm_resume(&self->rig.dm);
	ring_close(&self->ring);
	for (i = 0; i < 3; i++)
		close(self->fds[i]);
	close(self->dir);
	rig_down(&self->rig);
}

/* The file grows, so its sync needs the log; it is stuck, and others wait behind it. */
static void queue_all(struct __test_metadata *_metadata, FIXTURE_DATA(shutdown_fs) *self)
{
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, write_page(self->fds[0], RIG_PAGES + i, "afsync: shut"));
	ASSERT_EQ(0, dm_suspend(&self->rig.dm));
	ASSERT_EQ(1, ring_queue(&self->ring, self->fds[0], AFSYNC_OP_FSYNC, 0));
	WAIT_UNTIL(ring_pending(&self->ring, "running") == 1);
	for (i = 1; i < PENDING; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->fds[i % 3], i % 2, i));
	ASSERT_EQ(0U, ring_ready(&self->ring));
}

static void shut_down(struct __test_metadata *_metadata, FIXTURE_DATA(shutdown_fs) *self)
{
	uint32_t how = FS_GOING_NOLOGFLUSH;

	ASSERT_EQ(0, ioctl(self->dir, FS_IOC_GOINGDOWN, &how));
}

TEST_F(shutdown_fs, pending_syncs_fail_when_the_filesystem_is_shut_down)
{
	struct afsync_cqe cqe;
	int results[PENDING], plain, i, fd;
	pid_t child;

	queue_all(_metadata, self);
	/* Shutting down may need the device as well, so another process asks for it. */
	child = fork();
	if (child == 0) {
		close(self->ring.fd);
		munmap(self->ring.header, self->ring.size);
		shut_down(_metadata, self);
		_exit(0);
	}
	/* It is down as soon as nothing can be opened. */
	do {
		fd = open(self->rig.file, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	} while (fd >= 0);
	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	for (i = 0; i < PENDING; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		results[i] = cqe.res;
	}
	plain = fsync(self->fds[0]) ? -errno : 0;
	EXPECT_LT(plain, 0);
	/* ext4 may find nothing left to wait for in a sync that runs */
	for (i = 1; i < PENDING; i++)
		EXPECT_EQ(plain, results[i]);
	EXPECT_EQ(0, child_wait(child));
}

TEST_F(shutdown_fs, syncs_after_the_shutdown_do_what_fsync_does)
{
	int plain, i;

	ASSERT_EQ(0, write_page(self->fds[0], 0, "afsync: shut"));
	shut_down(_metadata, self);
	for (i = 0; i < 3; i++) {
		plain = fsync(self->fds[i]) ? -errno : 0;
		EXPECT_LT(plain, 0);
		EXPECT_EQ(plain, sync_one(&self->ring, self->fds[i], AFSYNC_OP_FSYNC));
		EXPECT_EQ(plain, sync_one(&self->ring, self->fds[i], AFSYNC_OP_FDATASYNC));
	}
	/* the first one reports the loss, if the filesystem does */
	syncfs(self->dir);
	plain = syncfs(self->dir) ? -errno : 0;
	EXPECT_EQ(plain, sync_one(&self->ring, self->dir, AFSYNC_OP_SYNCFS));
}

TEST_F(shutdown_fs, pending_syncs_fail_when_the_device_dies)
{
	struct dm_table dead = { 0 };
	struct afsync_cqe cqe;
	int i, plain;

	queue_all(_metadata, self);
	dm_add(&dead, 0, self->rig.sectors, "error", "%s", "");
	rig_table(&self->rig, &dead);
	for (i = 0; i < PENDING; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_GT(0, cqe.res);
	}
	/* each file has reported its errors; from here on it behaves like fsync() */
	for (i = 0; i < 3; i++) {
		plain = fsync(self->fds[i]) ? -errno : 0;
		EXPECT_EQ(plain, sync_one(&self->ring, self->fds[i], AFSYNC_OP_FSYNC));
	}
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
