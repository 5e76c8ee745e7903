// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lio_listio: several reads and writes, and one end for all of them. They are queued in
 * one step, so that an aio_cancel() of another thread comes before or after the whole list.
 * Each element that cannot be queued has its error as its status, and the others go on
 * without it.
 */
#include <errno.h>
#include <stdlib.h>

#include "posix.h"

/*
 * The elements of one call. Counted: each element in flight, and the call itself until
 * all are queued. References: the same, and a call that waits.
 */
struct group {
	unsigned int refs;	/* atomic */
	unsigned int pending;	/* atomic */
	bool failed;		/* atomic; of one that was queued, or was to be */
	bool waits;		/* fixed; LIO_WAIT */
	uint32_t done;		/* futex; 1 when none is pending */
	struct notice notice;	/* fixed; sent by the last */
};

static void group_put(struct group *group)
{
	if (__atomic_sub_fetch(&group->refs, 1, __ATOMIC_ACQ_REL))
		return;
	notice_drop(&group->notice);
	afsync_object_free(group, sizeof(*group));
}

/* One more is in flight. The caller has it pending itself. */
void group_get(struct group *group)
{
	__atomic_add_fetch(&group->refs, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&group->pending, 1, __ATOMIC_RELAXED);
}

/* One has ended, or was not queued after all. The last one notifies. */
void group_end(struct group *group, bool failed)
{
	if (failed)
		__atomic_store_n(&group->failed, true, __ATOMIC_RELAXED);
	/* Orders the work of each before that of the last one. */
	if (!__atomic_sub_fetch(&group->pending, 1, __ATOMIC_ACQ_REL)) {
		if (!group->waits)
			notice_send(&group->notice);
		__atomic_store_n(&group->done, 1, __ATOMIC_RELEASE);
		futex_wake(&group->done);
	}
	group_put(group);
}

/* An element: its op, NULL if there is nothing to queue, and why it was refused. */
struct item {
	struct op *op;
	int error;
};

static int item_make(struct item *item, struct aiocb *block, bool wide)
{
	enum op_kind kind = OP_READ;
	int bad = 0;

	switch (block->aio_lio_opcode) {
	case LIO_READ:
		break;
	case LIO_WRITE:
		kind = OP_WRITE;
		break;
	case LIO_NOP:
		return 0;
	default:
		bad = EINVAL;
		break;
	}
	return transfer_make(block, kind, block_offset(block, wide), bad, &item->op);
}

/* Queues the elements. EAGAIN if one of them was short of room, EIO if one was refused. */
static int elements_queue(struct aiocb *const list[], int count, struct group *group,
			  bool wide)
{
	struct item *items = calloc(count + 1UL, sizeof(*items));
	int i, worst = 0;

	if (!items)
		return EAGAIN;
	for (i = 0; i < count; i++) {
		if (list[i])
			items[i].error = item_make(&items[i], list[i], wide);
		if (items[i].op)
			items[i].op->group = group;
	}
	lock();
	for (i = 0; i < count; i++) {
		if (items[i].op)
			items[i].error = __transfer_add(items[i].op);
		if (!items[i].error)
			continue;
		__block_refused(list[i], items[i].error);
		if (items[i].error == EAGAIN || !worst)
			worst = items[i].error == EAGAIN ? EAGAIN : EIO;
	}
	unlock();
	for (i = 0; i < count; i++)
		if (items[i].op)
			transfer_added(items[i].op, items[i].error);
	free(items);
	return worst;
}

/* With the signals open that are so in the program. */
static int group_wait(struct group *group, const struct mask *mask)
{
	struct mask ours;
	int ret = 0;

	signals_restore(mask);
	while (!__atomic_load_n(&group->done, __ATOMIC_ACQUIRE)) {
		/* The elements continue; the program can wait for each by itself. */
		if (futex_wait(&group->done, 0, NULL) == EINTR &&
		    !__atomic_load_n(&group->done, __ATOMIC_ACQUIRE)) {
			ret = EINTR;
			break;
		}
	}
	signals_block(&ours);
	if (ret)
		return ret;
	return __atomic_load_n(&group->failed, __ATOMIC_RELAXED) ? EIO : 0;
}

int list_queue(int mode, struct aiocb *const list[], int count,
	       const struct sigevent *event, bool wide, const struct mask *mask)
{
	struct group *group;
	int ret, waited = 0;

	if ((mode != LIO_WAIT && mode != LIO_NOWAIT) || count < 0 || (count && !list))
		return EINVAL;
	group = afsync_object_new(sizeof(*group));
	if (!group)
		return EAGAIN;
	group->refs = 2;
	group->pending = 1;
	group->waits = mode == LIO_WAIT;
	ret = notice_copy(group->waits ? NULL : event, &group->notice);
	if (ret) {
		afsync_object_free(group, sizeof(*group));
		return ret;
	}

	ret = elements_queue(list, count, group, wide);
	group_end(group, false);
	if (group->waits)
		waited = group_wait(group, mask);
	group_put(group);
	if (waited == EINTR)
		return EINTR;
	return ret ? ret : waited;
}
