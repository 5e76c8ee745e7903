// SPDX-License-Identifier: GPL-2.0-only
/*
 * FUSE, where a sync is a question to a server that names the open file: requests are
 * merged only within one open file, errors belong to the open file, and a server that
 * stops answering or dies blocks no process for ever.
 *
 * Needs root and FUSE; the server is part of the test (fs_fuse.h).
 */
#include "fs_fuse.h"

FIXTURE(fuse) {
	struct fuse_fs fs;
	struct ring ring;
	int fds[3];		/* its handles are 1, 2 and 3 */
};

FIXTURE_SETUP(fuse)
{
	int i;

	if (geteuid())
		SKIP(exit(255), "needs root to mount");
	if (!fs_known("fuse"))
		SKIP(exit(255), "no FUSE in this kernel");
	own_world();
	fuse_up(&self->fs, "fuse");
	ring_open(&self->ring, 64);
	for (i = 0; i < 3; i++) {
		self->fds[i] = open(self->fs.file, O_RDWR | O_CLOEXEC);
		need(self->fds[i] >= 0);
	}
}

FIXTURE_TEARDOWN(fuse)
{
	int i;

	if (self->fs.state->hold)
		fuse_let_go(&self->fs);
	ring_close(&self->ring);
	for (i = 0; i < 3; i++)
		close(self->fds[i]);
	fuse_down(&self->fs);
}

static unsigned int fuse_syncs(const struct fuse_fs *fs, int handle)
{
	return fs->state->fsyncs[handle] + fs->state->fdatasyncs[handle];
}

TEST_F(fuse, the_server_is_asked_once_for_each_open_file)
{
	struct afsync_sqe sqes[9];
	int i;

	for (i = 0; i < 9; i++)
		sqes[i] = sqe_of(self->fds[i % 3], AFSYNC_OP_FSYNC, i);
	ASSERT_EQ(9, ring_submit(&self->ring, sqes, 9, NULL));
	for (i = 0; i < 9; i++)
		EXPECT_EQ(0, ring_next(&self->ring).res);
	for (i = 1; i <= 3; i++)
		EXPECT_EQ(1U, fuse_syncs(&self->fs, i));
}

TEST_F(fuse, requests_of_one_open_file_share_the_next_sync)
{
	int i;

	self->fs.state->hold = true;
	ASSERT_EQ(1, ring_queue(&self->ring, self->fds[0], AFSYNC_OP_FSYNC, 0));
	WAIT_UNTIL(__atomic_load_n(&self->fs.state->fsyncs[1], __ATOMIC_RELAXED) == 1);
	for (i = 1; i <= 20; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->fds[0], AFSYNC_OP_FDATASYNC, i));
	ASSERT_EQ(20, ring_pending(&self->ring, "queued"));
	fuse_let_go(&self->fs);
	for (i = 0; i <= 20; i++) {
		struct afsync_cqe cqe = ring_next(&self->ring);

		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	/* the second one only a datasync, which is enough for all the requests that it serves */
	EXPECT_EQ(1U, self->fs.state->fsyncs[1]);
	EXPECT_EQ(1U, self->fs.state->fdatasyncs[1]);
}

TEST_F(fuse, an_error_of_one_open_file_shows_on_no_other)
{
	static const int errors[] = { -EIO, 0, -EDQUOT };
	struct afsync_sqe sqes[9];
	struct afsync_cqe cqe;
	int i;

	for (i = 0; i < 3; i++) {
		self->fs.state->error[i + 1] = errors[i];
		EXPECT_EQ(errors[i], fsync(self->fds[i]) ? -errno : 0);
	}
	for (i = 0; i < 9; i++)
		sqes[i] = sqe_of(self->fds[i % 3], AFSYNC_OP_FSYNC, i);
	ASSERT_EQ(9, ring_submit(&self->ring, sqes, 9, NULL));
	for (i = 0; i < 9; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ(errors[cqe.user_data % 3], cqe.res);
	}
}

TEST_F(fuse, requests_end_when_the_server_dies)
{
	struct afsync_cqe cqe;
	int i;

	self->fs.state->hold = true;
	ASSERT_EQ(1, ring_queue(&self->ring, self->fds[0], AFSYNC_OP_FSYNC, 0));
	WAIT_UNTIL(__atomic_load_n(&self->fs.state->fsyncs[1], __ATOMIC_RELAXED) == 1);
	for (i = 1; i < 9; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->fds[i % 3], AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(0, kill(self->fs.server, SIGKILL));
	for (i = 0; i < 9; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_TRUE(cqe.res == -ENOTCONN || cqe.res == -ECONNABORTED) {
			TH_LOG("%s", strerror(-cqe.res));
		}
	}
	/* from then on it behaves like fsync() itself */
	EXPECT_EQ(-1, fsync(self->fds[0]));
	EXPECT_EQ(-errno, sync_one(&self->ring, self->fds[0], AFSYNC_OP_FSYNC));
	self->fs.state->hold = false;
}

TEST_F(fuse, a_request_whose_ring_has_gone_does_not_keep_the_filesystem)
{
	int i;

	for (i = 0; i < 9; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->fds[i % 3], AFSYNC_OP_FSYNC, i));
	ring_close(&self->ring);
	for (i = 0; i < 3; i++) {
		close(self->fds[i]);
		self->fds[i] = -1;
	}
	EXPECT_EQ(0, umount2(self->fs.dir, 0));
	/* for the tear-down */
	ASSERT_EQ(0, mount("afsync-test", self->fs.dir, "tmpfs", 0, NULL));
}

TEST_F(fuse, a_draining_request_is_refused)
{
	struct afsync_sqe sqe = sqe_of(self->fds[0], AFSYNC_OP_FSYNC, 0);

	/* the server does the direct I/O, so the kernel cannot know */
	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_EQ(-EOPNOTSUPP, ring_submit(&self->ring, &sqe, 1, NULL));
}

TEST_HARNESS_MAIN
