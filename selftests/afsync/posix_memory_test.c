// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix while memory runs out, at each of its allocations: NetBSD, AIX, illumos: EAGAIN,
 * the request was not queued for the lack of resources. What was queued ends, and the same call
 * succeeds as soon as there is memory.
 *
 * Needs afsync_sim.
 */
#include <stdatomic.h>

#include "posix.h"
#include "memory.h"

FIXTURE(memory) {
	struct stage s;
};

FIXTURE_SETUP(memory)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(memory)
{
	stage_close(&self->s);
}

/* Without memory for a ring, a program's first request chooses glibc, and all others follow. */
static void choose_device(const struct stage *s)
{
	int other = world_open(&s->world, "other", O_RDWR);

	need(sync_now(O_SYNC, other) == 0);
	close(other);
}

static int sync_once(void *arg, size_t spare)
{
	struct stage *s = arg;
	struct aiocb sync = block_of(s->file);
	struct memory memory;
	int ret;

	memory_limit(&memory, spare);
	ret = sync_queue(O_SYNC, &sync);
	need(ret == 0 || ret == -EAGAIN);
	if (!ret)
		need(block_end(&sync) == 0);
	memory_unlimit(&memory);
	need(sync_queue(O_SYNC, &sync) == 0 && block_end(&sync) == 0);
	return ret != 0;
}

TEST_F_TIMEOUT(memory, sync_is_refused_or_ends, LONG_TIMEOUT)
{
	int children = walk_memory(sync_once, &self->s);

	EXPECT_LT(1, children);
	/* Those that were refused have synced once only, the last child twice. */
	EXPECT_EQ(children + 2, (int)sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* The sync waits for the write, so it is queued in the library first. */
static int sync_behind_a_write(void *arg, size_t spare)
{
	struct stage *s = arg;
	struct aiocb write = transfer_of(s->file, "x", 1, 0), sync = block_of(s->file);
	int written, synced;
	struct memory memory;

	choose_device(s);
	memory_limit(&memory, spare);
	written = write_queue(&write);
	need(written == 0 || written == -EAGAIN);
	synced = sync_queue(O_DSYNC, &sync);
	need(synced == 0 || synced == -EAGAIN);
	if (!written)
		need(block_end(&write) == 1);
	if (!synced)
		need(block_end(&sync) == 0);
	memory_unlimit(&memory);
	need(write_queue(&write) == 0 && sync_queue(O_DSYNC, &sync) == 0);
	need(block_end(&write) == 1 && block_end(&sync) == 0);
	return (written != 0) + (synced != 0);
}

TEST_F_TIMEOUT(memory, write_and_the_sync_behind_it_are_refused_or_end, LONG_TIMEOUT)
{
	EXPECT_LE(1, walk_memory(sync_behind_a_write, &self->s));
}

static atomic_int notified;

static void notify(union sigval value)
{
	(void)value;
	notified++;
}

static int list_of_one(void *arg, size_t spare)
{
	struct stage *s = arg;
	struct aiocb write = transfer_of(s->file, "x", 1, 0), *list[] = { &write };
	struct memory memory;
	int ret, error;

	choose_device(s);
	write.aio_lio_opcode = LIO_WRITE;
	memory_limit(&memory, spare);
	ret = lio_listio(LIO_WAIT, list, 1, NULL);
	error = errno;
	memory_unlimit(&memory);
	need(ret == 0 || error == EAGAIN || error == EIO);
	if (!ret)
		need(aio_error(&write) == 0 && aio_return(&write) == 1);
	need(lio_listio(LIO_WAIT, list, 1, NULL) == 0);
	need(aio_error(&write) == 0 && aio_return(&write) == 1);
	return ret != 0;
}

TEST_F_TIMEOUT(memory, list_is_refused_or_ends, LONG_TIMEOUT)
{
	EXPECT_LE(1, walk_memory(list_of_one, &self->s));
}

static int sync_that_notifies(void *arg, size_t spare)
{
	struct stage *s = arg;
	struct aiocb sync = block_of(s->file);
	struct memory memory;
	int ret, wanted = 1;

	choose_device(s);
	sync.aio_sigevent.sigev_notify = SIGEV_THREAD;
	sync.aio_sigevent.sigev_notify_function = notify;
	memory_limit(&memory, spare);
	ret = sync_queue(O_SYNC, &sync);
	need(ret == 0 || ret == -EAGAIN);
	if (!ret) {
		need(block_end(&sync) == 0);
		wanted++;
	}
	memory_unlimit(&memory);
	need(sync_queue(O_SYNC, &sync) == 0 && block_end(&sync) == 0);
	/* Also the thread that could not be had while there was no memory. */
	while (notified < wanted)
		sched_yield();
	return ret != 0;
}

TEST_F_TIMEOUT(memory, notification_is_refused_with_its_sync_or_comes, LONG_TIMEOUT)
{
	EXPECT_LE(1, walk_memory(sync_that_notifies, &self->s));
}

TEST_HARNESS_MAIN
