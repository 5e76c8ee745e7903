/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scene of a call: a small ring, files of the test filesystem, and a list of the
 * requests that the module has accepted. At the end of a scene each of them has completed
 * exactly once, nothing is left of them, and the ring takes as many requests as it has
 * entries.
 *
 * Functions that check return NULL, or a description of the error.
 */
#ifndef _AFSYNC_SELFTEST_SCENE_H
#define _AFSYNC_SELFTEST_SCENE_H

#include "faults.h"

#include <linux/aio_abi.h>

#define ENTRIES		8	/* of the ring, and the user's limit of requests in flight */
#define FILES		3
/* Longer than any sync here takes: a completion that has not come by then is lost. */
#define LOST_NS		(60 * SEC_NS)

/**
 * struct scene - one try of a call
 * @world: the test filesystem, the same in all tries
 * @ctl: an open file of it, for its commands; likewise
 * @aio: a context of kernel AIO; likewise
 * @step: the step of the call that fails; requests of this try have it in their user data
 * @ring: new in each try
 * @files: likewise, each an open file of its own
 * @sqes: of the call, or of its preparation
 * @submit: of the call
 * @accepted: a bit for each request that the module has accepted
 * @attached: those of them that kernel AIO completes
 * @cancelled: requests that the module has reported as cancelled
 * @started: syncs that had begun before
 * @released: open files that were gone before
 * @submitted: the module's counter, before
 * @fd: the descriptor that the call opens, or uses, or -1
 * @map: likewise, or MAP_FAILED
 * @text: the text that the call reads
 */
struct scene {
	struct world world;
	int ctl;
	aio_context_t aio;
	unsigned int step;
	struct ring ring;
	int files[FILES];
	struct afsync_sqe sqes[ENTRIES];
	struct afsync_submit submit;
	__u64 accepted;
	__u64 attached;
	unsigned int cancelled;
	__u32 started;
	__u32 released;
	long long submitted;
	int fd;
	void *map;
	char text[8192];
};

static inline unsigned int bits(__u64 set)
{
	return __builtin_popcountll(set);
}

/* The user data of request number @nr of this try, and back. */
static inline __u64 data_of(const struct scene *scene, unsigned int nr)
{
	return (__u64)scene->step << 8 | nr;
}

static inline struct afsync_sqe scene_sqe(const struct scene *scene, unsigned int nr, int file,
					  __u32 op, __u32 flags)
{
	struct afsync_sqe sqe = sqe_of(file, op, data_of(scene, nr));

	sqe.flags = flags;
	return sqe;
}

/* Requests @first to @first + @count - 1 were accepted. */
static inline void scene_accepted(struct scene *scene, unsigned int first, unsigned int count)
{
	while (count--)
		scene->accepted |= 1ULL << first++;
}

/* Has request number @nr accepted, to prepare a call. */
static inline void scene_queue(struct scene *scene, unsigned int nr, int file, __u32 flags)
{
	struct afsync_sqe sqe = scene_sqe(scene, nr, file, AFSYNC_OP_FSYNC, flags);

	need(ring_submit(&scene->ring, &sqe, 1, NULL) == 1);
	scene_accepted(scene, nr, 1);
}

/* Request 0 runs and does not end before the end of the scene. */
static inline void scene_hold_first(struct scene *scene)
{
	sim_hold(scene->ctl, SIM_GATE_FSYNC);
	scene_queue(scene, 0, scene->files[0], 0);
	sim_wait_started(scene->ctl, SIM_GATE_FSYNC, scene->started + 1);
}

/* Request 0 has ended and its entry is unread. */
static inline void scene_complete_first(struct scene *scene)
{
	scene_queue(scene, 0, scene->files[0], 0);
	ring_wait(&scene->ring, 1);
}

static inline void scene_open(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	own_mounts();
	world_mount(&scene->world, "afsync_sim");
	scene->ctl = world_open(&scene->world, "file", O_RDONLY);
	need(syscall(SYS_io_setup, ENTRIES, &scene->aio) == 0);
}

static inline void scene_close(struct scene *scene)
{
	need(syscall(SYS_io_destroy, scene->aio) == 0);
	close(scene->ctl);
	/* EBUSY, if a reference to a file is left. */
	world_unmount(&scene->world);
}

