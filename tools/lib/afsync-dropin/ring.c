// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ring of a drop-in library: open, map, close. The program does not expect it, so its
 * descriptor gets a high number, and may be gone when
 * it is to be closed: programs close descriptors that they did not open.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dropin.h"

/* Since this version of the interface a wait can name its ring. */
#define SINCE_WAIT_RING	4
/* And a start a range. */
#define SINCE_START_RANGE	5

/* Above the numbers that programs expect to get, and within the range of select(). */
#define FIRST_FD	512

int dropin_fd_move(int fd)
{
	int saved = errno;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

	if (moved >= 0)
		close(fd);
	errno = saved;
	return moved < 0 ? fd : moved;
}

static int device_open(void)
{
	int fd = open(DROPIN_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : dropin_fd_move(fd);
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
	if (info.version >= SINCE_WAIT_RING)
		ring->wait_id = ring->header->id;
	ring->starts_ranges = info.version >= SINCE_START_RANGE;
	ring->cqes = (struct afsync_cqe *)((char *)ring->header +
					   ring->header->cqes_offset);
	return 0;
}

int dropin_ring_open(struct dropin_ring *ring, __u32 entries)
{
	int saved = errno;
	int ret;

	ret = device_open();
	if (ret < 0)
		goto out;
	ring->fd = ret;
	ret = ring_setup(ring, entries);
	if (ret) {
		close(ring->fd);
		goto out;
	}
	errno = saved;
	return 0;

out:
	*ring = (struct dropin_ring){ .fd = -1 };
	errno = saved;
	return ret;
}

bool dropin_ring_is_ours(const struct dropin_ring *ring)
{
	/* Queues nothing and waits for nothing; fails with ESTALE on another ring. */
	struct afsync_submit nothing = { 0 };
	int saved = errno;
	bool ours;

	if (ring->fd < 0)
		return false;
	nothing.ring = ring->header->id;
	ours = !ioctl(ring->fd, AFSYNC_IOC_SUBMIT, &nothing);
	errno = saved;
	return ours;
}

void dropin_ring_close(struct dropin_ring *ring)
{
	bool ours = dropin_ring_is_ours(ring);
	int saved = errno;

	if (ring->header)
		munmap(ring->header, ring->size);
	if (ours)
		close(ring->fd);
	*ring = (struct dropin_ring){ .fd = -1 };
	errno = saved;
}
