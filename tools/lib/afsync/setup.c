// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The handle of a ring, with either engine, and its array of prepared requests. Never
 * touches an entry. engine.c makes rings.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * Check the header of a mapped ring before we rely on it: that of a ring
 * from another process may hold anything. @size is the mapped size of the ring or,
 * if 0, not known yet. Returns the bytes that the ring needs, 0 if the header is
 * impossible.
 */
size_t afsync_header_extent(const struct afsync_ring_header *hdr, uint32_t *entries,
			    uint32_t *offset, size_t size)
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
 * of 0 means that the memory belongs to the caller (tests) and has the size that the
 * header gives.
 */
int afsync_ring_alloc(int fd, struct afsync_ring_header *hdr, size_t map_size,
		      struct afsync_ring **ringp)
{
	int saved = errno;
	uint32_t entries, offset;
	struct afsync_ring *ring;

	if (!afsync_header_extent(hdr, &entries, &offset, map_size))
		return -EINVAL;

	ring = calloc(1, sizeof(*ring));
	if (!ring)
		goto no_memory;
	ring->sqes = calloc(entries, sizeof(*ring->sqes));
	if (!ring->sqes)
		goto free_ring;

	ring->backend = &afsync_device;
	ring->fd = fd;
	ring->entries = entries;
	ring->mask = entries - 1;
	/* Volatile: as in afsync_header_extent(). */
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
 * Fills a struct of the caller, whose size may be that of another version: fields that it
 * does not have are left out, fields that the library does not have are zeroed.
 */
void afsync_copy_out(void *to, size_t to_size, const void *from, size_t from_size)
{
	size_t size = to_size < from_size ? to_size : from_size;

	memcpy(to, from, size);
	memset((char *)to + size, 0, to_size - size);
}

/*
 * Can the ring take requests? Not if the program has closed the descriptor that the ring
 * needs for that.
 */
bool afsync_ring_reachable(struct afsync_ring *ring)
{
	/* Queues nothing and waits for nothing. */
	struct afsync_submit nothing = { .ring = ring->id };

	return !ring->backend->submit(ring, &nothing);
}

AFSYNC_API void afsync_queue_exit(struct afsync_ring *ring)
{
	if (!ring)
		return;
	ring->backend->exit(ring);
	afsync_ring_free(ring);
}

AFSYNC_API int afsync_ring_fd(const struct afsync_ring *ring)
{
	/* The handle is the caller's memory, and never constant. */
	return ring->backend->fd((struct afsync_ring *)ring);
}

AFSYNC_API int afsync_ring_engine(const struct afsync_ring *ring)
{
	return ring->backend == &afsync_device ? AFSYNC_ENGINE_DEVICE :
						 AFSYNC_ENGINE_THREADS;
}

AFSYNC_API unsigned int afsync_ring_entries(const struct afsync_ring *ring)
{
	return ring->entries;
}

AFSYNC_API int afsync_register_eventfd(struct afsync_ring *ring, int fd)
{
	struct afsync_eventfd arg = { .fd = fd };

	/* To the kernel a -1 means unregister. */
	if (fd < 0)
		return -EBADF;
	return ring->backend->eventfd(ring, &arg);
}

AFSYNC_API int afsync_unregister_eventfd(struct afsync_ring *ring)
{
	struct afsync_eventfd arg = { .fd = -1 };

	return ring->backend->eventfd(ring, &arg);
}
