// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The contexts that io_setup() made, by their address. The library leaves other contexts
 * alone: those that the program made with a system call, and all if there is no device.
 *
 * Every call looks one up, in signal handlers too, so that takes no lock: sequence is odd
 * while the table changes, and a reader that saw a change waits for its end and begins
 * again. Meanwhile it follows only pointers to a struct context, and those are never
 * unmapped.
 *
 * Destroying: the context leaves the table and is marked dead under its lock, so that from
 * then on no thread looks at the kernel's ring, which io_destroy(2) unmaps. Only then may the
 * kernel destroy it; it cancels the syncs itself, held ones too. The address can be used
 * by the next io_setup() as soon as it is out of the table.
 *
 * fork(): contexts are not inherited, so the child forgets them. Their memory stays: a
 * thread of the parent may have been working on it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define BITS		8
#define TABLE_SIZE	(1 << BITS)
/* Contexts that are allocated at a time. */
#define CHUNK		32

static struct context *table[TABLE_SIZE];	/* atomic; changes: table lock */
static unsigned int sequence;			/* atomic; changes: table lock */
static struct context *unused;			/* table lock: without references */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The last one of each bucket that the kernel has mapped. Atomic. */
static aio_context_t mapped[TABLE_SIZE];
/* The process of the table, or 0. A process made by a bare clone(2) runs no handler. */
static pid_t owner;

static size_t bucket(aio_context_t id)
{
	/* It is the address of a page. */
	return (id >> 12) * 0x9e3779b97f4a7c15ULL >> (64 - BITS);
}

/* In a new process, which has one thread only. */
static void forget_all(void)
{
	size_t i;

	pthread_mutex_init(&lock, NULL);
	for (i = 0; i < TABLE_SIZE; i++) {
		table[i] = NULL;
		mapped[i] = 0;
	}
	sequence = 0;
	unused = NULL;
	owner = 0;
	device_forget();
	watch_forget();
}

static void __attribute__((constructor)) register_handler(void)
{
	pthread_atfork(NULL, NULL, forget_all);
}

static void check_owner(void)
{
	pid_t pid = getpid(), was = __atomic_load_n(&owner, __ATOMIC_RELAXED);

	if (was == pid)
		return;
	if (was)
		forget_all();
	__atomic_store_n(&owner, pid, __ATOMIC_RELAXED);
}

bool context_mapped(aio_context_t id)
{
	return id && __atomic_load_n(&mapped[bucket(id)], __ATOMIC_RELAXED) == id;
}

/* Looking up, and references */

void context_put(struct context *ctx)
{
	struct lock_mask mask;

	/* Release: what was done with this reference comes before the end. */
	if (__atomic_sub_fetch(&ctx->refs, 1, __ATOMIC_ACQ_REL))
		return;
	munmap(ctx->order, order_size(ctx->nr));
	masked_lock(&lock, &mask);
	__atomic_store_n(&ctx->chain, unused, __ATOMIC_RELAXED);
	unused = ctx;
	masked_unlock(&lock, &mask);
}

