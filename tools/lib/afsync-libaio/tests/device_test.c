// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Unit test of device.c: held syncs are started by one call, or by one for each where the
 * module is older than that, and it is known which were when the ring is lost meanwhile. The
 * test plays the module.
 */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "../internal.h"

#define RING_FD	1000

static struct {
	bool starts_ranges;
	unsigned int opened;
	bool ours;		/* the descriptor is still the ring's */
	unsigned int calls;
	unsigned int calls_left;	/* until the program closes the ring */
	struct afsync_start start;	/* the last one */
	__u64 cancelled;	/* no longer held */
} module;

static struct afsync_ring_header header;

int dropin_ring_open(struct dropin_ring *ring, __u32 entries)
{
	module.opened++;
	module.ours = true;
	header.id = module.opened;
	*ring = (struct dropin_ring){
		.fd = RING_FD,
		.entries = entries,
		.header = &header,
		.starts_ranges = module.starts_ranges,
	};
	return 0;
}

bool dropin_ring_is_ours(const struct dropin_ring *ring)
{
	(void)ring;
	return module.ours;
}

void dropin_ring_close(struct dropin_ring *ring)
{
	*ring = (struct dropin_ring){ .fd = -1 };
}

void dropin_say(const char *library, const char *text, int error)
{
	(void)library;
	(void)text;
	(void)error;
}

void masked_lock(pthread_mutex_t *mutex, struct lock_mask *mask)
{
	(void)mask;
	pthread_mutex_lock(mutex);
}

void masked_unlock(pthread_mutex_t *mutex, const struct lock_mask *mask)
{
	(void)mask;
	pthread_mutex_unlock(mutex);
}

long sys_ioctl(int fd, unsigned long command, void *arg)
{
	struct afsync_submit *submit = arg;

	if (fd != RING_FD || !module.ours)
		return -EBADF;
	if (command == AFSYNC_IOC_SUBMIT)
		return submit->nr;
	if (command != AFSYNC_IOC_START)
		return -ENOTTY;
	module.start = *(struct afsync_start *)arg;
	if (!module.starts_ranges && module.start.last)
		return -E2BIG;
	if (!module.calls_left)
		return -EBADF;
	module.calls_left--;
	module.calls++;
	return module.start.user_data == module.cancelled ? -ENOENT : 1;
}

FIXTURE(device) {
	struct afsync_sqe sqes[8];
	__u64 first;
};

FIXTURE_VARIANT(device) {
	bool starts_ranges;
};

FIXTURE_VARIANT_ADD(device, new_module) { .starts_ranges = true };
FIXTURE_VARIANT_ADD(device, old_module) { .starts_ranges = false };

FIXTURE_SETUP(device)
{
	struct device_ring which;

	memset(&module, 0, sizeof(module));
	module.starts_ranges = variant->starts_ranges;
	module.calls_left = 100;
	memset(self, 0, sizeof(*self));
	ASSERT_TRUE(device_ready());
	ASSERT_EQ(8, device_hold(self->sqes, 8, &which));
	self->first = self->sqes[0].user_data;
}

FIXTURE_TEARDOWN(device)
{
	device_forget();
}

TEST_F(device, numbers_are_consecutive)
{
	int i;

	EXPECT_NE(0, self->first);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(self->first + i, self->sqes[i].user_data);
}

TEST_F(device, range_is_started_by_one_call_where_the_module_can)
{
	EXPECT_EQ(self->first + 8, device_start(self->first, self->first + 7));
	EXPECT_EQ(variant->starts_ranges ? 1 : 8, module.calls);
	EXPECT_EQ(variant->starts_ranges ? self->first : self->first + 7,
		  module.start.user_data);
	EXPECT_EQ(variant->starts_ranges ? self->first + 7 : 0, module.start.last);
}

TEST_F(device, one_is_started_by_one_call)
{
	EXPECT_EQ(self->first + 4, device_start(self->first + 3, self->first + 3));
	EXPECT_EQ(1, module.calls);
	EXPECT_EQ(self->first + 3, module.start.user_data);
}

TEST_F(device, cancelled_one_does_not_stop_the_others)
{
	module.cancelled = self->first + 2;
	EXPECT_EQ(self->first + 8, device_start(self->first, self->first + 7));
	EXPECT_EQ(variant->starts_ranges ? 1 : 8, module.calls);
}

TEST_F(device, first_that_was_not_started_is_known_when_the_ring_is_lost)
{
	module.calls_left = variant->starts_ranges ? 0 : 3;
	EXPECT_EQ(self->first + (variant->starts_ranges ? 0 : 3),
		  device_start(self->first, self->first + 7));
}

TEST_F(device, range_never_spans_two_rings)
{
	struct device_ring which;
	struct afsync_sqe sqe = {};

	module.ours = false;
	ASSERT_EQ(1, device_hold(&sqe, 1, &which));
	EXPECT_EQ(2, module.opened);
	EXPECT_EQ(2, which.id);
	EXPECT_LT(self->first + 8, sqe.user_data);
	/* Those of the old ring cannot be started on the new one. */
	EXPECT_EQ(self->first, device_start(self->first, self->first + 7));
	EXPECT_EQ(0, module.calls);
	EXPECT_EQ(sqe.user_data + 1, device_start(sqe.user_data, sqe.user_data));
}

TEST_HARNESS_MAIN
