/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Real filesystems on devices that obey the test.
 *
 * A device is a memory file behind a loop device, so the test can read the bytes that
 * have reached "the disk". A device mapper table on top of it can be suspended, resumed
 * and reloaded (fs_dm.h). Everything is done with system calls; only mkfs and modprobe
 * are programs.
 *
 * Nothing outlives the test program, however it ends: mounts are made in a
 * private mount namespace under a tmpfs on /mnt, loop devices have the
 * autoclear flag, memory files vanish with their descriptor and dm devices ask
 * for deferred removal.
 *
 * Functions return 0 or a negative errno, unless said otherwise.
 */
#ifndef AFSYNC_SELFTEST_FS_COMMON_H
#define AFSYNC_SELFTEST_FS_COMMON_H

#include "common.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>

#define MIB		(1024LL * 1024)
#define PAGE		4096
#define SECTOR		512

/* Programs */

static inline int run_program(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (!WIFEXITED(status))
		return -EINTR;
	if (WEXITSTATUS(status) == 127)
		return -ENOENT;
	return WEXITSTATUS(status) ? -EIO : 0;
}

#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })

/* Built-in drivers have no module to load, so a failure means nothing. */
static inline void load_module(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (access(path, F_OK))
		RUN("modprobe", "-q", name);
}

/* Small files of sysfs, procfs, cgroupfs */

static inline int write_file(const char *path, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int fd, len, ret = 0;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * Waits until a condition holds that no event announces. The pause only saves CPU time:
 * whatever its length, the outcome is the same.
 */
#define WAIT_UNTIL(cond) do {				\
	while (!(cond))					\
		poll(NULL, 0, 1);			\
} while (0)

/* Memory images */

static inline int image_new(off_t size)
{
	int fd = memfd_create("afsync-test", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size)) {
		close(fd);
		return -ENOMEM;
	}
	return fd;
}

static inline off_t image_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* Calls fn for each piece of the image that is not a hole; stops when fn returns non-zero. */
static inline int image_for_each(int fd, size_t chunk,
				 int (*fn)(const char *data, size_t len, off_t at, void *arg),
				 void *arg)
{
	off_t end, at = 0;
	char *buf;
	int ret = 0;

	buf = malloc(chunk);
	if (!buf)
		return -ENOMEM;
	while (!ret && (at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		while (!ret && at < end) {
			size_t want = end - at < (off_t)chunk ? (size_t)(end - at) : chunk;
			ssize_t got = pread(fd, buf, want, at);

			if (got <= 0) {
				ret = -EIO;
				break;
			}
			ret = fn(buf, got, at, arg);
			at += got;
		}
	}
	free(buf);
	return ret;
}

static inline int image_copy_piece(const char *data, size_t len, off_t at, void *arg)
{
	return pwrite(*(int *)arg, data, len, at) == (ssize_t)len ? 0 : -ENOSPC;
}

/* A copy of the image as it is now: the state after a power cut. */
static inline int image_copy(int fd)
{
	int ret, to = image_new(image_size(fd));

	if (to < 0)
		return to;
	ret = image_for_each(fd, MIB, image_copy_piece, &to);
	if (ret) {
		close(to);
		return ret;
	}
	return to;
}

static inline int image_punch_piece(const char *data, size_t len, off_t at, void *arg)
{
	static const char zero[PAGE];

	if (len == PAGE && !memcmp(data, zero, PAGE))
		fallocate(*(int *)arg, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len);
	return 0;
}

struct image_needle {
	const char *text;
	size_t len;
};

static inline int image_find_piece(const char *data, size_t len, off_t at, void *arg)
{
	const struct image_needle *needle = arg;
	size_t i;

	(void)at;
	for (i = 0; i + needle->len <= len; i += SECTOR)
		if (!memcmp(data + i, needle->text, needle->len))
			return 1;
	return 0;
}

/* Is there a sector of the image that starts with the text? */
static inline bool image_has(int fd, const char *text)
{
	struct image_needle needle = { text, strlen(text) };

	return image_for_each(fd, MIB, image_find_piece, &needle) == 1;
}

/* Loop devices */

struct memdev {
	int image;	/* the memory file, -1 when there is none */
	int fd;		/* the open loop device */
	char path[32];
};

/* Takes over the image, even if it fails. */
static inline int memdev_open(struct memdev *d, int image)
{
	struct loop_config config = {
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
		.fd = image,
	};
	int control, nr, ret;

	d->image = -1;
	d->fd = -1;
	if (image < 0)
		return image;
	load_module("loop");
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0) {
		ret = -errno;
		goto err_image;
	}
	do {
		nr = ioctl(control, LOOP_CTL_GET_FREE);
		if (nr < 0) {
			ret = -errno;
			goto err_control;
		}
		snprintf(d->path, sizeof(d->path), "/dev/loop%d", nr);
		d->fd = open(d->path, O_RDWR | O_CLOEXEC);
		if (d->fd < 0) {
			ret = -errno;
			goto err_control;
		}
		ret = ioctl(d->fd, LOOP_CONFIGURE, &config) ? -errno : 0;
		if (ret)
			close(d->fd);
	} while (ret == -EBUSY);	/* another process took the number */
	if (ret)
		goto err_control;
	close(control);
	d->image = image;
	return 0;

err_control:
	close(control);
err_image:
	close(image);
	d->fd = -1;
	return ret;
}

