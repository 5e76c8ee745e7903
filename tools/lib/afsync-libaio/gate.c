// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which sync waits for which requests. Everything is done under the lock of the context, and
 * allocates nothing.
 *
 * The requests of a descriptor that are not syncs count in its newest gate. A sync closes
 * that gate for others, and waits at it; the next request gets a gate of its own behind
 * it. A gate opens when it and all before it are empty: then its syncs are ready, in
 * their order. So each request costs the same, however many there are. A descriptor
 * with nothing outstanding has no gate, and then a sync is ready at once.
 *
 * Ready syncs with consecutive user data are started by one call, before the lock is dropped.
 * Those for one file are then served by one sync: started one by one, the sync of the first
 * would begin alone.
 */
#include <errno.h>

#include "order.h"

static struct gate **fd_bucket(const struct order *o, int fd)
{
	return &o->by_fd[order_slot(o, fd)];
}

struct gate *gate_newest(const struct order *o, int fd)
{
	struct gate *gate = *fd_bucket(o, fd);

	while (gate && gate->fd != fd)
		gate = gate->chain;
	return gate;
}

static void gate_unlist(struct order *o, struct gate *gate)
{
	struct gate **at = fd_bucket(o, gate->fd);

	while (*at != gate)
		at = &(*at)->chain;
	*at = gate->chain;
}

static struct gate *gate_new(struct order *o, int fd, struct gate *older)
{
	struct gate *gate = o->free_gates, **bucket = fd_bucket(o, fd);

	if (gate)
		o->free_gates = gate->chain;
	else
		gate = &o->gates[o->gates_used++];
	*gate = (struct gate){ .fd = fd, .older = older };
	if (older) {
		gate_unlist(o, older);
		older->newer = gate;
	}
	gate->chain = *bucket;
	*bucket = gate;
	return gate;
}

struct gate *gate_to_join(struct order *o, int fd)
{
	struct gate *gate = gate_newest(o, fd);

	if (!gate || gate->first)
		gate = gate_new(o, fd, gate);
	return gate;
}

static void count_held(struct context *ctx, unsigned int n)
{
	/* Others may see it stale: the watcher and threads that wait for events look again. */
	__atomic_store_n(&ctx->held, ctx->held + n, __ATOMIC_RELAXED);
	watch_count(n);
}

void gate_enter(struct context *ctx, struct gate *gate, struct entry *sync)
{
	sync->gate = gate;
	sync->prev = gate->last;
	if (gate->last)
		gate->last->next = sync;
	else
		gate->first = sync;
	gate->last = sync;
	count_held(ctx, 1);
}

void gate_leave(struct context *ctx, struct entry *sync)
{
	struct gate *gate = sync->gate;

	if (sync->prev)
		sync->prev->next = sync->next;
	else
		gate->first = sync->next;
	if (sync->next)
		sync->next->prev = sync->prev;
	else
		gate->last = sync->prev;
	sync->gate = NULL;
	count_held(ctx, -1);
}

void gate_ready(struct context *ctx, const struct entry *sync)
{
	struct order *o = ctx->order;

	if (!o->last_ready || sync->user_data != o->last_ready + 1) {
		order_start(ctx);
		o->first_ready = sync->user_data;
	}
	o->last_ready = sync->user_data;
}

static void cancel_by_iocb(struct context *ctx, const struct entry *sync)
{
	struct iocb *iocb = (struct iocb *)(unsigned long)sync->obj;
	struct io_event ignored;

	/* The kernel finds an older one with this iocb first, but each that runs only once. */
	while (sys_io_cancel(ctx->id, iocb, &ignored) == -EAGAIN)
		;
}

/*
 * The ring is gone, because the program closed its descriptor. Events which report
 * that nothing was synced are the best that remains.
 */
static void cancel_ready(struct context *ctx)
{
	struct order *o = ctx->order;
	const struct entry *sync;
	size_t i;

	for (i = 0; i < (size_t)1 << (64 - o->shift); i++)
		for (sync = o->by_obj[i]; sync; sync = sync->chain)
			if (sync->user_data && order_is_ready(o, sync))
				cancel_by_iocb(ctx, sync);
}

void order_start(struct context *ctx)
{
	struct order *o = ctx->order;

	if (!o->last_ready)
		return;
	o->first_ready = device_start(o->first_ready, o->last_ready);
	if (o->first_ready <= o->last_ready)
		cancel_ready(ctx);
	o->first_ready = 0;
	o->last_ready = 0;
}

static void gate_free(struct order *o, struct gate *gate)
{
	gate->chain = o->free_gates;
	o->free_gates = gate;
}

/* No sync waits at it, and no request counts: syncs behind it wait at the older one. */
static void take_out(struct order *o, struct gate *gate)
{
	struct gate *older = gate->older, *newer = gate->newer, **bucket;

	older->newer = newer;
	if (newer) {
		newer->older = older;
	} else {
		gate_unlist(o, gate);
		bucket = fd_bucket(o, older->fd);
		older->chain = *bucket;
		*bucket = older;
	}
	gate_free(o, gate);
}

void gate_settle(struct context *ctx, struct gate *gate)
{
	struct order *o = ctx->order;
	struct entry *sync;
	struct gate *newer;

	while (gate && !gate->older && !gate->pending) {
		while ((sync = gate->first)) {
			gate_leave(ctx, sync);
			gate_ready(ctx, sync);
		}
		newer = gate->newer;
		if (newer)
			newer->older = NULL;
		else
			gate_unlist(o, gate);
		gate_free(o, gate);
		gate = newer;
	}
	if (gate && gate->older && !gate->pending && !gate->first)
		take_out(o, gate);
}
