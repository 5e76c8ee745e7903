// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Making and ending rings, and what needs no ring. Owns the descriptor, the
 * mapping and the array of prepared requests; never touches an entry.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define STR(x)		#x
#define VERSION(a, b, c) STR(a) "." STR(b) "." STR(c)

#define INIT_FLAGS	(AFSYNC_INIT_NO_CLOEXEC | AFSYNC_INIT_INLINE | \
			 AFSYNC_INIT_CLAMP)

/* Versions of the interface: from then on ... */
#define SINCE_RING_ID	3	/* every ring has an id */
#define SINCE_WAIT_RING	4	/* a wait and an eventfd can name their ring */

/*
 * Check what the header of a mapped ring says before we rely on it: that of a ring
 * from another process may hold anything. @size is what of the ring is mapped or,
 * if 0, not known yet. Returns the bytes that the ring needs, 0 if the header is
 * impossible.
 */
static size_t header_extent(const struct afsync_ring_header *hdr,
			    uint32_t *entries, uint32_t *offset, size_t size)
{
	/* Volatile: one read each, so that what was checked is what is used. */
	const volatile struct afsync_ring_header *h = hdr;
	size_t need;

	*entries = h->entries;
	*offset = h->cqes_offset;
	if (!*entries || *entries > AFSYNC_MAX_ENTRIES ||
	    *entries & (*entries - 1))
		return 0;
	if (*offset < sizeof(*hdr) || *offset > 1U << 20 ||
	    *offset % _Alignof(struct afsync_cqe))
		return 0;
	need = *offset + (size_t)*entries * sizeof(struct afsync_cqe);
	if (size && need > size)
		return 0;
	return need;
}

/*
 * Make the handle of a mapped ring. Takes over @fd and @hdr on success only. A map_size
 * of 0 says that the memory is the caller's (tests) and reaches as far as the header
 * says.
 */
int afsync_ring_alloc(int fd, struct afsync_ring_header *hdr, size_t map_size,
		      struct afsync_ring **ringp)
{
	int saved = errno;
	uint32_t entries, offset;
	struct afsync_ring *ring;

	if (!header_extent(hdr, &entries, &offset, map_size))
		return -EINVAL;

	ring = calloc(1, sizeof(*ring));
	if (!ring)
		goto no_memory;
	ring->sqes = calloc(entries, sizeof(*ring->sqes));
	if (!ring->sqes)
		goto free_ring;

	ring->fd = fd;
	ring->entries = entries;
	ring->mask = entries - 1;
	/* Volatile: as in header_extent(). */
	ring->id = ((const volatile struct afsync_ring_header *)hdr)->id;
	ring->hdr = hdr;
	ring->cqes = (struct afsync_cqe *)((char *)hdr + offset);
	ring->map_size = map_size;
	*ringp = ring;
	return 0;

free_ring:
	free(ring);
no_memory:
	errno = saved;
	return -ENOMEM;
}

/* Free the handle, and nothing that afsync_ring_alloc() took over. */
void afsync_ring_free(struct afsync_ring *ring)
{
	int saved = errno;

	free(ring->sqes);
	free(ring);
	errno = saved;
}

/*
 * Fills a struct of the caller's, whose size may be that of another version: what it has
 * no room for is left out, what we do not know of it is zero.
 */
void afsync_copy_out(void *to, size_t to_size, const void *from, size_t from_size)
{
	size_t size = to_size < from_size ? to_size : from_size;

	memcpy(to, from, size);
	memset((char *)to + size, 0, to_size - size);
}

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

/* Is the descriptor still that of the ring? See struct afsync_ring. */
static bool ring_is_ours(const struct afsync_ring *ring)
{
	/* Queues nothing and waits for nothing. */
	struct afsync_submit nothing = { .ring = ring->id };

	return !afsync_sys_ioctl(ring->fd, AFSYNC_IOC_SUBMIT, &nothing);
}

AFSYNC_API int afsync_queue_init(unsigned int entries,
				 struct afsync_ring **ringp, unsigned int flags)
{
	struct afsync_setup setup = {
		.entries = entries,
		.flags = flags & AFSYNC_INIT_INLINE ? AFSYNC_SETUP_INLINE : 0,
	};
	struct afsync_info info;
	int fd, ret;

	*ringp = NULL;
	if (flags & ~INIT_FLAGS)
		return -EINVAL;

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

	/* First, for -ENOTTY: what another device maps must not be taken for a ring. */
	ret = afsync_sys_ioctl(fd, AFSYNC_IOC_INFO, &info);
	if (ret < 0)
		return ret;

	/* The first page says how much there is to map. */
	ret = afsync_sys_map(fd, page, &map);
	if (ret)
		return ret;
	need = header_extent(map, &entries, &offset, 0);
	afsync_sys_unmap(map, page);
	if (!need)
		return -EINVAL;
	ret = ring_map(fd, (need + page - 1) & ~(page - 1), info.version, &ring);
	if (ret)
		return ret;
	/* With an id that somebody wrote there, all would be said to be another ring's. */
	if (!ring_is_ours(ring) || (!ring->id && info.version >= SINCE_RING_ID)) {
		afsync_sys_unmap(ring->hdr, ring->map_size);
		afsync_ring_free(ring);
		return -EINVAL;
	}
	*ringp = ring;
	return 0;
}

AFSYNC_API void afsync_queue_exit(struct afsync_ring *ring)
{
	bool ours;

	if (!ring)
		return;
	ours = ring_is_ours(ring);
	afsync_sys_unmap(ring->hdr, ring->map_size);
	if (ours)
		afsync_sys_close(ring->fd);
	afsync_ring_free(ring);
}

AFSYNC_API int afsync_ring_fd(const struct afsync_ring *ring)
{
	return ring->fd;
}

AFSYNC_API unsigned int afsync_ring_entries(const struct afsync_ring *ring)
{
	return ring->entries;
}

AFSYNC_API int afsync_register_eventfd(struct afsync_ring *ring, int fd)
{
	struct afsync_eventfd arg = { .fd = fd, .ring = ring->wait_id };

	/* To the kernel a -1 means unregister. */
	if (fd < 0)
		return -EBADF;
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_EVENTFD, &arg);
}

AFSYNC_API int afsync_unregister_eventfd(struct afsync_ring *ring)
{
	struct afsync_eventfd arg = { .fd = -1, .ring = ring->wait_id };

	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_EVENTFD, &arg);
}

AFSYNC_API int afsync_get_info(struct afsync_info *info, size_t size)
{
	struct afsync_info answer = { 0 };
	int fd, ret;

	fd = afsync_sys_open(O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = afsync_sys_ioctl(fd, AFSYNC_IOC_INFO, &answer);
	afsync_sys_close(fd);
	if (ret < 0)
		return ret;
	afsync_copy_out(info, size, &answer, sizeof(answer));
	return 0;
}

AFSYNC_API const char *afsync_version(void)
{
	return VERSION(LIBAFSYNC_VERSION_MAJOR, LIBAFSYNC_VERSION_MINOR,
		       LIBAFSYNC_VERSION_PATCH);
}
