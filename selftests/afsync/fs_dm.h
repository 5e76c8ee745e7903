/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device mapper devices, by ioctl: no udev, no dmsetup.
 *
 * A suspended device keeps every request until it is resumed, and may get a
 * new table in between. That is how the tests hold a sync for as long as they
 * like and then let it succeed or fail.
 */
#ifndef AFSYNC_SELFTEST_FS_DM_H
#define AFSYNC_SELFTEST_FS_DM_H

#include <linux/dm-ioctl.h>

#include "fs_common.h"

struct dmdev {
	bool made;
	bool suspended;
	char name[64];
	char path[32];
};

struct dm_line {
	uint64_t start;		/* sectors */
	uint64_t length;
	const char *type;
	char args[96];
};

#define DM_MAX_LINES	4

struct dm_table {
	int nr;
	struct dm_line lines[DM_MAX_LINES];
};

struct dm_request {
	struct dm_ioctl io;
	char data[3072];
};

static FS_UNUSED int dm_request_run(unsigned long cmd, struct dm_request *r,
				    const char *name, uint32_t flags)
{
	int ret, fd;

	fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r->io.version[0] = DM_VERSION_MAJOR;
	r->io.version[1] = 0;
	r->io.version[2] = 0;
	r->io.data_size = sizeof(*r);
	r->io.data_start = offsetof(struct dm_request, data);
	r->io.flags = flags;
	snprintf(r->io.name, sizeof(r->io.name), "%s", name);
	ret = ioctl(fd, cmd, r) ? -errno : 0;
	close(fd);
	return ret;
}

static FS_UNUSED void dm_add(struct dm_table *t, uint64_t start, uint64_t length,
			     const char *type, const char *fmt, ...)
{
	struct dm_line *l = &t->lines[t->nr];
	va_list ap;

	if (!length || t->nr == DM_MAX_LINES)
		return;
	t->nr++;
	l->start = start;
	l->length = length;
	l->type = type;
	va_start(ap, fmt);
	vsnprintf(l->args, sizeof(l->args), fmt, ap);
	va_end(ap);
}

/* Put a table in the inactive slot; dm_resume() makes it the live one. */
static FS_UNUSED int dm_load(struct dmdev *d, const struct dm_table *t)
{
	struct dm_request r = { .io.target_count = t->nr };
	char *at = r.data;
	int i;

	for (i = 0; i < t->nr; i++) {
		struct dm_target_spec *spec = (void *)at;
		size_t size = sizeof(*spec) + strlen(t->lines[i].args) + 1;

		size = (size + 7) & ~7UL;
		spec->sector_start = t->lines[i].start;
		spec->length = t->lines[i].length;
		spec->next = size;
		snprintf(spec->target_type, sizeof(spec->target_type), "%s", t->lines[i].type);
		strcpy(at + sizeof(*spec), t->lines[i].args);
		at += size;
	}
	return dm_request_run(DM_TABLE_LOAD, &r, d->name, 0);
}

/* Requests are kept from now on, dirty data stays dirty. */
static FS_UNUSED int dm_suspend(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = dm_request_run(DM_DEV_SUSPEND, &r, d->name,
				 DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);

	if (!ret)
		d->suspended = true;
	return ret;
}

/* As dmsetup suspend does by default: the filesystem on top is frozen first. */
static FS_UNUSED int dm_suspend_frozen(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = dm_request_run(DM_DEV_SUSPEND, &r, d->name, DM_SUSPEND_FLAG);

	if (!ret)
		d->suspended = true;
	return ret;
}

static FS_UNUSED int dm_resume(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = dm_request_run(DM_DEV_SUSPEND, &r, d->name, 0);

	if (!ret)
		d->suspended = false;
	return ret;
}

static FS_UNUSED int dm_message(struct dmdev *d, const char *text)
{
	struct dm_request r = { 0 };
	struct dm_target_msg *msg = (void *)r.data;

	strcpy(r.data + sizeof(*msg), text);
	return dm_request_run(DM_TARGET_MSG, &r, d->name, 0);
}

/* Fails with EBUSY while somebody has it open. */
static FS_UNUSED int dm_remove(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = 0;

	if (!d->made)
		return 0;
	if (d->suspended)
		dm_resume(d);
	ret = dm_request_run(DM_DEV_REMOVE, &r, d->name, 0);
	if (ret == -EBUSY) {
		memset(&r, 0, sizeof(r));
		dm_request_run(DM_DEV_REMOVE, &r, d->name, DM_DEFERRED_REMOVE);
	}
	d->made = false;
	return ret;
}

static FS_UNUSED int dm_create(struct dmdev *d, const char *what, const struct dm_table *t)
{
	struct dm_request r = { 0 };
	int ret;

	memset(d, 0, sizeof(*d));
	load_module("dm_mod");
	snprintf(d->name, sizeof(d->name), "afsync-test-%d-%s", getpid(), what);
	ret = dm_request_run(DM_DEV_CREATE, &r, d->name, 0);
	if (ret)
		return ret;
	snprintf(d->path, sizeof(d->path), "/dev/dm-%u", minor(r.io.dev));
	d->made = true;
	ret = dm_load(d, t);
	if (!ret)
		ret = dm_resume(d);
	if (ret)
		dm_remove(d);
	return ret;
}

/*
 * Removal at the last close, asked for while it is in use. Whoever dies with
 * the device open leaves nothing behind.
 */
static FS_UNUSED int dm_remove_when_unused(struct dmdev *d)
{
	struct dm_request r = { 0 };

	return dm_request_run(DM_DEV_REMOVE, &r, d->name, DM_DEFERRED_REMOVE);
}

#endif /* AFSYNC_SELFTEST_FS_DM_H */
