// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for completions by every method: reading the ring, the ioctl, poll and epoll, and
 * looking at fdinfo meanwhile.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BIT_OF(signal)	(1ULL << ((signal) - 1))

/* All signals are blocked in the threads; one to the own thread stays pending. */
void signal_raise(struct world *w)
{
	must(w, !pthread_kill(pthread_self(), SIGUSR1));
}

void signal_clear(void)
{
	struct timespec none = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (sigtimedwait(&set, NULL, &none) == SIGUSR1)
		;
}

__u64 signal_mask(bool in, __u64 others)
{
	others |= BIT_OF(SIGTERM) | BIT_OF(SIGINT) | BIT_OF(SIGCHLD) | BIT_OF(SIGHUP);
	return in ? others & ~BIT_OF(SIGUSR1) : others | BIT_OF(SIGUSR1);
}

void call_reap(struct world *w)
{
	struct ring *ring = ring_pick(w);

	w->note.ring = ring;
	ring_reap(w, ring);
}

/* A wait with good fields, or with one of them wrong. */
static void draw_wait(struct world *w, struct afsync_wait *wait, const struct ring *ring,
		      bool *signal)
{
	unsigned int flags = below(w, 16), dice = below(w, 64), bit = below(w, 29);
	__u64 odd = rng_odd(&w->rng), timeout = below(w, 200000);

	*wait = (struct afsync_wait) { .min_complete = dice % 4, .ring = ring_name(w, ring) };
	if (dice < 8)
		wait->min_complete = odd % (ring->entries + 2);
	if (flags & 1)
		wait->flags |= AFSYNC_WAIT_TIMEOUT;
	if ((flags & 9) == 9)
		wait->flags |= AFSYNC_WAIT_ABSTIME;
	if ((flags & 6) == 6)
		wait->flags |= AFSYNC_WAIT_SIGMASK;
	wait->timeout_ns = flags & 1 ? timeout : 0;
	*signal = wait->flags & AFSYNC_WAIT_SIGMASK && dice & 1;
	if (wait->flags & AFSYNC_WAIT_SIGMASK)
		wait->sigmask = signal_mask(*signal, odd);
	if (dice == 60)
		wait->flags |= 8U << bit;
	if (dice == 61)
		wait->reserved = 1 + bit;
	if (dice == 62)
		wait->timeout_ns ^= 1 + bit;
}

/* A wait that nothing would end has a time limit. */
static void limit_wait(struct afsync_wait *wait, const struct ring *ring)
{
	unsigned int sure = ring->trust == RING_OWN ? book_sure(&ring->book) : 0;

	if (wait->flags & AFSYNC_WAIT_TIMEOUT || wait->min_complete <= sure)
		return;
	wait->flags |= AFSYNC_WAIT_TIMEOUT;
	wait->timeout_ns = 50000;
}

static struct may may_wait(const struct ring *ring, const struct afsync_wait *wait,
			   const struct arg *arg, bool signal)
{
	int first = arg_errno(arg, 24, true, true);
	errnos wrong;

	if (ring->fd < 0)
		return may_fail(ERRNO(EBADF));
	if (first)
		return may_fail(ERRNO(first));
	if (!ring->is_set_up)
		return may_fail(ERRNO(ENXIO));
	wrong = model_wait_fields(ring, wait);
	return wrong ? may_fail(wrong) : model_wait(ring, wait, signal);
}

void call_wait(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct afsync_wait wait;
	struct arg arg;
	struct may may;
	bool signal;

	draw_wait(w, &wait, ring, &signal);
	arg_choose(w, &arg, sizeof(wait), 24);
	pthread_mutex_lock(&ring->lock);
	limit_wait(&wait, ring);
	if (arg.size < 28)
		wait.ring = 0;
	if (arg.size < 32)
		wait.ring &= arg.size > 24 && arg.size < 28 ? (1U << (arg.size - 24) * 8) - 1 : ~0U;
	if (arg.size < 32)
		wait.reserved = 0;
	may = may_wait(ring, &wait, &arg, signal);
	pthread_mutex_unlock(&ring->lock);

	w->note.ring = ring;
	if (signal)
		signal_raise(w);
	expect(w, CMD_WAIT,
	       arg_ioctl(w, ring->fd, AFSYNC_IOC_WAIT, &arg, &wait, sizeof(wait)), may);
	if (signal)
		signal_clear();
}

/* Checks the result of a poll, with the ring read before and after it. */
static void check_poll(struct world *w, struct ring *ring, int events, unsigned int before,
		       unsigned int after)
{
	if (ring->fd < 0)
		return;
	if (!ring->is_set_up) {
		if (!(events & POLLERR))
			fail(w, "a poll without a ring gave %#x", events);
		return;
	}
	if (ring->trust != RING_OWN || !ring->map)
		return;
	if (before && !(events & POLLIN))
		fail(w, "%u entries are unread and a poll gave %#x", before, events);
	if (!after && events)
		fail(w, "no entries are unread and a poll gave %#x", events);
}

static unsigned int unread(const struct ring *ring)
{
	if (!ring->map)
		return 0;
	return __atomic_load_n(&ring->map->tail, __ATOMIC_ACQUIRE) - ring->map->head;
}

void call_poll(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct pollfd fds = { .fd = ring->fd, .events = POLLIN | POLLOUT };
	unsigned int before = unread(ring);
	bool waits = one_in(w, 4);

	w->note.ring = ring;
	waits = waits && ring_is_open(ring) && ring->trust == RING_OWN && book_sure(&ring->book);
	if (poll(&fds, 1, waits ? (int)options.patience * 1000 : 0) == 0 && waits)
		fail(w, "LOST: a poll for %u requests has seen none", book_sure(&ring->book));
	check_poll(w, ring, fds.revents, before, unread(ring));
}

void call_epoll(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct epoll_event event = { .events = EPOLLIN }, got = {};
	unsigned int before = unread(ring);
	bool edge = one_in(w, 2);
	int fd;

	w->note.ring = ring;
	if (!ring_is_open(ring))
		return;
	if (edge)
		event.events |= EPOLLET;
	fd = epoll_create1(EPOLL_CLOEXEC);
	must(w, fd >= 0 && !epoll_ctl(fd, EPOLL_CTL_ADD, ring->fd, &event));
	must(w, epoll_wait(fd, &got, 1, 0) >= 0);
	check_poll(w, ring, got.events, before, unread(ring));
	close(fd);
}

void call_fdinfo(struct world *w)
{
	struct ring *ring = ring_pick(w);
	long in_flight, unread_now;

	w->note.ring = ring;
	if (ring->fd < 0)
		return;
	if (!ring->is_set_up) {
		if (ring_fdinfo(w, ring, "entries") != -1)
			fail(w, "the fdinfo shows a ring before there is one");
		return;
	}
	if (ring_fdinfo(w, ring, "entries") != ring->entries)
		fail(w, "the fdinfo has other entries than the ring");
	in_flight = ring_fdinfo(w, ring, "in_flight");
	unread_now = ring_fdinfo(w, ring, "unread");
	if (ring->trust != RING_OWN)
		return;
	/* Read one after the other: requests that ended in between are in both. */
	if (in_flight > ring->book.used || unread_now > ring->book.used ||
	    in_flight + unread_now < ring->book.used - book_vague(&ring->book))
		fail(w, "the fdinfo has %ld in flight and %ld unread, and the book %u",
		     in_flight, unread_now, ring->book.used);
	if (ring_fdinfo(w, ring, "eventfd") != ring->has_eventfd)
		fail(w, "the fdinfo is wrong about the eventfd");
}
