// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exactly one completion, on both engines of libafsync: every queued request completes
 * once; if the ring is full, the submit says -EAGAIN and queues nothing.
 */
#include "engine.h"

#define ENTRIES		8
#define THREADS		4

FIXTURE(one) {
	struct scene s;
};

FIXTURE_ENGINES(one);

FIXTURE_SETUP(one)
{
	SCENE_SETUP(&self->s, variant->engine, ENTRIES);
}

FIXTURE_TEARDOWN(one)
{
	scene_close(&self->s);
}

/* No completion is unread, or still to come. */
static void expect_nothing(struct __test_metadata *_metadata, struct afsync_ring *ring)
{
	struct afsync_cqe *cqe;

	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_all(ring)));
	EXPECT_EQ(0, LIB(afsync_cq_ready(ring)));
	EXPECT_EQ(-EAGAIN, LIB(afsync_peek_cqe(ring, &cqe)));
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(ring, &cqe, 1, &moment, NULL)));
}

TEST_F(one, engine_is_the_one_that_was_asked_for)
{
	EXPECT_EQ(is_device(&self->s) ? AFSYNC_ENGINE_DEVICE : AFSYNC_ENGINE_THREADS,
		  LIB(afsync_ring_engine(self->s.ring)));
}

TEST_F(one, full_ring_is_EAGAIN_and_nothing_is_queued)
{
	unsigned int i, next = 0, seen = 0;

	for (; next < ENTRIES; next++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, next);
	prepare(self->s.ring, self->s.file, 99);
	/* Whether they run, or are unread. */
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
	need(afsync_wait_cqes(self->s.ring, NULL, ENTRIES, NULL, NULL) == 0);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(1, LIB(afsync_sq_ready(self->s.ring)));
	EXPECT_EQ(ENTRIES, LIB(afsync_cq_ready(self->s.ring)));
	need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);

	/* Each entry that is read makes room for exactly one. */
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(seen++, next_cqe(self->s.ring).user_data);
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, next++);
		prepare(self->s.ring, self->s.file, 99);
		ASSERT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
		need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
		need(afsync_wait_cqes(self->s.ring, NULL, ENTRIES, NULL, NULL) == 0);
	}
	while (seen < next)
		ASSERT_EQ(seen++, next_cqe(self->s.ring).user_data);
	expect_nothing(_metadata, self->s.ring);
}

