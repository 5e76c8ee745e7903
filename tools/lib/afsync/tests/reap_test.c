// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reading completions, over a ring in ordinary memory whose descriptor is bad: a system
 * call would fail with EBADF and be noticed.
 */
#include "fake_ring.h"

#include <pthread.h>
#include <sched.h>

#include "kselftest_harness.h"

FIXTURE(reap) {
	struct fake_ring fake;
	struct afsync_ring *ring;
};

/* Every test runs from 0, over the sign bit, and over the end of the indices. */
FIXTURE_VARIANT(reap) {
	uint32_t start;
};

FIXTURE_VARIANT_ADD(reap, from_zero) { .start = 0 };
FIXTURE_VARIANT_ADD(reap, over_2_31) { .start = 0x7ffffffd };
FIXTURE_VARIANT_ADD(reap, over_2_32) { .start = 0xfffffffd };

FIXTURE_SETUP(reap)
{
	ASSERT_EQ(0, fake_ring_make(&self->fake, variant->start, -1,
				    &self->ring));
	errno = 4711;
}

FIXTURE_TEARDOWN(reap)
{
	EXPECT_EQ(4711, errno);
	afsync_ring_free(self->ring);
}

TEST_F(reap, empty_ring_has_no_completion)
{
	struct afsync_cqe *cqe = (void *)0xcc;
	struct afsync_cqe *cqes[2];
	uint32_t head;

	EXPECT_EQ(0, afsync_cq_ready(self->ring));
	EXPECT_EQ(-EAGAIN, afsync_peek_cqe(self->ring, &cqe));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(0, afsync_peek_batch_cqe(self->ring, cqes, 2));
	EXPECT_EQ(variant->start, afsync_cq_head(self->ring));
	EXPECT_EQ(NULL, afsync_cq_entry(self->ring, variant->start));
	afsync_for_each_cqe(self->ring, head, cqe)
		EXPECT_TRUE(false);
	EXPECT_EQ(variant->start, head);
}

TEST_F(reap, peek_shows_the_same_until_seen)
{
	struct afsync_cqe *cqe, *again;

	fake_ring_post(&self->fake, 1, 0);
	fake_ring_post(&self->fake, 2, -EIO);

	ASSERT_EQ(0, afsync_peek_cqe(self->ring, &cqe));
	EXPECT_EQ(1, afsync_cqe_get_data64(cqe));
	ASSERT_EQ(0, afsync_peek_cqe(self->ring, &again));
	EXPECT_EQ(cqe, again);
	EXPECT_EQ(2, afsync_cq_ready(self->ring));

	afsync_cqe_seen(self->ring, cqe);
	ASSERT_EQ(0, afsync_peek_cqe(self->ring, &cqe));
	EXPECT_EQ(2, afsync_cqe_get_data64(cqe));
	EXPECT_EQ(-EIO, cqe->res);
	afsync_cqe_seen(self->ring, cqe);
	EXPECT_EQ(-EAGAIN, afsync_peek_cqe(self->ring, &cqe));
}

TEST_F(reap, seen_without_a_completion_gives_nothing_back)
{
	fake_ring_post(&self->fake, 1, 0);
	afsync_cqe_seen(self->ring, NULL);
	EXPECT_EQ(1, afsync_cq_ready(self->ring));
}

