/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers that follow from a seed. Each call of the fuzzer has a stream of its own, so
 * that the numbers of one call never depend on the results of the calls before it.
 */
#ifndef AFSYNC_FUZZ_RNG_H
#define AFSYNC_FUZZ_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct rng {
	__u64 state;
	__u64 drawn;	/* a sum of all numbers drawn: equal sequences have equal sums */
};

/* Begins the stream of that seed, thread and call. */
void rng_begin(struct rng *rng, __u64 seed, __u64 thread, __u64 call);
__u64 rng_next(struct rng *rng);
/* 0 to @count - 1 */
unsigned int rng_below(struct rng *rng, unsigned int count);
bool rng_one_in(struct rng *rng, unsigned int count);
/* A number that programs often get wrong: around 0, powers of two, and the ends of types. */
__u64 rng_odd(struct rng *rng);
void rng_fill(struct rng *rng, void *to, size_t size);

#endif /* AFSYNC_FUZZ_RNG_H */
