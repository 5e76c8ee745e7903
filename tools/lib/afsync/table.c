// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The descriptor table that belongs to the threads of a team alone.
 *
 * close_range(2), which makes it, copies the low descriptors of the program. The copies are
 * closed before anything else happens; but those on the filesystem of a server (FUSE,
 * NFS) by a thread that no other waits for, since closing such a file can take long.
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
#include <stdio.h>
#include <string.h>
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
 * Is one of the descriptors below @end a POSIX message queue? Closing a copy, in the same
 * process, would remove the notification that the program has set with mq_notify(3).
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

/* A line of mountinfo, see proc(5): is it of that filesystem, and what type is it? */
static bool line_has(const char *line, const struct file_id *id, const char **type)
{
	unsigned int major, minor;

	*type = strstr(line, " - ");
	if (!*type || sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2)
		return false;
	*type += strlen(" - ");
	return id->dev == device_of(major, minor);
}

/* @type: a word of the line; there are fuse.sshfs, nfs4, smb3 ... */
static bool is_server(const char *type)
{
	static const char * const families[] = { "fuse", "nfs", "smb" };
	static const char * const servers[] = { "9p", "afs", "ceph", "cifs", "coda", "orangefs" };
	size_t i, length = strcspn(type, " ");

	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (!strncmp(type, families[i], strlen(families[i])))
			return true;
	for (i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (strlen(servers[i]) == length && !strncmp(type, servers[i], length))
			return true;
	return false;
}

/* May a close have to wait for a server? If it is not known, yes. Without malloc(3). */
static bool may_wait(const struct file_id *id)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/mountinfo", O_RDONLY);
	bool found = false, ret = true;
	char text[8192], *line = text, *end;
	size_t size = 0;
	long n = 1;
	const char *type;

	while (fd >= 0 && !found && n > 0) {
		n = syscall(SYS_read, fd, text + size, sizeof(text) - 1 - size);
		size += n > 0 ? (size_t)n : 0;
		text[size] = '\0';
		for (line = text; !found && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			found = line_has(line, id, &type);
			if (found)
				ret = is_server(type);
		}
		/* A part of a line is left, unless it is longer than the buffer. */
		size -= (size_t)(line - text);
		size = size < sizeof(text) - 1 ? size : 0;
		memmove(text, line, size);
	}
	afsync_table_close(fd);
	return ret;
}

/* Closes the copies that can be closed at once, and records the rest. */
static void close_first(int receive, struct copies *copies)
{
	struct file_id id = { 0 }, last = { 0 };
	bool wait = false;
	int fd, ret;

	for (fd = 0; fd < copies->end; fd++) {
		if (fd == receive)
			continue;
		ret = afsync_check_fd(fd, 0, &id);
		if (ret == -EBADF && syscall(SYS_fcntl, fd, F_GETFD) < 0)
			continue;
		if (!ret && id.dev != last.dev) {
			wait = may_wait(&id);
			last = id;
		}
		copies->open[fd] = !ret && wait;
		if (!copies->open[fd])
			afsync_table_close(fd);
	}
}

/*
 * Gives the calling thread a table that has nothing but @receive, and for some time the
 * copies, which are the caller's to clean. 0, or an errno.
 */
int afsync_table_make(int receive, struct copies *copies)
{
	int ret;

	copies->end = (receive / COPIED + 1) * COPIED;
	if (has_message_queue(copies->end))
		return EBUSY;
	copies->open = afsync_map(copies->end);
	if (!copies->open)
		return ENOMEM;
	if (syscall(SYS_close_range, copies->end, ~0U, CLOSE_RANGE_UNSHARE)) {
		ret = errno;
		afsync_unmap(copies->open, copies->end);
		return ret;
	}
	close_first(receive, copies);
	return 0;
}

void afsync_table_clean(struct copies *copies)
{
	int fd;

	for (fd = 0; fd < copies->end; fd++)
		if (copies->open[fd])
			afsync_table_close(fd);
	afsync_unmap(copies->open, copies->end);
}

/* In a thread of the program: is @fd of the table of thread @tid the same open file as ours? */
bool afsync_table_same_as(pid_t tid, int fd, int ours)
{
	return !syscall(SYS_kcmp, tid, (pid_t)syscall(SYS_gettid), KCMP_FILE, fd, ours);
}

/*
 * Are both the same open file? In a thread of the team. -1: the kernel, or a filter of
 * system calls, does not allow the comparison.
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
