// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors that appear only at writeback because the storage is full (P5): a thin device
 * that is full, an NFS server whose filesystem is full or whose quota is used up.
 *
 * Each open file reports it once, as plain fsync() does on a second file in the same
 * state. Needs root, loop devices, the device mapper with thin provisioning, NFS.
 */
#include "fs_nfs.h"

#include <sys/quota.h>

#define FILE_PAGES	1024
#define FILE_PAGE	512	/* in the middle: shares no block of the pool with metadata */
#define POOL_BLOCK	(64 * 1024)

/* A filesystem on a thin device whose pool can be filled up. */
struct thin {
	struct memdev meta;
	struct memdev data;
	struct dmdev pool;
	struct dmdev fs;
	struct dmdev filler;
	char dir[32];
	char file[48];
	int fds[2];
};

FIXTURE(thin) {
	struct thin plain;
	struct thin ours;
	struct ring ring;
};

FIXTURE_VARIANT(thin) {
	enum fs_id id;
	off_t pool_size;
};

/* The error is the filesystem's choice: ext4 calls it EIO up to 6.11, ENOSPC since. */
FIXTURE_VARIANT_ADD(thin, ext4) { .id = FS_EXT4, .pool_size = 40 * MIB };
FIXTURE_VARIANT_ADD(thin, xfs) { .id = FS_XFS, .pool_size = 96 * MIB };

static void thin_volume(struct thin *t, struct dmdev *d, const char *what, int nr, off_t size)
{
	struct dm_table table = { 0 };
	char text[32];

	snprintf(text, sizeof(text), "create_thin %d", nr);
	need(dm_message(&t->pool, text) == 0);
	dm_add(&table, 0, size / SECTOR, "thin", "%s %d", t->pool.path, nr);
	need(dm_create(d, what, &table) == 0);
}

/* Writes to the other volume until the pool has no block left. */
static void thin_fill(struct thin *t)
{
	int fd = open(t->filler.path, O_RDWR | O_DIRECT | O_CLOEXEC);
	off_t at = 0;
	char *block;

	need(fd >= 0 && posix_memalign((void **)&block, PAGE, POOL_BLOCK) == 0);
	memset(block, 'f', POOL_BLOCK);
	while (pwrite(fd, block, POOL_BLOCK, at) == POOL_BLOCK)
		at += POOL_BLOCK;
	need(errno == ENOSPC);
	free(block);
	close(fd);
}

/*
 * Everything that the filesystem needs to continue is in the pool: mkfs has written the
 * log, and the file's blocks are reserved, but not written.
 */
