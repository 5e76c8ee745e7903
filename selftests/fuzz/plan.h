/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A submit that is going to be made.
 */
#ifndef AFSYNC_FUZZ_PLAN_H
#define AFSYNC_FUZZ_PLAN_H

#include "world.h"

#define MAX_ARRAY	96
#define MAX_STRIDE	4096

/**
 * struct plan - one submit: the arguments, and what the model makes of them
 * @args: the struct
 * @arg: where it lies
 * @array: where the array lies
 * @drawn: requests of the array
 * @asked: so many of these are in the book
 * @group: the user data of several may be the same
 * @signal: one is pending that ends the wait
 * @sqes: the requests
 * @errors: what is wrong with each
 * @wants: their places in the book
 */
struct plan {
	struct afsync_submit args;
	struct arg arg;
	struct arg array;
	unsigned int drawn;
	unsigned int asked;
	bool group;
	bool signal;
	struct afsync_sqe sqes[MAX_ARRAY];
	int errors[MAX_ARRAY];
	struct want *wants[MAX_ARRAY];
};

/* Chooses all of it, from the random numbers of this call alone. */
void plan_draw(struct world *w, struct plan *plan, const struct ring *ring);

#endif /* AFSYNC_FUZZ_PLAN_H */
