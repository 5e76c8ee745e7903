/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The possible results of a call, from the documentation (Documentation/man/afsync.4), and from
 * the book of the ring.
 */
#ifndef AFSYNC_FUZZ_MODEL_H
#define AFSYNC_FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/afsync.h>

struct ring;
struct file;
struct want;

/* A set of errnos, by bit; those that matter are all below 128. */
typedef unsigned __int128 errnos;
#define ERRNO(nr)	((errnos)1 << (nr))

/* A count from @low to @high, if @low is not above @high, or one of the errnos. */
struct may {
	long low;
	long high;
	errnos errors;
};

static inline struct may may_fail(errnos errors)
{
	return (struct may) { .low = 1, .high = 0, .errors = errors };
}

static inline struct may may_return(long low, long high)
{
	return (struct may) { .low = low, .high = high };
}

/* All errnos that the documentation lists for any command. */
extern const errnos documented;

/*
 * Each returns the errnos for the errors in the fields, of which the command returns one; no
 * errno if there is none. @ring has been set up.
 */
errnos model_setup(const struct afsync_setup *setup, bool is_set_up, __u32 max_entries);
errnos model_wait_fields(const struct ring *ring, const struct afsync_wait *wait);
errnos model_submit_fields(const struct ring *ring, const struct afsync_submit *submit);
errnos model_cancel_fields(const struct ring *ring, const struct afsync_cancel *cancel);
errnos model_eventfd(const struct ring *ring, const struct afsync_eventfd *args,
		     const struct file *file);
errnos model_start_fields(const struct ring *ring, const struct afsync_start *start);

/* The errors of one request; @file is NULL if its descriptor is not open. */
int model_sqe(const struct afsync_sqe *sqe, const struct file *file, bool root);

/*
 * The possible results of a wait with good fields; @signal: one is pending that the mask lets
 * in.
 */
struct may model_wait(const struct ring *ring, const struct afsync_wait *wait, bool signal);

#endif /* AFSYNC_FUZZ_MODEL_H */
