// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads of libafsync while memory runs out, at each of their allocations: a call reports
 * it, nothing is lost or half-queued, and the same call succeeds as soon as there is memory.
 */
#include "engine.h"
#include "memory.h"

FIXTURE(memory) {
	struct scene s;
};

FIXTURE_SETUP(memory)
{
	SCENE_SETUP(&self->s, AFSYNC_INIT_THREADS, 8);
}

FIXTURE_TEARDOWN(memory)
{
	scene_close(&self->s);
}

/* Counts a result that is @error as refused; any other has to be @expected. */
static int refused(int ret, int error, int expected)
{
	need(ret == error || ret == expected);
	return ret == error;
}

static struct afsync_ring *ring_made(const struct scene *s, struct memory *memory, int *count)
{
	struct afsync_ring *ring;

	if (!refused(afsync_queue_init(1024, &ring, s->engine), -ENOMEM, 0))
		return ring;
	++*count;
	memory_unlimit(memory);
	need(afsync_queue_init(1024, &ring, s->engine) == 0);
	return ring;
}

/* A request, and a wait for it. */
static int sync_once(void *arg, size_t spare)
{
	struct scene *s = arg;
	struct memory memory;
	struct afsync_ring *ring;
	struct afsync_cqe *cqe;
	int count = 0, ret;

	memory_limit(&memory, spare);
	ring = ring_made(s, &memory, &count);
	prepare(ring, s->file, 1);
	ret = afsync_submit(ring);
	if (refused(ret, -EAGAIN, 1)) {
		count++;
		need(afsync_sq_ready(ring) == 1 && !afsync_cq_ready(ring));
		memory_unlimit(&memory);
		need(afsync_submit(ring) == 1);
	}
	ret = afsync_wait_cqe(ring, &cqe);
	if (refused(ret, -ENOMEM, 0)) {
		count++;
		memory_unlimit(&memory);
		need(afsync_wait_cqe(ring, &cqe) == 0);
	}
	need(cqe->user_data == 1 && cqe->res == 0);
	afsync_cqe_seen(ring, cqe);
	memory_unlimit(&memory);
	queue(ring, s->file, AFSYNC_OP_FSYNC, 2);
	need(next_cqe(ring).user_data == 2);
	afsync_queue_exit(ring);
	return count;
}

TEST_F_TIMEOUT(memory, request_is_refused_or_synced, LONG_TIMEOUT)
{
	EXPECT_LT(1, walk_memory(sync_once, &self->s));
}

/* A descriptor to poll, and an eventfd. */
static int watch_once(void *arg, size_t spare)
{
	int event = eventfd(0, EFD_CLOEXEC), count = 0, fd;
	struct scene *s = arg;
	struct memory memory;
	struct afsync_ring *ring;
	bool registered;

	need(event >= 0);
	memory_limit(&memory, spare);
	ring = ring_made(s, &memory, &count);
	registered = !refused(afsync_register_eventfd(ring, event), -ENOMEM, 0);
	count += !registered;
	fd = afsync_ring_fd(ring);
	count += fd < 0 && refused(fd, -ENOMEM, 0);
	memory_unlimit(&memory);
	need(afsync_register_eventfd(ring, event) == (registered ? -EBUSY : 0));
	need(afsync_ring_fd(ring) >= 0);
	queue(ring, s->file, AFSYNC_OP_FSYNC, 1);
	need(event_read(event) == 1);
	poll_wait(afsync_ring_fd(ring));
	need(next_cqe(ring).user_data == 1);
	afsync_queue_exit(ring);
	close(event);
	return count;
}

TEST_F_TIMEOUT(memory, descriptor_to_wait_for_is_refused_or_works, LONG_TIMEOUT)
{
	EXPECT_LT(1, walk_memory(watch_once, &self->s));
}

TEST_HARNESS_MAIN
