// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Preparing requests, and their state after a failed submit, over a ring in ordinary
 * memory whose descriptor is bad.
 */
#include "fake_ring.h"

#include "kselftest_harness.h"

FIXTURE(submit) {
	struct fake_ring fake;
	struct afsync_ring *ring;
};

FIXTURE_SETUP(submit)
{
	ASSERT_EQ(0, fake_ring_make(&self->fake, 0, -1, &self->ring));
	errno = 4711;
}

FIXTURE_TEARDOWN(submit)
{
	EXPECT_EQ(4711, errno);
	afsync_ring_free(self->ring);
}

TEST_F(submit, new_request_is_empty_and_names_no_file)
{
	struct afsync_sqe want = { .fd = -1 };
	struct afsync_sqe *sqe;

	memset(self->ring->sqes, 0xcc,
	       FAKE_ENTRIES * sizeof(*self->ring->sqes));
	sqe = afsync_get_sqe(self->ring);
	ASSERT_NE(NULL, sqe);
	EXPECT_EQ(0, memcmp(sqe, &want, sizeof(want)));
}

TEST_F(submit, ring_hands_out_as_many_requests_as_it_has_entries)
{
	struct afsync_sqe *seen[FAKE_ENTRIES];
	int i, j;

	for (i = 0; i < FAKE_ENTRIES; i++) {
		EXPECT_EQ(i, afsync_sq_ready(self->ring));
		seen[i] = afsync_get_sqe(self->ring);
		ASSERT_NE(NULL, seen[i]);
		for (j = 0; j < i; j++)
			EXPECT_NE(seen[j], seen[i]);
	}
	EXPECT_EQ(NULL, afsync_get_sqe(self->ring));
	EXPECT_EQ(FAKE_ENTRIES, afsync_sq_ready(self->ring));
}

TEST_F(submit, prep_sets_operation_file_and_range_only)
{
	struct afsync_sqe *sqe = afsync_get_sqe(self->ring);
	struct afsync_sqe want = {
		.user_data = 0x123456789abcdef0,
		.flags = AFSYNC_SQE_DRAIN,
		.ioprio = 0x4001,
	};

	/* Settings first: the order of the calls must not matter. */
	afsync_sqe_set_data64(sqe, want.user_data);
	afsync_sqe_set_flags(sqe, AFSYNC_SQE_WRITABLE);
	afsync_sqe_set_flags(sqe, want.flags);
	afsync_sqe_set_ioprio(sqe, want.ioprio);

	afsync_prep_fsync_range(sqe, 7, 1ULL << 40, 1ULL << 41);
	want.fd = 7;
	want.op = AFSYNC_OP_FSYNC;
	want.offset = 1ULL << 40;
	want.length = 1ULL << 41;
	EXPECT_EQ(0, memcmp(sqe, &want, sizeof(want)));

	afsync_prep_fdatasync_range(sqe, 8, 1, 2);
	want.fd = 8;
	want.op = AFSYNC_OP_FDATASYNC;
	want.offset = 1;
	want.length = 2;
	EXPECT_EQ(0, memcmp(sqe, &want, sizeof(want)));

	afsync_prep_fsync(sqe, 9);
	want.fd = 9;
	want.op = AFSYNC_OP_FSYNC;
	want.offset = 0;
	want.length = 0;
	EXPECT_EQ(0, memcmp(sqe, &want, sizeof(want)));

	afsync_prep_fdatasync_range(sqe, 8, 1, 2);
	afsync_prep_fdatasync(sqe, 10);
	want.fd = 10;
	want.op = AFSYNC_OP_FDATASYNC;
	EXPECT_EQ(0, memcmp(sqe, &want, sizeof(want)));

	afsync_prep_fdatasync_range(sqe, 8, 1, 2);
	afsync_prep_syncfs(sqe, 11);
	want.fd = 11;
	want.op = AFSYNC_OP_SYNCFS;
	EXPECT_EQ(0, memcmp(sqe, &want, sizeof(want)));

	afsync_sqe_set_data(sqe, &want);
	EXPECT_EQ((uintptr_t)&want, sqe->user_data);
}

