// SPDX-License-Identifier: GPL-2.0-only
/*
 * Freezing: filesystems that are frozen and thawed under pending syncs, and waiting
 * programs that are frozen and thawed by their cgroup.
 *
 * Needs root, loop devices, the device mapper and cgroup2.
 */
#include "fs_rig.h"

FIXTURE(freeze_fs) {
	struct rig rig;
	struct ring ring;
	int dir;
	int fd;
};

FIXTURE_VARIANT(freeze_fs) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(freeze_fs, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(freeze_fs, xfs) { .id = FS_XFS };

FIXTURE_SETUP(freeze_fs)
{
	FS_OR_SKIP(variant->id);
	own_world();
	rig_up(&self->rig, variant->id, "freeze");
	rig_make_file(&self->rig);
	self->fd = rig_open(&self->rig);
	self->dir = open(self->rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(self->dir >= 0);
	ring_open(&self->ring, 64);
}

FIXTURE_TEARDOWN(freeze_fs)
{
	/* fails unless a failed test has left it frozen */
	ioctl(self->dir, FITHAW, 0);
	if (self->rig.dm.suspended)
		dm_resume(&self->rig.dm);
	ring_close(&self->ring);
	close(self->fd);
	close(self->dir);
	rig_down(&self->rig);
}

TEST_F(freeze_fs, syncs_of_a_frozen_filesystem_do_what_fsync_does)
{
	int op;

	ASSERT_EQ(0, write_page(self->fd, 0, "afsync: before the freeze"));
	ASSERT_EQ(0, ioctl(self->dir, FIFREEZE, 0));
	/* freezing has written everything back: there is nothing to wait for */
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, syncfs(self->fd));
	for (op = AFSYNC_OP_FSYNC; op <= AFSYNC_OP_SYNCFS; op++)
		EXPECT_EQ(0, sync_one(&self->ring, self->fd, op));
	EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: before the freeze"));
	ASSERT_EQ(0, ioctl(self->dir, FITHAW, 0));
}

TEST_F(freeze_fs, pending_syncs_complete_while_it_is_being_frozen)
{
	struct afsync_cqe cqe;
	pid_t freezer;
	int i;

	for (i = 0; i < RIG_PAGES; i++)
		ASSERT_EQ(0, write_page(self->fd, i, "afsync: pending"));
	ASSERT_EQ(0, dm_suspend(&self->rig.dm));
	ASSERT_EQ(1, ring_queue(&self->ring, self->fd, AFSYNC_OP_FSYNC, 0));
	WAIT_UNTIL(ring_pending(&self->ring, "running") == 1);
	for (i = 1; i < 10; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->fd, i % 2, i));

	/* Freezing has to wait for the same device. The child must not hold the ring. */
	freezer = fork();
	if (freezer == 0) {
		close(self->ring.fd);
		munmap(self->ring.header, self->ring.size);
		_exit(ioctl(self->dir, FIFREEZE, 0) ? 1 : 0);
	}
	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	for (i = 0; i < 10; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	EXPECT_EQ(0, child_wait(freezer));
	EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: pending"));
	EXPECT_EQ(0, sync_one(&self->ring, self->fd, AFSYNC_OP_FSYNC));
	ASSERT_EQ(0, ioctl(self->dir, FITHAW, 0));
}

/* The filesystem is frozen and its device also keeps all requests, as for a snapshot. */
TEST_F(freeze_fs, syncs_queued_while_frozen_complete_after_the_thaw)
{
	struct afsync_cqe cqe;
	int i;

	ASSERT_EQ(0, dm_suspend_frozen(&self->rig.dm));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(1, ring_queue(&self->ring, self->fd, AFSYNC_OP_FSYNC, i));
	WAIT_UNTIL(ring_pending(&self->ring, "running") > 0);
	EXPECT_EQ(0U, ring_ready(&self->ring));
	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	for (i = 0; i < 10; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	ASSERT_EQ(0, write_page(self->fd, 0, "afsync: thawed"));
	EXPECT_EQ(0, sync_one(&self->ring, self->fd, AFSYNC_OP_FDATASYNC));
	EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: thawed"));
}

FIXTURE(freeze_program) {
	struct rig rig;
	struct ring ring;
	char cgroup[64];
	pid_t child;
	struct turn ready;	/* the child is about to wait, the device suspended */
	int fd;
};

FIXTURE_VARIANT(freeze_program) {
	__u32 flags;		/* AFSYNC_WAIT_* of the wait */
	bool submit;		/* wait in the submit command */
};

FIXTURE_VARIANT_ADD(freeze_program, plain_wait) { .flags = 0 };
FIXTURE_VARIANT_ADD(freeze_program, wait_with_timeout) { .flags = AFSYNC_WAIT_TIMEOUT };
FIXTURE_VARIANT_ADD(freeze_program, wait_with_signal_mask) { .flags = AFSYNC_WAIT_SIGMASK };
FIXTURE_VARIANT_ADD(freeze_program, wait_in_submit) { .flags = 0, .submit = true };

static void cgroup_write(FIXTURE_DATA(freeze_program) *self, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", self->cgroup, file);
	need(text_write(path, text) == 0);
}

/* Freezes or thaws, and returns when all programs of the cgroup are frozen or thawed. */
static void cgroup_freeze(FIXTURE_DATA(freeze_program) *self, bool freeze)
{
	char path[128], *text;
	bool done;

	cgroup_write(self, "cgroup.freeze", freeze ? "1" : "0");
	snprintf(path, sizeof(path), "%s/cgroup.events", self->cgroup);
	do {
		text = text_read(path);
		done = strstr(text, freeze ? "frozen 1" : "frozen 0");
		free(text);
		if (!done)
			poll(NULL, 0, 1);
	} while (!done);
}

FIXTURE_SETUP(freeze_program)
{
	FS_OR_SKIP(FS_EXT4);
	own_world();
	/* a mount of its own: this works wherever the machine has it */
	need(mkdir("/mnt/cgroup", 0755) == 0);
	if (mount("afsync-test", "/mnt/cgroup", "cgroup2", 0, NULL))
		SKIP(exit(255), "no cgroup2: %s", strerror(errno));
	snprintf(self->cgroup, sizeof(self->cgroup), "/mnt/cgroup/afsync-test-%d", getpid());
	need(mkdir(self->cgroup, 0755) == 0);
	rig_up(&self->rig, FS_EXT4, "freeze");
	rig_make_file(&self->rig);
	turn_init(&self->ready);
}

FIXTURE_TEARDOWN(freeze_program)
{
	if (self->rig.dm.suspended)
		dm_resume(&self->rig.dm);
	cgroup_write(self, "cgroup.freeze", "0");
	if (self->child > 0) {
		kill(self->child, SIGKILL);
		waitpid(self->child, NULL, 0);
	}
	WAIT_UNTIL(rmdir(self->cgroup) == 0 || errno != EBUSY);
	rig_down(&self->rig);
}

/*
 * The program in the cgroup: queues a sync that is stuck, and waits for it. Exits with 0
 * only if the wait ended with the completion.
 */
static int waiting_program(FIXTURE_DATA(freeze_program) *self,
			   const FIXTURE_VARIANT(freeze_program) *variant)
{
	struct afsync_sqe sqe;
	struct afsync_submit submit;
	struct ring ring;
	int ret;

	ring_open(&ring, 8);
	self->fd = rig_open(&self->rig);
	need(write_page(self->fd, RIG_GOOD, "afsync: waited for") == 0);
	need(dm_suspend(&self->rig.dm) == 0);
	sqe = sqe_of(self->fd, AFSYNC_OP_FSYNC, 1);
	if (variant->submit) {
		turn_post(&self->ready);
		submit = submit_of(&sqe, 1);
		submit.flags = AFSYNC_SUBMIT_WAIT;
		submit.min_complete = 1;
		ret = command(ring.fd, AFSYNC_IOC_SUBMIT, &submit);
		/*
		 * The same request cannot be queued twice, so this wait reports the
		 * freeze like a signal, and the program waits again.
		 */
		if (ret == 1 && submit.wait_result == -EINTR)
			ret = afsync_cmd_wait(ring.fd, 1, 0, 0, 0);
		if (ret != 1)
			return 1;
	} else {
		need(ring_submit(&ring, &sqe, 1, NULL) == 1);
		turn_post(&self->ready);
		ret = afsync_cmd_wait(ring.fd, 1, variant->flags,
				      variant->flags & AFSYNC_WAIT_TIMEOUT ? FOREVER_NS : 0, 0);
		if (ret != 1)
			return 2;
	}
	if (ring_ready(&ring) != 1 || ring_next(&ring).res)
		return 3;
	return 0;
}

/* The child has suspended the device: this process takes over. */
static void start(struct __test_metadata *_metadata, FIXTURE_DATA(freeze_program) *self,
		  const FIXTURE_VARIANT(freeze_program) *variant)
{
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (self->child == 0) {
		cgroup_write(self, "cgroup.procs", "0");
		_exit(waiting_program(self, variant));
	}
	turn_wait(&self->ready, 1);
	dm_guard(&self->rig.dm, true);
	thread_wait_in(self->child, SYS_ioctl);
}

TEST_F(freeze_program, a_wait_goes_on_after_the_thaw)
{
	int i;

	start(_metadata, self, variant);
	for (i = 0; i < 5; i++) {
		cgroup_freeze(self, true);
		cgroup_freeze(self, false);
		thread_wait_in(self->child, SYS_ioctl);
	}
	ASSERT_EQ(0, waitpid(self->child, NULL, WNOHANG));
	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	EXPECT_EQ(0, child_wait(self->child));
	self->child = 0;
}

TEST_F(freeze_program, a_completion_that_came_while_frozen_ends_the_wait_after_the_thaw)
{
	start(_metadata, self, variant);
	cgroup_freeze(self, true);
	ASSERT_EQ(0, dm_resume(&self->rig.dm));
	/* the sync needs nothing of the program */
	WAIT_UNTIL(image_has(self->rig.disk.image, "afsync: waited for"));
	WAIT_UNTIL(counter("in_flight") == 0);
	ASSERT_EQ(0, waitpid(self->child, NULL, WNOHANG));
	cgroup_freeze(self, false);
	EXPECT_EQ(0, child_wait(self->child));
	self->child = 0;
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
