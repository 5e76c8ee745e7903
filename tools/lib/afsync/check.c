// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The requests that the threads' backend refuses at submit: the same as the module, as
 * far as a program can see.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "threads.h"

#define SQE_FLAGS	(AFSYNC_SQE_WRITABLE | AFSYNC_SQE_DRAIN | AFSYNC_SQE_HOLD)
#define LEVELS		8
/* Distinguishes the number of a disk from that of a filesystem. */
#define IS_DISK		(1ULL << 63)

static bool may_use_realtime(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[0].effective & (1U << CAP_SYS_NICE | 1U << CAP_SYS_ADMIN);
}

/* The priorities that ioprio_set(2) accepts, without hints. */
static int check_ioprio(uint32_t ioprio)
{
	uint32_t level = ioprio & ((1U << IOPRIO_CLASS_SHIFT) - 1);

	switch (ioprio >> IOPRIO_CLASS_SHIFT) {
	case IOPRIO_CLASS_RT:
		if (level >= LEVELS)
			return -EINVAL;
		return may_use_realtime() ? 0 : -EPERM;
	case IOPRIO_CLASS_BE:
		return level < LEVELS ? 0 : -EINVAL;
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return level ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int check_range(const struct afsync_sqe *sqe)
{
	if (sqe->op == AFSYNC_OP_SYNCFS && (sqe->offset || sqe->length))
		return -EINVAL;
	if (sqe->offset > INT64_MAX)
		return -EINVAL;
	if (sqe->length && sqe->length - 1 > INT64_MAX - sqe->offset)
		return -EINVAL;
	return 0;
}

/* For filters of system calls that refuse statx(2). */
static bool stat_asked(int fd, struct statx *st)
{
	struct stat old;

	if (fstat(fd, &old))
		return false;
	*st = (struct statx){
		.stx_mode = old.st_mode,
		.stx_ino = old.st_ino,
		.stx_dev_major = major(old.st_dev),
		.stx_dev_minor = minor(old.st_dev),
		.stx_rdev_major = major(old.st_rdev),
		.stx_rdev_minor = minor(old.st_rdev),
	};
	return true;
}

/*
 * As fstat(2), from cached attributes: a server that does not answer must not
 * block the caller. False if it is no descriptor.
 */
static bool stat_known(int fd, struct statx *st)
{
	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, st) ||
	       (errno != EBADF && stat_asked(fd, st));
}

/* Is the descriptor still that file of ours? The program may have closed it. */
bool afsync_check_is(int fd, mode_t type, ino_t inode)
{
	struct statx st;

	return fd >= 0 && stat_known(fd, &st) && (st.stx_mode & S_IFMT) == type &&
	       st.stx_ino == inode;
}

/* The identity of a descriptor's file; 0, -EBADF, or -EINVAL for a pipe or socket. */
int afsync_check_fd(int fd, unsigned int flags, struct file_id *id)
{
	int mode = fcntl(fd, F_GETFL);
	struct statx st;

	if (mode < 0 || mode & O_PATH || !stat_known(fd, &st))
		return -EBADF;
	/* Files of no type are those of the kernel itself: eventfds, rings ... */
	if (S_ISFIFO(st.stx_mode) || S_ISSOCK(st.stx_mode) || !(st.stx_mode & S_IFMT))
		return -EINVAL;
	if (flags & AFSYNC_SQE_WRITABLE && (mode & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	id->dev = device_of(st.stx_dev_major, st.stx_dev_minor);
	id->inode = st.stx_ino;
	id->lane = S_ISBLK(st.stx_mode) ?
		   device_of(st.stx_rdev_major, st.stx_rdev_minor) | IS_DISK : id->dev;
	return 0;
}

/* 0, -EBADF or -EINVAL. */
int afsync_check_eventfd(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], name[sizeof(eventfd)];
	struct statx st;
	ssize_t size;

	if (!stat_known(fd, &st))
		return -EBADF;
	if (st.stx_mode & S_IFMT)
		return -EINVAL;
	/* Without /proc that check has to be enough. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	size = readlink(path, name, sizeof(name));
	if (size >= 0 && (size != sizeof(eventfd) - 1 || memcmp(name, eventfd, size)))
		return -EINVAL;
	return 0;
}

int afsync_check_sqe(const struct afsync_sqe *sqe, struct file_id *id)
{
	int ret;

	if (sqe->op > AFSYNC_OP_SYNCFS || sqe->flags & ~SQE_FLAGS ||
	    (sqe->op == AFSYNC_OP_SYNCFS && sqe->flags & AFSYNC_SQE_DRAIN))
		return -EINVAL;
	ret = check_range(sqe);
	if (!ret)
		ret = check_ioprio(sqe->ioprio);
	if (!ret)
		ret = afsync_check_fd(sqe->fd, sqe->flags, id);
	/* Only the kernel sees the direct I/O that is in flight on a file. */
	if (!ret && sqe->flags & AFSYNC_SQE_DRAIN)
		ret = -EOPNOTSUPP;
	return ret;
}
