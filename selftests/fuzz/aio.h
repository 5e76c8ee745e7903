/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel AIO that completes requests of the rings.
 */
#ifndef AFSYNC_FUZZ_AIO_H
#define AFSYNC_FUZZ_AIO_H

#include <stdbool.h>
#include <linux/afsync.h>
#include <linux/aio_abi.h>

#include "model.h"

struct world;
struct ring;
struct want;

#define NR_AIOS	16

/**
 * struct aio_op - one AIO write
 * @busy: its event has not been seen
 * @ring, @want: the request that it completes, NULL if none or if the ring is closed
 * @may: the negative results that its event may have
 * @may_succeed: 0 is one of its results
 */
struct aio_op {
	bool busy;
	struct ring *ring;
	struct want *want;
	errnos may;
	bool may_succeed;
	struct afsync_attach args;
	struct iocb iocb;
};

struct aio {
	aio_context_t ctx;
	struct aio_op ops[NR_AIOS];
};

void aio_open(struct world *w);
/* Cancels as many as possible and waits for all events. */
void aio_drain(struct world *w);
/* To be called before the ring is closed, and its book with it. */
void aio_forget(struct world *w, const struct ring *ring);
/* The calls. */
void call_attach(struct world *w);
void call_aio_cancel(struct world *w);
void call_aio_events(struct world *w);
void call_aio_destroy(struct world *w);

#endif /* AFSYNC_FUZZ_AIO_H */
