// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: data written by aio_write before aio_fsync is on the disk when its
 * status is 0; the status shows a disk that fails.
 *
 * NetBSD: aio_fsync allows the calling process to force all modified data associated with
 * the file descriptor to be flushed to the stable storage device. AIX, illumos: forces
 * all I/O operations to the synchronized I/O completion state; if it fails, data is not
 * guaranteed to have been successfully transferred.
 *
 * Needs root, the device mapper and loop devices; filesystems that the kernel or the
 * machine lacks are skipped.
 */
#include "posix.h"
#include "fs_rig.h"

FIXTURE(durability) {
	struct memdev disk;
	char file[64];
};

FIXTURE_VARIANT(durability) {
	enum fs_id id;
	bool block;	/* the device itself */
};

FIXTURE_VARIANT_ADD(durability, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(durability, xfs) { .id = FS_XFS };
FIXTURE_VARIANT_ADD(durability, block_device) { .id = FS_EXT4, .block = true };

FIXTURE_SETUP(durability)
{
	FS_OR_SKIP(variant->id);
	own_world();
	need(memdev_open(&self->disk, fs_image(variant->id)) == 0);
	strcpy(self->file, self->disk.path);
	if (!variant->block) {
		need(fs_mount(variant->id, self->disk.path, "/mnt/fs") == 0);
		strcpy(self->file, "/mnt/fs/file");
	}
}

FIXTURE_TEARDOWN(durability)
{
	/* The library does not keep the filesystem busy. */
	if (!variant->block)
		need(umount2("/mnt/fs", 0) == 0);
	memdev_close(&self->disk);
}

TEST_F(durability, data_of_queued_writes_is_on_the_disk_and_the_disk_is_flushed)
{
	int fd = open(self->file, O_RDWR | O_CREAT | O_CLOEXEC, 0644), i, j;
	struct aiocb writes[4], sync;
	char pages[4][PAGE], text[4][32];
	long flushes;

	need(fd >= 0);
	for (i = 0; i < 8; i++) {
		flushes = dev_flushes(self->disk.path);
		for (j = 0; j < 4; j++) {
			snprintf(text[j], sizeof(text[j]), "afsync: %d of %d.", j, i);
			fill_page(pages[j], text[j]);
			writes[j] = transfer_of(fd, pages[j], PAGE, j * PAGE);
			EXPECT_FALSE(image_has(self->disk.image, text[j]));
			ASSERT_EQ(0, write_queue(&writes[j]));
		}
		sync = block_of(fd);
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &sync));
		ASSERT_EQ(0, block_end(&sync));
		for (j = 0; j < 4; j++) {
			EXPECT_TRUE(image_has(self->disk.image, text[j]));
			EXPECT_EQ(PAGE, block_end(&writes[j]));
		}
		EXPECT_LT(flushes, dev_flushes(self->disk.path));
	}
	close(fd);
}

/* O_SYNC: fsync, unlike fdatasync, has to make the time of the last change durable. */
TEST_F(durability, file_made_and_synced_can_be_unmounted_at_once)
{
	struct aiocb sync;
	int fd, i;

	if (variant->block)
		SKIP(return, "there is nothing to unmount");
	for (i = 0; i < 10; i++) {
		fd = open(self->file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		need(fd >= 0);
		need(write_page(fd, 0, "afsync: unmount") == 0);
		sync = block_of(fd);
		ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
		close(fd);
		ASSERT_EQ(0, block_end(&sync));
		ASSERT_EQ(0, umount2("/mnt/fs", 0));
		need(fs_mount(variant->id, self->disk.path, "/mnt/fs") == 0);
	}
}

FIXTURE(broken_disk) {
	struct rig rig;
};

FIXTURE_VARIANT(broken_disk) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(broken_disk, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(broken_disk, xfs) { .id = FS_XFS };

FIXTURE_SETUP(broken_disk)
{
	FS_OR_SKIP(variant->id);
	own_world();
	rig_up(&self->rig, variant->id, "posix");
	rig_make_file(&self->rig);
}

FIXTURE_TEARDOWN(broken_disk)
{
	rig_down(&self->rig);
}

/* AIX, illumos: the error status is set to the error, once for each open file. */
TEST_F(broken_disk, error_of_the_disk_shows_in_the_sync_once)
{
	int fd = rig_open(&self->rig), other = rig_open(&self->rig);
	struct aiocb write, sync;
	char page[PAGE];

	fill_page(page, "afsync: is lost");
	rig_break(&self->rig);
	write = transfer_of(fd, page, PAGE, RIG_BAD * PAGE);
	sync = block_of(fd);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_DSYNC, &sync));
	EXPECT_EQ(-EIO, block_end(&sync));
	/* The write into memory succeeded. */
	EXPECT_EQ(PAGE, block_end(&write));
	rig_repair(&self->rig);
	EXPECT_EQ(0, sync_now(O_DSYNC, fd));
	EXPECT_EQ(-EIO, sync_now(O_DSYNC, other));
	EXPECT_EQ(0, sync_now(O_SYNC, other));
	close(fd);
	close(other);
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
