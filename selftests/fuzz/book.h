/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The book of a ring: every request that was accepted and whose completion has not been seen.
 */
#ifndef AFSYNC_FUZZ_BOOK_H
#define AFSYNC_FUZZ_BOOK_H

#include <stdbool.h>
#include <linux/types.h>

/* The most requests of a ring in the book; a submit asks only for as many as fit. */
#define BOOK_ROOM	2048

/*
 * User data that the requests of an open file share has this bit, and the file's number.
 * Requests that are alike for all commands need no distinction.
 */
#define BOOK_SHARED	(1ULL << 63)

enum want_state {
	WANT_FREE,
	WANT_ASKED,	/* its submit has not returned */
	WANT_ACCEPTED,
};

/**
 * struct want - a request that has to complete once
 * @user_data: of the request; unless shared, its low 16 bits are its index in the book
 * @open_id: its open file
 * @seen: completed before its submit had returned
 * @held: waits for its start
 * @attached: kernel AIO gets the completion
 * @may_cancel: a cancel may have cancelled it
 * @must_cancel: a cancel has cancelled it
 * @may_fail: its file may return EIO
 */
struct want {
	__u64 user_data;
	__u64 open_id;
	enum want_state state;
	bool seen;
	bool held;
	bool attached;
	bool may_cancel;
	bool must_cancel;
	bool may_fail;
};

/**
 * struct book - the requests of one ring
 * @wants: the requests
 * @top: the places from here on were never used
 * @free: places below that are free, as a stack
 * @nr_free: how many
 * @used: requests that were accepted, or may have been, and are not completed
 * @serial: makes user data unique
 * @cancelled_said: the number of cancelled requests, as the cancels return it
 * @cancelled_seen: the number of completions with ECANCELED in the ring
 * @cancelled_events: the number of AIO events with ECANCELED, or with possibly that
 */
struct book {
	struct want wants[BOOK_ROOM];
	unsigned int top;
	unsigned short free[BOOK_ROOM];
	unsigned int nr_free;
	unsigned int used;
	__u64 serial;
	__u64 cancelled_said;
	__u64 cancelled_seen;
	__u64 cancelled_events;
};

void book_clear(struct book *book);
unsigned int book_room(const struct book *book);
/* A place for a request that is about to be submitted, with unique user data. */
struct want *book_ask(struct book *book);
/* The outcome of the submit. Each returns NULL, or a description of the error. */
const char *book_accept(struct book *book, struct want *want);
const char *book_refuse(struct book *book, struct want *want);
const char *book_complete(struct book *book, __u64 user_data, int res, bool exact);
/* Removes one whose completion is not seen in the ring. */
void book_drop(struct book *book, struct want *want);

/* Requests that complete by themselves and have an entry, or are about to. */
unsigned int book_sure(const struct book *book);
/* Attached ones that may have ended: they may or may not use a slot. */
unsigned int book_vague(const struct book *book);
/* Held ones with user data from @first to @last; at most @nr are put into @found. */
unsigned int book_held(struct book *book, __u64 first, __u64 last, bool attached,
		       struct want **found, unsigned int nr);
/* The user data of some held request, or 0. */
__u64 book_some_held(const struct book *book, unsigned int which);

#endif /* AFSYNC_FUZZ_BOOK_H */
