/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Load under which any step may fail: several threads each submit to, cancel in, start in and
 * read rings. The test records each request before it is submitted; at the end every accepted
 * one has completed once, and no other.
 *
 * The threads do not stop at a failure, and call nothing of the C library that would.
 */
#ifndef _AFSYNC_SELFTEST_LOAD_H
#define _AFSYNC_SELFTEST_LOAD_H

#include "rounds.h"

#define PARTIES		3	/* rings */
#define THREADS		2	/* of each */
#define REQUESTS	1200	/* of each ring */
#define ENTRIES		32
#define ARRAY		8	/* most in one submit */
#define LOST_NS		(120 * SEC_NS)

/**
 * struct party - a ring with its threads
 * @ring: mapped by all
 * @files: the files to sync; a thread may open one anew
 * @next: the next request
 * @accepted: for each request, whether it was accepted
 * @completed: how often each has completed
 * @reader: a thread reads the ring
 * @said_cancelled: the sum of the results of the cancels
 * @seen_cancelled: completions with ECANCELED
 * @refused: submits, and other commands, that failed
 * @wrong: results that must not occur, and did
 */
struct party {
	struct ring ring;
	int files[4];
	unsigned int next;
	bool accepted[REQUESTS];
	unsigned char completed[REQUESTS];
	bool reader;
	unsigned int said_cancelled;
	unsigned int seen_cancelled;
	unsigned int refused;
	const char *wrong;
};

static inline void count(unsigned int *what, unsigned int by)
{
	__atomic_add_fetch(what, by, __ATOMIC_RELAXED);
}

/* Repeats until it succeeds: the write itself may fail. */
static inline void make_it_fail(bool fail)
{
	int fd;

	do {
		fd = open("/proc/thread-self/make-it-fail", O_WRONLY | O_CLOEXEC);
	} while (fd < 0);
	while (write(fd, fail ? "1" : "0", 1) != 1)
		;
	close(fd);
}