TEST_F(reap, waiting_for_what_is_there_needs_no_system_call)
{
	struct __kernel_timespec second = { .tv_sec = 1 };
	struct afsync_cqe *cqe;
	sigset_t set;

	sigemptyset(&set);
	fake_ring_post(&self->fake, 1, 0);
	fake_ring_post(&self->fake, 2, 0);
	EXPECT_EQ(0, afsync_wait_cqe(self->ring, &cqe));
	EXPECT_EQ(1, cqe->user_data);
	EXPECT_EQ(0, afsync_wait_cqe(self->ring, NULL));
	EXPECT_EQ(0, afsync_wait_cqe_timeout(self->ring, &cqe, &second));
	EXPECT_EQ(0, afsync_wait_cqes(self->ring, &cqe, 2, &second, &set));
	EXPECT_EQ(1, cqe->user_data);
	EXPECT_EQ(0, afsync_wait_cqes(self->ring, &cqe, 0, NULL, NULL));
	EXPECT_EQ(0, afsync_wait_cqes(self->ring, NULL, 0, NULL, NULL));
	EXPECT_EQ(0, afsync_submit_and_wait(self->ring, 2));
	EXPECT_EQ(0, afsync_submit_and_wait_timeout(self->ring, &cqe, 2,
						    &second, &set));
	EXPECT_EQ(1, cqe->user_data);

	EXPECT_EQ(0, afsync_wait_cqes_until(self->ring, &cqe, 2, &second, &set));
	EXPECT_EQ(1, cqe->user_data);
	EXPECT_EQ(0, afsync_submit_and_wait_until(self->ring, &cqe, 2, &second,
						  &set));
	EXPECT_EQ(1, cqe->user_data);

	/* A missing entry needs a system call, and this descriptor is bad. */
	EXPECT_EQ(-EBADF, afsync_wait_cqes(self->ring, &cqe, 3, NULL, NULL));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(2, afsync_cq_ready(self->ring));
}

TEST_F(reap, waiting_for_none_only_looks)
{
	struct afsync_cqe *cqe = (void *)0xcc;

	EXPECT_EQ(-EAGAIN, afsync_wait_cqes(self->ring, &cqe, 0, NULL, NULL));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(-EAGAIN, afsync_wait_cqes(self->ring, NULL, 0, NULL, NULL));
	EXPECT_EQ(0, afsync_submit_and_wait(self->ring, 0));
}

TEST_F(reap, bad_times_and_counts_are_refused_although_completions_are_there)
{
	static const struct __kernel_timespec bad[] = {
		{ .tv_sec = -1 },
		{ .tv_nsec = -1 },
		{ .tv_nsec = 1000000000 },
	};
	struct afsync_cqe *cqe;
	size_t i;

	fake_ring_post(&self->fake, 1, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		cqe = (void *)0xcc;
		EXPECT_EQ(-EINVAL, afsync_wait_cqe_timeout(self->ring, &cqe,
							   &bad[i]));
		EXPECT_EQ(NULL, cqe);
		EXPECT_EQ(-EINVAL,
			  afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							 &bad[i], NULL));
		EXPECT_EQ(&self->fake.cqes[variant->start & 7], cqe);
		EXPECT_EQ(-EINVAL, afsync_wait_cqes_until(self->ring, &cqe, 1,
							  &bad[i], NULL));
		EXPECT_EQ(NULL, cqe);
		EXPECT_EQ(-EINVAL,
			  afsync_submit_and_wait_until(self->ring, &cqe, 1,
						       &bad[i], NULL));
		EXPECT_EQ(&self->fake.cqes[variant->start & 7], cqe);
		EXPECT_EQ(0, afsync_sq_wait_result(self->ring));
	}
	EXPECT_EQ(-EINVAL, afsync_wait_cqes(self->ring, &cqe, FAKE_ENTRIES + 1,
					    NULL, NULL));
	EXPECT_EQ(-EINVAL, afsync_submit_and_wait(self->ring,
						  FAKE_ENTRIES + 1));
	EXPECT_EQ(1, afsync_cq_ready(self->ring));
}

TEST_F(reap, batch_holds_the_oldest_in_order)
{
	struct afsync_cqe *cqes[FAKE_ENTRIES + 1];
	uint64_t i;

	for (i = 0; i < FAKE_ENTRIES; i++)
		fake_ring_post(&self->fake, i, 0);

	memset(cqes, 0xcc, sizeof(cqes));
	ASSERT_EQ(3, afsync_peek_batch_cqe(self->ring, cqes, 3));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, cqes[i]->user_data);
	EXPECT_EQ((void *)0xccccccccccccccccUL, (void *)cqes[3]);

	afsync_cq_advance(self->ring, 2);
	ASSERT_EQ(FAKE_ENTRIES - 2,
		  afsync_peek_batch_cqe(self->ring, cqes, FAKE_ENTRIES + 1));
	for (i = 0; i < FAKE_ENTRIES - 2; i++)
		EXPECT_EQ(i + 2, cqes[i]->user_data);
}

