// SPDX-License-Identifier: GPL-2.0-only
/*
 * The book of a ring, which defines exactly once: a completion needs a request that was
 * accepted, and uses it up. Makes no call.
 */
#include "book.h"

#include <errno.h>
#include <string.h>

void book_clear(struct book *book)
{
	__u64 serial = book->serial;

	memset(book, 0, sizeof(*book));
	book->serial = serial;
}

unsigned int book_room(const struct book *book)
{
	return BOOK_ROOM - book->top + book->nr_free;
}

struct want *book_ask(struct book *book)
{
	unsigned int place = book->nr_free ? book->free[--book->nr_free] : book->top++;
	struct want *want = &book->wants[place];

	*want = (struct want) {
		.user_data = ++book->serial << 16 | place,
		.state = WANT_ASKED,
	};
	book->used++;
	return want;
}

/* If the book is empty, all places are as new. */
static void book_restart(struct book *book)
{
	book->top = 0;
	book->nr_free = 0;
}

void book_drop(struct book *book, struct want *want)
{
	want->state = WANT_FREE;
	book->free[book->nr_free++] = want - book->wants;
	if (!--book->used)
		book_restart(book);
}

const char *book_accept(struct book *book, struct want *want)
{
	want->state = WANT_ACCEPTED;
	if (want->seen)
		book_drop(book, want);
	return NULL;
}

const char *book_refuse(struct book *book, struct want *want)
{
	const char *wrong = want->seen ? "a request that was refused has completed" : NULL;

	book_drop(book, want);
	return wrong;
}

static bool is_open(const struct want *want, __u64 user_data)
{
	return want->state != WANT_FREE && want->user_data == user_data && !want->seen &&
	       !want->attached;
}

/* How well a request matches this result, to choose among those that share user data. */
static unsigned int suits(const struct want *want, int res)
{
	if (want->held)
		return 1;
	if (res == -ECANCELED)
		return want->must_cancel ? 4 : want->may_cancel ? 3 : 2;
	return want->must_cancel ? 2 : want->may_cancel ? 3 : 4;
}

static struct want *find(struct book *book, __u64 user_data, int res)
{
	unsigned int i, score, best_score = 0;
	struct want *want, *best = NULL;

	if (!(user_data & BOOK_SHARED)) {
		want = &book->wants[(user_data & 0xffff) % BOOK_ROOM];
		return is_open(want, user_data) ? want : NULL;
	}
	for (i = 0; i < book->top; i++) {
		want = &book->wants[i];
		score = is_open(want, user_data) ? suits(want, res) : 0;
		if (score > best_score) {
			best_score = score;
			best = want;
		}
	}
	return best;
}

/*
 * @exact: only this thread uses the ring, so the book knows the possible results of each
 * request.
 */
const char *book_complete(struct book *book, __u64 user_data, int res, bool exact)
{
	struct want *want = find(book, user_data, res);

	if (!want)
		return "a completion that belongs to no request, or the second of one";
	if (res != 0 && res != -ECANCELED && !(res == -EIO && want->may_fail))
		return "a result that no sync here can have";
	if (exact && want->held)
		return "a held request has completed";
	if (exact && res == -ECANCELED && !want->may_cancel)
		return "-ECANCELED of a request that was not cancelled";
	if (exact && res != -ECANCELED && want->must_cancel)
		return "a request that was cancelled says that it was synced";
	if (res == -ECANCELED)
		book->cancelled_seen++;
	if (want->state == WANT_ASKED)
		want->seen = true;
	else
		book_drop(book, want);
	return NULL;
}

unsigned int book_sure(const struct book *book)
{
	unsigned int i, count = 0;

	for (i = 0; i < book->top; i++)
		count += book->wants[i].state == WANT_ACCEPTED && !book->wants[i].held &&
			 !book->wants[i].attached;
	return count;
}

unsigned int book_vague(const struct book *book)
{
	unsigned int i, count = 0;

	for (i = 0; i < book->top; i++)
		count += book->wants[i].state == WANT_ACCEPTED && !book->wants[i].held &&
			 book->wants[i].attached;
	return count;
}

unsigned int book_held(struct book *book, __u64 first, __u64 last, bool attached,
		       struct want **found, unsigned int nr)
{
	unsigned int i, count = 0;
	struct want *want;

	for (i = 0; i < book->top; i++) {
		want = &book->wants[i];
		if (want->state != WANT_ACCEPTED || !want->held)
			continue;
		if (want->user_data < first || want->user_data > last)
			continue;
		if (want->attached && !attached)
			continue;
		if (count++ < nr)
			found[count - 1] = want;
	}
	return count;
}

__u64 book_some_held(const struct book *book, unsigned int which)
{
	unsigned int i, place;

	for (i = 0; i < book->top; i++) {
		place = (i + which) % book->top;
		if (book->wants[place].state == WANT_ACCEPTED && book->wants[place].held)
			return book->wants[place].user_data;
	}
	return 0;
}
