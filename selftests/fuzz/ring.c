// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rings of a thread. The calls on them are in call_*.c.
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096
#define NS	1000000000ULL

void ring_init(struct ring *ring, enum trust trust)
{
	ring->fd = -1;
	ring->dup = -1;
	ring->trust = trust;
	pthread_mutex_init(&ring->lock, NULL);
}

void ring_open_device(struct world *w, struct ring *ring, int flags)
{
	ring->fd = open("/dev/afsync", flags | O_CLOEXEC);
	must(w, ring->fd >= 0);
	ring->can_map = flags == O_RDWR;
	ring->writable = flags != O_RDONLY;
	ring->is_set_up = false;
	ring->has_eventfd = false;
	book_clear(&ring->book);
}

void ring_map(struct world *w, struct ring *ring)
{
	must(w, ring->can_map);
	ring->map = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	must(w, ring->map != MAP_FAILED);
	ring->id = ring->map->id;
}

void ring_open(struct world *w, struct ring *ring, __u32 entries, __u32 flags)
{
	struct afsync_setup setup = { .entries = entries, .flags = flags };

	ring_open_device(w, ring, O_RDWR);
	must(w, !ioctl(ring->fd, AFSYNC_IOC_SETUP, &setup));
	ring->entries = setup.entries;
	ring->size = setup.mmap_size;
	ring->is_set_up = true;
	ring_map(w, ring);
}

/* In any order: closing the last of them ends the ring. */
void ring_close(struct world *w, struct ring *ring)
{
	unsigned int order = below(w, 4), i;

	aio_forget(w, ring);
	for (i = 0; i < 4; i++) {
		switch ((order + i) % 4) {
		case 0:
			must(w, ring->fd < 0 || !close(ring->fd));
			break;
		case 1:
			must(w, !ring->map || !munmap(ring->map, ring->size));
			break;
		case 2:
			must(w, ring->dup < 0 || !close(ring->dup));
			break;
		case 3:
			must(w, !ring->extra || !munmap(ring->extra, PAGE));
			break;
		}
	}
	w->tally->abandoned += ring->book.used;
	book_clear(&ring->book);
	ring->fd = -1;
	ring->dup = -1;
	ring->map = NULL;
	ring->extra = NULL;
	ring->is_set_up = false;
}

/* Called with the ring's lock. */
static void complete(struct world *w, struct ring *ring, const struct afsync_cqe *cqe)
{
	bool exact = ring->trust == RING_OWN;
	const char *wrong;

	wrong = book_complete(&ring->book, cqe->user_data, cqe->res, exact);
	if (!wrong && cqe->flags & ~AFSYNC_CQE_MERGED)
		wrong = "a completion with unknown flags";
	if (wrong)
		fail(w, "%s: user_data %#llx res %d flags %#x", wrong,
		     (unsigned long long)cqe->user_data, cqe->res, cqe->flags);
	expect(w, CMD_COMPLETION, cqe->res, (struct may) { .errors = ~(errnos)0 });
	w->tally->completed++;
	w->tally->cancelled += cqe->res == -ECANCELED;
	w->tally->merged += !!(cqe->flags & AFSYNC_CQE_MERGED);
}

static void check_constants(struct world *w, const struct ring *ring)
{
	const struct afsync_ring_header *map = ring->map;
	unsigned int i, sum = 0;

	for (i = 0; i < sizeof(map->reserved1) / sizeof(*map->reserved1); i++)
		sum |= map->reserved1[i];
	for (i = 0; i < sizeof(map->reserved2) / sizeof(*map->reserved2); i++)
		sum |= map->reserved2[i];
	if (sum || map->mask != ring->entries - 1 || map->entries != ring->entries ||
	    map->id != ring->id || map->cqes_offset != sizeof(*map))
		fail(w, "the header of a ring has changed");
}