TEST_F(one, request_in_flight_keeps_its_entry)
{
	unsigned int i;

	gate_close(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < ENTRIES; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	prepare(self->s.ring, self->s.file, 99);
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(0, LIB(afsync_cq_ready(self->s.ring)));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
	expect_nothing(_metadata, self->s.ring);
}

TEST_F(one, array_longer_than_the_free_entries_is_queued_up_to_them)
{
	unsigned int i;

	for (i = 0; i < 5; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	for (i = 5; i < 5 + ENTRIES; i++)
		prepare(self->s.ring, self->s.file, i);
	EXPECT_EQ(ENTRIES - 5, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(5, LIB(afsync_sq_ready(self->s.ring)));
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(5, LIB(afsync_submit(self->s.ring)));
	for (; i < 5 + ENTRIES; i++)
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
	expect_nothing(_metadata, self->s.ring);
}

TEST_F(one, cancelled_request_completes_once_and_gives_its_entry_back)
{
	unsigned int i, round;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (round = 0; round < 3; round++) {
		for (i = 1; i < ENTRIES; i++)
			queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		prepare(self->s.ring, self->s.file, 99);
		ASSERT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
		need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
		ASSERT_EQ(ENTRIES - 1, LIB(afsync_cancel_all(self->s.ring)));
		for (i = 1; i < ENTRIES; i++)
			EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
		EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
	}
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	expect_nothing(_metadata, self->s.ring);
}

TEST_F(one, end_of_the_ring_waits_for_what_runs_and_starts_nothing_more)
{
	unsigned int i;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i < 4; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	need(afsync_cancel_all(self->s.ring) == 3);
	for (i = 4; i < 5; i++)
		queue_held(self->s.ring, self->s.file, i);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	errno = 4711;
	afsync_queue_exit(self->s.ring);
	EXPECT_EQ(4711, errno);
	EXPECT_EQ(1, syncs_finished(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	self->s.ring = NULL;
}

/* The reader looks all the time, so that it sees each entry at the first moment it can. */
TEST_F(one, entry_is_whole_as_soon_as_it_can_be_seen)
{
	unsigned int i, j, n = rounds(2000), wrong = 0;
	struct afsync_cqe *cqe;

	for (i = 0; i < n; i++) {
		for (j = 0; j < ENTRIES; j++)
			prepare(self->s.ring, self->s.file, i * ENTRIES + j);
		need(afsync_submit(self->s.ring) == ENTRIES);
		for (j = 0; j < ENTRIES; j++) {
			while (afsync_peek_cqe(self->s.ring, &cqe))
				;
			wrong += cqe->user_data != i * ENTRIES + j || cqe->res;
			afsync_cqe_seen(self->s.ring, cqe);
		}
	}
	EXPECT_EQ(0, wrong);
}

/* --- many threads, and a ring of eight --- */

struct flood {
	struct afsync_ring *ring;
	int files[2];
	unsigned int total;
	unsigned int next;	/* under the lock, as is the submitter's side of the ring */
	unsigned int refused;
	unsigned int drains;	/* times that the reader made room */
	pthread_mutex_t lock;
	pthread_cond_t drained;
};

/* One turn of a thread: up to five more, and all that are prepared. Under the lock. */
static void flood_submit(struct flood *flood)
{
	unsigned int drains = flood->drains, ready, i;
	struct afsync_sqe *sqe;
	int ret;

	for (i = 0; i < 5 && flood->next < flood->total; i++) {
		sqe = afsync_get_sqe(flood->ring);
		if (!sqe)
			break;
		afsync_prep_fdatasync(sqe, flood->files[flood->next % 2]);
		afsync_sqe_set_data64(sqe, flood->next++);
	}
	ready = afsync_sq_ready(flood->ring);
	ret = afsync_submit(flood->ring);
	if (ret >= 0) {
		need(afsync_sq_ready(flood->ring) == ready - ret);
		return;
	}
	need(ret == -EAGAIN && afsync_sq_ready(flood->ring) == ready);
	flood->refused++;
	/* The look comes before the reads of the entries that fill the ring, so the count moves. */
	while (flood->drains == drains)
		pthread_cond_wait(&flood->drained, &flood->lock);
}

static void *flood_thread(void *arg)
{
	struct flood *flood = arg;
	bool more = true;

	while (more) {
		pthread_mutex_lock(&flood->lock);
		more = flood->next < flood->total || afsync_sq_ready(flood->ring);
		if (more)
			flood_submit(flood);
		pthread_mutex_unlock(&flood->lock);
	}
	return NULL;
}

/* Returns how many it took; counts each. */
static unsigned int flood_take(struct flood *flood, unsigned char *seen)
{
	struct afsync_cqe *cqe;
	unsigned int head, n = 0;

	need(afsync_wait_cqe(flood->ring, &cqe) == 0);
	afsync_for_each_cqe(flood->ring, head, cqe) {
		need(cqe->user_data < flood->total && cqe->res == 0);
		seen[cqe->user_data]++;
		n++;
	}
	afsync_cq_advance(flood->ring, n);
	pthread_mutex_lock(&flood->lock);
	flood->drains++;
	pthread_cond_broadcast(&flood->drained);
	pthread_mutex_unlock(&flood->lock);
	return n;
}

TEST_F(one, requests_of_four_threads_complete_once_each_in_a_ring_of_eight)
{
	struct flood flood = {
		.ring = self->s.ring, .total = rounds(5000),
		.lock = PTHREAD_MUTEX_INITIALIZER, .drained = PTHREAD_COND_INITIALIZER,
	};
	unsigned char *seen = calloc(flood.total, 1);
	unsigned int i, done = 0, wrong = 0;
	pthread_t threads[THREADS];

	need(seen);
	flood.files[0] = self->s.file;
	flood.files[1] = scene_file(&self->s, "other", O_RDWR);
	for (i = 0; i < THREADS; i++)
		threads[i] = thread_start(flood_thread, &flood);
	while (done < flood.total)
		done += flood_take(&flood, seen);
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (i = 0; i < flood.total; i++)
		wrong += seen[i] != 1;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(flood.total, done);
	/* Otherwise the ring was never full, and the test shows little. */
	EXPECT_NE(0, flood.refused);
	expect_nothing(_metadata, self->s.ring);
	close(flood.files[1]);
	free(seen);
}

/* Each thread has a ring of its own, for one file that all share. */
struct loner {
	const struct scene *scene;
	unsigned int count;
	unsigned int wrong;
};

static void *loner_thread(void *arg)
{
	struct loner *loner = arg;
	struct afsync_ring *ring = new_ring(loner->scene, ENTRIES);
	unsigned int i, j;

	for (i = 0; i < loner->count; i += ENTRIES) {
		for (j = 0; j < ENTRIES; j++)
			prepare(ring, loner->scene->file, i + j);
		need(afsync_submit_and_wait(ring, ENTRIES) == ENTRIES);
		for (j = 0; j < ENTRIES; j++)
			loner->wrong += next_cqe(ring).user_data != i + j;
		loner->wrong += afsync_cq_ready(ring) != 0;
	}
	afsync_queue_exit(ring);
	return NULL;
}

TEST_F(one, threads_with_a_ring_each_get_their_own_completions)
{
	struct loner loners[THREADS];
	pthread_t threads[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		loners[i] = (struct loner) { &self->s, rounds(1000), 0 };
		threads[i] = thread_start(loner_thread, &loners[i]);
	}
	for (i = 0; i < THREADS; i++) {
		thread_join(threads[i]);
		EXPECT_EQ(0, loners[i].wrong);
	}
}

TEST_HARNESS_MAIN