TEST_F(reap, for_each_visits_each_unread_one_once)
{
	struct afsync_cqe *cqe;
	uint64_t next = 0, posted = 0;
	unsigned int head, n, round;

	for (round = 0; round < 3 * FAKE_ENTRIES; round++) {
		for (n = 0; n < round % (FAKE_ENTRIES + 1); n++)
			fake_ring_post(&self->fake, posted++, 0);
		n = 0;
		afsync_for_each_cqe(self->ring, head, cqe) {
			ASSERT_EQ(next++, afsync_cqe_get_data64(cqe));
			n++;
		}
		EXPECT_EQ(round % (FAKE_ENTRIES + 1), n);
		EXPECT_EQ(n, afsync_cq_ready(self->ring));
		afsync_cq_advance(self->ring, n);
		EXPECT_EQ(0, afsync_cq_ready(self->ring));
	}
	EXPECT_EQ(variant->start + (uint32_t)posted, self->fake.hdr.head);
}

TEST_F(reap, full_ring_is_read_whole)
{
	struct afsync_cqe *cqe;
	uint64_t i;

	for (i = 0; i < FAKE_ENTRIES; i++)
		fake_ring_post(&self->fake, i, 0);
	EXPECT_EQ(FAKE_ENTRIES, afsync_cq_ready(self->ring));
	for (i = 0; i < FAKE_ENTRIES; i++) {
		ASSERT_EQ(0, afsync_peek_cqe(self->ring, &cqe));
		EXPECT_EQ(i, cqe->user_data);
		afsync_cqe_seen(self->ring, cqe);
	}
	EXPECT_EQ(-EAGAIN, afsync_peek_cqe(self->ring, &cqe));
}

TEST_F(reap, overwritten_header_never_leads_out_of_the_ring)
{
	struct afsync_cqe *cqes[FAKE_ENTRIES];
	struct afsync_cqe *cqe;
	unsigned int i, n;

	self->fake.hdr.tail = variant->start + 0x80000000;
	self->fake.hdr.mask = ~0U;
	self->fake.hdr.entries = 0;
	self->fake.hdr.cqes_offset = ~0U;
	EXPECT_EQ(FAKE_ENTRIES, afsync_ring_entries(self->ring));
	EXPECT_EQ(FAKE_ENTRIES, afsync_cq_ready(self->ring));
	n = afsync_peek_batch_cqe(self->ring, cqes, FAKE_ENTRIES);
	ASSERT_EQ(FAKE_ENTRIES, n);
	for (i = 0; i < n; i++) {
		EXPECT_LE(&self->fake.cqes[0], cqes[i]);
		EXPECT_GT(&self->fake.cqes[FAKE_ENTRIES], cqes[i]);
	}
	ASSERT_EQ(0, afsync_peek_cqe(self->ring, &cqe));
	EXPECT_EQ(&self->fake.cqes[variant->start & 7], cqe);
}

TEST_F(reap, data_comes_back_as_number_and_as_pointer)
{
	struct afsync_cqe *cqe;

	fake_ring_post(&self->fake, UINT64_MAX, 0);
	fake_ring_post(&self->fake, (uintptr_t)self, 0);
	ASSERT_EQ(0, afsync_peek_cqe(self->ring, &cqe));
	EXPECT_EQ(UINT64_MAX, afsync_cqe_get_data64(cqe));
	afsync_cqe_seen(self->ring, cqe);
	ASSERT_EQ(0, afsync_peek_cqe(self->ring, &cqe));
	EXPECT_EQ((void *)self, afsync_cqe_get_data(cqe));
}

#define RACE_COUNT	300000U

static void *race_kernel(void *arg)
{
	struct fake_ring *fake = arg;
	uint32_t tail = fake->hdr.tail;
	uint64_t i;

	for (i = 0; i < RACE_COUNT; i++, tail++) {
		/* A slot may be written once the reader has returned it. */
		while (tail - load_acquire(&fake->hdr.head) == FAKE_ENTRIES)
			sched_yield();
		fake_ring_post(fake, i * 3, (int32_t)i);
	}
	return NULL;
}

static void *race_onlooker(void *arg)
{
	struct afsync_ring *ring = arg;
	uintptr_t bad = 0;

	while (load_relaxed(&ring->hdr->reserved2[0]) == 0) {
		bad += afsync_cq_ready(ring) > FAKE_ENTRIES;
		sched_yield();
	}
	return (void *)bad;
}

