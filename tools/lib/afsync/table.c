// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The table of descriptors that the threads of a team have for themselves.
 *
 * close_range(2), which makes it, copies the low descriptors of the program. A copy of a
 * file on the filesystem that is to be synced, and of a pipe or socket, is closed before
 * anything else happens; the others by a thread that nobody waits for, since to close a
 * file of a server (FUSE, NFS) can take its time.
 *
 * ThreadSanitizer and valgrind watch the functions of the C library, and take the
 * numbers of this table for those of the program. So they are used by system calls.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/kcmp.h>
#include <mqueue.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

/* The kernel copies a multiple of that. */
#define COPIED		64

/* Linux 6.10. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY	1027
#endif

void afsync_table_close(int fd)
{
	if (fd >= 0)
		syscall(SYS_close, fd);
}

/*
 * Is one of the descriptors below @end a POSIX message queue? To close a copy, in the same
 * process, would remove the notification that the program has asked for by mq_notify(3).
 */
static bool has_message_queue(int end)
{
	struct mq_attr attr;
	int fd;

	/* Of all others this is EBADF, and no server is asked. */
	for (fd = 0; fd < end; fd++)
		if (!syscall(SYS_mq_getsetattr, fd, NULL, &attr))
			return true;
	return false;
}

/* Closes what must not stay open, and notes the rest. */
static void close_first(int receive, const struct file_id *id, struct copies *copies)
{
	struct file_id copy;
	int fd, ret;

	for (fd = 0; fd < copies->end; fd++) {
		if (fd == receive || syscall(SYS_fcntl, fd, F_GETFD) < 0)
			continue;
		ret = afsync_check_fd(fd, 0, &copy);
		copies->open[fd] = !ret && copy.dev != id->dev;
		if (!copies->open[fd])
			afsync_table_close(fd);
	}
}

/*
 * Gives the calling thread a table that has nothing but @receive, and for some time the
 * copies, which are the caller's to clean. 0, or an errno.
 */
int afsync_table_make(int receive, const struct file_id *id, struct copies *copies)
{
	int ret;

	copies->end = (receive / COPIED + 1) * COPIED;
	if (has_message_queue(copies->end))
		return EBUSY;
	copies->open = calloc(1, copies->end);
	if (!copies->open)
		return ENOMEM;
	if (syscall(SYS_close_range, copies->end, ~0U, CLOSE_RANGE_UNSHARE)) {
		ret = errno;
		free(copies->open);
		return ret;
	}
	close_first(receive, id, copies);
	return 0;
}

void afsync_table_clean(struct copies *copies)
{
	int fd;

	for (fd = 0; fd < copies->end; fd++)
		if (copies->open[fd])
			afsync_table_close(fd);
	free(copies->open);
}

/*
 * Are both the same open file? In a thread of the team. -1: the kernel, or a filter of
 * system calls, does not say.
 */
int afsync_table_same(int a, int b)
{
	pid_t tid;
	int ret = syscall(SYS_fcntl, a, F_DUPFD_QUERY, b);

	if (ret >= 0)
		return ret;
	/* Of the table of this thread, which is not that of the process. */
	tid = (pid_t)syscall(SYS_gettid);
	ret = (int)syscall(SYS_kcmp, tid, tid, KCMP_FILE, a, b);
	return ret < 0 ? -1 : !ret;
}
