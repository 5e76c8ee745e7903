// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The system calls of the library. This is the only file where errno becomes a
 * return value; each function leaves errno as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

int afsync_sys_open(int flags)
{
	int saved = errno;
	int fd = open(AFSYNC_DEVICE, flags);

	if (fd < 0)
		fd = -errno;
	errno = saved;
	return fd;
}

int afsync_sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	int saved = errno;
	int ret = ioctl(fd, cmd, arg);

	if (ret < 0)
		ret = -errno;
	errno = saved;
	return ret;
}

int afsync_sys_map(int fd, size_t size, void **addr)
{
	int saved = errno;
	int ret = 0;

	*addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*addr == MAP_FAILED) {
		*addr = NULL;
		ret = -errno;
	}
	errno = saved;
	return ret;
}

void afsync_sys_unmap(void *addr, size_t size)
{
	int saved = errno;

	munmap(addr, size);
	errno = saved;
}

void afsync_sys_close(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}
