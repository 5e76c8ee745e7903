// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: a sync runs at the I/O priority of the calling process minus
 * aio_reqprio.
 *
 * NetBSD: if _POSIX_PRIORITIZED_IO is defined, and the descriptor supports it, then the
 * enqueued operation is submitted at a priority equal to that of the calling process
 * minus aiocbp->aio_reqprio.
 *
 * Linux numbers I/O priorities in reverse: level 0 is the highest, 7 the lowest.
 *
 * Needs afsync_sim and root (for the real-time class).
 */
#include "posix.h"

#include <linux/ioprio.h>

FIXTURE(priority) {
	struct stage s;
};

FIXTURE_SETUP(priority)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(priority)
{
	stage_close(&self->s);
}

static void ioprio_set_own(int class, int level)
{
	need(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		     IOPRIO_PRIO_VALUE(class, level)) == 0);
}

/* Syncs with that aio_reqprio: the priority that the test filesystem saw, or -errno. */
static int ioprio_seen(struct stage *s, int reqprio)
{
	struct aiocb block = block_of(s->file);
	int ret;

	block.aio_reqprio = reqprio;
	ret = sync_queue(O_SYNC, &block);
	if (!ret)
		ret = block_end(&block);
	return ret ? ret : (int)sim_last_call(s->ctl).ioprio;
}

TEST_F(priority, sync_has_the_priority_of_the_caller_minus_aio_reqprio)
{
	static const struct {
		int class, level, reqprio, seen;
	} cases[] = {
		{ IOPRIO_CLASS_BE, 2, 0, 2 }, { IOPRIO_CLASS_BE, 2, 1, 3 },
		{ IOPRIO_CLASS_BE, 2, 5, 7 }, { IOPRIO_CLASS_BE, 2, 6, 7 },
		{ IOPRIO_CLASS_BE, 2, 20, 7 }, { IOPRIO_CLASS_BE, 0, 7, 7 },
		{ IOPRIO_CLASS_BE, 7, 0, 7 }, { IOPRIO_CLASS_BE, 7, 20, 7 },
		{ IOPRIO_CLASS_RT, 1, 0, 1 }, { IOPRIO_CLASS_RT, 1, 3, 4 },
	};
	unsigned int i;
	int seen;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ioprio_set_own(cases[i].class, cases[i].level);
		seen = ioprio_seen(&self->s, cases[i].reqprio);
		EXPECT_EQ(IOPRIO_PRIO_VALUE(cases[i].class, cases[i].seen), seen) {
			TH_LOG("case %u", i);
		}
	}
}

/* There is nothing below idle. */
TEST_F(priority, idle_caller_stays_idle)
{
	ioprio_set_own(IOPRIO_CLASS_IDLE, 0);
	EXPECT_EQ(IOPRIO_CLASS_IDLE, IOPRIO_PRIO_CLASS(ioprio_seen(&self->s, 0)));
	EXPECT_EQ(IOPRIO_CLASS_IDLE, IOPRIO_PRIO_CLASS(ioprio_seen(&self->s, 3)));
}

/* A caller that has set none has best effort, level 4 (ioprio_set(2), at nice 0). */
TEST_F(priority, caller_without_a_priority_is_lowered_from_the_default)
{
	EXPECT_EQ(IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6), ioprio_seen(&self->s, 2));
	EXPECT_EQ(IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7), ioprio_seen(&self->s, 20));
}

/* AIX, illumos: all other members are ignored, so none of these is an error. */
TEST_F(priority, impossible_aio_reqprio_is_no_error_of_a_sync)
{
	static const int values[] = { -1, 21, 1000, INT_MAX, INT_MIN };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		EXPECT_LE(0, ioprio_seen(&self->s, values[i])) {
			TH_LOG("aio_reqprio %d", values[i]);
		}
}

/* The priority at the call applies, even if the sync has to wait for a write. */
TEST_F(priority, sync_behind_a_write_has_the_priority_of_its_call)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	struct aiocb sync = block_of(self->s.file);

	ioprio_set_own(IOPRIO_CLASS_BE, 1);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sync.aio_reqprio = 2;
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	ioprio_set_own(IOPRIO_CLASS_BE, 7);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 3),
		  sim_last_call(self->s.ctl).ioprio);
	EXPECT_EQ(1, block_end(&write));
}

TEST_HARNESS_MAIN
