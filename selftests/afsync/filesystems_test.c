// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every operation on every kind of filesystem, on directories and on block devices: it
 * completes with 0, the data is where it belongs, requests are merged across the inode
 * where that is correct and within one open file elsewhere, and nothing is left.
 *
 * Needs root and loop devices; filesystems that the kernel or the machine lacks are
 * skipped. FUSE has tests of its own, fuse_test.c.
 */
#include "fs_fuse.h"
#include "fs_nfs.h"

enum kind { K_LOCAL, K_BLOCK, K_TMPFS, K_OVERLAY, K_FUSE, K_NFS };

FIXTURE(filesystems) {
	struct memdev disk;
	struct ring ring;
	struct fuse_fs fuse;
	struct nfs nfs;
	char dir[32];		/* "" for a block device */
	char file[64];
};

FIXTURE_VARIANT(filesystems) {
	enum kind kind;
	enum fs_id id;		/* of the disk below */
	bool per_inode;
};

FIXTURE_VARIANT_ADD(filesystems, ext4) { K_LOCAL, FS_EXT4, true };
FIXTURE_VARIANT_ADD(filesystems, xfs) { K_LOCAL, FS_XFS, true };
FIXTURE_VARIANT_ADD(filesystems, btrfs) { K_LOCAL, FS_BTRFS, true };
FIXTURE_VARIANT_ADD(filesystems, vfat) { K_LOCAL, FS_VFAT, true };
FIXTURE_VARIANT_ADD(filesystems, block_device) { K_BLOCK, FS_EXT4, true };
FIXTURE_VARIANT_ADD(filesystems, tmpfs) { K_TMPFS, FS_COUNT, false };
FIXTURE_VARIANT_ADD(filesystems, overlay) { K_OVERLAY, FS_EXT4, false };
FIXTURE_VARIANT_ADD(filesystems, fuse) { K_FUSE, FS_COUNT, false };
FIXTURE_VARIANT_ADD(filesystems, nfs) { K_NFS, FS_EXT4, false };

FIXTURE_SETUP(filesystems)
{
	self->disk.image = -1;
	if (variant->id != FS_COUNT)
		FS_OR_SKIP(variant->id);
	if (variant->kind == K_FUSE && !fs_known("fuse"))
		SKIP(exit(255), "no FUSE in this kernel");
	if (variant->kind == K_OVERLAY && !fs_known("overlay"))
		SKIP(exit(255), "no overlay filesystem in this kernel");
	if (variant->kind == K_NFS && nfs_missing())
		SKIP(exit(255), "no NFS: %s", nfs_missing());
	own_world();
	if (variant->id != FS_COUNT)
		need(memdev_open(&self->disk, fs_image(variant->id)) == 0);
	strcpy(self->dir, "/mnt/fs");
	switch (variant->kind) {
	case K_LOCAL:
		need(fs_mount(variant->id, self->disk.path, self->dir) == 0);
		break;
	case K_BLOCK:
		self->dir[0] = 0;
		strcpy(self->file, self->disk.path);
		break;
	case K_TMPFS:
		need(mkdir(self->dir, 0755) == 0);
		need(mount("afsync-test", self->dir, "tmpfs", 0, NULL) == 0);
		break;
	case K_OVERLAY:
		need(fs_mount(variant->id, self->disk.path, "/mnt/below") == 0);
		need(mkdir("/mnt/below/lower", 0755) == 0 && mkdir("/mnt/below/upper", 0755) == 0 &&
		     mkdir("/mnt/below/work", 0755) == 0 && mkdir(self->dir, 0755) == 0);
		need(chdir("/mnt/below") == 0);
		need(mount("overlay", self->dir, "overlay", 0,
			   "lowerdir=lower,upperdir=upper,workdir=work") == 0);
		need(chdir("/") == 0);
		break;
	case K_FUSE:
		fuse_up(&self->fuse, "fs");
		break;
	case K_NFS:
		need(fs_mount(variant->id, self->disk.path, "/mnt/below") == 0);
		nfs_up(&self->nfs, "/mnt/below", "fs");
		break;
	}
	if (self->dir[0])
		snprintf(self->file, sizeof(self->file), "%s/file", self->dir);
	ring_open(&self->ring, 64);
}

