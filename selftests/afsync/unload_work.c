// SPDX-License-Identifier: GPL-2.0-only
/*
 * For unload_test.sh: leaves a ring with a thousand requests behind, like a program that
 * ends in the midst of its work.
 *
 *	unload_work DIR		DIR is where its files are made (and unlinked)
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/afsync.h>

#define FILES		50
#define REQUESTS	1000

static int file_make(const char *dir)
{
	static char data[16384];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/afsync-unload-XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data) || unlink(path))
		err(1, "%s", path);
	return fd;
}

int main(int argc, char **argv)
{
	static struct afsync_sqe sqes[REQUESTS];
	struct afsync_submit submit = {
		.sqes = (uintptr_t)sqes,
		.nr = REQUESTS,
		.sqe_size = sizeof(sqes[0]),
	};
	struct afsync_setup setup = { .entries = REQUESTS };
	int files[FILES], dev, i;

	if (argc != 2)
		errx(1, "usage: unload_work DIR");
	dev = open("/dev/afsync", O_RDWR | O_CLOEXEC);
	if (dev < 0 || ioctl(dev, AFSYNC_IOC_SETUP, &setup))
		err(1, "/dev/afsync");
	if (mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0) ==
	    MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < FILES; i++)
		files[i] = file_make(argv[1]);
	for (i = 0; i < REQUESTS; i++) {
		sqes[i].fd = files[i % FILES];
		sqes[i].op = i % 10 ? i % 2 : AFSYNC_OP_SYNCFS;
	}
	if (ioctl(dev, AFSYNC_IOC_SUBMIT, &submit) != REQUESTS)
		err(1, "submit");
	return 0;
}
