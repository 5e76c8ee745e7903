// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Looking at the ring of events that the kernel maps for a context, and only looking:
 * whoever takes the events, by io_getevents(2) or by itself, finds them all.
 *
 * No event is missed, whoever takes it and when. The kernel writes a slot again when it
 * has gone round the ring. There are never more than nr - 1 requests outstanding that we
 * know of, and none is submitted through us without a look before it; so between two looks
 * there are at most nr - 1 events, each is still there, and tail says how many they are.
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
