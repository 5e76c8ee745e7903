// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Unit test of order.c, gate.c and events.c: the requests that a sync waits for, and the
 * contents of an event. The test plays the kernel's ring, the device and the watcher.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "../order.h"

/* Of the ring. */
#define NR	8

/* The recorded calls, in order. */
static __u64 started[256];
static unsigned int nr_started;
static unsigned int nr_calls;
static unsigned int nr_cancelled;
static unsigned int watched;
static __u64 lost;	/* this one and those after it cannot be started; 0: all can */

__u64 device_start(__u64 first, __u64 last)
{
	nr_calls++;
	for (; first <= last && (!lost || first < lost); first++)
		started[nr_started++] = first;
	return first;
}

long sys_io_cancel(aio_context_t id, struct iocb *iocb, struct io_event *event)
{
	(void)id;
	(void)iocb;
	(void)event;
	nr_cancelled++;
	return -EINPROGRESS;
}

void watch_count(unsigned int n)
{
	watched += n;
}

long memory_read(void *to, void *const *from, size_t size, long nr)
{
	(void)to;
	(void)from;
	(void)size;
	return nr;
}

FIXTURE(order) {
	struct context ctx;
	struct aio_ring *ring;
	struct iocb iocbs[16];
};

FIXTURE_SETUP(order)
{
	memset(&self->ctx, 0, sizeof(self->ctx));
	self->ring = calloc(1, sizeof(*self->ring) + NR * sizeof(struct io_event));
	ASSERT_NE(NULL, self->ring);
	self->ctx.ring = self->ring;
	self->ctx.nr = NR;
	self->ctx.order = order_make(calloc(1, order_size(NR)), NR);
	memset(self->iocbs, 0, sizeof(self->iocbs));
	nr_started = 0;
	nr_calls = 0;
	nr_cancelled = 0;
	watched = 0;
	lost = 0;
}

FIXTURE_TEARDOWN(order)
{
	free(self->ctx.order);
	free(self->ring);
}

/* The request is the one of iocb i. */
static void add(FIXTURE_DATA(order) *self, int i, int fd)
{
	self->iocbs[i].aio_fildes = fd;
	order_add(&self->ctx, &self->iocbs[i], &self->iocbs[i]);
}

static void add_sync(FIXTURE_DATA(order) *self, int i, int fd, __u64 user_data)
{
	self->iocbs[i].aio_fildes = fd;
	order_add_sync(&self->ctx, &self->iocbs[i], &self->iocbs[i], user_data);
}

/* Alone, under the lock. */
static void sync_behind(FIXTURE_DATA(order) *self, int i, int fd, __u64 user_data)
{
	add_sync(self, i, fd, user_data);
	order_start(&self->ctx);
}

/* The kernel posts it, and a reader takes it at once. */
static void post(FIXTURE_DATA(order) *self, int i, long res)
{
	struct io_event event = {
		.obj = (unsigned long)&self->iocbs[i],
		.data = self->iocbs[i].aio_data,
		.res = res,
	};
	__u32 tail = self->ring->tail;

	self->ring->events[tail] = event;
	self->ring->tail = (tail + 1) % NR;
	self->ring->head = self->ring->tail;
}

static void end_as(FIXTURE_DATA(order) *self, int i, long res)
{
	post(self, i, res);
	events_look(&self->ctx);
	order_start(&self->ctx);
}

static void end(FIXTURE_DATA(order) *self, int i)
{
	end_as(self, i, 0);
}

TEST_F(order, sync_with_nothing_before_it_is_started)
{
	sync_behind(self, 0, 3, 100);
	EXPECT_EQ(1, nr_started);
	EXPECT_EQ(100, started[0]);
	EXPECT_EQ(0, self->ctx.held);
}

TEST_F(order, syncs_that_are_ready_together_are_started_by_one_call)
{
	int i;

	add(self, 0, 4);
	for (i = 1; i < 6; i++)
		add_sync(self, i, i == 3 ? 4 : 3, 100 + i);
	/* The third waits, and the calls of others must not start it. */
	order_start(&self->ctx);
	EXPECT_EQ(2, nr_calls);
	ASSERT_EQ(4, nr_started);
	EXPECT_EQ(101, started[0]);
	EXPECT_EQ(102, started[1]);
	EXPECT_EQ(104, started[2]);
	EXPECT_EQ(105, started[3]);
	end(self, 0);
	ASSERT_EQ(5, nr_started);
	EXPECT_EQ(103, started[4]);
	order_start(&self->ctx);
	EXPECT_EQ(3, nr_calls);
}

