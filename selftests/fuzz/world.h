/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a thread of the fuzzer: its rings, files, memory, and its current call. No
 * other thread uses them, so that the thread knows the possible results of each call. Fields
 * that the threads share are marked.
 */
#ifndef AFSYNC_FUZZ_WORLD_H
#define AFSYNC_FUZZ_WORLD_H

#include <stdint.h>

#include <linux/afsync.h>

#include "aio.h"
#include "arg.h"
#include "files.h"
#include "model.h"
#include "report.h"
#include "ring.h"
#include "rng.h"

#define NR_FILES	12
#define NR_RINGS	5
#define NR_EVENTFDS	2
#define MAX_THREADS	16

/**
 * struct options - from the command line, and from checks at the start
 * @calls: of all threads
 * @seconds: end after the first round that ends later; 0: after @calls
 * @patience: seconds after which a call or a completion counts as lost
 * @only: the thread whose calls are printed, or -1
 * @root: may set the realtime class
 * @info: the result of AFSYNC_IOC_INFO
 * @dir: a folder of each thread's own files
 */
struct options {
	__u64 seed;
	__u64 calls;
	unsigned int seconds;
	unsigned int threads;
	unsigned int patience;
	int only;
	bool root;
	struct afsync_info info;
	const char *dir;
};

extern struct options options;

void options_parse(int argc, char **argv);

/* The progress of a thread, for the thread that monitors it. */
struct progress {
	__u64 calls;
	bool ended;
};

/**
 * struct world - the state of one thread
 * @thread: its number
 * @call: number of the current call
 * @child: it runs in a process of its own
 * @rng: of this call
 * @tally: its counts; shared with its children
 * @progress: its progress; [shared] read by the main thread
 * @note: the call, for a report
 * @rings: its own; the last is one that it scribbles on
 * @shared: [shared] a ring of all threads
 * @victim: [shared] a ring of all threads that all of them scribble on
 * @files: the files that it syncs
 * @eventfds: the eventfds that it registers
 * @aio: its kernel AIO
 * @memory: for structs
 * @array: for arrays of requests
 * @arena: [shared] memory that all threads write to at any time
 */
struct world {
	unsigned int thread;
	__u64 call;
	bool child;
	struct rng rng;
	struct tally *tally;
	struct progress *progress;
	struct note note;
	struct ring rings[NR_RINGS];
	struct ring *shared;
	struct ring *victim;
	struct file files[NR_FILES];
	int eventfds[NR_EVENTFDS];
	struct aio aio;
	struct memory memory;
	struct memory array;
	char *arena;
};

#define ARENA_SIZE	(64 * 1024)

static inline unsigned int below(struct world *w, unsigned int count)
{
	return rng_below(&w->rng, count);
}

static inline bool one_in(struct world *w, unsigned int count)
{
	return rng_one_in(&w->rng, count);
}

#endif /* AFSYNC_FUZZ_WORLD_H */