void ring_reap(struct world *w, struct ring *ring)
{
	const struct afsync_cqe *cqes;
	__u32 head, tail;

	if (!ring->map || ring->trust == RING_SCRIBBLED)
		return;
	pthread_mutex_lock(&ring->lock);
	check_constants(w, ring);
	cqes = (const void *)((char *)ring->map + ring->map->cqes_offset);
	head = ring->map->head;
	/* pairs with the kernel's release of the entries */
	tail = __atomic_load_n(&ring->map->tail, __ATOMIC_ACQUIRE);
	if (tail - head > ring->entries)
		fail(w, "%u unread entries in a ring of %u", tail - head, ring->entries);
	for (; head != tail; head++)
		complete(w, ring, &cqes[head & (ring->entries - 1)]);
	/* pairs with the kernel's read: the slots are free after the copies */
	__atomic_store_n(&ring->map->head, head, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&ring->lock);
}

long ring_fdinfo(struct world *w, const struct ring *ring, const char *name)
{
	char path[64], text[4096], start[32], *line;
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(w, fd >= 0);
	size = read(fd, text, sizeof(text) - 1);
	must(w, size > 0);
	close(fd);
	text[size] = '\0';
	snprintf(start, sizeof(start), "\n%s:\t", name);
	line = strstr(text, start);
	return line ? strtol(line + strlen(start), NULL, 10) : -1;
}

static void cancel_all(struct world *w, struct ring *ring)
{
	struct afsync_cancel cancel = { .match = AFSYNC_CANCEL_ALL };
	unsigned int i, held = 0;
	struct want *want;
	long ret;

	pthread_mutex_lock(&ring->lock);
	for (i = 0; i < ring->book.top; i++) {
		want = &ring->book.wants[i];
		if (want->state == WANT_FREE)
			continue;
		want->may_cancel = true;
		want->must_cancel = want->held;
		held += want->held;
		want->held = false;
	}
	pthread_mutex_unlock(&ring->lock);
	ret = ioctl(ring->fd, AFSYNC_IOC_CANCEL, &cancel);
	if (ret < 0 && errno != ENOENT && errno != EALREADY)
		fail(w, "a cancel of all: %m");
	ret = ret < 0 ? 0 : ret;
	if (ring->trust == RING_OWN && ret < held)
		fail(w, "%u requests are held and a cancel of all took %ld", held, ret);
	ring->book.cancelled_said += ret;
}

static void start_all(struct world *w, struct ring *ring)
{
	struct afsync_start start = {};
	struct want *want;
	unsigned int i, j, count;

	for (i = 0; i < ring->book.top; i++) {
		if (ring->book.wants[i].state == WANT_FREE || !ring->book.wants[i].held)
			continue;
		start.user_data = ring->book.wants[i].user_data;
		for (j = i, count = 0; j < ring->book.top; j++) {
			want = &ring->book.wants[j];
			if (want->state == WANT_FREE || !want->held ||
			    want->user_data != start.user_data)
				continue;
			want->held = false;
			count++;
		}
		if (ioctl(ring->fd, AFSYNC_IOC_START, &start) != (int)count)
			fail(w, "%u requests are held and a start of them said otherwise: %m",
			     count);
	}
}

/* Waits for @count entries; entries missing after the time limit never come. */
static void wait_for(struct world *w, struct ring *ring, unsigned int count)
{
	struct afsync_wait wait = {
		.min_complete = count,
		.flags = AFSYNC_WAIT_TIMEOUT,
		.timeout_ns = options.patience * NS,
	};

	if (ioctl(ring->fd, AFSYNC_IOC_WAIT, &wait) >= (int)count)
		return;
	fail(w, "LOST: %u of the requests of a ring have not completed: %m", count);
}

static bool is_quiet(struct world *w, const struct ring *ring)
{
	return !ring_fdinfo(w, ring, "in_flight");
}

void ring_quiet(struct world *w, struct ring *ring)
{
	unsigned int waited;

	if (!ring_is_open(ring))
		return;
	cancel_all(w, ring);
	/* The pause only spares the CPU. */
	for (waited = 0; !is_quiet(w, ring); waited++) {
		if (waited > options.patience * 100)
			fail(w, "LOST: requests of a ring have not completed");
		poll(NULL, 0, 10);
	}
}

