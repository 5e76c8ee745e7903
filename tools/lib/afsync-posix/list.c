// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lio_listio: several reads and writes, and one end for all of them (group.c). They are queued in
 * one step, so that an aio_cancel() of another thread comes before or after the whole list.
 * Each element that cannot be queued has its error as its status, and the others go on
 * without it.
 */
#include <errno.h>
#include <stdlib.h>

#include "posix.h"

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

int list_queue(int mode, struct aiocb *const list[], int count,
	       const struct sigevent *event, bool wide, const struct mask *mask)
{
	struct group *group;
	int ret, waited = 0;

	if ((mode != LIO_WAIT && mode != LIO_NOWAIT) || count < 0 || (count && !list))
		return EINVAL;
	ret = group_new(mode == LIO_WAIT, event, &group);
	if (ret)
		return ret;
	ret = elements_queue(list, count, group, wide);
	group_end(group, false);
	if (mode == LIO_WAIT)
		waited = group_wait(group, mask);
	group_put(group);
	if (waited == EINTR)
		return EINTR;
	return ret ? ret : waited;
}