/* Mounts that a test did not unmount itself. */
FIXTURE_TEARDOWN(filesystems)
{
	ring_close(&self->ring);
	if (variant->kind == K_FUSE)
		fuse_down(&self->fuse);
	else if (variant->kind == K_NFS)
		nfs_down(&self->nfs, "/mnt/below");
	else if (self->dir[0])
		need(umount2(self->dir, 0) == 0);
	if (variant->kind == K_OVERLAY)
		need(umount2("/mnt/below", 0) == 0);
	memdev_close(&self->disk);
}

static int open_file(const FIXTURE_DATA(filesystems) *self, int flags)
{
	/* FUSE's server has its only file from the start */
	int fd = open(self->file, flags | O_CLOEXEC | (self->fuse.server ? 0 : O_CREAT), 0644);

	need(fd >= 0);
	return fd;
}

/* The four syncs of a file, and the filesystem's; the page written is RANGE_PAGE. */
#define WAYS		5
#define RANGE_PAGE	3

static struct afsync_sqe way(int nr, int fd)
{
	struct afsync_sqe sqe = sqe_of(fd, nr % 2, nr);

	if (nr == 4)
		sqe.op = AFSYNC_OP_SYNCFS;
	if (nr == 2 || nr == 3) {
		sqe.offset = RANGE_PAGE * PAGE;
		sqe.length = PAGE;
	}
	return sqe;
}

static int run(struct ring *ring, const struct afsync_sqe *sqe)
{
	int ret = ring_submit(ring, sqe, 1, NULL);

	return ret == 1 ? ring_next(ring).res : ret;
}

/* Has the text reached the storage of the filesystem? */
static bool is_stored(FIXTURE_DATA(filesystems) *self, const char *text)
{
	if (self->fuse.server)
		return !memcmp(self->fuse.state->data + RANGE_PAGE * PAGE, text, strlen(text));
	return image_has(self->disk.image, text);
}

TEST_F(filesystems, every_operation_completes_and_its_data_is_stored)
{
	struct afsync_sqe sqe;
	char text[32];
	long flushes;
	int fd, i;

	fd = open_file(self, O_RDWR);
	for (i = 0; i < WAYS; i++) {
		snprintf(text, sizeof(text), "afsync: way %d.", i);
		ASSERT_EQ(0, write_page(fd, RANGE_PAGE, text));
		/* syncfs of a device node syncs the filesystem that holds the node */
		if (variant->kind == K_BLOCK && i == 4)
			ASSERT_EQ(0, fsync(fd));
		flushes = self->disk.image >= 0 ? dev_flushes(self->disk.path) : 0;
		sqe = way(i, fd);
		EXPECT_EQ(0, run(&self->ring, &sqe)) {
			TH_LOG("method %d", i);
		}
		/*
		 * tmpfs stores nothing; and syncfs() of an NFS client does not
		 * wait until the server has the data on its disk.
		 */
		if (variant->kind == K_TMPFS || (variant->kind == K_NFS && i == 4))
			continue;
		EXPECT_TRUE(is_stored(self, text)) {
			TH_LOG("method %d", i);
		}
		/* vfat does not flush the device for syncfs */
		if (self->disk.image >= 0 && i < 4)
			EXPECT_LT(flushes, dev_flushes(self->disk.path)) {
				TH_LOG("method %d", i);
			}
	}
	close(fd);
}

TEST_F(filesystems, a_file_with_nothing_to_write_completes)
{
	struct afsync_sqe sqe;
	int fd, i;

	fd = open_file(self, O_RDONLY);
	for (i = 0; i < WAYS; i++) {
		sqe = way(i, fd);
		EXPECT_EQ(0, run(&self->ring, &sqe));
	}
	close(fd);
}

