// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The structs that the library sends to modules of this version and of older ones. The
 * test defines the system calls: they play a module, and syscall.o is not linked.
 */
#include "fake_ring.h"

#include "kselftest_harness.h"

#define RING_FD		7
#define RING_ID		0x1234
#define MAX_ENTRIES	16

/* The module, and the calls that it has seen. */
static struct {
	uint32_t version;
	uint32_t id;		/* of the ring that RING_FD is now */
	struct fake_ring fake;
	struct afsync_setup setup;
	struct afsync_wait wait;
	struct afsync_eventfd event;
	struct afsync_start start;
	int opened;
	int closed;
} module;

int afsync_sys_open(int flags)
{
	(void)flags;
	module.opened++;
	return RING_FD;
}

void afsync_sys_close(int fd)
{
	module.closed += fd == RING_FD;
}

int afsync_sys_map(int fd, size_t size, void **addr)
{
	(void)size;
	if (fd != RING_FD)
		return -EBADF;
	*addr = &module.fake;
	return 0;
}

void afsync_sys_unmap(void *addr, size_t size)
{
	(void)addr;
	(void)size;
}

static int of_ring(uint32_t ring, int ret)
{
	return ring && ring != module.id ? -ESTALE : ret;
}

static int setup(struct afsync_setup *args)
{
	module.setup = *args;
	if (!args->entries || args->entries > MAX_ENTRIES)
		return -EINVAL;
	module.fake.hdr.entries = FAKE_ENTRIES;
	module.fake.hdr.mask = FAKE_ENTRIES - 1;
	module.fake.hdr.cqes_offset = offsetof(struct fake_ring, cqes);
	module.fake.hdr.id = RING_ID;
	module.id = RING_ID;
	args->entries = FAKE_ENTRIES;
	args->mmap_size = sizeof(module.fake);
	return 0;
}

int afsync_sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	const struct afsync_submit *submit = arg;
	const struct afsync_cancel *cancel = arg;
	const struct afsync_start *start = arg;
	struct afsync_info *info = arg;

	if (fd != RING_FD)
		return -EBADF;
	switch (cmd) {
	case AFSYNC_IOC_INFO:
		*info = (struct afsync_info) {
			.version = module.version,
			.max_entries = MAX_ENTRIES,
		};
		return 0;
	case AFSYNC_IOC_SETUP:
		return setup(arg);
	case AFSYNC_IOC_SUBMIT:
		return of_ring(submit->ring, submit->nr);
	case AFSYNC_IOC_CANCEL:
		return of_ring(cancel->ring, -ENOENT);
	case AFSYNC_IOC_START:
		memcpy(&module.start, arg, sizeof(module.start));
		if (module.version < 5 && start->last)
			return -E2BIG;
		return of_ring(start->ring, -ENOENT);
	case AFSYNC_IOC_WAIT:
		memcpy(&module.wait, arg, sizeof(module.wait));
		if (module.version < 4 && module.wait.ring)
			return -E2BIG;
		return of_ring(module.wait.ring, 0);
	case AFSYNC_IOC_EVENTFD:
		memcpy(&module.event, arg, sizeof(module.event));
		if (module.version < 4 && module.event.ring)
			return -E2BIG;
		return of_ring(module.event.ring, 0);
	}
	return -ENOTTY;
}

FIXTURE(module) {
	struct afsync_ring *ring;
};

FIXTURE_VARIANT(module) {
	uint32_t version;
};

FIXTURE_VARIANT_ADD(module, three) { .version = 3 };
FIXTURE_VARIANT_ADD(module, four) { .version = 4 };
FIXTURE_VARIANT_ADD(module, five) { .version = 5 };
FIXTURE_VARIANT_ADD(module, newer) { .version = 6 };

FIXTURE_SETUP(module)
{
	memset(&module, 0, sizeof(module));
	module.version = variant->version;
	ASSERT_EQ(0, afsync_queue_init(8, &self->ring, 0));
	ASSERT_EQ(1, module.opened);
	errno = 4711;
}

FIXTURE_TEARDOWN(module)
{
	EXPECT_EQ(4711, errno);
	afsync_queue_exit(self->ring);
}

TEST_F(module, waits_and_eventfds_name_the_ring_where_the_module_knows_that)
{
	uint32_t want = variant->version >= 4 ? RING_ID : 0;

	EXPECT_EQ(0, afsync_wait_cqe(self->ring, NULL));
	EXPECT_EQ(want, module.wait.ring);
	EXPECT_EQ(1, module.wait.min_complete);
	EXPECT_EQ(0, afsync_register_eventfd(self->ring, 5));
	EXPECT_EQ(want, module.event.ring);
	EXPECT_EQ(5, module.event.fd);
	EXPECT_EQ(0, afsync_unregister_eventfd(self->ring));
	EXPECT_EQ(want, module.event.ring);
	EXPECT_EQ(-1, module.event.fd);
}