static inline unsigned int chance(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

static inline void party_read(struct party *party)
{
	struct afsync_cqe cqe;

	if (__atomic_exchange_n(&party->reader, true, __ATOMIC_ACQUIRE))
		return;
	while (ring_take(&party->ring, &cqe)) {
		if (cqe.user_data >= REQUESTS) {
			party->wrong = "a completion of no request";
			continue;
		}
		party->completed[cqe.user_data]++;
		if (cqe.res == -ECANCELED)
			party->seen_cancelled++;
		else if (cqe.res)
			party->wrong = "a sync has a result that is not 0";
	}
	__atomic_store_n(&party->reader, false, __ATOMIC_RELEASE);
}

/* A command whose result is 0 or more, or one of two errnos, or EFAULT. */
static inline int said(struct party *party, int ret, int error, int other_error)
{
	if (ret >= 0)
		return ret;
	count(&party->refused, 1);
	if (ret != -EFAULT && ret != -error && ret != -other_error)
		party->wrong = "a command has an errno that is not documented for it";
	return 0;
}

static inline void party_submit(struct party *party, unsigned int *seed)
{
	unsigned int nr = 1 + chance(seed, ARRAY), first, i;
	struct afsync_sqe sqes[ARRAY];
	struct afsync_submit submit;
	int taken;

	first = __atomic_fetch_add(&party->next, nr, __ATOMIC_RELAXED);
	for (i = 0; i < nr; i++) {
		sqes[i] = sqe_of(party->files[chance(seed, ARRAY_SIZE(party->files))],
				 chance(seed, 3), first + i);
		sqes[i].flags = chance(seed, 4) ? 0 : AFSYNC_SQE_HOLD;
	}
	if (first + nr > REQUESTS)
		return;
	submit = submit_of(sqes, nr);
	taken = said(party, command(party->ring.fd, AFSYNC_IOC_SUBMIT, &submit), EAGAIN, EAGAIN);
	for (i = 0; i < (unsigned int)taken; i++)
		party->accepted[first + i] = true;
}

/* Makes a ring and ends it, with a request in it that may not have been accepted. */
static inline void party_other_ring(struct party *party)
{
	struct afsync_sqe sqe = sqe_of(party->files[3], AFSYNC_OP_FSYNC, 0);
	struct afsync_setup setup = { .entries = 1024 };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct afsync_submit submit;

	if (fd < 0)
		return;
	said(party, command(fd, AFSYNC_IOC_SETUP, &setup), ENOMEM, ENOMEM);
	submit = submit_of(&sqe, 1);
	said(party, command(fd, AFSYNC_IOC_SUBMIT, &submit), EAGAIN, ENXIO);
	close(fd);
}

static inline void party_cancel(struct party *party, __u32 match, __u64 user_data)
{
	count(&party->said_cancelled,
	      said(party, afsync_cmd_cancel(party->ring.fd, match, user_data, 0, NULL), ENOENT,
		   EALREADY));
}

static inline void party_act(struct party *party, unsigned int *seed)
{
	unsigned int last = __atomic_load_n(&party->next, __ATOMIC_RELAXED);
	unsigned int data = last - 1 - chance(seed, last < 2 * ARRAY ? last : 2 * ARRAY);
	int fd = party->ring.fd;

	switch (chance(seed, 8)) {
	case 0:
		party_cancel(party, AFSYNC_CANCEL_USER_DATA, data);
		break;
	case 1:
		party_cancel(party, AFSYNC_CANCEL_ALL, 0);
		break;
	case 2:
	case 3:
		said(party, ring_start(&party->ring, data), ENOENT, ENOENT);
		break;
	case 4:
		said(party, afsync_cmd_wait(fd, 1, AFSYNC_WAIT_TIMEOUT, 1000000, 0), ETIME, ETIME);
		break;
	case 5:
		party_other_ring(party);
		break;
	}
}

static inline void *party_thread(void *arg)
{
	struct party *party = arg;
	unsigned int seed = thread_id();

	make_it_fail(true);
	while (__atomic_load_n(&party->next, __ATOMIC_RELAXED) < REQUESTS) {
		party_submit(party, &seed);
		party_act(party, &seed);
		party_read(party);
	}
	make_it_fail(false);
	return NULL;
}

/* Makes a ring in a thread whose steps fail: repeats until it succeeds. */
static inline void *party_make_ring(void *arg)
{
	struct party *party = arg;
	struct afsync_setup setup;
	int ret;

	make_it_fail(true);
	do {
		party->ring.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	} while (party->ring.fd < 0);
	do {
		setup = (struct afsync_setup) { .entries = ENTRIES };
		ret = command(party->ring.fd, AFSYNC_IOC_SETUP, &setup);
		said(party, ret, ENOMEM, ENOMEM);
	} while (ret < 0);
	party->ring.entries = setup.entries;
	do {
		party->ring.header = mmap(NULL, setup.mmap_size, PROT_READ | PROT_WRITE,
					  MAP_SHARED, party->ring.fd, 0);
	} while (party->ring.header == MAP_FAILED);
	make_it_fail(false);
	party->ring.size = setup.mmap_size;
	party->ring.cqes = (void *)((char *)party->ring.header + party->ring.header->cqes_offset);
	return NULL;
}

/* The end, without failures. Returns NULL, or a description of the error. */
static inline const char *party_end(struct party *party)
{
	unsigned int i, accepted = 0, completed = 0, unread;

	party_cancel(party, AFSYNC_CANCEL_ALL, 0);
	party_read(party);
	for (i = 0; i < REQUESTS; i++) {
		accepted += party->accepted[i];
		completed += party->completed[i];
	}
	unread = accepted - completed;
	if (unread > ENTRIES)
		return "more is in flight than the ring has entries";
	if (afsync_cmd_wait(party->ring.fd, unread, AFSYNC_WAIT_TIMEOUT, LOST_NS, 0) < 0)
		return "a request is lost";
	party_read(party);
	for (i = 0; i < REQUESTS; i++)
		if (party->completed[i] != party->accepted[i])
			return "a request has not completed as often as it was accepted";
	if (party->said_cancelled != party->seen_cancelled)
		return "not as many are cancelled as were said";
	if (fdinfo_number(party->ring.fd, "in_flight"))
		return "the ring counts a request that is not there";
	fprintf(stderr, "# %u accepted, %u cancelled, %u times refused\n", accepted,
		party->seen_cancelled, party->refused);
	ring_close(&party->ring);
	return party->wrong;
}

#endif /* _AFSYNC_SELFTEST_LOAD_H */
