/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A planned submit.
 */
#ifndef AFSYNC_FUZZ_PLAN_H
#define AFSYNC_FUZZ_PLAN_H

#include "world.h"

#define MAX_ARRAY	96
#define MAX_STRIDE	4096

/**
 * struct plan - one submit: the arguments, and the errors that the model finds
 * @args: the struct
 * @arg: the place of the struct
 * @array: the place of the array
 * @drawn: the number of requests in the array
 * @asked: the number of these in the book
 * @group: several may have the same user data
 * @signal: one is pending that ends the wait
 * @sqes: the requests
 * @errors: the errors of each
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

/* Chooses all of it, using only the random numbers of this call. */
void plan_draw(struct world *w, struct plan *plan, const struct ring *ring);

#endif /* AFSYNC_FUZZ_PLAN_H */
