// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads the ring of events that the kernel maps for a context, and takes none of them:
 * a program that takes the events, by io_getevents(2) or by itself, finds them all.
 *
 * No event is missed, whenever the program takes it. The kernel overwrites a slot when it
 * has gone round the ring. This library never has more than nr - 1 requests outstanding, and
 * looks before it submits one. So between two looks there are at most nr - 1 events, each is
 * still there, and tail gives their number.
 */
#include "internal.h"

bool ring_there(const struct context *ctx)
{
	void *from = (void *)ctx->ring;
	struct aio_ring ring;

	return memory_read(&ring, &from, sizeof(ring), 1) == 1 &&
	       ring.magic == AIO_RING_MAGIC && ring.nr == ctx->nr;
}

void events_look(struct context *ctx)
{
	const struct aio_ring *ring = ctx->ring;
	struct io_event event;
	__u32 tail;

	if (ctx->dead)
		return;
	/* Pairs with the kernel's barrier between the event and the tail. */
	tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) % ctx->nr;
	while (ctx->pos != tail) {
		event = ring->events[ctx->pos];
		ctx->pos = (ctx->pos + 1) % ctx->nr;
		order_event(ctx, &event);
	}
}
