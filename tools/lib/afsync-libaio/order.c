// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The requests that are outstanding in a context. gate.c has the syncs that wait for them.
 * Everything is done under the lock of the context, and allocates nothing.
 *
 * An event is matched to its request by the address of the iocb and its data. A program may
 * use an iocb again while its request is outstanding. Where that leaves open which request
 * has ended, a sync may be started late, but never early:
 *
 *	- a sync that runs is taken first: nothing waits for it;
 *	- then the requests that are no syncs. They are only counted, and none is taken to
 *	  have ended until all of them have;
 *	- a held sync is taken if there is nothing else, or if there is no sync that runs and
 *	  the event says that it was cancelled. If there are all three, and the event says
 *	  that, it is taken first, as a request that is no sync must not be taken to have ended.
 */
#include <errno.h>

#include "order.h"

static unsigned int bucket_bits(__u32 nr)
{
	unsigned int bits = 6;

	while (bits < 31 && (1U << bits) < nr)
		bits++;
	return bits;
}

size_t order_size(__u32 nr)
{
	size_t buckets = (size_t)1 << bucket_bits(nr);

	return sizeof(struct order) +
	       2 * (size_t)nr * (sizeof(struct entry) + sizeof(struct gate)) +
	       buckets * (sizeof(struct entry *) + sizeof(struct gate *));
}

struct order *order_make(void *memory, __u32 nr)
{
	struct order *o = memory;
	unsigned int bits = bucket_bits(nr);

	o->nr = nr;
	o->entries_free = 2 * nr;
	o->shift = 64 - bits;
	o->entries = (struct entry *)(o + 1);
	o->gates = (struct gate *)(o->entries + 2 * (size_t)nr);
	o->by_obj = (struct entry **)(o->gates + 2 * (size_t)nr);
	o->by_fd = (struct gate **)(o->by_obj + ((size_t)1 << bits));
	return o;
}

/*
 * Never more than nr - 1 in all, as in the kernel; so events.c finds the new ones. And
 * less if the program reuses iocbs so often that memory is short for requests that may have
 * ended.
 */
__u32 order_room(const struct context *ctx)
{
	__u32 room = ctx->nr - 1 - ctx->order->outstanding;

	return room < ctx->order->entries_free ? room : ctx->order->entries_free;
}

struct batch_room *order_batch_room(const struct context *ctx)
{
	return &ctx->order->batch;
}

bool order_idle(const struct context *ctx)
{
	return !ctx->order->outstanding;
}

/* Entries */

static bool same(const struct entry *entry, __u64 obj, __u64 data)
{
	return entry->obj == obj && entry->data == data;
}

/* The next one that looks like this and is not a sync, from entry on. */
static struct entry *find_twin(struct entry *entry, __u64 obj, __u64 data)
{
	while (entry && (entry->user_data || !same(entry, obj, data)))
		entry = entry->chain;
	return entry;
}

static struct entry *entry_new(struct order *o, __u64 obj, __u64 data, __u64 user_data)
{
	struct entry *entry = o->free_entries, **bucket = &o->by_obj[order_slot(o, obj)];

	if (entry)
		o->free_entries = entry->next;
	else
		entry = &o->entries[o->entries_used++];
	o->entries_free--;
	*entry = (struct entry){ .obj = obj, .data = data, .user_data = user_data };
	entry->chain = *bucket;
	*bucket = entry;
	return entry;
}

static void entry_remove(struct context *ctx, struct entry *entry)
{
	struct order *o = ctx->order;
	struct entry **at = &o->by_obj[order_slot(o, entry->obj)];
	struct gate *gate = entry->gate;

	if (gate && entry->user_data)
		gate_leave(ctx, entry);
	else if (gate)
		gate->pending--;
	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	entry->next = o->free_entries;
	o->free_entries = entry;
	o->entries_free++;
	gate_settle(ctx, gate);
}

/* One of those that look like this has ended. */
static void twin_ended(struct context *ctx, struct entry *newest)
{
	struct entry *next, *twin;

	if (--newest->count)
		return;
	for (twin = newest; twin; twin = next) {
		next = find_twin(twin->chain, twin->obj, twin->data);
		entry_remove(ctx, twin);
	}
}

/*
 * A held sync was cancelled, or so it seems: the event may be that of a request with the
 * same iocb. Starting it does no harm if it was, and keeps it from being forgotten if not.
 */
static void held_ended(struct context *ctx, struct entry *sync)
{
	device_start(sync->user_data, sync->user_data);
	entry_remove(ctx, sync);
}

static void one_ended(struct context *ctx, __u64 obj, __u64 data, bool cancelled)
{
	struct order *o = ctx->order;
	struct entry *bucket = o->by_obj[order_slot(o, obj)];
	struct entry *entry, *running = NULL, *held = NULL, *other;

	for (entry = bucket; entry && !running; entry = entry->chain) {
		if (!entry->user_data || !same(entry, obj, data))
			continue;
		if (entry->gate)
			held = entry;	/* the oldest is last */
		else
			running = entry;
	}
	other = find_twin(bucket, obj, data);
	/* else it is one that a system call of the program's own submitted */
	if (running || other || held)
		o->outstanding--;
	/* The event may be another's, and then this one must not be forgotten. */
	if (running && order_is_ready(o, running))
		order_start(ctx);
	if (running && !(cancelled && held && other))
		entry_remove(ctx, running);
	else if (held && (cancelled || !other))
		held_ended(ctx, held);
	else if (other)
		twin_ended(ctx, other);
}

/* The functions that other files call */

void order_add(struct context *ctx, const struct iocb *iocb, const struct iocb *name)
{
	struct order *o = ctx->order;
	__u64 obj = (unsigned long)name, data = iocb->aio_data;
	struct entry *newest, *twin, *entry;
	struct gate *gate = gate_to_join(o, iocb->aio_fildes);

	newest = find_twin(o->by_obj[order_slot(o, obj)], obj, data);
	o->outstanding++;
	for (twin = newest; twin; twin = find_twin(twin->chain, obj, data)) {
		if (twin->gate != gate)
			continue;
		newest->count++;
		return;
	}
	entry = entry_new(o, obj, data, 0);
	entry->count = newest ? newest->count + 1 : 1;
	entry->gate = gate;
	gate->pending++;
}

void order_drop(struct context *ctx, const struct iocb *iocb, const struct iocb *name)
{
	one_ended(ctx, (unsigned long)name, iocb->aio_data, false);
}

bool order_waits(const struct context *ctx, int fd)
{
	return gate_newest(ctx->order, fd);
}

void order_add_sync(struct context *ctx, const struct iocb *iocb,
		    const struct iocb *name, __u64 user_data)
{
	struct order *o = ctx->order;
	struct gate *gate = gate_newest(o, iocb->aio_fildes);
	struct entry *sync;

	sync = entry_new(o, (unsigned long)name, iocb->aio_data, user_data);
	o->outstanding++;
	if (gate)
		gate_enter(ctx, gate, sync);
	else
		gate_ready(ctx, sync);
}

void order_event(struct context *ctx, const struct io_event *event)
{
	one_ended(ctx, event->obj, event->data, event->res == -ECANCELED);
}
