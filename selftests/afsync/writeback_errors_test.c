// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each open file reports each writeback error exactly once (P5), on real filesystems over
 * a device whose sectors fail.
 *
 * Each test does the same twice: with plain fsync() or syncfs() on one disk, with afsync
 * on an identical second one, and compares the errors that every open file reported. The
 * batches do not depend on time: the device is suspended with a first sync stuck on it,
 * so that requests queued meanwhile wait, and is resumed with a table on which half of
 * the file fails.
 *
 * Needs root, the device mapper and loop devices; filesystems that the kernel or
 * the machine lacks are skipped.
 */
#include "fs_rig.h"

#define FILES	4

FIXTURE(writeback_errors) {
	struct rig plain;
	struct rig ours;
	struct ring ring;
	int plain_fd[FILES];
	int ours_fd[FILES];
};

FIXTURE_VARIANT(writeback_errors) {
	enum fs_id id;
	bool overlay;
	bool per_inode;		/* one queue for all open files of the inode */
};

FIXTURE_VARIANT_ADD(writeback_errors, ext4) {
	.id = FS_EXT4, .per_inode = true,
};

FIXTURE_VARIANT_ADD(writeback_errors, xfs) {
	.id = FS_XFS, .per_inode = true,
};

FIXTURE_VARIANT_ADD(writeback_errors, overlay_on_ext4) {
	.id = FS_EXT4, .overlay = true,
};

FIXTURE_SETUP(writeback_errors)
{
	FS_OR_SKIP(variant->id);
	if (variant->overlay && !fs_known("overlay"))
		SKIP(exit(255), "no overlay filesystem");
	own_world();
	memset(self->plain_fd, -1, sizeof(self->plain_fd));
	memset(self->ours_fd, -1, sizeof(self->ours_fd));
	rig_up(&self->plain, variant->id, "plain");
	rig_up(&self->ours, variant->id, "ours");
	if (variant->overlay) {
		rig_overlay(&self->plain);
		rig_overlay(&self->ours);
	}
	rig_make_file(&self->plain);
	rig_make_file(&self->ours);
	ring_open(&self->ring, 64);
}

FIXTURE_TEARDOWN(writeback_errors)
{
	int i;

	if (self->ours.dm.suspended)
		dm_resume(&self->ours.dm);
	ring_close(&self->ring);
	for (i = 0; i < FILES; i++) {
		close(self->plain_fd[i]);
		close(self->ours_fd[i]);
	}
	rig_down(&self->plain);
	rig_down(&self->ours);
}

/* Opens the next file of both rigs under the same number. */
static void open_both(FIXTURE_DATA(writeback_errors) *self, int nr)
{
	self->plain_fd[nr] = rig_open(&self->plain);
	self->ours_fd[nr] = rig_open(&self->ours);
}

static int plain_fsync(int fd)
{
	return fsync(fd) ? -errno : 0;
}

static int plain_syncfs(int fd)
{
	return syncfs(fd) ? -errno : 0;
}

static int our_fsync(FIXTURE_DATA(writeback_errors) *self, int nr)
{
	return sync_one(&self->ring, self->ours_fd[nr], AFSYNC_OP_FSYNC);
}

static int our_syncfs(FIXTURE_DATA(writeback_errors) *self, int nr)
{
	return sync_one(&self->ring, self->ours_fd[nr], AFSYNC_OP_SYNCFS);
}

/*
 * Dirty pages for later, then a sync through file 0 of the good page alone, which gets
 * stuck. All requests queued before let_go() wait behind it.
 */
static void hold(FIXTURE_DATA(writeback_errors) *self, bool dirty_bad)
{
	int fd = self->ours_fd[0];
	struct afsync_sqe sqe = sqe_of(fd, AFSYNC_OP_FDATASYNC, 1000);

	need(write_page(fd, RIG_GOOD, "afsync: held") == 0);
	if (dirty_bad)
		need(write_page(fd, RIG_BAD, "afsync: lost") == 0);
	sqe.offset = RIG_GOOD * PAGE;
	sqe.length = PAGE;
	need(dm_suspend(&self->ours.dm) == 0);
	need(ring_submit(&self->ring, &sqe, 1, NULL) == 1);
	WAIT_UNTIL(ring_pending(&self->ring, "running") == 1);
}