TEST_F(module, range_is_started_where_the_module_knows_that)
{
	EXPECT_EQ(variant->version >= 5 ? -ENOENT : -ENOTTY,
		  afsync_start_range(self->ring, 1, 2));
	EXPECT_EQ(1, module.start.user_data);
	EXPECT_EQ(2, module.start.last);
	EXPECT_EQ(-ENOENT, afsync_start_range(self->ring, 7, 7));
	EXPECT_EQ(7, module.start.user_data);
	EXPECT_EQ(0, module.start.last);
	EXPECT_EQ(-EINVAL, afsync_start_range(self->ring, 2, 1));
	EXPECT_EQ(7, module.start.user_data);
}

TEST_F(module, descriptor_of_another_ring_is_refused_and_not_closed)
{
	struct afsync_ring *ring = self->ring;
	unsigned int running = 4711;

	/* Others can write to shared memory. */
	module.id = RING_ID + 1;
	module.fake.hdr.id = module.id;
	afsync_get_sqe(ring);
	EXPECT_EQ(-ESTALE, afsync_submit(ring));
	EXPECT_EQ(1, afsync_sq_ready(ring));
	EXPECT_EQ(-ESTALE, afsync_cancel(ring, 1));
	EXPECT_EQ(-ESTALE, afsync_cancel_fd(ring, 1));
	EXPECT_EQ(-ESTALE, afsync_cancel_all(ring));
	EXPECT_EQ(-ESTALE, afsync_cancel_match(ring, AFSYNC_CANCEL_ALL, 0, 0,
					       &running));
	EXPECT_EQ(0, running);
	EXPECT_EQ(-ESTALE, afsync_start(ring, 1));
	if (variant->version >= 5)
		EXPECT_EQ(-ESTALE, afsync_start_range(ring, 1, 2));
	if (variant->version >= 4) {
		EXPECT_EQ(-ESTALE, afsync_wait_cqe(ring, NULL));
		EXPECT_EQ(-ESTALE, afsync_register_eventfd(ring, 5));
		EXPECT_EQ(-ESTALE, afsync_unregister_eventfd(ring));
	}
	afsync_queue_exit(ring);
	EXPECT_EQ(0, module.closed);

	ASSERT_EQ(0, afsync_queue_init(8, &self->ring, 0));
	afsync_queue_exit(self->ring);
	EXPECT_EQ(1, module.closed);
	self->ring = NULL;
}

TEST_F(module, attach_refuses_an_id_that_somebody_wrote)
{
	struct afsync_ring *ring = (void *)0xcc;

	module.fake.hdr.id = RING_ID + 1;
	EXPECT_EQ(-EINVAL, afsync_queue_attach(RING_FD, &ring));
	EXPECT_EQ(NULL, ring);
	module.fake.hdr.id = 0;
	EXPECT_EQ(-EINVAL, afsync_queue_attach(RING_FD, &ring));
	module.fake.hdr.id = RING_ID;
	EXPECT_EQ(0, module.closed);
	ASSERT_EQ(0, afsync_queue_attach(RING_FD, &ring));
	afsync_queue_exit(ring);
	EXPECT_EQ(1, module.closed);
}

TEST_F(module, more_entries_than_it_allows_are_taken_only_with_the_flag)
{
	struct afsync_ring *ring;

	EXPECT_EQ(-EINVAL, afsync_queue_init(MAX_ENTRIES + 1, &ring, 0));
	EXPECT_EQ(MAX_ENTRIES + 1, module.setup.entries);
	EXPECT_EQ(-EINVAL, afsync_queue_init(0, &ring, AFSYNC_INIT_CLAMP));
	EXPECT_EQ(0, module.setup.entries);
	ASSERT_EQ(0, afsync_queue_init(UINT32_MAX, &ring, AFSYNC_INIT_CLAMP));
	EXPECT_EQ(MAX_ENTRIES, module.setup.entries);
	EXPECT_EQ(0, module.setup.flags);
	afsync_queue_exit(ring);
	/* A smaller number is not increased. */
	ASSERT_EQ(0, afsync_queue_init(3, &ring, AFSYNC_INIT_CLAMP));
	EXPECT_EQ(3, module.setup.entries);
	afsync_queue_exit(ring);
}

/* A program of another version has a struct of another size. */
TEST_F(module, info_fills_the_callers_struct_and_no_more)
{
	unsigned char bytes[sizeof(struct afsync_info) + 16];
	struct afsync_info want = {
		.version = variant->version,
		.max_entries = MAX_ENTRIES,
	};
	size_t size, i;

	for (size = 0; size <= sizeof(want) + 8; size++) {
		memset(bytes, 0xcc, sizeof(bytes));
		ASSERT_EQ(0, afsync_get_info((void *)bytes, size));
		for (i = 0; i < sizeof(bytes); i++)
			ASSERT_EQ(filled_byte(i, size, &want, sizeof(want)),
				  bytes[i]);
	}
}

TEST_HARNESS_MAIN