TEST_F(filesystems, a_directory_completes)
{
	int dir, op;

	if (variant->kind == K_BLOCK)
		return;
	close(open_file(self, O_RDWR));
	dir = open(self->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	for (op = AFSYNC_OP_FSYNC; op <= AFSYNC_OP_SYNCFS; op++)
		EXPECT_EQ(0, sync_one(&self->ring, dir, op));
	close(dir);
}

TEST_F(filesystems, two_open_files_share_a_sync_only_where_it_acts_on_the_inode)
{
	struct afsync_sqe sqes[6];
	int fds[2], i, syncs = 0;
	struct afsync_cqe cqe;

	fds[0] = open_file(self, O_RDWR);
	fds[1] = open_file(self, O_RDWR);
	ASSERT_EQ(0, write_page(fds[0], RANGE_PAGE, "afsync: first"));
	ASSERT_EQ(0, write_page(fds[1], RANGE_PAGE + 1, "afsync: second"));
	for (i = 0; i < 6; i++)
		sqes[i] = sqe_of(fds[i % 2], AFSYNC_OP_FSYNC, i);
	/* the kernel queues a whole array before any of its syncs starts */
	ASSERT_EQ(6, ring_submit(&self->ring, sqes, 6, NULL));
	for (i = 0; i < 6; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ(0, cqe.res);
		syncs += !(cqe.flags & AFSYNC_CQE_MERGED);
	}
	EXPECT_EQ(variant->per_inode ? 1 : 2, syncs);
	close(fds[0]);
	close(fds[1]);
}

TEST_F(filesystems, nothing_is_left_of_a_completed_request)
{
	struct afsync_sqe sqe;
	int fd, i;

	for (i = 0; i < 10 * WAYS; i++) {
		fd = open_file(self, O_RDWR);
		ASSERT_EQ(0, write_page(fd, RANGE_PAGE, "afsync: let go"));
		sqe = way(i % WAYS, fd);
		ASSERT_EQ(1, ring_submit(&self->ring, &sqe, 1, NULL));
		close(fd);
		ASSERT_EQ(0, ring_next(&self->ring).res);
	}
	if (variant->kind == K_BLOCK) {
		fd = open(self->file, O_RDWR | O_EXCL | O_CLOEXEC);
		EXPECT_LE(0, fd);
		close(fd);
		return;
	}
	/* An overlay closes the lower file in its own time, after the upper file. */
	if (variant->kind == K_OVERLAY)
		WAIT_UNTIL(umount2(self->dir, 0) == 0 || errno != EBUSY);
	else
		ASSERT_EQ(0, umount2(self->dir, 0));
	/* for the tear-down */
	ASSERT_EQ(0, mount("afsync-test", self->dir, "tmpfs", 0, NULL));
}

/* The file on a copy of the disk as it is at this moment, as after a power cut. */
static void crash_and_look(struct __test_metadata *_metadata, enum fs_id id, int image,
			   const char *text)
{
	char page[PAGE] = "";
	struct memdev disk;
	int fd;

	ASSERT_EQ(0, memdev_open(&disk, image));
	ASSERT_EQ(0, fs_mount(id, disk.path, "/mnt/crashed"));
	fd = open("/mnt/crashed/file", O_RDONLY | O_CLOEXEC);
	EXPECT_LE(0, fd);
	EXPECT_EQ(PAGE, pread(fd, page, PAGE, RANGE_PAGE * PAGE));
	EXPECT_EQ(0, memcmp(page, text, strlen(text))) {
		TH_LOG("found \"%.20s\", not \"%s\"", page, text);
	}
	close(fd);
	ASSERT_EQ(0, umount2("/mnt/crashed", 0));
	memdev_close(&disk);
}

TEST_F(filesystems, a_completed_sync_survives_a_power_cut)
{
	int images[WAYS], fd, dir, i;
	struct afsync_sqe sqe;
	char text[32];

	if (variant->kind != K_LOCAL)
		return;
	fd = open_file(self, O_RDWR);
	/* POSIX asks for this as well, and vfat needs it */
	dir = open(self->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < WAYS; i++) {
		snprintf(text, sizeof(text), "afsync: cut %d.", i);
		ASSERT_EQ(0, write_page(fd, RANGE_PAGE, text));
		sqe = way(i, fd);
		ASSERT_EQ(0, run(&self->ring, &sqe));
		if (i == 0)
			ASSERT_EQ(0, sync_one(&self->ring, dir, AFSYNC_OP_FSYNC));
		images[i] = image_copy(self->disk.image);
		ASSERT_LE(0, images[i]);
	}
	close(fd);
	close(dir);
	/* btrfs does not mount a copy while the original is mounted */
	ASSERT_EQ(0, umount2(self->dir, 0));
	memdev_close(&self->disk);
	for (i = 0; i < WAYS; i++) {
		snprintf(text, sizeof(text), "afsync: cut %d.", i);
		crash_and_look(_metadata, variant->id, images[i], text);
	}
	ASSERT_EQ(0, mount("afsync-test", self->dir, "tmpfs", 0, NULL));
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS, FS_BTRFS, FS_VFAT)