static int thin_up(struct thin *t, enum fs_id id, off_t pool_size, const char *name)
{
	struct dm_table table = { 0 };
	char what[32];
	int fd;

	t->fds[0] = -1;
	t->fds[1] = -1;
	need(memdev_open(&t->meta, image_new(4 * MIB)) == 0);
	need(memdev_open(&t->data, image_new(pool_size)) == 0);
	load_module("dm_thin_pool");
	snprintf(what, sizeof(what), "%s-pool", name);
	dm_add(&table, 0, pool_size / SECTOR, "thin-pool", "%s %s %d 0 1 error_if_no_space",
	       t->meta.path, t->data.path, POOL_BLOCK / SECTOR);
	if (dm_create(&t->pool, what, &table))
		return -ENODEV;
	snprintf(what, sizeof(what), "%s-fs", name);
	thin_volume(t, &t->fs, what, 0, fs_types[id].size);
	snprintf(what, sizeof(what), "%s-filler", name);
	thin_volume(t, &t->filler, what, 1, 4 * pool_size);
	dm_remove_when_unused(&t->pool);

	need(fs_make(id, t->fs.path) == 0);
	snprintf(t->dir, sizeof(t->dir), "/mnt/%.20s", name);
	snprintf(t->file, sizeof(t->file), "%s/file", t->dir);
	need(fs_mount(id, t->fs.path, t->dir) == 0);
	fd = open(t->file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	need(fd >= 0 && fallocate(fd, 0, 0, FILE_PAGES * PAGE) == 0);
	close(fd);
	need(umount2(t->dir, 0) == 0);
	need(fs_mount(id, t->fs.path, t->dir) == 0);
	thin_fill(t);
	for (fd = 0; fd < 2; fd++) {
		t->fds[fd] = open(t->file, O_RDWR | O_CLOEXEC);
		need(t->fds[fd] >= 0);
	}
	return 0;
}

static void thin_down(struct thin *t)
{
	close(t->fds[0]);
	close(t->fds[1]);
	if (t->dir[0])
		need(umount2(t->dir, 0) == 0);
	dm_gone(&t->fs);
	dm_gone(&t->filler);
	dm_gone(&t->pool);
	memdev_close(&t->data);
	memdev_close(&t->meta);
}

FIXTURE_SETUP(thin)
{
	FS_OR_SKIP(variant->id);
	own_world();
	if (thin_up(&self->plain, variant->id, variant->pool_size, "plain"))
		SKIP(exit(255), "no thin provisioning in this kernel");
	need(thin_up(&self->ours, variant->id, variant->pool_size, "ours") == 0);
	ring_open(&self->ring, 16);
}

FIXTURE_TEARDOWN(thin)
{
	ring_close(&self->ring);
	thin_down(&self->plain);
	thin_down(&self->ours);
}

static int plain_fsync(int fd)
{
	return fsync(fd) ? -errno : 0;
}

TEST_F(thin, no_space_at_writeback_is_told_each_open_file_once)
{
	int i, plain, ours;

	ASSERT_EQ(0, write_page(self->plain.fds[0], FILE_PAGE, "afsync: no space"));
	ASSERT_EQ(0, write_page(self->ours.fds[0], FILE_PAGE, "afsync: no space"));
	for (i = 0; i < 4; i++) {
		plain = plain_fsync(self->plain.fds[i % 2]);
		ours = sync_one(&self->ring, self->ours.fds[i % 2], AFSYNC_OP_FSYNC);
		EXPECT_EQ(plain, ours) {
			TH_LOG("step %d", i);
		}
		EXPECT_EQ(i < 2, ours < 0);
	}
	EXPECT_FALSE(image_has(self->ours.data.image, "afsync: no space"));
}

TEST_F(thin, no_space_at_writeback_fails_all_of_a_batch)
{
	struct afsync_sqe sqes[8];
	struct afsync_cqe cqe;
	int i, plain;

	ASSERT_EQ(0, write_page(self->plain.fds[0], FILE_PAGE, "afsync: no space"));
	ASSERT_EQ(0, write_page(self->ours.fds[0], FILE_PAGE, "afsync: no space"));
	plain = plain_fsync(self->plain.fds[0]);
	ASSERT_LT(plain, 0);
	for (i = 0; i < 8; i++)
		sqes[i] = sqe_of(self->ours.fds[i % 2], i % 4 / 2, i);
	ASSERT_EQ(8, ring_submit(&self->ring, sqes, 8, NULL));
	for (i = 0; i < 8; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(plain, cqe.res);
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, sync_one(&self->ring, self->ours.fds[i], AFSYNC_OP_FSYNC));
}

/* NFS: the client keeps the written data, the server refuses it later. */

FIXTURE(nfs_server) {
	struct memdev disk;
	struct nfs nfs;
	struct ring ring;
	int fds[4];		/* two of the plain file, two of ours */
};

FIXTURE_VARIANT(nfs_server) {
	enum fs_id id;
	int error;
};

FIXTURE_VARIANT_ADD(nfs_server, full) { .id = FS_EXT4, .error = -ENOSPC };
FIXTURE_VARIANT_ADD(nfs_server, over_quota) { .id = FS_EXT4_QUOTA, .error = -EDQUOT };

#define QUOTA_USER	1000

/* At most one page for that user. */
static int limit_user(const struct memdev *disk)
{
	struct dqblk limit = { .dqb_bhardlimit = 4, .dqb_valid = QIF_BLIMITS };

	load_module("quota_v2");
	return quotactl(QCMD(Q_SETQUOTA, USRQUOTA), disk->path, QUOTA_USER, (caddr_t)&limit);
}

/* Uses up all the space below the directory. */
static void fill(const char *dir)
{
	off_t size = 64 * MIB, at = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/filler", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(fd >= 0);
	for (; size >= PAGE; size /= 2)
		while (fallocate(fd, 0, at, size) == 0)
			at += size;
	need(errno == ENOSPC && syncfs(fd) == 0);
	close(fd);
}

FIXTURE_SETUP(nfs_server)
{
	char path[64];
	int i;

	FS_OR_SKIP(variant->id);
	if (nfs_missing())
		SKIP(exit(255), "no NFS: %s", nfs_missing());
	own_world();
	need(memdev_open(&self->disk, fs_image(variant->id)) == 0);
	if (variant->id == FS_EXT4_QUOTA)
		load_module("quota_v2");
	need(fs_mount(variant->id, self->disk.path, "/mnt/below") == 0);
	need(chmod("/mnt/below", 0777) == 0);
	if (variant->error == -EDQUOT && limit_user(&self->disk))
		SKIP(exit(255), "no quota in this kernel: %s", strerror(errno));
	nfs_up(&self->nfs, "/mnt/below", "client");
	/* the server writes as the user that opened the file at the client */
	need(seteuid(QUOTA_USER) == 0);
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/mnt/client/file%d", i / 2);
		self->fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		need(self->fds[i] >= 0);
	}
	need(seteuid(0) == 0);
	if (variant->error == -ENOSPC)
		fill("/mnt/below");
	ring_open(&self->ring, 16);
}

FIXTURE_TEARDOWN(nfs_server)
{
	int i;

	ring_close(&self->ring);
	for (i = 0; i < 4; i++)
		close(self->fds[i]);
	nfs_down(&self->nfs, "/mnt/below");
	memdev_close(&self->disk);
}

TEST_F(nfs_server, an_error_of_the_server_is_told_as_fsync_tells_it)
{
	int i, page, plain, ours;

	for (page = 0; page < 8; page++) {
		ASSERT_EQ(0, write_page(self->fds[0], page, "afsync: refused"));
		ASSERT_EQ(0, write_page(self->fds[2], page, "afsync: refused"));
	}
	for (i = 0; i < 4; i++) {
		plain = plain_fsync(self->fds[i % 2]);
		ours = sync_one(&self->ring, self->fds[2 + i % 2], AFSYNC_OP_FSYNC);
		EXPECT_EQ(plain, ours) {
			TH_LOG("step %d", i);
		}
		if (i == 0)
			EXPECT_EQ(variant->error, ours);
		if (i >= 2)
			EXPECT_EQ(0, ours);
	}
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS, FS_EXT4_QUOTA)
