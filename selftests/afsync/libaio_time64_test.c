// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio: the functions that 32-bit programs with a 64-bit time_t call, for the
 * libaio of Debian 13. The libaio of Debian 12 has no such names, so they are looked up.
 *
 * Needs afsync_sim. Built for 32-bit programs only.
 */
#include "aio_common.h"

#include <dlfcn.h>
#include <linux/time_types.h>

#define VERSION	"LIBAIO_0.6"
/* Half of tv_nsec is padding: a program may have left these bytes in it. */
#define GARBAGE	(0x5a5a5a5aLL << 32)
/* Its lower half is 0: read as 32 bits, it would be over at once. */
#define CENTURIES	(1LL << 33)

FIXTURE(time64) {
	struct aio_stage s;
	struct iocb iocb;
	struct io_event event;
	int (*getevents)(io_context_t ctx, long min_nr, long nr, struct io_event *events,
			 struct __kernel_timespec *timeout);
	int (*pgetevents)(io_context_t ctx, long min_nr, long nr, struct io_event *events,
			  struct __kernel_timespec *timeout, sigset_t *mask);
};

FIXTURE_SETUP(time64)
{
	AIO_STAGE_SETUP(&self->s, 64);
	self->getevents = dlvsym(RTLD_DEFAULT, "io_getevents_time64", VERSION);
	self->pgetevents = dlvsym(RTLD_DEFAULT, "io_pgetevents_time64", VERSION);
	ASSERT_NE(NULL, self->getevents);
	ASSERT_NE(NULL, self->pgetevents);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	need(submit_sync(self->s.ctx, &self->iocb, self->s.file, false) == 1);
}

FIXTURE_TEARDOWN(time64)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	aio_stage_close(&self->s);
}

static int get(FIXTURE_DATA(time64) *self, bool masked, struct __kernel_timespec *timeout)
{
	sigset_t mask;

	if (!masked)
		return self->getevents(self->s.ctx, 1, 1, &self->event, timeout);
	sigemptyset(&mask);
	return self->pgetevents(self->s.ctx, 1, 1, &self->event, timeout, &mask);
}

/* Releases the sync when the thread with the given number waits. */
static FIXTURE_DATA(time64) *letting_go;

static void *let_go(void *arg)
{
	thread_wait_asleep(*(pid_t *)arg);
	sim_let_go(letting_go->s.ctl, SIM_GATE_FSYNC);
	return NULL;
}

static void expect_timeouts(struct __test_metadata *_metadata, FIXTURE_DATA(time64) *self,
			    bool masked)
{
	struct __kernel_timespec at_once = { .tv_nsec = GARBAGE };
	struct __kernel_timespec moment = { .tv_nsec = GARBAGE | 30000000 };
	struct __kernel_timespec ages = { CENTURIES, GARBAGE };
	pid_t tid = thread_id();
	pthread_t thread;
	__u64 before;

	EXPECT_EQ(0, get(self, masked, &at_once));
	before = now_ns();
	EXPECT_EQ(0, get(self, masked, &moment));
	EXPECT_LE(30000000, now_ns() - before);

	letting_go = self;
	thread = thread_start(let_go, &tid);
	EXPECT_EQ(1, get(self, masked, &ages));
	thread_join(thread);
	EXPECT_EQ(&self->iocb, self->event.obj);
	EXPECT_EQ(0, (long)self->event.res);
}

TEST_F(time64, timeouts_of_getevents_have_64_bits)
{
	expect_timeouts(_metadata, self, false);
}

TEST_F(time64, timeouts_of_pgetevents_have_64_bits)
{
	expect_timeouts(_metadata, self, true);
}

TEST_F(time64, no_timeout_is_for_ever)
{
	pid_t tid = thread_id();
	pthread_t thread;

	letting_go = self;
	thread = thread_start(let_go, &tid);
	EXPECT_EQ(1, get(self, false, NULL));
	thread_join(thread);
	EXPECT_EQ(&self->iocb, self->event.obj);
}

TEST_HARNESS_MAIN
