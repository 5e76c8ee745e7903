/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device mapper devices, by ioctl: no udev, no dmsetup.
 *
 * A suspended device keeps every request until it is resumed, and may get a new table in
 * between. Tests use this to hold a sync as long as they like and then let it succeed or
 * fail.
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

static inline int dm_request_run(unsigned long cmd, struct dm_request *r,
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

static inline void dm_add(struct dm_table *t, uint64_t start, uint64_t length,
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

/* Puts a table in the inactive slot; dm_resume() makes it the live one. */
static inline int dm_load(struct dmdev *d, const struct dm_table *t)
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

/*
 * The guard
 *
 * If a test ended while a device is suspended, it would never end: the ring waits for the
 * sync, the sync for the device. That is why a second process resumes the devices of the
 * test when the test is gone, however it ended.
 */

#define GUARDED	8

struct guard {
	char suspended[GUARDED][64];	/* names of dm devices */
};

static struct guard *guard;

static inline void guard_resume_all(void)
{
	int i;

	for (i = 0; i < GUARDED; i++) {
		struct dm_request r = { 0 };

		if (guard->suspended[i][0])
			dm_request_run(DM_DEV_SUSPEND, &r, guard->suspended[i], 0);
	}
}

static inline void guard_start(void)
{
	int end, ends[2];

	guard = mmap(NULL, sizeof(*guard), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(guard != MAP_FAILED);
	need(pipe2(ends, O_CLOEXEC) == 0);
	if (fork() == 0) {
		char c;

		setsid();
		close(ends[1]);
		while (read(ends[0], &c, 1) < 0)
			;
		guard_resume_all();
		_exit(0);
	}
	close(ends[0]);
	/* A process that dies closes its highest descriptor first. */
	end = fcntl(ends[1], F_DUPFD_CLOEXEC, 900);
	need(end >= 0);
	close(ends[1]);
}

/*
 * First in FIXTURE_SETUP: from here on this process has its own mounts, and /mnt is an
 * empty tmpfs.
 */
static inline void own_world(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	guard_start();
	own_mounts();
	need(mount("afsync-test", "/mnt", "tmpfs", 0, NULL) == 0);
}

/* Tells the guard which device to resume should this process die. */
static inline void dm_guard(struct dmdev *d, bool suspended)
{
	int i;

	d->suspended = suspended;
	for (i = 0; i < GUARDED; i++) {
		if (suspended && !guard->suspended[i][0]) {
			strcpy(guard->suspended[i], d->name);
			return;
		}
		if (!suspended && !strcmp(guard->suspended[i], d->name))
			guard->suspended[i][0] = 0;
	}
	need(!suspended);
}

/* From now on the device keeps requests, and dirty data stays dirty. */
static inline int dm_suspend(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = dm_request_run(DM_DEV_SUSPEND, &r, d->name,
				 DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);

	if (!ret)
		dm_guard(d, true);
	return ret;
}

/* The default of dmsetup suspend: the filesystem on top is frozen first. */
static inline int dm_suspend_frozen(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = dm_request_run(DM_DEV_SUSPEND, &r, d->name, DM_SUSPEND_FLAG);

	if (!ret)
		dm_guard(d, true);
	return ret;
}

static inline int dm_resume(struct dmdev *d)
{
	struct dm_request r = { 0 };
	int ret = dm_request_run(DM_DEV_SUSPEND, &r, d->name, 0);

	if (!ret)
		dm_guard(d, false);
	return ret;
}

static inline int dm_message(struct dmdev *d, const char *text)
{
	struct dm_request r = { 0 };
	struct dm_target_msg *msg = (void *)r.data;

	strcpy(r.data + sizeof(*msg), text);
	return dm_request_run(DM_TARGET_MSG, &r, d->name, 0);
}

/*
 * Asks for removal at the last close, so that a process that dies with the device open
 * leaves nothing behind. To be called once it is in use.
 */
static inline int dm_remove_when_unused(struct dmdev *d)
{
	struct dm_request r = { 0 };

	return dm_request_run(DM_DEV_REMOVE, &r, d->name, DM_DEFERRED_REMOVE);
}

/* Waits until the device is gone, that is, until no process has it open. */
static inline void dm_gone(struct dmdev *d)
{
	int ret;

	if (!d->made)
		return;
	if (d->suspended)
		dm_resume(d);
	dm_remove_when_unused(d);
	do {
		struct dm_request r = { 0 };

		ret = dm_request_run(DM_DEV_STATUS, &r, d->name, 0);
		if (!ret)
			poll(NULL, 0, 1);
	} while (!ret);
	d->made = false;
}

static inline int dm_create(struct dmdev *d, const char *what, const struct dm_table *t)
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
		dm_gone(d);
	return ret;
}

/* One piece of the device below. */
static inline struct dm_table dm_linear(const char *below, uint64_t sectors)
{
	struct dm_table t = { 0 };

	dm_add(&t, 0, sectors, "linear", "%s 0", below);
	return t;
}

#endif /* AFSYNC_SELFTEST_FS_DM_H */