/* They take turns by sched_yield(), which may cost a slice of the scheduler each time. */
TEST_F_TIMEOUT(reap, concurrent_writer_and_onlooker_tear_nothing, 600)
{
	pthread_t kernel, onlooker;
	struct afsync_cqe *cqe;
	uint64_t next = 0;
	void *bad;
	uint32_t head, n;

	ASSERT_EQ(0, pthread_create(&kernel, NULL, race_kernel, &self->fake));
	ASSERT_EQ(0, pthread_create(&onlooker, NULL, race_onlooker,
				    self->ring));
	while (next < RACE_COUNT) {
		n = 0;
		afsync_for_each_cqe(self->ring, head, cqe) {
			ASSERT_EQ(next * 3, cqe->user_data);
			ASSERT_EQ((int32_t)next, cqe->res);
			next++;
			n++;
		}
		afsync_cq_advance(self->ring, n);
		if (!n)
			sched_yield();
	}
	store_release(&self->fake.hdr.reserved2[0], 1);
	pthread_join(kernel, NULL);
	pthread_join(onlooker, &bad);
	EXPECT_EQ(NULL, bad);
	EXPECT_EQ(0, afsync_cq_ready(self->ring));
}

static uint64_t mask_of(int sig)
{
	struct afsync_wait wait;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	if (afsync_wait_args(&wait, 1, NULL, 0, &set))
		return 0;
	return wait.sigmask;
}

TEST(signal_mask_has_bit_n_minus_1_for_signal_n)
{
	struct afsync_wait wait;
	sigset_t set;

	EXPECT_EQ(1ULL, mask_of(1));
	EXPECT_EQ(1ULL << (SIGUSR1 - 1), mask_of(SIGUSR1));
	EXPECT_EQ(1ULL << 63, mask_of(64));
	EXPECT_EQ(1ULL << (SIGRTMIN - 1), mask_of(SIGRTMIN));

	sigfillset(&set);
	sigdelset(&set, SIGUSR2);
	ASSERT_EQ(0, afsync_wait_args(&wait, 1, NULL, 0, &set));
	EXPECT_EQ(AFSYNC_WAIT_SIGMASK, wait.flags);
	EXPECT_EQ(0, wait.sigmask & 1ULL << (SIGUSR2 - 1));
	EXPECT_NE(0, wait.sigmask & 1ULL << (SIGUSR1 - 1));
}

TEST(times_become_nanoseconds_and_never_overflow)
{
	static const struct {
		struct __kernel_timespec ts;
		uint64_t ns;
	} table[] = {
		{ { 0, 0 }, 0 },
		{ { 0, 999999999 }, 999999999 },
		{ { 5, 1 }, 5000000001ULL },
		{ { INT64_MAX / 1000000000 - 1, 999999999 },
		  INT64_MAX / 1000000000 * 1000000000ULL - 1 },
		{ { INT64_MAX / 1000000000, 0 }, INT64_MAX },
		{ { INT64_MAX, 999999999 }, INT64_MAX },
	};
	struct afsync_wait wait;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		memset(&wait, 0xcc, sizeof(wait));
		ASSERT_EQ(0, afsync_wait_args(&wait, 7, &table[i].ts, 0, NULL));
		EXPECT_EQ(AFSYNC_WAIT_TIMEOUT, wait.flags);
		EXPECT_EQ(table[i].ns, wait.timeout_ns);
		EXPECT_EQ(7, wait.min_complete);
		EXPECT_EQ(0, wait.sigmask);
	}
	ASSERT_EQ(0, afsync_wait_args(&wait, 7, &table[2].ts, AFSYNC_WAIT_ABSTIME,
				      NULL));
	EXPECT_EQ(AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME, wait.flags);
	EXPECT_EQ(table[2].ns, wait.timeout_ns);
	/* No time is no limit, relative or not. */
	ASSERT_EQ(0, afsync_wait_args(&wait, 0, NULL, AFSYNC_WAIT_ABSTIME, NULL));
	EXPECT_EQ(0, wait.flags);
	EXPECT_EQ(0, wait.timeout_ns);
}

TEST_HARNESS_MAIN
