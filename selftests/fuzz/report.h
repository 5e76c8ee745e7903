/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counts, and the report of a failure: the seed, the call's number and the call.
 */
#ifndef AFSYNC_FUZZ_REPORT_H
#define AFSYNC_FUZZ_REPORT_H

#include <stdbool.h>
#include <linux/types.h>

#include "model.h"

struct world;
struct ring;

/* The calls whose errnos are counted. */
enum command {
	CMD_INFO,
	CMD_SETUP,
	CMD_SUBMIT,
	CMD_WAIT,
	CMD_CANCEL,
	CMD_EVENTFD,
	CMD_START,
	CMD_REQUEST,		/* the error of a request in an array */
	CMD_RAW,
	CMD_FOREIGN,		/* a command on another file */
	CMD_ATTACH,		/* io_submit(2) */
	CMD_EVENT,		/* the res of an AIO event */
	CMD_AIO_CANCEL,
	CMD_MMAP,
	CMD_MREMAP,
	CMD_MADVISE,
	CMD_COMPLETION,		/* the res of an entry */
	NR_COMMANDS,
};

#define MAX_KINDS	40

/**
 * struct tally - the counts of a thread and its children
 * @kinds: calls of each kind
 * @answers: for each command, the number of results with each errno; 0 is success
 * @accepted: requests that were accepted
 * @unbooked: those of them that are not checked: of rings that are scribbled on
 * @completed: completions that were seen, in rings and by AIO
 * @cancelled: of these, -ECANCELED
 * @merged: of these, served by another request's sync
 * @abandoned: those that ended with their ring or their AIO context
 * @rounds: the number of times that all requests were drained and counted
 * @killed: children that were killed; the exact number of their accepted requests is
 * unknown
 */
struct tally {
	__u64 kinds[MAX_KINDS];
	__u64 answers[NR_COMMANDS][134];
	__u64 accepted;
	__u64 unbooked;
	__u64 completed;
	__u64 cancelled;
	__u64 merged;
	__u64 abandoned;
	__u64 rounds;
	__u64 killed;
};

/* The current call, as far as a report needs it. */
struct note {
	const char *kind;
	const struct ring *ring;
	unsigned int cmd;
	unsigned int size;		/* of the struct, as given to the kernel */
	const char *place;
	unsigned char bytes[64];	/* of the struct */
	const struct afsync_sqe *sqes;
	unsigned int nr;
	unsigned int stride;
};

/* Ends the program with a report. In a child, too. */
void fail(struct world *w, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/* A step that has to succeed whatever the module does. */
#define must(w, condition) do {						\
	if (!(condition))						\
		fail(w, "%s:%d: %s: %m", __FILE__, __LINE__, #condition); \
} while (0)

/* @ret: a count or a negative errno; fails if the model does not allow it. Returns it. */
long expect(struct world *w, enum command cmd, long ret, struct may may);
void describe(const struct world *w, int fd);
void report(const struct tally *tallies, unsigned int count, __u64 sequence);

#endif /* AFSYNC_FUZZ_REPORT_H */