/* Queues an fsync for each of the files, in this order. */
static void queue_files(FIXTURE_DATA(writeback_errors) *self, const int *files, int nr)
{
	struct afsync_sqe sqes[8];
	int i;

	for (i = 0; i < nr; i++)
		sqes[i] = sqe_of(self->ours_fd[files[i]], AFSYNC_OP_FSYNC, files[i]);
	need(ring_submit(&self->ring, sqes, nr, NULL) == nr);
}

/*
 * Takes the completions of the stuck sync and of nr others, by file: the result, and the
 * number of real syncs for them.
 */
static int collect(FIXTURE_DATA(writeback_errors) *self, int nr, int results[FILES], int *held)
{
	struct afsync_cqe cqe;
	int i, syncs = 0;

	for (i = 0; i < FILES; i++)
		results[i] = 1;
	for (i = 0; i < nr + !!held; i++) {
		cqe = ring_next(&self->ring);
		if (cqe.user_data == 1000) {
			*held = cqe.res;
			continue;
		}
		/* two requests of one open file in a batch have the same result */
		need(results[cqe.user_data] == 1 || results[cqe.user_data] == cqe.res);
		results[cqe.user_data] = cqe.res;
		syncs += !(cqe.flags & AFSYNC_CQE_MERGED);
	}
	return syncs;
}

