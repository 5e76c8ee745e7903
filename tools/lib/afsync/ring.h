/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The words that the library shares with the kernel, and with its own threads outside their
 * lock. All atomic accesses of the library are these; the kernel's partners of the first
 * three are in the module's ring.c.
 *
 *	tail	the kernel stores it with release after the entry; load_acquire()
 *		makes the entry readable
 *	head	the reader stores it with store_release() after its last look at the
 *		entry; the kernel may then write the slot again. Only the reader writes
 *		it, so the reader may load it with load_relaxed().
 *
 * The other words of the header are constant and were copied when the ring was
 * mapped.
 */
#ifndef AFSYNC_RING_H
#define AFSYNC_RING_H

#include <stdatomic.h>
#include <stdint.h>

#include <linux/types.h>

_Static_assert(sizeof(_Atomic __u32) == sizeof(__u32) &&
	       ATOMIC_INT_LOCK_FREE == 2,
	       "a shared word must be a plain word that needs no lock");

static inline uint32_t load_relaxed(const __u32 *p)
{
	return atomic_load_explicit((const _Atomic __u32 *)p,
				    memory_order_relaxed);
}

static inline uint32_t load_acquire(const __u32 *p)
{
	return atomic_load_explicit((const _Atomic __u32 *)p,
				    memory_order_acquire);
}

static inline void store_release(__u32 *p, uint32_t v)
{
	atomic_store_explicit((_Atomic __u32 *)p, v, memory_order_release);
}

/* Between a store and a load: no thread sees the load done first. */
static inline void full_fence(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

#endif /* AFSYNC_RING_H */