TEST_F(order, ready_ones_that_were_not_started_are_cancelled_when_the_ring_is_gone)
{
	int i;

	lost = 102;
	add(self, 0, 4);
	for (i = 1; i < 5; i++)
		add_sync(self, i, i == 4 ? 4 : 3, 100 + i);
	order_start(&self->ctx);
	EXPECT_EQ(1, nr_calls);
	/* Neither that which was started before, nor that which still waits. */
	EXPECT_EQ(1, nr_started);
	EXPECT_EQ(2, nr_cancelled);
}

TEST_F(order, sync_waits_for_all_before_it_and_for_none_after)
{
	add(self, 0, 3);
	add(self, 1, 3);
	sync_behind(self, 2, 3, 100);
	add(self, 3, 3);
	EXPECT_EQ(1, self->ctx.held);
	EXPECT_EQ(1, watched);
	end(self, 1);
	EXPECT_EQ(0, nr_started);
	end(self, 0);
	EXPECT_EQ(1, nr_started);
	EXPECT_EQ(0, self->ctx.held);
	EXPECT_EQ(0, watched);
}

TEST_F(order, other_descriptors_are_not_waited_for)
{
	add(self, 0, 3);
	sync_behind(self, 1, 4, 100);
	EXPECT_EQ(1, nr_started);
}

TEST_F(order, syncs_that_wait_are_started_in_their_order)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	sync_behind(self, 2, 3, 101);
	add(self, 3, 3);
	sync_behind(self, 4, 3, 102);
	/* The later ones must not overtake the first. */
	end(self, 3);
	EXPECT_EQ(0, nr_started);
	end(self, 0);
	ASSERT_EQ(3, nr_started);
	EXPECT_EQ(100, started[0]);
	EXPECT_EQ(101, started[1]);
	EXPECT_EQ(102, started[2]);
}

TEST_F(order, sync_waits_for_what_comes_between_two_syncs)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	add(self, 2, 3);
	sync_behind(self, 3, 3, 101);
	end(self, 0);
	EXPECT_EQ(1, nr_started);
	end(self, 1);
	EXPECT_EQ(1, nr_started);
	end(self, 2);
	EXPECT_EQ(2, nr_started);
}

TEST_F(order, cancelled_sync_leaves_its_place)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	sync_behind(self, 2, 3, 101);
	end_as(self, 1, -ECANCELED);
	EXPECT_EQ(1, self->ctx.held);
	nr_started = 0;
	end(self, 0);
	ASSERT_EQ(1, nr_started);
	EXPECT_EQ(101, started[0]);
}

/* A request that never ends must not let those behind it use up the memory. */
TEST_F(order, cancelled_syncs_behind_a_request_leave_nothing)
{
	unsigned int i;

	add(self, 0, 3);
	for (i = 0; i < 10000; i++) {
		sync_behind(self, 1, 3, 100 + i);
		add(self, 2, 3);
		end_as(self, 1, -ECANCELED);
		end(self, 2);
		ASSERT_EQ(0, self->ctx.held);
		ASSERT_EQ(NR - 1 - 1, order_room(&self->ctx));
		ASSERT_GE(4, self->ctx.order->gates_used);
		nr_started = 0;
	}
	sync_behind(self, 1, 3, 100);
	end(self, 0);
	EXPECT_EQ(1, nr_started);
	EXPECT_FALSE(order_waits(&self->ctx, 3));
}

TEST_F(order, cancelled_sync_is_not_taken_for_a_request_with_its_iocb)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	add(self, 1, 4);
	sync_behind(self, 2, 4, 101);
	end_as(self, 1, -ECANCELED);
	EXPECT_EQ(1, self->ctx.held);
	nr_started = 0;
	end(self, 1);
	ASSERT_EQ(1, nr_started);
	EXPECT_EQ(101, started[0]);
}

TEST_F(order, request_that_the_kernel_did_not_take_holds_up_nobody)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	order_drop(&self->ctx, &self->iocbs[0], &self->iocbs[0]);
	order_start(&self->ctx);
	EXPECT_EQ(1, nr_started);
}

TEST_F(order, sync_of_a_ring_that_is_gone_is_cancelled)
{
	lost = 1;
	sync_behind(self, 0, 3, 100);
	EXPECT_EQ(1, nr_cancelled);
}

/* Its iocb was used again, and the event of the second use comes with that which makes it ready. */
TEST_F(order, ready_sync_is_cancelled_though_an_event_looks_like_its_own)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	add(self, 1, 4);
	lost = 1;
	post(self, 0, 0);
	end(self, 1);
	EXPECT_EQ(1, nr_cancelled);
	/* The event of the sync: now nothing of descriptor 4 is outstanding. */
	end_as(self, 1, -ECANCELED);
	EXPECT_FALSE(order_waits(&self->ctx, 4));
	EXPECT_EQ(NR - 1, order_room(&self->ctx));
}