/* Not for one that has had its last reference. */
static bool try_get(struct context *ctx)
{
	unsigned int refs = __atomic_load_n(&ctx->refs, __ATOMIC_RELAXED);

	while (refs && !__atomic_compare_exchange_n(&ctx->refs, &refs, refs + 1, true,
						    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		;
	return refs;
}

static unsigned int read_begin(void)
{
	struct lock_mask mask;
	unsigned int seen;

	/* Pairs with the release in change_end(). */
	while ((seen = __atomic_load_n(&sequence, __ATOMIC_ACQUIRE)) & 1) {
		/*
		 * Asleep: if this is a real-time thread the other may need its CPU. It is
		 * another thread, as one that makes a change has its signals blocked.
		 */
		masked_lock(&lock, &mask);
		masked_unlock(&lock, &mask);
	}
	return seen;
}

static bool read_changed(unsigned int seen)
{
	/* Pairs with the fence in change_begin(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&sequence, __ATOMIC_RELAXED) != seen;
}

struct context *context_get(aio_context_t id)
{
	struct context *ctx;
	unsigned int seen;

	for (;;) {
		seen = read_begin();
		ctx = __atomic_load_n(&table[bucket(id)], __ATOMIC_RELAXED);
		while (ctx && __atomic_load_n(&ctx->id, __ATOMIC_RELAXED) != id &&
		       !read_changed(seen))
			ctx = __atomic_load_n(&ctx->chain, __ATOMIC_RELAXED);
		if (ctx && !try_get(ctx))
			continue;
		if (!read_changed(seen))
			return ctx;
		if (ctx)
			context_put(ctx);
	}
}

/* Changes: signals are blocked and the table lock is held */

static void change_begin(struct lock_mask *mask)
{
	masked_lock(&lock, mask);
	__atomic_store_n(&sequence, sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void change_end(const struct lock_mask *mask)
{
	__atomic_store_n(&sequence, sequence + 1, __ATOMIC_RELEASE);
	masked_unlock(&lock, mask);
}

/*
 * Takes it out of the table; the reference of the table is the caller's. If only is not
 * NULL, nothing else that has this address by now.
 */
static struct context *take_out(aio_context_t id, const struct context *only)
{
	struct context **at = &table[bucket(id)], *ctx;

	for (; (ctx = *at); at = &ctx->chain) {
		if (ctx->id != id || (only && ctx != only))
			continue;
		__atomic_store_n(at, ctx->chain, __ATOMIC_RELAXED);
		return ctx;
	}
	return NULL;
}

static void put_in(struct context *ctx)
{
	struct context **at = &table[bucket(ctx->id)];

	__atomic_store_n(&ctx->chain, *at, __ATOMIC_RELAXED);
	__atomic_store_n(at, ctx, __ATOMIC_RELAXED);
}

static struct context *find_unused(void)
{
	struct context *ctx = unused;
	size_t i;

	if (!ctx) {
		ctx = mmap(NULL, CHUNK * sizeof(*ctx), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (ctx == MAP_FAILED)
			return NULL;
		for (i = 0; i < CHUNK; i++)
			pthread_mutex_init(&ctx[i].lock, NULL);
		for (i = 0; i + 1 < CHUNK; i++)
			ctx[i].chain = &ctx[i + 1];
	}
	unused = ctx->chain;
	return ctx;
}

static struct context *make(aio_context_t id, void *order)
{
	const struct aio_ring *ring = (const void *)id;
	struct context *ctx = find_unused();

	if (!ctx)
		return NULL;
	__atomic_store_n(&ctx->id, id, __ATOMIC_RELAXED);
	ctx->ring = ring;
	ctx->nr = ring->nr;
	ctx->order = order_make(order, ring->nr);
	ctx->held = 0;
	ctx->dead = false;
	ctx->pos = 0;
	/* From here on context_get() may find it. */
	__atomic_store_n(&ctx->refs, 1, __ATOMIC_RELEASE);
	put_in(ctx);
	return ctx;
}

/* The kernel is about to destroy it, or has done so without this library. */
static void bury(struct context *ctx)
{
	struct lock_mask mask;

	if (!ctx)
		return;
	context_lock(ctx, &mask);
	ctx->dead = true;
	watch_count(-ctx->held);
	__atomic_store_n(&ctx->held, 0, __ATOMIC_RELAXED);
	context_unlock(ctx, &mask);
	context_put(ctx);
}

void context_remove(aio_context_t id)
{
	struct lock_mask mask;
	struct context *ctx;

	if (!__atomic_load_n(&owner, __ATOMIC_RELAXED))
		return;
	if (context_mapped(id))
		__atomic_store_n(&mapped[bucket(id)], 0, __ATOMIC_RELAXED);
	change_begin(&mask);
	ctx = take_out(id, NULL);
	change_end(&mask);
	bury(ctx);
}

void context_drop(struct context *ctx)
{
	struct lock_mask mask;
	struct context *taken;

	change_begin(&mask);
	taken = take_out(ctx->id, ctx);
	if (taken && context_mapped(ctx->id))
		__atomic_store_n(&mapped[bucket(ctx->id)], 0, __ATOMIC_RELAXED);
	change_end(&mask);
	bury(taken);
}

void context_add(aio_context_t id)
{
	const struct aio_ring *ring = (const void *)id;
	struct context *ctx, *stale;
	struct lock_mask mask;
	void *order;

	check_owner();
	/* What a kernel that changed all this would change, too. */
	if (ring->magic != AIO_RING_MAGIC || ring->incompat_features ||
	    ring->header_length != sizeof(*ring) || !ring->nr)
		return;
	__atomic_store_n(&mapped[bucket(id)], id, __ATOMIC_RELAXED);
	if (!device_ready())
		return;
	/* Most of it is never touched, and so never there. */
	order = mmap(NULL, order_size(ring->nr), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (order == MAP_FAILED)
		return;
	change_begin(&mask);
	/* One that the program destroyed by a system call of its own. */
	stale = take_out(id, NULL);
	ctx = make(id, order);
	change_end(&mask);
	bury(stale);
	if (!ctx)
		munmap(order, order_size(ring->nr));
}

/* For the watcher: its signals are blocked. */

/* Those of a bucket, but for the first ones; returns how many were looked at. */
static size_t look_at_bucket(size_t i, size_t skip)
{
	struct context *ctx, *held[CHUNK];
	struct lock_mask mask;
	size_t nr = 0, j;

	pthread_mutex_lock(&lock);
	for (ctx = table[i]; ctx && nr < CHUNK; ctx = ctx->chain) {
		if (!__atomic_load_n(&ctx->held, __ATOMIC_RELAXED))
			continue;
		if (skip)
			skip--;
		else if (try_get(ctx))
			held[nr++] = ctx;
	}
	pthread_mutex_unlock(&lock);
	for (j = 0; j < nr; j++) {
		ctx = held[j];
		if (ring_there(ctx)) {
			context_lock(ctx, &mask);
			events_look(ctx);
			context_unlock(ctx, &mask);
		} else {
			context_drop(ctx);
		}
		context_put(ctx);
	}
	return nr;
}

void contexts_look(void)
{
	size_t i, seen;

	for (i = 0; i < TABLE_SIZE; i++)
		if (__atomic_load_n(&table[i], __ATOMIC_RELAXED))
			for (seen = 0; look_at_bucket(i, seen) == CHUNK; seen += CHUNK)
				;
}