static inline void memdev_close(struct memdev *d)
{
	if (d->image < 0)
		return;
	close(d->fd);
	close(d->image);
	d->image = -1;
}

/* Flush requests that the block device has got so far. */
static inline long dev_flushes(const char *path)
{
	char sys[64], *text, *at, *rest;
	struct stat st;
	long value = -1;
	int i;

	need(stat(path, &st) == 0);
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/stat", major(st.st_rdev),
		 minor(st.st_rdev));
	text = text_read(sys);
	/* the sixteenth figure */
	for (i = 0, at = text; i < 16; i++, at = rest)
		value = strtol(at, &rest, 10);
	free(text);
	return value;
}

/* Filesystems */

enum fs_id { FS_EXT4, FS_XFS, FS_BTRFS, FS_VFAT, FS_EXT4_QUOTA, FS_COUNT };

struct fs_type {
	const char *name;
	const char *mkfs[12];	/* the path of the image is appended */
	const char *options;
	off_t size;
};

/*
 * No lazy initialisation: its thread would write on its own. nouuid: copies of one image
 * are mounted side by side.
 */
static const struct fs_type fs_types[FS_COUNT] = {
	[FS_EXT4] = { "ext4", { "mkfs.ext4", "-q", "-F", "-b", "4096", "-E",
		"nodiscard,lazy_itable_init=0,lazy_journal_init=0" }, "", 48 * MIB },
	[FS_XFS] = { "xfs", { "mkfs.xfs", "-q", "-f", "-K" }, "nouuid", 304 * MIB },
	[FS_BTRFS] = { "btrfs", { "mkfs.btrfs", "-q", "-f", "-K" }, "", 128 * MIB },
	[FS_VFAT] = { "vfat", { "mkfs.vfat" }, "", 32 * MIB },
	[FS_EXT4_QUOTA] = { "ext4", { "mkfs.ext4", "-q", "-F", "-b", "4096", "-O", "quota", "-E",
		"nodiscard,lazy_itable_init=0,lazy_journal_init=0" }, "usrquota", 48 * MIB },
};

/* One freshly made filesystem of each type in the program's list; copied for each use. */
static int fs_templates[FS_COUNT];
static const char *fs_missing[FS_COUNT];

static inline bool fs_known(const char *name)
{
	load_module(name);
	return filesystem_known(name);
}

/* Makes the filesystem on a device or in an image. */
static inline int fs_make(enum fs_id id, const char *path)
{
	const char *argv[16];
	int i;

	for (i = 0; fs_types[id].mkfs[i]; i++)
		argv[i] = fs_types[id].mkfs[i];
	argv[i++] = path;
	argv[i] = NULL;
	return run_program(argv);
}

