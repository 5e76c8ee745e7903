// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo-fsync: the method of most programs today. Reads names from standard input, each
 * ended by a NUL byte, and calls fsync() on one after the other. Prints how many.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../stdopen.h"

static int fsync_name(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd == -1)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

int main(void)
{
	unsigned long done = 0;
	char *name = NULL;
	size_t size = 0;

	stdopen();
	while (getdelim(&name, &size, '\0', stdin) > 0) {
		if (fsync_name(name)) {
			fprintf(stderr, "demo-fsync: %s: %s\n", name, strerror(errno));
			return 1;
		}
		done++;
	}
	free(name);
	if (ferror(stdin)) {
		fprintf(stderr, "demo-fsync: standard input: %s\n", strerror(errno));
		return 1;
	}
	printf("%lu\n", done);
	return close_stdout("demo-fsync") ? 1 : 0;
}
