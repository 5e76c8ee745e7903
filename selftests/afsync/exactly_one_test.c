// SPDX-License-Identifier: GPL-2.0-only
/*
 * P2 exactly one: every accepted request completes exactly once; if there is no free
 * slot, the submit says EAGAIN and does not queue that request.
 *
 * The tests that hold syncs need afsync_sim.
 */
#include "common.h"

#define THREADS		4
#define SMALL_RING	8

/* A million through a ring of eight. */
struct flood {
	struct ring ring;
	int file;
	unsigned int per_thread;
	unsigned char *seen;
	pthread_mutex_t lock;
	pthread_cond_t drained;
	unsigned long drains;	/* times that the reader made room */
	unsigned long refused;
};

struct flooder {
	struct flood *flood;
	unsigned int first;
};

static unsigned long flood_drains(struct flood *flood)
{
	unsigned long drains;

	pthread_mutex_lock(&flood->lock);
	drains = flood->drains;
	pthread_mutex_unlock(&flood->lock);
	return drains;
}

/*
 * Waits for the reader after EAGAIN. The entries that filled the ring are read after the
 * look at the count of drains, so the count moves.
 */
static void flood_wait_drain(struct flood *flood, unsigned long drains)
{
	pthread_mutex_lock(&flood->lock);
	flood->refused++;
	while (flood->drains == drains)
		pthread_cond_wait(&flood->drained, &flood->lock);
	pthread_mutex_unlock(&flood->lock);
}

static void *flood_thread(void *arg)
{
	struct flooder *flooder = arg;
	struct flood *flood = flooder->flood;
	unsigned int done = 0, i, nr;
	struct afsync_sqe sqes[5];
	unsigned long drains;
	__s32 error;
	int ret;

	while (done < flood->per_thread) {
		nr = 1 + done % 5;
		if (nr > flood->per_thread - done)
			nr = flood->per_thread - done;
		for (i = 0; i < nr; i++)
			sqes[i] = sqe_of(flood->file, AFSYNC_OP_FDATASYNC,
					 flooder->first + done + i);
		drains = flood_drains(flood);
		ret = ring_submit(&flood->ring, sqes, nr, &error);
		need(ret > 0 ? error == (ret < (int)nr ? -EAGAIN : 0) :
		     ret == -EAGAIN && error == -EAGAIN);
		if (ret > 0)
			done += ret;
		else
			flood_wait_drain(flood, drains);
	}
	return NULL;
}

/* Returns how many completions it read; counts each in seen. */
static unsigned int flood_read(struct flood *flood, unsigned int total)
{
	struct afsync_cqe cqe;
	unsigned int n = 0;

	ring_wait(&flood->ring, 1);
	while (ring_take(&flood->ring, &cqe)) {
		need(cqe.user_data < total);
		need(cqe.res == 0);
		if (flood->seen[cqe.user_data] < 255)
			flood->seen[cqe.user_data]++;
		n++;
	}
	pthread_mutex_lock(&flood->lock);
	flood->drains++;
	pthread_cond_broadcast(&flood->drained);
	pthread_mutex_unlock(&flood->lock);
	return n;
}

FIXTURE(flood) {
	struct flood f;
};

FIXTURE_SETUP(flood)
{
	self->f.file = memfd_create("afsync", MFD_CLOEXEC);
	need(self->f.file >= 0);
	self->f.per_thread = rounds(1000000) / THREADS;
	self->f.seen = calloc(self->f.per_thread, THREADS);
	need(self->f.seen);
	pthread_mutex_init(&self->f.lock, NULL);
	pthread_cond_init(&self->f.drained, NULL);
	ring_open(&self->f.ring, SMALL_RING);
}

FIXTURE_TEARDOWN(flood)
{
	ring_close(&self->f.ring);
	close(self->f.file);
}

TEST_F_TIMEOUT(flood, million_requests_of_four_threads_complete_once_each_in_a_ring_of_eight,
	       LONG_TIMEOUT)
{
	unsigned int total = self->f.per_thread * THREADS, done = 0, i, wrong = 0;
	struct flooder flooders[THREADS];
	pthread_t threads[THREADS];
	struct afsync_cqe cqe;

	for (i = 0; i < THREADS; i++) {
		flooders[i].flood = &self->f;
		flooders[i].first = i * self->f.per_thread;
		threads[i] = thread_start(flood_thread, &flooders[i]);
	}
	while (done < total)
		done += flood_read(&self->f, total);
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);

	for (i = 0; i < total; i++)
		wrong += self->f.seen[i] != 1;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(total, done);
	EXPECT_FALSE(ring_take(&self->f.ring, &cqe));
	EXPECT_EQ(-ETIME, afsync_cmd_wait(self->f.ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	/* Otherwise the ring was never full, and the test shows little. */
	EXPECT_NE(0, self->f.refused);
}

TEST(reader_that_stops_gets_EAGAIN_and_loses_nothing)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);
	unsigned int i, next = 0, seen = 0;
	struct afsync_cqe cqe;
	long long submitted;
	struct ring ring;

	ring_open(&ring, SMALL_RING);
	for (; next < SMALL_RING; next++)
		ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, next));
	ring_wait(&ring, SMALL_RING);

	submitted = counter("submitted");
	for (i = 0; i < 100; i++)
		ASSERT_EQ(-EAGAIN, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 99));
	EXPECT_EQ(submitted, counter("submitted"));
	EXPECT_EQ(SMALL_RING, ring_ready(&ring));

	/* Each entry that is read makes room for exactly one. */
	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(ring_take(&ring, &cqe));
		ASSERT_EQ(seen++, cqe.user_data);
		ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, next++));
		ASSERT_EQ(-EAGAIN, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 99));
		ring_wait(&ring, SMALL_RING);
	}
	while (ring_take(&ring, &cqe))
		ASSERT_EQ(seen++, cqe.user_data);
	EXPECT_EQ(next, seen);
	ring_close(&ring);
}

