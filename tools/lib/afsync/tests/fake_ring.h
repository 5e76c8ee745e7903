/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A ring in ordinary memory, for tests that need no device. The test plays the
 * kernel: it writes entries and publishes the tail.
 */
#ifndef AFSYNC_FAKE_RING_H
#define AFSYNC_FAKE_RING_H

#include <stdlib.h>
#include <string.h>

#include "../internal.h"
#include "../ring.h"

#define FAKE_ENTRIES	8

struct fake_ring {
	struct afsync_ring_header hdr;
	struct afsync_cqe cqes[FAKE_ENTRIES];
};

/* Makes a ring whose indices start at @start. @fd is for system calls that fail. */
static inline int fake_ring_make(struct fake_ring *fake, uint32_t start, int fd,
				 struct afsync_ring **ringp)
{
	memset(fake, 0, sizeof(*fake));
	fake->hdr.head = start;
	fake->hdr.tail = start;
	fake->hdr.mask = FAKE_ENTRIES - 1;
	fake->hdr.entries = FAKE_ENTRIES;
	fake->hdr.cqes_offset = offsetof(struct fake_ring, cqes);
	return afsync_ring_alloc(fd, &fake->hdr, 0, ringp);
}

/* Posts a completion as the kernel does: entry first, then tail. */
static inline void fake_ring_post(struct fake_ring *fake, uint64_t user_data,
				  int32_t res)
{
	uint32_t tail = load_relaxed(&fake->hdr.tail);

	fake->cqes[tail & (FAKE_ENTRIES - 1)] = (struct afsync_cqe) {
		.user_data = user_data,
		.res = res,
	};
	store_release(&fake->hdr.tail, tail + 1);
}

/*
 * Byte @i of the result of a function for a caller's struct of @size bytes, which was full
 * of 0xcc, if the function's own struct has the bytes of @from.
 */
static inline unsigned char filled_byte(size_t i, size_t size, const void *from,
					size_t from_size)
{
	if (i >= size)
		return 0xcc;
	return i < from_size ? ((const unsigned char *)from)[i] : 0;
}

#endif /* AFSYNC_FAKE_RING_H */