/* The bad page is lost and file 0 has reported it; the device works again. */
static void lose_a_page(FIXTURE_DATA(writeback_errors) *self)
{
	rig_break(&self->plain);
	rig_break(&self->ours);
	need(write_page(self->plain_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(plain_fsync(self->plain_fd[0]) == -EIO);
	need(our_fsync(self, 0) == -EIO);
	rig_repair(&self->plain);
	rig_repair(&self->ours);
}

/* The bad page is lost, and no open file has reported it. */
static void lose_a_page_unseen(FIXTURE_DATA(writeback_errors) *self)
{
	int plain = open("/mnt/plain", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ours = open("/mnt/ours", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	need(plain >= 0 && ours >= 0);
	rig_break(&self->plain);
	rig_break(&self->ours);
	need(write_page(self->plain_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(plain_syncfs(plain) == -EIO);
	need(sync_one(&self->ring, ours, AFSYNC_OP_SYNCFS) == -EIO);
	rig_repair(&self->plain);
	rig_repair(&self->ours);
	close(plain);
	close(ours);
}

TEST_F(writeback_errors, two_open_files_are_each_told_once)
{
	static const int order[] = { 0, 1, 0, 1 };
	static const int expected[] = { -EIO, -EIO, 0, 0 };
	int i;

	open_both(self, 0);
	open_both(self, 1);
	rig_break(&self->plain);
	rig_break(&self->ours);
	need(write_page(self->plain_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(expected[i], plain_fsync(self->plain_fd[order[i]]));
		EXPECT_EQ(expected[i], our_fsync(self, order[i]));
	}
}

TEST_F(writeback_errors, two_open_files_in_one_failing_batch_are_each_told_once)
{
	static const int files[] = { 1, 2 };
	int plain[FILES], ours[FILES], held = 1, syncs, i;

	for (i = 0; i < 3; i++)
		open_both(self, i);

	rig_break(&self->plain);
	need(write_page(self->plain_fd[0], RIG_BAD, "afsync: lost") == 0);
	plain[1] = plain_fsync(self->plain_fd[1]);
	plain[2] = plain_fsync(self->plain_fd[2]);
	plain[0] = plain_fsync(self->plain_fd[0]);

	if (variant->per_inode) {
		hold(self, true);
		queue_files(self, files, 2);
		ASSERT_EQ(2, ring_pending(&self->ring, "queued"));
		rig_break(&self->ours);
		syncs = collect(self, 2, ours, &held);
		EXPECT_EQ(0, held);
	} else {
		rig_break(&self->ours);
		need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
		queue_files(self, files, 2);
		syncs = collect(self, 2, ours, NULL);
	}
	/* a failed sync serves no other file */
	EXPECT_EQ(2, syncs);
	ours[0] = our_fsync(self, 0);

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EIO, plain[i]);
		EXPECT_EQ(plain[i], ours[i]);
		EXPECT_EQ(0, plain_fsync(self->plain_fd[i]));
		EXPECT_EQ(0, our_fsync(self, i));
	}
}

TEST_F(writeback_errors, requests_of_one_open_file_in_a_failing_batch_all_fail)
{
	static const int files[] = { 1, 2, 1, 2, 1 };
	int ours[FILES], held = 1, i;

	for (i = 0; i < 3; i++)
		open_both(self, i);
	if (variant->per_inode) {
		hold(self, true);
		queue_files(self, files, 5);
		ASSERT_EQ(5, ring_pending(&self->ring, "queued"));
		rig_break(&self->ours);
		collect(self, 5, ours, &held);
		EXPECT_EQ(0, held);
	} else {
		rig_break(&self->ours);
		need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
		queue_files(self, files, 5);
		collect(self, 5, ours, NULL);
	}
	EXPECT_EQ(-EIO, ours[1]);
	EXPECT_EQ(-EIO, ours[2]);
	EXPECT_EQ(0, our_fsync(self, 1));
	EXPECT_EQ(0, our_fsync(self, 2));
}

/* File 1 has an error to report, file 2 was opened after another file had reported it. */
static void old_error(struct __test_metadata *_metadata, FIXTURE_DATA(writeback_errors) *self,
		      const FIXTURE_VARIANT(writeback_errors) *variant, const int files[2])
{
	int plain[FILES], ours[FILES], held = 1, syncs, i;

	open_both(self, 0);
	open_both(self, 1);
	lose_a_page(self);
	open_both(self, 2);

	for (i = 0; i < 2; i++)
		plain[files[i]] = plain_fsync(self->plain_fd[files[i]]);
	if (variant->per_inode)
		hold(self, false);
	queue_files(self, files, 2);
	if (variant->per_inode)
		rig_repair(&self->ours);
	syncs = collect(self, 2, ours, variant->per_inode ? &held : NULL);
	if (variant->per_inode) {
		EXPECT_EQ(0, held);
		/* the sync of the file with the error fails, and serves only that file */
		EXPECT_EQ(files[0] == 1 ? 2 : 1, syncs);
	}

	EXPECT_EQ(-EIO, plain[1]);
	EXPECT_EQ(0, plain[2]);
	EXPECT_EQ(plain[1], ours[1]);
	EXPECT_EQ(plain[2], ours[2]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, our_fsync(self, i));
}

TEST_F(writeback_errors, an_old_error_of_the_first_of_a_batch_stays_its_own)
{
	old_error(_metadata, self, variant, (int[]){ 1, 2 });
}

TEST_F(writeback_errors, an_old_error_of_a_later_one_of_a_batch_stays_its_own)
{
	old_error(_metadata, self, variant, (int[]){ 2, 1 });
}

TEST_F(writeback_errors, a_file_opened_after_the_error_is_told_unless_somebody_was)
{
	int i;

	open_both(self, 0);
	lose_a_page_unseen(self);
	/* no file has reported it yet, so the next one to be opened will */
	open_both(self, 1);
	EXPECT_EQ(-EIO, plain_fsync(self->plain_fd[1]));
	EXPECT_EQ(-EIO, our_fsync(self, 1));
	/* now one file has */
	open_both(self, 2);
	EXPECT_EQ(0, plain_fsync(self->plain_fd[2]));
	EXPECT_EQ(0, our_fsync(self, 2));
	/* files that were open before report it in any case */
	EXPECT_EQ(-EIO, plain_fsync(self->plain_fd[0]));
	EXPECT_EQ(-EIO, our_fsync(self, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, plain_fsync(self->plain_fd[i]));
		EXPECT_EQ(0, our_fsync(self, i));
	}
}

TEST_F(writeback_errors, each_of_several_errors_is_told_once)
{
	int i, round;

	open_both(self, 0);
	open_both(self, 1);
	for (round = 0; round < 3; round++) {
		lose_a_page(self);
		EXPECT_EQ(-EIO, plain_fsync(self->plain_fd[1]));
		EXPECT_EQ(-EIO, our_fsync(self, 1));
		for (i = 0; i < 2; i++) {
			EXPECT_EQ(0, plain_fsync(self->plain_fd[i]));
			EXPECT_EQ(0, our_fsync(self, i));
		}
	}
}

TEST_F(writeback_errors, fdatasync_and_a_range_tell_of_errors_as_fsync_does)
{
	struct afsync_sqe sqe;
	int i;

	open_both(self, 0);
	open_both(self, 1);
	rig_break(&self->ours);
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(write_page(self->ours_fd[0], RIG_GOOD, "afsync: kept") == 0);

	/* a range without bad pages is written without an error */
	sqe = sqe_of(self->ours_fd[1], AFSYNC_OP_FSYNC, 0);
	sqe.offset = RIG_GOOD * PAGE;
	sqe.length = PAGE;
	need(ring_submit(&self->ring, &sqe, 1, NULL) == 1);
	EXPECT_EQ(0, ring_next(&self->ring).res);

	sqe = sqe_of(self->ours_fd[0], AFSYNC_OP_FDATASYNC, 0);
	sqe.offset = RIG_BAD * PAGE;
	sqe.length = PAGE;
	need(ring_submit(&self->ring, &sqe, 1, NULL) == 1);
	EXPECT_EQ(-EIO, ring_next(&self->ring).res);
	EXPECT_EQ(-EIO, sync_one(&self->ring, self->ours_fd[1], AFSYNC_OP_FDATASYNC));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, our_fsync(self, i));
	EXPECT_TRUE(image_has(self->ours.disk.image, "afsync: kept"));
	EXPECT_FALSE(image_has(self->ours.disk.image, "afsync: lost"));
}

TEST_F(writeback_errors, syncfs_tells_each_open_file_of_the_filesystem_once)
{
	int plain, ours, i;

	for (i = 0; i < 3; i++)
		open_both(self, i);
	rig_break(&self->plain);
	rig_break(&self->ours);
	need(write_page(self->plain_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
	for (i = 0; i < 6; i++) {
		plain = plain_syncfs(self->plain_fd[i % 3]);
		ours = our_syncfs(self, i % 3);
		EXPECT_EQ(plain, ours);
		if (!variant->overlay)
			EXPECT_EQ(i < 3 ? -EIO : 0, ours);
	}
	/* the errors of a file's own pages do not depend on syncfs */
	for (i = 0; i < 6; i++) {
		plain = plain_fsync(self->plain_fd[i % 3]);
		EXPECT_EQ(i < 3 ? -EIO : 0, plain);
		EXPECT_EQ(plain, our_fsync(self, i % 3));
	}
}

TEST_F(writeback_errors, syncfs_merged_into_another_tells_its_own_open_file)
{
	struct afsync_sqe sqes[3];
	struct afsync_cqe cqe;
	int i, plain, syncs = 0;

	for (i = 0; i < 4; i++)
		open_both(self, i);
	need(write_page(self->plain_fd[0], RIG_BAD, "afsync: lost") == 0);
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: lost") == 0);
	rig_break(&self->plain);
	need(dm_suspend(&self->ours.dm) == 0);
	need(ring_queue(&self->ring, self->ours_fd[0], AFSYNC_OP_SYNCFS, 0) == 1);
	WAIT_UNTIL(ring_pending(&self->ring, "running") == 1);
	for (i = 0; i < 3; i++)
		sqes[i] = sqe_of(self->ours_fd[i + 1], AFSYNC_OP_SYNCFS, i + 1);
	need(ring_submit(&self->ring, sqes, 3, NULL) == 3);
	ASSERT_EQ(3, ring_pending(&self->ring, "queued"));
	rig_break(&self->ours);
	for (i = 0; i < 4; i++) {
		plain = plain_syncfs(self->plain_fd[i]);
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(plain, cqe.res);
		/* an overlay does not report errors of the filesystem below */
		if (!variant->overlay)
			EXPECT_EQ(-EIO, cqe.res);
		syncs += !(cqe.flags & AFSYNC_CQE_MERGED);
	}
	/* the first one alone; if the first of the batch fails, each has its own sync */
	EXPECT_EQ(variant->overlay ? 2 : 4, syncs);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, our_syncfs(self, i));
}

TEST_F(writeback_errors, a_page_written_again_on_a_repaired_device_is_durable)
{
	open_both(self, 0);
	lose_a_page(self);
	ASSERT_FALSE(image_has(self->ours.disk.image, "afsync: lost"));
	need(write_page(self->ours_fd[0], RIG_BAD, "afsync: again") == 0);
	EXPECT_EQ(0, our_fsync(self, 0));
	EXPECT_TRUE(image_has(self->ours.disk.image, "afsync: again"));
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
