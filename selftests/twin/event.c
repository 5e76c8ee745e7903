// SPDX-License-Identifier: GPL-2.0-only
/* Events of the filesystem in the middle of a round. An event ends its point. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "twin.h"

/* XFS and ext4 have the same number for it. */
#define GOINGDOWN	_IOR('X', 125, uint32_t)

static int result_of(int ret)
{
	return ret ? -errno : 0;
}

static int shut_down(uint32_t how)
{
	return result_of(ioctl(folder_fd, GOINGDOWN, &how));
}

static int shutdown_frozen(void) { return shut_down(0); }
static int shutdown_log(void) { return shut_down(1); }
static int shutdown_now(void) { return shut_down(2); }
static int freeze(void) { return result_of(ioctl(folder_fd, FIFREEZE, 0)); }
static int thaw(void) { return result_of(ioctl(folder_fd, FITHAW, 0)); }

static int device_gone(void)
{
	device_message("gone");
	return 0;
}

static int remount(unsigned long flags, const char *options)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", folder_fd);
	return result_of(mount(NULL, path, NULL, MS_REMOUNT | flags, options));
}

/* Refused: some descriptors are open for writing. */
static int remount_readonly(void) { return remount(MS_RDONLY, NULL); }
/* ext4 only: the same as after an error. */
static int remount_abort(void) { return remount(0, "abort"); }

/* The files lose all blocks, then another file takes all free ones. */
static int fill(void)
{
	off_t size = 64 << 20, at = 0;
	unsigned int file;
	int fd;

	for (file = 0; file < NR_FILES; file++)
		if (fallocate(file_fds[file], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      NR_PAGES * PAGE))
			return -errno;
	fd = openat(folder_fd, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (; size >= PAGE; size /= 2)
		while (!fallocate(fd, 0, at, size))
			at += size;
	size = errno;
	close(fd);
	return -size;
}

/* Another volume of the thin pool, TWIN_FILLER, takes all of its blocks. */
static int fill_pool(void)
{
	const char *path = getenv("TWIN_FILLER");
	const size_t size = 64 << 10;
	off_t at = 0;
	void *block;
	int fd, ret;

	fd = path ? open(path, O_RDWR | O_DIRECT | O_CLOEXEC) : -1;
	if (fd < 0 || posix_memalign(&block, PAGE, size))
		err(2, "TWIN_FILLER");
	memset(block, 'f', size);
	while (pwrite(fd, block, size, at) == (ssize_t)size)
		at += size;
	ret = -errno;
	free(block);
	close(fd);
	return ret;
}

static const struct event events[] = {
	{ "shutdown", AFTER_WRITES_SYNCS, shutdown_frozen, NULL },
	{ "shutdown-log", AFTER_WRITES_SYNCS, shutdown_log, NULL },
	{ "shutdown-now", AFTER_WRITES, shutdown_now, NULL },
	{ "gone", AFTER_WRITES, device_gone, NULL },
	{ "readonly", AFTER_WRITES_SYNCS, remount_readonly, NULL },
	{ "abort", AFTER_WRITES, remount_abort, NULL },
	{ "full", BEFORE_WRITES, fill, NULL },
	{ "thin-full", BEFORE_WRITES, fill_pool, NULL },
	{ "freeze", FREEZES, freeze, thaw },
};

const struct event *event_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (!strcmp(events[i].name, name))
			return &events[i];
	return NULL;
}