/* A completion signals the eventfd, and not before its entry is there. */
static void check_eventfd(struct world *w, struct ring *ring)
{
	struct pollfd fds = { .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN };
	struct afsync_eventfd none = { .fd = -1 }, ours = { .fd = fds.fd };
	struct afsync_sqe sqe = { .fd = memfd_create("fuzz", MFD_CLOEXEC) };
	struct afsync_submit submit = {
		.sqes = (uintptr_t)&sqe, .nr = 1, .sqe_size = sizeof(sqe),
	};
	__u32 head = ring->map->head;

	must(w, fds.fd >= 0 && sqe.fd >= 0);
	if (ring->has_eventfd)
		must(w, !ioctl(ring->fd, AFSYNC_IOC_EVENTFD, &none));
	must(w, !ioctl(ring->fd, AFSYNC_IOC_EVENTFD, &ours));
	must(w, ioctl(ring->fd, AFSYNC_IOC_SUBMIT, &submit) == 1);
	if (poll(&fds, 1, options.patience * 1000) != 1)
		fail(w, "LOST: an eventfd was not signalled");
	if (__atomic_load_n(&ring->map->tail, __ATOMIC_ACQUIRE) != head + 1)
		fail(w, "the eventfd was signalled before the entry was there");
	__atomic_store_n(&ring->map->head, head + 1, __ATOMIC_RELEASE);
	must(w, !ioctl(ring->fd, AFSYNC_IOC_EVENTFD, &none));
	ring->has_eventfd = false;
	must(w, !close(sqe.fd) && !close(fds.fd));
	w->tally->accepted++;
	w->tally->completed++;
}

static void check_counts(struct world *w, struct ring *ring)
{
	const struct book *book = &ring->book;

	if (book->used)
		fail(w, "LOST: %u requests of a drained ring have not completed", book->used);
	if (book->cancelled_said < book->cancelled_seen ||
	    book->cancelled_said > book->cancelled_seen + book->cancelled_events)
		fail(w, "cancels took %llu requests, and %llu entries and %llu events say so",
		     (unsigned long long)book->cancelled_said,
		     (unsigned long long)book->cancelled_seen,
		     (unsigned long long)book->cancelled_events);
	if (ring_fdinfo(w, ring, "in_flight"))
		fail(w, "a ring that is drained has requests in flight");
}

void ring_drain(struct world *w, struct ring *ring)
{
	bool cancels = one_in(w, 2), checks = one_in(w, 4);
	unsigned int sure;

	if (!ring_is_open(ring))
		return;
	if (ring->trust == RING_SCRIBBLED)
		return ring_quiet(w, ring);
	if (cancels || ring->trust == RING_SHARED)
		cancel_all(w, ring);
	else
		start_all(w, ring);
	ring_reap(w, ring);
	sure = book_sure(&ring->book);
	if (sure)
		wait_for(w, ring, sure);
	aio_drain(w);
	if (!ring->map)
		return ring_quiet(w, ring);
	ring_reap(w, ring);
	check_counts(w, ring);
	if (ring->trust == RING_OWN && checks)
		check_eventfd(w, ring);
}

void ring_free_slots(const struct ring *ring, unsigned int used, unsigned int *least,
		     unsigned int *most)
{
	*most = ring->entries - (used - book_vague(&ring->book));
	*least = used < ring->entries ? ring->entries - used : 0;
}

struct ring *ring_pick(struct world *w)
{
	unsigned int dice = below(w, 64);

	if (dice < 6 && w->shared)
		return w->shared;
	if (dice < 10 && w->victim)
		return w->victim;
	if (dice < 14)
		return &w->rings[NR_RINGS - 1];
	return &w->rings[dice % (NR_RINGS - 1)];
}

__u32 ring_name(struct world *w, const struct ring *ring)
{
	unsigned int dice = below(w, 64);

	if (!ring->id)
		return 0;
	if (dice == 0)
		return ring->id + 1;
	if (dice == 1)
		return ~ring->id;
	return dice < 32 ? ring->id : 0;
}
