// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Setting up without a device, and the headers of a ring that the library accepts.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fake_ring.h"

#include "kselftest_harness.h"

static bool have_device(void)
{
	return access("/dev/afsync", F_OK) == 0;
}

TEST(without_a_device_a_ring_that_asks_for_it_says_enoent)
{
	struct afsync_ring *ring = (void *)0xcc;
	struct afsync_info info, poison;

	if (have_device())
		SKIP(return, "this machine has the device");

	memset(&info, 0xcc, sizeof(info));
	memset(&poison, 0xcc, sizeof(poison));
	errno = 4711;
	EXPECT_EQ(-ENOENT, afsync_queue_init(8, &ring, AFSYNC_INIT_DEVICE));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(0, setenv("AFSYNC_ENGINE", "device", 1));
	EXPECT_EQ(-ENOENT, afsync_queue_init(8, &ring, AFSYNC_INIT_THREADS));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(-ENOENT, afsync_get_info(&info, sizeof(info)));
	EXPECT_EQ(0, memcmp(&info, &poison, sizeof(info)));
	EXPECT_EQ(4711, errno);
}

TEST(without_a_device_threads_of_the_library_do_the_work)
{
	struct afsync_info info, poison;
	struct afsync_ring *ring;

	if (have_device())
		SKIP(return, "this machine has the device");

	memset(&info, 0xcc, sizeof(info));
	memset(&poison, 0xcc, sizeof(poison));
	errno = 4711;
	ASSERT_EQ(0, afsync_queue_init(8, &ring, 0));
	EXPECT_EQ(AFSYNC_ENGINE_THREADS, afsync_ring_engine(ring));
	afsync_queue_exit(ring);
	EXPECT_EQ(0, afsync_get_info(&info, sizeof(info)));
	EXPECT_EQ(0, info.version);
	EXPECT_EQ(7, info.ops);
	EXPECT_EQ(4711, errno);
}

TEST(engine_that_is_asked_for_is_the_one_that_syncs)
{
	struct afsync_ring *ring;

	ASSERT_EQ(0, afsync_queue_init(8, &ring, AFSYNC_INIT_THREADS));
	EXPECT_EQ(AFSYNC_ENGINE_THREADS, afsync_ring_engine(ring));
	afsync_queue_exit(ring);
	EXPECT_EQ(0, setenv("AFSYNC_ENGINE", "threads", 1));
	ASSERT_EQ(0, afsync_queue_init(8, &ring, AFSYNC_INIT_DEVICE));
	EXPECT_EQ(AFSYNC_ENGINE_THREADS, afsync_ring_engine(ring));
	afsync_queue_exit(ring);
}

TEST(threads_are_asked_for_as_many_entries_as_the_device_at_most)
{
	struct afsync_ring *ring = (void *)0xcc;

	EXPECT_EQ(-EINVAL, afsync_queue_init(0, &ring, AFSYNC_INIT_THREADS));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(-EINVAL, afsync_queue_init(AFSYNC_MAX_ENTRIES + 1, &ring,
					     AFSYNC_INIT_THREADS));
	ASSERT_EQ(0, afsync_queue_init(UINT32_MAX, &ring,
				       AFSYNC_INIT_THREADS | AFSYNC_INIT_CLAMP));
	EXPECT_EQ(AFSYNC_MAX_ENTRIES, afsync_ring_entries(ring));
	afsync_queue_exit(ring);
	ASSERT_EQ(0, afsync_queue_init(5, &ring, AFSYNC_INIT_THREADS));
	EXPECT_EQ(8, afsync_ring_entries(ring));
	afsync_queue_exit(ring);
}

TEST(unknown_setup_flags_are_refused)
{
	struct afsync_ring *ring = (void *)0xcc;
	int bit;

	for (bit = 5; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, afsync_queue_init(8, &ring, 1U << bit));
		EXPECT_EQ(NULL, ring);
	}
	EXPECT_EQ(-EINVAL, afsync_queue_init(8, &ring, AFSYNC_INIT_DEVICE |
						       AFSYNC_INIT_THREADS));
}

TEST(exit_of_no_ring_does_nothing)
{
	errno = 4711;
	afsync_queue_exit(NULL);
	EXPECT_EQ(4711, errno);
}

TEST(attach_takes_only_descriptors_of_the_device)
{
	struct afsync_ring *ring = (void *)0xcc;
	int fds[2], null, path;

	null = open("/dev/null", O_RDWR);
	path = open("/dev/null", O_PATH);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	errno = 4711;
	EXPECT_EQ(-EBADF, afsync_queue_attach(-1, &ring));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(-EBADF, afsync_queue_attach(path, &ring));
	EXPECT_EQ(-ENOTTY, afsync_queue_attach(null, &ring));
	EXPECT_EQ(-ENOTTY, afsync_queue_attach(fds[0], &ring));
	EXPECT_EQ(4711, errno);
	/* On failure the descriptor stays the caller's. */
	EXPECT_EQ(0, close(null));
	EXPECT_EQ(0, close(path));
	EXPECT_EQ(0, close(fds[0]));
	EXPECT_EQ(0, close(fds[1]));
}

TEST(impossible_ring_headers_are_refused)
{
	static const struct {
		uint32_t entries;
		uint32_t offset;
		size_t size;
		int want;
	} table[] = {
		{ 8, 128, 0, 0 },
		{ 8, 128, 128 + 8 * 16, 0 },
		{ 8, 128, 128 + 8 * 16 - 1, -EINVAL },
		{ 8, 136, 128 + 8 * 16, -EINVAL },
		{ 0, 128, 0, -EINVAL },
		{ 7, 128, 0, -EINVAL },
		{ AFSYNC_MAX_ENTRIES * 2, 128, 0, -EINVAL },
		{ 0x80000000, 128, 0, -EINVAL },
		{ 8, 0, 0, -EINVAL },
		{ 8, 127, 0, -EINVAL },
		{ 8, 129, 0, -EINVAL },
		{ 8, UINT32_MAX - 7, 0, -EINVAL },
	};
	struct afsync_ring_header hdr = { 0 };
	struct afsync_ring *ring;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		hdr.entries = table[i].entries;
		hdr.cqes_offset = table[i].offset;
		ring = NULL;
		EXPECT_EQ(table[i].want, afsync_ring_alloc(-1, &hdr,
							   table[i].size,
							   &ring)) {
			TH_LOG("row %zu", i);
		}
		if (!table[i].want)
			afsync_ring_free(ring);
	}
}

TEST(version_is_that_of_the_header)
{
	char want[32];

	snprintf(want, sizeof(want), "%d.%d.%d", LIBAFSYNC_VERSION_MAJOR,
		 LIBAFSYNC_VERSION_MINOR, LIBAFSYNC_VERSION_PATCH);
	EXPECT_STREQ(want, afsync_version());
}

TEST_HARNESS_MAIN