TEST(array_longer_than_the_free_slots_is_queued_up_to_them)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct afsync_sqe sqes[SMALL_RING + 4];
	struct afsync_cqe cqe;
	unsigned int i;
	struct ring ring;
	__s32 error;

	ring_open(&ring, SMALL_RING);
	for (i = 0; i < ARRAY_SIZE(sqes); i++)
		sqes[i] = sqe_of(file, AFSYNC_OP_FSYNC, i);
	ASSERT_EQ(SMALL_RING, ring_submit(&ring, sqes, ARRAY_SIZE(sqes), &error));
	EXPECT_EQ(-EAGAIN, error);
	ring_wait(&ring, SMALL_RING);
	for (i = 0; i < SMALL_RING; i++) {
		ASSERT_TRUE(ring_take(&ring, &cqe));
		EXPECT_EQ(i, cqe.user_data);
	}
	EXPECT_EQ(-ETIME, afsync_cmd_wait(ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	ring_close(&ring);
}

TEST(array_with_a_bad_request_is_queued_up_to_it)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct afsync_sqe sqes[5];
	struct afsync_cqe cqe;
	long long submitted;
	unsigned int i;
	struct ring ring;
	__s32 error;

	ring_open(&ring, SMALL_RING);
	for (i = 0; i < ARRAY_SIZE(sqes); i++)
		sqes[i] = sqe_of(file, AFSYNC_OP_FSYNC, i);
	sqes[2].fd = -1;
	submitted = counter("submitted");
	ASSERT_EQ(2, ring_submit(&ring, sqes, ARRAY_SIZE(sqes), &error));
	EXPECT_EQ(-EBADF, error);
	EXPECT_EQ(submitted + 2, counter("submitted"));
	EXPECT_EQ(0, ring_next(&ring).user_data);
	EXPECT_EQ(1, ring_next(&ring).user_data);
	EXPECT_EQ(-ETIME, afsync_cmd_wait(ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));

	/* An invalid first request: its errno is returned, and the whole ring is free. */
	ASSERT_EQ(-EBADF, ring_submit(&ring, sqes + 2, 3, &error));
	EXPECT_EQ(-EBADF, error);
	for (i = 0; i < SMALL_RING; i++)
		ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, i));
	ring_wait(&ring, SMALL_RING);
	while (ring_take(&ring, &cqe))
		EXPECT_EQ(0, cqe.res);
	ring_close(&ring);
}

TEST(ring_has_the_next_power_of_two_of_slots)
{
	static const __u32 asked[] = { 1, 2, 3, 5, 100, 32767, 32768 };
	static const __u32 given[] = { 1, 2, 4, 8, 128, 32768, 32768 };
	unsigned int i;
	struct ring ring;

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		ring_open(&ring, asked[i]);
		EXPECT_EQ(given[i], ring.entries);
		EXPECT_EQ(given[i], ring.header->entries);
		EXPECT_EQ(given[i] - 1, ring.header->mask);
		ring_close(&ring);
	}
}

FIXTURE(held) {
	struct stage s;
};

FIXTURE_SETUP(held)
{
	STAGE_SETUP(&self->s, "afsync_sim", SMALL_RING);
}

FIXTURE_TEARDOWN(held)
{
	stage_close(&self->s);
}

TEST_F(held, request_in_flight_keeps_its_slot)
{
	struct afsync_cqe cqe;
	unsigned int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < SMALL_RING; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(-EAGAIN, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 99));
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, SMALL_RING);
	for (i = 0; i < SMALL_RING; i++) {
		ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
		EXPECT_EQ(i, cqe.user_data);
	}
}

TEST_F(held, cancelled_request_completes_once_and_gives_its_slot_back)
{
	struct afsync_cqe cqe;
	unsigned int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 1; i < SMALL_RING; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(SMALL_RING - 1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_ALL,
						    0, 0, NULL));
	ring_wait(&self->s.ring, SMALL_RING - 1);
	for (i = 1; i < SMALL_RING; i++) {
		ASSERT_TRUE(ring_take(&self->s.ring, &cqe));
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	for (i = 1; i < SMALL_RING; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i));
	ASSERT_EQ(-EAGAIN, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 99));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_wait(&self->s.ring, SMALL_RING);
}

TEST_HARNESS_MAIN
