// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The ranges of the reads and writes in flight of a file: finds out whether a new one
 * overlaps with any of thousands without a look at each.
 *
 * The tree is ordered by the first byte, then by call. Each node has two maxima over its
 * subtree: the end of all ranges, and the end of the ranges that are written. It is
 * balanced by pseudo-random weights (a treap): a child is never heavier than its
 * parent, so the depth is about twice the logarithm of the number of nodes.
 */
#include "posix.h"

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Sets the maxima of a node from its children. Returns the node. */
static struct op *update(struct op *op)
{
	const struct op *left = op->left, *right = op->right;

	op->reach = max(op->to, max(left ? left->reach : 0, right ? right->reach : 0));
	op->reach_write = max(op->writes ? op->to : 0,
			      max(left ? left->reach_write : 0,
				  right ? right->reach_write : 0));
	return op;
}

static bool before(const struct op *a, const struct op *b)
{
	return a->from < b->from || (a->from == b->from && a->call < b->call);
}

/* All nodes of @left come before all nodes of @right. */
static struct op *merge(struct op *left, struct op *right)
{
	if (!left || !right)
		return left ? left : right;
	if (left->weight > right->weight) {
		left->right = merge(left->right, right);
		return update(left);
	}
	right->left = merge(left, right->left);
	return update(right);
}

/* Splits a tree into the nodes before @place and the others. */
static void split(struct op *tree, const struct op *place, struct op **left,
		  struct op **right)
{
	if (!tree) {
		*left = NULL;
		*right = NULL;
	} else if (before(tree, place)) {
		split(tree->right, place, &tree->right, right);
		*left = update(tree);
	} else {
		split(tree->left, place, left, &tree->left);
		*right = update(tree);
	}
}

/*
 * A weight that no order of offsets follows, not even that of a hash table in a file: the
 * finalizer of MurmurHash3.
 */
static uint32_t scatter(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdULL;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53ULL;
	value ^= value >> 33;
	return value;
}

/* Adds an op. Returns the new root. */
struct op *__range_add(struct op *tree, struct op *op)
{
	struct op *left, *right;

	op->weight = scatter(op->call);
	op->left = NULL;
	op->right = NULL;
	split(tree, op, &left, &right);
	return merge(merge(left, update(op)), right);
}

/* Removes an op of the tree. Returns the new root. */
struct op *__range_del(struct op *tree, const struct op *op)
{
	if (tree == op)
		return merge(tree->left, tree->right);
	if (before(op, tree))
		tree->left = __range_del(tree->left, op);
	else
		tree->right = __range_del(tree->right, op);
	return update(tree);
}

/* Whether the op overlaps with one of the tree, and at least one of the two is a write. */
bool __range_conflicts(const struct op *tree, const struct op *op)
{
	const struct op *left;
	uint64_t reach;

	while (tree) {
		left = tree->left;
		reach = !left ? 0 : op->writes ? left->reach : left->reach_write;
		/*
		 * A range on the left ends after the first byte of the op. Either the
		 * two overlap, or that range, and all to its right, begin after the op.
		 */
		if (reach > op->from) {
			tree = left;
			continue;
		}
		if (tree->from >= op->to)
			return false;
		if ((op->writes | tree->writes) && tree->to > op->from)
			return true;
		tree = tree->right;
	}
	return false;
}