/* Both have the same iocb, and the kernel cancels the older one. */
TEST_F(order, held_sync_is_not_early_when_a_running_one_is_cancelled)
{
	sync_behind(self, 1, 3, 100);
	add(self, 0, 3);
	sync_behind(self, 1, 3, 101);
	ASSERT_EQ(1, nr_started);
	end_as(self, 1, -ECANCELED);
	EXPECT_EQ(1, nr_started);
	EXPECT_EQ(1, self->ctx.held);
	end(self, 0);
	ASSERT_EQ(2, nr_started);
	EXPECT_EQ(101, started[1]);
	end(self, 1);
	EXPECT_EQ(NR - 1, order_room(&self->ctx));
}

TEST_F(order, event_of_an_unknown_request_changes_nothing)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	end(self, 9);
	EXPECT_EQ(NR - 1 - 2, order_room(&self->ctx));
	EXPECT_EQ(0, nr_started);
}

TEST_F(order, data_tells_requests_with_the_same_iocb_apart)
{
	self->iocbs[0].aio_data = 1;
	add(self, 0, 3);
	self->iocbs[0].aio_data = 2;
	add(self, 0, 4);
	sync_behind(self, 1, 3, 100);
	sync_behind(self, 2, 4, 101);
	end(self, 0);
	ASSERT_EQ(1, nr_started);
	EXPECT_EQ(101, started[0]);
}

TEST_F(order, of_two_that_look_the_same_none_has_ended_until_both_have)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	add(self, 0, 3);
	end(self, 0);
	EXPECT_EQ(0, nr_started);
	EXPECT_EQ(NR - 1 - 2, order_room(&self->ctx));
	end(self, 0);
	EXPECT_EQ(1, nr_started);
}

TEST_F(order, of_two_descriptors_that_look_the_same_none_has_ended_until_both_have)
{
	add(self, 0, 3);
	add(self, 0, 4);
	sync_behind(self, 1, 3, 100);
	sync_behind(self, 2, 4, 101);
	end(self, 0);
	EXPECT_EQ(0, nr_started);
	/* There is as much room as in the kernel. */
	EXPECT_EQ(NR - 1 - 3, order_room(&self->ctx));
	end(self, 0);
	EXPECT_EQ(2, nr_started);
}

TEST_F(order, running_sync_that_looks_the_same_is_taken_first)
{
	sync_behind(self, 0, 3, 100);
	add(self, 0, 3);
	sync_behind(self, 1, 3, 101);
	end(self, 0);
	EXPECT_EQ(1, nr_started);
	end(self, 0);
	EXPECT_EQ(2, nr_started);
}

TEST_F(order, held_sync_that_looks_the_same_is_taken_last)
{
	add(self, 0, 3);
	sync_behind(self, 0, 3, 100);
	end(self, 0);
	EXPECT_EQ(1, nr_started);
	EXPECT_EQ(0, self->ctx.held);
}

/* Goes round the ring many times, and uses all memory again. */
TEST_F(order, requests_come_and_go_for_ever)
{
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		nr_started = 0;
		add(self, 0, 3 + i % 7);
		add(self, 1, 3 + i % 7);
		sync_behind(self, 2, 3 + i % 7, i + 1);
		add(self, 3, 5);
		end(self, i % 2);
		ASSERT_EQ(0, nr_started);
		end(self, 3);
		end(self, 1 - i % 2);
		ASSERT_EQ(1, nr_started);
		end(self, 2);
		ASSERT_EQ(NR - 1, order_room(&self->ctx));
	}
}

/* A program whose twins never all end at once must not run out of room. */
TEST_F(order, twins_that_never_all_end_do_not_use_up_the_memory)
{
	unsigned int i;

	add(self, 0, 3);
	for (i = 0; i < 10000; i++) {
		add(self, 0, 3 + i % 2);
		ASSERT_EQ(NR - 1 - 2, order_room(&self->ctx));
		end(self, 0);
		ASSERT_EQ(NR - 1 - 1, order_room(&self->ctx));
	}
	end(self, 0);
	EXPECT_EQ(NR - 1, order_room(&self->ctx));
	sync_behind(self, 1, 3, 100);
	sync_behind(self, 2, 4, 101);
	EXPECT_EQ(2, nr_started);
}

TEST_F(order, dead_context_is_not_looked_at)
{
	add(self, 0, 3);
	sync_behind(self, 1, 3, 100);
	self->ctx.dead = true;
	end(self, 0);
	EXPECT_EQ(0, nr_started);
}

TEST_HARNESS_MAIN
