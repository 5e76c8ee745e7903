/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots of an engine that keeps several operations outstanding from one thread.
 */
#ifndef AFSYNC_BENCH_WINDOW_H
#define AFSYNC_BENCH_WINDOW_H

#include "bench.h"

struct window {
	struct slot *slots;
	unsigned int *free;	/* a stack of indices */
	unsigned int nr_free;
};

static inline void window_init(struct window *win, unsigned int depth)
{
	unsigned int i;

	win->slots = alloc(depth, sizeof(*win->slots));
	win->free = alloc(depth, sizeof(*win->free));
	for (i = 0; i < depth; i++) {
		win->slots[i].index = i;
		win->free[i] = depth - 1 - i;
	}
	win->nr_free = depth;
}

/* A slot for the next operation; there must be one. */
static inline unsigned int window_take(struct window *win)
{
	return win->free[--win->nr_free];
}

static inline void window_give(struct window *win, unsigned int index)
{
	win->free[win->nr_free++] = index;
}

#endif /* AFSYNC_BENCH_WINDOW_H */
