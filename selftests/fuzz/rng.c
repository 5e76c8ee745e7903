// SPDX-License-Identifier: GPL-2.0-only
/*
 * The random numbers: splitmix64. Independent of their use.
 */
#include "rng.h"

#include <string.h>

static __u64 mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

void rng_begin(struct rng *rng, __u64 seed, __u64 thread, __u64 call)
{
	rng->state = mix(mix(mix(seed + 1) + thread + 1) + call + 1);
}

__u64 rng_next(struct rng *rng)
{
	__u64 value = mix(rng->state += 0x9e3779b97f4a7c15ULL);

	rng->drawn = mix(rng->drawn ^ value);
	return value;
}

unsigned int rng_below(struct rng *rng, unsigned int count)
{
	return (rng_next(rng) >> 32) * count >> 32;
}

bool rng_one_in(struct rng *rng, unsigned int count)
{
	return !rng_below(rng, count);
}

__u64 rng_odd(struct rng *rng)
{
	__u64 value = rng_next(rng), near = rng_below(rng, 5);

	switch (rng_below(rng, 4)) {
	case 0:
		return near - 2;
	case 1:
		return (1ULL << (value % 64)) + near - 2;
	case 2:
		return value >> (value % 64);
	default:
		return value;
	}
}

void rng_fill(struct rng *rng, void *to, size_t size)
{
	__u64 value;
	size_t part;

	for (; size; size -= part, to = (char *)to + part) {
		value = rng_next(rng);
		part = size < sizeof(value) ? size : sizeof(value);
		memcpy(to, &value, part);
	}
}
