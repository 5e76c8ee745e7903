// SPDX-License-Identifier: GPL-2.0-only
/* Syncs by the command afsync, which runs once for each sync. */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

static pid_t pids[DEPTH];

static void begin(void) { }

static int submit(const struct want *want, uint32_t slot)
{
	char path[64];
	pid_t pid;

	snprintf(path, sizeof(path), "/dev/fd/%d", want->fd);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		if (want->op == OP_FDATASYNC)
			execlp("afsync", "afsync", "-d", path, NULL);
		else
			execlp("afsync", "afsync", path, NULL);
		_exit(127);
	}
	/* The command opens the file of this descriptor, which the caller may close. */
	pids[slot] = pid;
	return 0;
}

static int reap(uint32_t *slot)
{
	int status;
	pid_t pid = wait(&status);

	if (pid < 0)
		err(2, "wait");
	for (*slot = 0; pids[*slot] != pid; ++*slot)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static void end(void) { }

const struct syncer by_command = {
	.name = "command", .begin = begin, .submit = submit, .reap = reap, .end = end,
};
