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
#include <string.h>

#include "internal.h"

_Static_assert(sizeof(struct aio_ring) == RING_WORDS * sizeof(__u64), "the ring's header");

void ring_words(const struct context *ctx, void **from)
{
	int i;

	for (i = 0; i < RING_WORDS; i++)
		from[i] = (char *)ctx->ring + i * sizeof(__u64);
}

bool ring_is(const struct context *ctx, const __u64 *words)
{
	struct aio_ring ring;

	memcpy(&ring, words, sizeof(ring));
	return ring.magic == AIO_RING_MAGIC && ring.nr == ctx->nr;
}

bool ring_there(const struct context *ctx)
{
	void *from[RING_WORDS];
	__u64 words[RING_WORDS];

	ring_words(ctx, from);
	return memory_read(words, from, sizeof(words[0]), RING_WORDS) == RING_WORDS &&
	       ring_is(ctx, words);
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
