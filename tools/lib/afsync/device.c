// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The backend of a ring on /dev/afsync: opens and maps it, and hands each command to the
 * kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

/* Versions of the interface: from then on ... */
#define SINCE_RING_ID	3	/* every ring has an id */
#define SINCE_WAIT_RING	4	/* a wait and an eventfd can name their ring */

/* @version: that of the module. */
static int ring_map(int fd, size_t size, uint32_t version,
		    struct afsync_ring **ringp)
{
	void *map;
	int ret;

	ret = afsync_sys_map(fd, size, &map);
	if (ret)
		return ret;
	ret = afsync_ring_alloc(fd, map, size, ringp);
	if (ret) {
		afsync_sys_unmap(map, size);
		return ret;
	}
	if (version >= SINCE_WAIT_RING)
		(*ringp)->wait_id = (*ringp)->id;
	return 0;
}

int afsync_device_open(unsigned int entries, unsigned int flags,
		       struct afsync_ring **ringp)
{
	struct afsync_setup setup = {
		.entries = entries,
		.flags = flags & AFSYNC_INIT_INLINE ? AFSYNC_SETUP_INLINE : 0,
	};
	struct afsync_info info;
	int fd, ret;

	fd = afsync_sys_open(O_RDWR |
			     (flags & AFSYNC_INIT_NO_CLOEXEC ? 0 : O_CLOEXEC));
	if (fd < 0)
		return fd;
	ret = afsync_sys_ioctl(fd, AFSYNC_IOC_INFO, &info);
	if (ret < 0)
		goto close_fd;
	if (flags & AFSYNC_INIT_CLAMP && entries > info.max_entries)
		setup.entries = info.max_entries;
	ret = afsync_sys_ioctl(fd, AFSYNC_IOC_SETUP, &setup);
	if (ret < 0)
		goto close_fd;
	ret = ring_map(fd, setup.mmap_size, info.version, ringp);
	if (ret)
		goto close_fd;
	return 0;

close_fd:
	afsync_sys_close(fd);
	return ret;
}

AFSYNC_API int afsync_queue_attach(int fd, struct afsync_ring **ringp)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct afsync_ring *ring;
	struct afsync_info info;
	uint32_t entries, offset;
	size_t need;
	void *map;
	int ret;

	*ringp = NULL;

	/* First, for -ENOTTY: the mapping of another device must not be used as a ring. */
	ret = afsync_sys_ioctl(fd, AFSYNC_IOC_INFO, &info);
	if (ret < 0)
		return ret;

	/* The first page has the size of the mapping. */
	ret = afsync_sys_map(fd, page, &map);
	if (ret)
		return ret;
	need = afsync_header_extent(map, &entries, &offset, 0);
	afsync_sys_unmap(map, page);
	if (!need)
		return -EINVAL;
	ret = ring_map(fd, (need + page - 1) & ~(page - 1), info.version, &ring);
	if (ret)
		return ret;
	/* With an overwritten id, each command would be refused as another ring's. */
	if (!afsync_ring_reachable(ring) || (!ring->id && info.version >= SINCE_RING_ID)) {
		afsync_sys_unmap(ring->hdr, ring->map_size);
		afsync_ring_free(ring);
		return -EINVAL;
	}
	*ringp = ring;
	return 0;
}

int afsync_device_info(struct afsync_info *info)
{
	int fd, ret;

	fd = afsync_sys_open(O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = afsync_sys_ioctl(fd, AFSYNC_IOC_INFO, info);
	afsync_sys_close(fd);
	return ret < 0 ? ret : 0;
}

static int device_submit(struct afsync_ring *ring, struct afsync_submit *arg)
{
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_SUBMIT, arg);
}

static int device_wait(struct afsync_ring *ring, struct afsync_wait *arg)
{
	arg->ring = ring->wait_id;
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_WAIT, arg);
}

static int device_cancel(struct afsync_ring *ring, struct afsync_cancel *arg)
{
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_CANCEL, arg);
}

static int device_start(struct afsync_ring *ring, struct afsync_start *arg)
{
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_START, arg);
}

static int device_eventfd(struct afsync_ring *ring, struct afsync_eventfd *arg)
{
	arg->ring = ring->wait_id;
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_EVENTFD, arg);
}

static int device_fd(struct afsync_ring *ring)
{
	return ring->fd;
}

static void device_exit(struct afsync_ring *ring)
{
	/* Is the descriptor still that of the ring? See struct afsync_ring. */
	bool ours = afsync_ring_reachable(ring);

	afsync_sys_unmap(ring->hdr, ring->map_size);
	if (ours)
		afsync_sys_close(ring->fd);
}

const struct afsync_backend afsync_device = {
	.submit = device_submit,
	.wait = device_wait,
	.cancel = device_cancel,
	.start = device_start,
	.eventfd = device_eventfd,
	.fd = device_fd,
	.exit = device_exit,
};