static inline void fs_prepare(enum fs_id id)
{
	const struct fs_type *type = &fs_types[id];
	char path[64];
	int ret, fd;

	if (fs_templates[id] || fs_missing[id])
		return;
	if (!fs_known(type->name)) {
		fs_missing[id] = "this kernel does not have the filesystem";
		return;
	}
	fd = image_new(type->size);
	if (fd < 0) {
		fs_missing[id] = "no memory for an image";
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	ret = fs_make(id, path);
	if (ret) {
		fs_missing[id] = ret == -ENOENT ? "its mkfs is not installed" : "its mkfs failed";
		close(fd);
		return;
	}
	image_for_each(fd, PAGE, image_punch_piece, &fd);
	fs_templates[id] = fd;
}

/* A fresh image with that filesystem. */
static inline int fs_image(enum fs_id id)
{
	if (fs_missing[id] || !fs_templates[id])
		return -ENOENT;
	return image_copy(fs_templates[id]);
}

static inline int fs_mount(enum fs_id id, const char *dev, const char *dir)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	return mount(dev, dir, fs_types[id].name, 0, fs_types[id].options) ? -errno : 0;
}

/* In FIXTURE_SETUP, for each type of filesystem. */
#define FS_OR_SKIP(id) do {							\
	if (geteuid())								\
		SKIP(exit(255), "needs root to mount");				\
	if (fs_missing[id])							\
		SKIP(exit(255), "no %s: %s", fs_types[id].name, fs_missing[id]);	\
} while (0)

/* In place of TEST_HARNESS_MAIN: the filesystems are made once, before the tests. */
#define FS_TESTS_MAIN(...)							\
static void __attribute__((constructor)) prepare_filesystems(void)		\
{										\
	const enum fs_id ids[] = { __VA_ARGS__ };				\
	size_t i;								\
										\
	for (i = 0; geteuid() == 0 && i < sizeof(ids) / sizeof(ids[0]); i++)	\
		fs_prepare(ids[i]);						\
}										\
TEST_HARNESS_MAIN

/* Shuts the filesystem down as if its device had gone away: no log, no flush. */
#define FS_IOC_GOINGDOWN	_IOR('X', 125, uint32_t)
#define FS_GOING_NOLOGFLUSH	2U

/* Files */

/* Fills a page so that each of its sectors starts with the text. */
static inline void fill_page(char page[PAGE], const char *text)
{
	int i;

	memset(page, '.', PAGE);
	for (i = 0; i < PAGE; i += SECTOR)
		memcpy(page + i, text, strlen(text));
}

static inline int write_page(int fd, int nr, const char *text)
{
	char page[PAGE];

	fill_page(page, text);
	if (pwrite(fd, page, PAGE, (off_t)nr * PAGE) != PAGE)
		return errno ? -errno : -EIO;
	return 0;
}

/* The position of the bytes on the device: -errno, -ESTALE if not in one piece and written. */
static inline int64_t file_physical(int fd, off_t at, size_t len)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + 4 * sizeof(struct fiemap_extent)];
	} u = { .map = {
		.fm_start = at,
		.fm_length = len,
		.fm_flags = FIEMAP_FLAG_SYNC,
		.fm_extent_count = 4,
	} };
	const struct fiemap_extent *e = u.map.fm_extents;

	if (ioctl(fd, FS_IOC_FIEMAP, &u.map))
		return -errno;
	if (u.map.fm_mapped_extents != 1 || e->fe_flags & ~FIEMAP_EXTENT_LAST ||
	    e->fe_logical > (uint64_t)at || e->fe_logical + e->fe_length < (uint64_t)at + len)
		return -ESTALE;
	return e->fe_physical + (at - e->fe_logical);
}

/* Requests */

/* One request from submit to completion: its result. */
static inline int sync_one(struct ring *ring, int fd, __u32 op)
{
	int ret = ring_queue(ring, fd, op, 0);

	return ret == 1 ? ring_next(ring).res : ret;
}

/* Lines of the ring's fdinfo for requests in this state; at most 64. */
static inline int ring_pending(const struct ring *ring, const char *state)
{
	char path[64], *text, *at;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring->fd);
	text = text_read(path);
	for (at = text; (at = strstr(at, "pending:")); n += !strncmp(at, state, strlen(state))) {
		at += strlen("pending:");
		at += strspn(at, " \t");
	}
	free(text);
	return n;
}

#endif /* AFSYNC_SELFTEST_FS_COMMON_H */
