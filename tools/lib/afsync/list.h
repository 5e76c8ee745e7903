/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Doubly linked lists of elements that contain the links.
 */
#ifndef AFSYNC_LIST_H
#define AFSYNC_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A list: its head and its elements have the same links. */
struct link {
	struct link *prev;
	struct link *next;
};

#define element(l, type, member) \
	((type *)(void *)((char *)(l) - offsetof(type, member)))

static inline void link_init(struct link *l)
{
	l->prev = l;
	l->next = l;
}

static inline bool link_empty(const struct link *l)
{
	return l->next == l;
}

/* Before @at: at the end, if that is the head. */
static inline void link_add(struct link *at, struct link *l)
{
	l->prev = at->prev;
	l->next = at;
	at->prev->next = l;
	at->prev = l;
}

static inline void link_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

/* All elements of @from, which is empty then, at the end of @to. */
static inline void link_move_all(struct link *to, struct link *from)
{
	while (!link_empty(from)) {
		struct link *l = from->next;

		link_del(l);
		link_add(to, l);
	}
}

#endif /* AFSYNC_LIST_H */
