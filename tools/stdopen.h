/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Standard input, output and errors of the programs of this tree, as in gnulib's modules
 * stdopen and closeout.
 */
#ifndef AFSYNC_STDOPEN_H
#define AFSYNC_STDOPEN_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * The first thing that main() does. A standard descriptor that was closed would be given
 * to the next file that is opened, and what is printed would land in that file. Now it is
 * /dev/null, open so that to use it fails with EBADF as before. A program that is run
 * from here finds it closed again.
 */
static inline void stdopen(void)
{
	int fd, mode, opened;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			continue;
		mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
		/* The lowest that is free is this one. */
		opened = open("/dev/null", mode | O_CLOEXEC);
		if (opened == -1)
			opened = open("/", O_PATH | O_CLOEXEC);
		if (opened == -1)
			return;
	}
}

/*
 * The last thing. Closes standard output, since some file systems tell of an error only
 * then. Returns -1, after a message, if something that was printed did not arrive.
 */
static inline int close_stdout(const char *program)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fclose(stdout) == 0 && !failed)
		return 0;
	fprintf(stderr, "%s: standard output: %s\n", program,
		errno ? strerror(errno) : "write error");
	return -1;
}

#endif /* AFSYNC_STDOPEN_H */