static inline void scene_begin(struct scene *scene, unsigned int step)
{
	unsigned int i;

	scene->step = step;
	scene->accepted = 0;
	scene->attached = 0;
	scene->cancelled = 0;
	scene->started = sim_started(scene->ctl, SIM_GATE_FSYNC);
	scene->released = sim_stats(scene->ctl).finished[SIM_GATE_RELEASE];
	scene->submitted = counter("submitted");
	scene->fd = -1;
	scene->map = MAP_FAILED;
	memset(scene->text, 0, sizeof(scene->text));
	ring_open(&scene->ring, ENTRIES);
	for (i = 0; i < FILES; i++)
		scene->files[i] = world_open(&scene->world, "file", O_RDWR);
}

/* Takes the unread entries: exactly the requests in @set, in any order. */
static inline const char *take_completions(struct scene *scene, __u64 set)
{
	unsigned int cancelled = 0;
	struct afsync_cqe cqe;
	__u64 seen = 0, bit;

	while (ring_take(&scene->ring, &cqe)) {
		if (cqe.user_data >> 8 != scene->step || (cqe.user_data & 0xff) > 63)
			return "a completion of no request";
		bit = 1ULL << (cqe.user_data & 0xff);
		if (!(set & bit))
			return "a completion of a request that was not accepted";
		if (seen & bit)
			return "a request has completed twice";
		if (cqe.res && cqe.res != -ECANCELED)
			return "a sync that did not fail has a result that is not 0";
		cancelled += cqe.res == -ECANCELED;
		seen |= bit;
	}
	if (seen != set)
		return "a request has not completed";
	return cancelled == scene->cancelled ? NULL : "not as many are cancelled as were said";
}

/* The same for kernel AIO. */
static inline const char *take_events(struct scene *scene)
{
	struct timespec timeout = { .tv_sec = LOST_NS / SEC_NS };
	struct io_event events[ENTRIES];
	unsigned int count = bits(scene->attached);
	__u64 seen = 0;
	int i, n;

	n = syscall(SYS_io_getevents, scene->aio, count, ENTRIES, events,
		    count ? &timeout : &(struct timespec) {});
	for (i = 0; i < n; i++) {
		seen |= 1ULL << events[i].data;
		if (events[i].res == -ECANCELED)
			scene->cancelled--;
		else if (events[i].res)
			return "an AIO that was attached has a result that is not 0";
	}
	return n == (int)count && seen == scene->attached ? NULL : "an AIO has not ended once";
}

/* The ring and its user accept as many requests as at the beginning. */
static inline const char *scene_refill(struct scene *scene)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		scene->sqes[i] = scene_sqe(scene, i, scene->files[i % FILES], AFSYNC_OP_FSYNC, 0);
	if (ring_submit(&scene->ring, scene->sqes, ENTRIES, NULL) != ENTRIES)
		return "the ring does not take as many requests as it has entries";
	scene->cancelled = 0;
	if (afsync_cmd_wait(scene->ring.fd, ENTRIES, AFSYNC_WAIT_TIMEOUT, LOST_NS, 0) < 0)
		return "a request of those that fill the ring is lost";
	return take_completions(scene, (1ULL << ENTRIES) - 1);
}

/* Ends all requests, and checks them. */
static inline const char *scene_settle(struct scene *scene)
{
	const char *wrong;
	int ret;

	sim_let_go(scene->ctl, SIM_GATE_FSYNC);
	/* The held ones. */
	ret = afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
	if (ret > 0)
		scene->cancelled += ret;
	ret = afsync_cmd_wait(scene->ring.fd, bits(scene->accepted & ~scene->attached),
			      AFSYNC_WAIT_TIMEOUT, LOST_NS, 0);
	if (ret < 0)
		return "a request is lost";
	wrong = take_events(scene);
	if (!wrong)
		wrong = take_completions(scene, scene->accepted & ~scene->attached);
	if (!wrong && fdinfo_number(scene->ring.fd, "in_flight"))
		wrong = "the ring counts a request that is not there";
	if (!wrong && counter("submitted") != scene->submitted + bits(scene->accepted))
		wrong = "not as many were counted as were accepted";
	if (!wrong && counter("in_flight"))
		wrong = "the module counts a request that is not there";
	return wrong ?: scene_refill(scene);
}

/* Ends a try, even one that went wrong: then the test ends, too. */
static inline const char *scene_end(struct scene *scene)
{
	const char *wrong = scene_settle(scene);
	unsigned int i;

	ring_close(&scene->ring);
	for (i = 0; i < FILES; i++)
		close(scene->files[i]);
	if (!wrong && sim_stats(scene->ctl).finished[SIM_GATE_RELEASE] != scene->released + FILES)
		wrong = "a file is not released";
	return wrong;
}

#endif /* _AFSYNC_SELFTEST_SCENE_H */
