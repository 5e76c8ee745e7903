// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings of a ring: with valid and invalid arguments, moved, cut, unmapped and made anew.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096UL

static long address(void *map)
{
	return map == MAP_FAILED ? -errno : 0;
}

static struct may may_map(const struct ring *ring, size_t size, int prot, int flags, __u64 at)
{
	errnos wrong = 0;

	/* The first errors of mmap() itself. */
	if (at % PAGE)
		return may_fail(ERRNO(EINVAL));
	if (ring->fd < 0)
		return may_fail(ERRNO(EBADF));
	if (!size)
		return may_fail(ERRNO(EINVAL));
	if (!ring->can_map) {
		if (ring->writable || (prot != PROT_READ && flags == MAP_SHARED))
			return may_fail(ERRNO(EACCES));
		return may_fail(ring->is_set_up ? ERRNO(EINVAL) : ERRNO(ENXIO));
	}
	if (!ring->is_set_up)
		return may_fail(ERRNO(ENXIO));
	if (flags != MAP_SHARED || at || size > ring->size)
		wrong = ERRNO(EINVAL);
	return wrong ? may_fail(wrong) : may_return(0, 0);
}

void call_mmap(struct world *w)
{
	struct ring *ring = ring_pick(w);
	unsigned int dice = below(w, 32), pages = below(w, 8);
	int prot = one_in(w, 2) ? PROT_READ : PROT_READ | PROT_WRITE, flags = MAP_SHARED;
	struct may may;
	size_t size = PAGE;
	__u64 at = 0;
	void *map;

	if (dice == 0)
		flags = MAP_PRIVATE;
	if (dice == 1)
		at = PAGE << pages;
	if (dice == 2)
		at = 1 + pages;
	if (dice == 3)
		size = (ring->size & ~(PAGE - 1)) + PAGE * (1 + pages);
	if (dice == 4)
		size = 0;
	if (dice > 24 && ring->size)
		size = ring->size;
	may = may_map(ring, size, prot, flags, at);
	w->note.ring = ring;
	map = mmap(NULL, size, prot, flags, ring->fd, at);
	if (expect(w, CMD_MMAP, address(map), may))
		return;
	if (ring->trust != RING_SCRIBBLED && ring->id &&
	    ((struct afsync_ring_header *)map)->id != ring->id)
		fail(w, "a second mapping shows another ring");
	/* The first page is kept as the second mapping, if there is none yet. */
	if (ring->extra || size != PAGE || ring->trust == RING_SHARED || ring == w->victim)
		must(w, !munmap(map, size));
	else
		ring->extra = map;
}

/* Moves or enlarges the second mapping. */
void call_mremap(struct world *w)
{
	struct ring *ring = &w->rings[below(w, NR_RINGS)];
	unsigned int dice = below(w, 4), pages = 2 + below(w, 8);
	void *map, *place;

	w->note.ring = ring;
	if (!ring->extra)
		return;
	if (dice) {
		place = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(w, place != MAP_FAILED);
		map = mremap(ring->extra, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
		expect(w, CMD_MREMAP, address(map), may_return(0, 0));
		ring->extra = map;
	} else {
		map = mremap(ring->extra, PAGE, PAGE * pages, MREMAP_MAYMOVE);
		expect(w, CMD_MREMAP, address(map), may_fail(ERRNO(EFAULT)));
	}
	if (ring->trust == RING_OWN && ((struct afsync_ring_header *)ring->extra)->id != ring->id)
		fail(w, "a mapping that was moved shows another ring");
}

void call_madvise(struct world *w)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_WILLNEED, MADV_RANDOM, MADV_COLD,
		MADV_PAGEOUT, MADV_FREE, MADV_REMOVE, MADV_HUGEPAGE, MADV_MERGEABLE,
		MADV_DODUMP, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	struct ring *ring = ring_pick(w);
	int how = advice[below(w, sizeof(advice) / sizeof(*advice))];
	struct may may = { .low = 0, .high = 0 };
	int ret;

	w->note.ring = ring;
	if (!ring->map)
		return;
	/* Any result is correct; the entries are still there afterwards. */
	may.errors = how == MADV_DONTNEED ? 0 : ~(errnos)0;
	ret = madvise(ring->map, ring->size, how);
	expect(w, CMD_MADVISE, ret < 0 ? -errno : ret, may);
	ring_reap(w, ring);
}

/* The ring is mapped anew, at another address. */
void call_remap(struct world *w)
{
	struct ring *ring = &w->rings[below(w, NR_RINGS)];

	w->note.ring = ring;
	if (!ring->map || ring->fd < 0)
		return;
	must(w, !munmap(ring->map, ring->size));
	ring_map(w, ring);
	ring_reap(w, ring);
}
