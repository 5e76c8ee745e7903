// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ring of a drop-in library: open, map, close. It lives inside a program that
 * does not know of it, so its descriptor keeps out of the way, and may be gone when
 * it is to be closed: programs close descriptors that they did not open.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dropin.h"

/* Above what programs expect to get, and can be seen by select(). */
#define FIRST_FD	512

/* The device's number: what a descriptor must have to be closed as ours. */
static dev_t device;

static int device_of(int fd, dev_t *number)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -ENOTTY;
	*number = st.st_rdev;
	return 0;
}

static int device_open(void)
{
	int fd, moved;

	fd = open(DROPIN_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Fails where the limit is lower: then it stays where it is. */
	moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
	if (moved < 0)
		return fd;
	close(fd);
	return moved;
}

static int ring_setup(struct dropin_ring *ring, __u32 entries)
{
	struct afsync_setup setup = { 0 };
	struct afsync_info info;

	if (ioctl(ring->fd, AFSYNC_IOC_INFO, &info))
		return -errno;
	if (!(info.sqe_flags & AFSYNC_SQE_HOLD))
		return -ENOSYS;
	setup.entries = entries < info.max_entries ? entries : info.max_entries;
	if (ioctl(ring->fd, AFSYNC_IOC_SETUP, &setup))
		return -errno;
	ring->entries = setup.entries;
	ring->size = setup.mmap_size;
	ring->header = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    ring->fd, 0);
	if (ring->header == MAP_FAILED)
		return -errno;
	ring->cqes = (struct afsync_cqe *)((char *)ring->header +
					   ring->header->cqes_offset);
	return 0;
}

int dropin_ring_open(struct dropin_ring *ring, __u32 entries)
{
	int saved = errno;
	dev_t number = 0;
	int ret;

	ret = device_open();
	if (ret < 0)
		goto out;
	ring->fd = ret;
	ret = device_of(ring->fd, &number);
	if (!ret)
		ret = ring_setup(ring, entries);
	if (ret) {
		close(ring->fd);
		goto out;
	}
	/* Two threads may be here at once, each with a ring of its own. */
	__atomic_store_n(&device, number, __ATOMIC_RELAXED);
	errno = saved;
	return 0;

out:
	*ring = (struct dropin_ring){ .fd = -1 };
	errno = saved;
	return ret;
}

void dropin_ring_close(struct dropin_ring *ring)
{
	int saved = errno;
	dev_t number = 0;

	if (ring->header)
		munmap(ring->header, ring->size);
	if (ring->fd >= 0 && !device_of(ring->fd, &number) &&
	    number == __atomic_load_n(&device, __ATOMIC_RELAXED))
		close(ring->fd);
	*ring = (struct dropin_ring){ .fd = -1 };
	errno = saved;
}
