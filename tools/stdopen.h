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
 * The first call of main(). If a standard descriptor were closed, the next opened file
 * would get its number, and output would be written into that file. This makes it
 * /dev/null, opened so that using it fails with EBADF as before. A program that is
 * executed from here finds it closed again.
 */
static inline void stdopen(void)
{
	int fd, mode, opened;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			continue;
		mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
		/* The lowest free descriptor is this one. */
		opened = open("/dev/null", mode | O_CLOEXEC);
		if (opened == -1)
			opened = open("/", O_PATH | O_CLOEXEC);
		if (opened == -1)
			return;
	}
}

/*
 * The last call. Closes standard output, since some filesystems report an error only
 * then. Returns -1, after a message, if some output was not written.
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
