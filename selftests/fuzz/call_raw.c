// SPDX-License-Identifier: GPL-2.0-only
/*
 * Senseless calls, on rings without a book: garbage in every field, commands that do not exist,
 * memory that other threads write to, and garbage in the rings themselves.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static const unsigned int cmds[] = {
	AFSYNC_IOC_INFO, AFSYNC_IOC_SETUP, AFSYNC_IOC_SUBMIT, AFSYNC_IOC_WAIT,
	AFSYNC_IOC_CANCEL, AFSYNC_IOC_EVENTFD, AFSYNC_IOC_START,
};

static struct ring *scribbled(struct world *w)
{
	struct ring *victim = w->victim;

	return one_in(w, 2) && victim ? victim : &w->rings[NR_RINGS - 1];
}

/* The possible errors of any command. A wait whose mask lets a signal in has none pending. */
static const struct may anything = { .low = 0, .high = 1L << 32 };

static void count(struct world *w, unsigned int cmd, long ret)
{
	struct may may = anything;

	may.errors = documented;
	expect(w, CMD_RAW, ret, may);
	if (ret > 0 && _IOC_NR(cmd) == _IOC_NR(AFSYNC_IOC_SUBMIT))
		w->tally->unbooked += ret;
}

/* Some of the fields get odd values; a wait still ends. */
static void spoil_submit(struct world *w, struct afsync_submit *args)
{
	__u64 odd = rng_odd(&w->rng), at = below(w, ARENA_SIZE);
	unsigned int which = below(w, 8), nr = below(w, 96), dice = below(w, 8);

	*args = (struct afsync_submit) {
		.sqes = (uintptr_t)w->arena + (dice ? at & ~7ULL : at),
		.nr = nr,
		.sqe_size = sizeof(struct afsync_sqe),
	};
	if (which == 0)
		args->sqes = odd;
	if (which == 1)
		args->nr = odd;
	if (which == 2)
		args->sqe_size = odd;
	if (which == 3)
		args->flags = odd & ~(__u64)AFSYNC_SUBMIT_WAIT;
	if (which == 4) {
		args->flags = AFSYNC_SUBMIT_WAIT;
		args->wait_flags = AFSYNC_WAIT_TIMEOUT;
		args->timeout_ns = odd % 100000;
		args->min_complete = odd >> 32;
	}
	if (which == 5)
		args->ring = odd;
}

static void spoil_wait(struct world *w, struct afsync_wait *args)
{
	__u64 odd = rng_odd(&w->rng);

	args->flags |= AFSYNC_WAIT_TIMEOUT;
	args->flags &= ~AFSYNC_WAIT_ABSTIME;
	args->timeout_ns %= 100000;
	args->sigmask = signal_mask(false, args->sigmask);
	args->min_complete = odd;
	if (one_in(w, 2)) {
		args->ring = 0;
		args->reserved = 0;
	}
}

void call_garbage(struct world *w)
{
	struct ring *ring = scribbled(w);
	unsigned int cmd = cmds[below(w, sizeof(cmds) / sizeof(*cmds))];
	union {
		unsigned char bytes[64];
		struct afsync_submit submit;
		struct afsync_wait wait;
		struct afsync_cancel cancel;
		struct afsync_setup setup;
	} args;
	bool sane = one_in(w, 2);
	struct arg arg;
	long ret;

	rng_fill(&w->rng, &args, sizeof(args));
	arg_choose(w, &arg, _IOC_SIZE(cmd), _IOC_SIZE(cmd));
	if (cmd == AFSYNC_IOC_SUBMIT)
		spoil_submit(w, &args.submit);
	if (cmd == AFSYNC_IOC_WAIT)
		spoil_wait(w, &args.wait);
	if (cmd == AFSYNC_IOC_CANCEL && sane)
		args.cancel.match &= 7;
	if (cmd == AFSYNC_IOC_SETUP && sane)
		args.setup.entries %= 4096;
	w->note.ring = ring;
	ret = arg_ioctl(w, ring->fd, cmd, &arg, &args, _IOC_SIZE(cmd));
	count(w, cmd, ret);
	if (cmd != AFSYNC_IOC_SETUP || ret)
		return;
	ring->is_set_up = true;
	ring->entries = args.setup.entries;
	ring->size = args.setup.mmap_size;
	if (ring->can_map)
		ring_map(w, ring);
}

/* A number that is no command, or almost one, and any argument. */
void call_raw(struct world *w)
{
	struct ring *ring = scribbled(w);
	unsigned int cmd = cmds[below(w, sizeof(cmds) / sizeof(*cmds))], dice = below(w, 8);
	__u64 odd = rng_odd(&w->rng), arg = rng_odd(&w->rng), at = below(w, ARENA_SIZE);
	long ret;

	if (dice < 4)
		cmd = odd;
	else if (dice < 6)
		cmd ^= 1U << odd % 32;
	if (dice & 1)
		arg = (uintptr_t)w->arena + at;
	/* Garbage may wait for ever, or make a ring of unknown size. */
	if (_IOC_TYPE(cmd) == AFSYNC_IOC_MAGIC &&
	    (_IOC_NR(cmd) == _IOC_NR(AFSYNC_IOC_WAIT) ||
	     _IOC_NR(cmd) == _IOC_NR(AFSYNC_IOC_SETUP) ||
	     _IOC_NR(cmd) == _IOC_NR(AFSYNC_IOC_SUBMIT)))
		arg = odd | 1ULL << 63;
	w->note.cmd = cmd;
	w->note.ring = ring;
	ret = ioctl(ring->fd, cmd, arg);
	count(w, cmd, ret < 0 ? -errno : ret);
}

/* Into the rings that are meant for it, and into the memory of the arrays. */
void call_scribble(struct world *w)
{
	struct ring *ring = scribbled(w);
	unsigned int at = below(w, ARENA_SIZE / 8), dice = below(w, 4), files = below(w, NR_FILES);
	__u64 odd = rng_odd(&w->rng), *words = (__u64 *)w->arena;
	struct afsync_sqe *sqe;

	w->note.ring = ring;
	if (dice == 0) {
		__atomic_store_n(&words[at], odd, __ATOMIC_RELAXED);
	} else if (dice == 1) {
		/* A request that can be accepted. */
		sqe = (struct afsync_sqe *)(w->arena + at % 1000 * sizeof(*sqe));
		*sqe = (struct afsync_sqe) {
			.user_data = odd % SCRIBBLED_GROUPS,
			.fd = w->files[files].fd,
			.flags = odd & AFSYNC_SQE_HOLD,
		};
	} else if (ring->map && dice == 2) {
		__atomic_store_n(&ring->map->head, odd, __ATOMIC_RELAXED);
	} else if (ring->map) {
		words = (__u64 *)ring->map;
		__atomic_store_n(&words[at % (ring->size / 8)], odd, __ATOMIC_RELAXED);
	}
}