TEST_F(submit, failed_submit_keeps_every_request)
{
	struct __kernel_timespec ts = { .tv_sec = 1 };
	struct afsync_cqe *cqe = (void *)0xcc;
	struct afsync_sqe sqe;
	int i;

	for (i = 0; i < 3; i++)
		afsync_sqe_set_data64(afsync_get_sqe(self->ring), i);
	EXPECT_EQ(-EBADF, afsync_submit(self->ring));
	EXPECT_EQ(-EBADF, afsync_submit_and_wait(self->ring, 1));
	EXPECT_EQ(-EBADF, afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							 &ts, NULL));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(3, afsync_sq_ready(self->ring));

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, afsync_sq_drop(self->ring, &sqe, sizeof(sqe)));
		EXPECT_EQ(i, sqe.user_data);
	}
	EXPECT_EQ(-ENOENT, afsync_sq_drop(self->ring, &sqe, sizeof(sqe)));
}

TEST_F(submit, refused_arguments_keep_every_request)
{
	struct __kernel_timespec bad = { .tv_nsec = 1000000000 };

	afsync_get_sqe(self->ring);
	EXPECT_EQ(-EINVAL, afsync_submit_and_wait(self->ring,
						  FAKE_ENTRIES + 1));
	EXPECT_EQ(-EINVAL, afsync_submit_and_wait_timeout(self->ring, NULL, 1,
							  &bad, NULL));
	EXPECT_EQ(1, afsync_sq_ready(self->ring));
}

TEST_F(submit, drop_takes_only_the_front_and_makes_room)
{
	struct afsync_sqe sqe;
	int i;

	for (i = 0; i < FAKE_ENTRIES; i++)
		afsync_sqe_set_data64(afsync_get_sqe(self->ring), i);
	EXPECT_EQ(0, afsync_sq_drop(self->ring, NULL, 0));
	afsync_sqe_set_data64(afsync_get_sqe(self->ring), FAKE_ENTRIES);
	EXPECT_EQ(NULL, afsync_get_sqe(self->ring));
	for (i = 1; i <= FAKE_ENTRIES; i++) {
		ASSERT_EQ(0, afsync_sq_drop(self->ring, &sqe, sizeof(sqe)));
		EXPECT_EQ(i, sqe.user_data);
	}
	EXPECT_EQ(0, afsync_sq_ready(self->ring));
}

/* A program of another version has a struct of another size. */
TEST_F(submit, drop_fills_the_callers_struct_and_no_more)
{
	unsigned char bytes[sizeof(struct afsync_sqe) + 16];
	struct afsync_sqe want;
	size_t size, i;

	memset(&want, 0x5a, sizeof(want));
	for (size = 0; size <= sizeof(want) + 8; size++) {
		*afsync_get_sqe(self->ring) = want;
		memset(bytes, 0xcc, sizeof(bytes));
		ASSERT_EQ(0, afsync_sq_drop(self->ring, (void *)bytes, size));
		for (i = 0; i < sizeof(bytes); i++)
			ASSERT_EQ(filled_byte(i, size, &want, sizeof(want)),
				  bytes[i]);
	}
}

TEST_F(submit, submit_of_nothing_is_zero_without_a_system_call)
{
	EXPECT_EQ(0, afsync_submit(self->ring));
	EXPECT_EQ(0, afsync_submit_and_wait_timeout(self->ring, NULL, 0, NULL,
						    NULL));
}

TEST_F(submit, calls_on_a_dead_descriptor_say_so)
{
	unsigned int running = 4711;

	EXPECT_EQ(-EBADF, afsync_cancel(self->ring, 1));
	EXPECT_EQ(-EBADF, afsync_cancel_fd(self->ring, 0));
	EXPECT_EQ(-EBADF, afsync_cancel_all(self->ring));
	EXPECT_EQ(-EBADF, afsync_cancel_match(self->ring, AFSYNC_CANCEL_ALL, 0, 0,
					      &running));
	EXPECT_EQ(0, running);
	EXPECT_EQ(-EBADF, afsync_start(self->ring, 1));
	EXPECT_EQ(-EBADF, afsync_register_eventfd(self->ring, 0));
	EXPECT_EQ(-EBADF, afsync_unregister_eventfd(self->ring));
	EXPECT_EQ(-1, afsync_ring_fd(self->ring));
}

TEST_HARNESS_MAIN
