/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A rig: a filesystem on a device mapper device on a memory disk, with one file. The test
 * can make half of the file's sectors fail.
 */
#ifndef AFSYNC_SELFTEST_FS_RIG_H
#define AFSYNC_SELFTEST_FS_RIG_H

#include "fs_dm.h"

#define RIG_PAGES	16
#define RIG_GOOD	0	/* page that can always be written */
#define RIG_BAD		8	/* first of the pages that fail on the broken device */

struct rig {
	enum fs_id id;
	struct memdev disk;
	struct dmdev dm;
	uint64_t sectors;
	struct dm_table whole;		/* all sectors work */
	struct dm_table broken;		/* the second half of the file fails */
	char dir[32];
	char overlay[40];		/* mount point of an overlay on top, or "" */
	char file[64];
};

/* A fresh filesystem under /mnt/NAME. */
static inline void rig_up(struct rig *r, enum fs_id id, const char *name)
{
	memset(r, 0, sizeof(*r));
	r->id = id;
	r->sectors = fs_types[id].size / SECTOR;
	need(memdev_open(&r->disk, fs_image(id)) == 0);
	r->whole = dm_linear(r->disk.path, r->sectors);
	need(dm_create(&r->dm, name, &r->whole) == 0);
	snprintf(r->dir, sizeof(r->dir), "/mnt/%s", name);
	need(fs_mount(id, r->dm.path, r->dir) == 0);
	dm_remove_when_unused(&r->dm);
	snprintf(r->file, sizeof(r->file), "%s/file", r->dir);
}

/* Mounts an overlay on the rig; the file is reached through it. */
static inline void rig_overlay(struct rig *r)
{
	char path[64], options[256];
	static const char * const dirs[] = { "lower", "upper", "work" };
	size_t i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, dirs[i]);
		need(mkdir(path, 0755) == 0);
	}
	snprintf(r->overlay, sizeof(r->overlay), "%s-over", r->dir);
	need(mkdir(r->overlay, 0755) == 0);
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 r->dir, r->dir, r->dir);
	need(mount("overlay", r->overlay, "overlay", 0, options) == 0);
	snprintf(r->file, sizeof(r->file), "%s/file", r->overlay);
}

static inline int rig_open(const struct rig *r)
{
	int fd = open(r->file, O_RDWR | O_CLOEXEC);

	need(fd >= 0);
	return fd;
}

/* The file, with all of its blocks allocated and written, and the table that breaks half of it. */
static inline void rig_make_file(struct rig *r)
{
	char path[128];
	int64_t start, bad, end;
	int fd, i;

	fd = open(r->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	need(fd >= 0);
	for (i = 0; i < RIG_PAGES; i++)
		need(write_page(fd, i, "afsync: first content") == 0);
	need(fsync(fd) == 0);
	close(fd);
	/* The map of an overlay's file is that of the file below. */
	snprintf(path, sizeof(path), "%s/%sfile", r->dir, r->overlay[0] ? "upper/" : "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	need(fd >= 0);
	start = file_physical(fd, 0, RIG_PAGES * PAGE);
	need(start > 0);
	close(fd);
	/* The dirty inode must not be written to a device that is suspended. */
	fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(fd >= 0 && syncfs(fd) == 0);
	close(fd);

	bad = (start + RIG_BAD * PAGE) / SECTOR;
	end = (start + RIG_PAGES * PAGE) / SECTOR;
	memset(&r->broken, 0, sizeof(r->broken));
	dm_add(&r->broken, 0, bad, "linear", "%s 0", r->disk.path);
	dm_add(&r->broken, bad, end - bad, "error", "%s", "");
	dm_add(&r->broken, end, r->sectors - end, "linear", "%s %lld", r->disk.path,
	       (long long)end);
}

/* Changes the table of a device, suspended or not; the device runs afterwards. */
static inline void rig_table(struct rig *r, const struct dm_table *table)
{
	if (!r->dm.suspended)
		need(dm_suspend(&r->dm) == 0);
	need(dm_load(&r->dm, table) == 0);
	need(dm_resume(&r->dm) == 0);
}

static inline void rig_break(struct rig *r)
{
	rig_table(r, &r->broken);
}

static inline void rig_repair(struct rig *r)
{
	rig_table(r, &r->whole);
}

/* Ends all parts of the rig; every descriptor on it is closed. */
static inline void rig_down(struct rig *r)
{
	if (!r->dm.made)
		return;
	if (r->dm.suspended)
		dm_resume(&r->dm);
	if (r->overlay[0])
		need(umount2(r->overlay, 0) == 0);
	need(umount2(r->dir, 0) == 0);
	dm_gone(&r->dm);
	memdev_close(&r->disk);
}

#endif /* AFSYNC_SELFTEST_FS_RIG_H */
