// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: aio_cancel by a control block and by the descriptor, with all three
 * answers; by the descriptor in one step.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

FIXTURE(cancel) {
	struct stage s;
	struct aiocb running;	/* a sync that has begun and is at the gate */
};

FIXTURE_SETUP(cancel)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->running = block_of(self->s.file);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	need(sync_queue(O_SYNC, &self->running) == 0);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
}

FIXTURE_TEARDOWN(cancel)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	block_wait(&self->running);
	stage_close(&self->s);
}

TEST_F(cancel, queued_sync_is_cancelled_by_its_block)
{
	struct aiocb queued = block_of(self->s.file), next = block_of(self->s.file);

	ASSERT_EQ(0, sync_queue(O_SYNC, &queued));
	ASSERT_EQ(0, sync_queue(O_DSYNC, &next));
	EXPECT_EQ(AIO_CANCELED, aio_cancel(self->s.file, &queued));
	/* The answer comes at once, though the file's sync is held. */
	EXPECT_EQ(ECANCELED, aio_error(&queued));
	EXPECT_EQ(-1, aio_return(&queued));
	EXPECT_EQ(EINPROGRESS, aio_error(&self->running));
	EXPECT_EQ(EINPROGRESS, aio_error(&next));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&self->running));
	EXPECT_EQ(0, block_end(&next));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(cancel, running_sync_is_not_cancelled_and_ends_normally)
{
	EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(self->s.file, &self->running));
	EXPECT_EQ(EINPROGRESS, aio_error(&self->running));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&self->running));
}

TEST_F(cancel, sync_that_has_ended_is_alldone)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_wait(&self->running));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(self->s.file, &self->running));
	EXPECT_EQ(0, aio_error(&self->running));
	EXPECT_EQ(0, aio_return(&self->running));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(self->s.file, &self->running));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(self->s.file, NULL));
}

TEST_F(cancel, by_descriptor_what_can_be_is_and_what_runs_is_told)
{
	struct aiocb queued[10];
	int i;

	for (i = 0; i < 10; i++) {
		queued[i] = block_of(self->s.file);
		ASSERT_EQ(0, sync_queue(i % 2 ? O_SYNC : O_DSYNC, &queued[i]));
	}
	EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(self->s.file, NULL));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(ECANCELED, aio_error(&queued[i]));
		EXPECT_EQ(-1, aio_return(&queued[i]));
	}
	EXPECT_EQ(EINPROGRESS, aio_error(&self->running));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&self->running));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* "Requests against file descriptor fildes": a dup'd descriptor has its own. */
TEST_F(cancel, by_descriptor_only_its_own_are_cancelled)
{
	int other = dup(self->s.file);
	struct aiocb mine = block_of(other), theirs = block_of(self->s.file);

	ASSERT_EQ(0, sync_queue(O_SYNC, &mine));
	ASSERT_EQ(0, sync_queue(O_SYNC, &theirs));
	EXPECT_EQ(AIO_CANCELED, aio_cancel(other, NULL));
	EXPECT_EQ(ECANCELED, aio_error(&mine));
	EXPECT_EQ(EINPROGRESS, aio_error(&theirs));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(other, NULL));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&theirs));
	EXPECT_EQ(-ECANCELED, block_end(&mine));
	close(other);
}

TEST_F(cancel, descriptor_that_is_not_valid_is_ebadf)
{
	int closed = dup(self->s.file);

	close(closed);
	EXPECT_EQ(-1, aio_cancel(-1, NULL));
	EXPECT_EQ(EBADF, errno);
	errno = 0;
	EXPECT_EQ(-1, aio_cancel(closed, NULL));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(EINPROGRESS, aio_error(&self->running));
}

/* POSIX: EBADF, the fildes argument is not a valid file descriptor. */
TEST_F(cancel, block_of_a_descriptor_that_is_closed_is_ebadf)
{
	errno = 0;
	EXPECT_EQ(-1, aio_cancel(-1, &self->running));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(EINPROGRESS, aio_error(&self->running));
}

TEST_F(cancel, block_of_another_descriptor_is_einval)
{
	errno = 0;
	EXPECT_EQ(-1, aio_cancel(self->s.ctl, &self->running));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(EINPROGRESS, aio_error(&self->running));
}

TEST_F(cancel, descriptor_without_requests_is_alldone)
{
	int other = world_open(&self->s.world, "other", O_RDWR);

	EXPECT_EQ(AIO_ALLDONE, aio_cancel(other, NULL));
	close(other);
}

TEST_F(cancel, sync_that_waits_for_an_earlier_write_is_cancelled_without_the_write)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct aiocb write = transfer_of(other, "x", 1, 0), sync = block_of(other);

	sim_hold(other, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(other, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(AIO_CANCELED, aio_cancel(other, &sync));
	EXPECT_EQ(ECANCELED, aio_error(&sync));
	EXPECT_EQ(EINPROGRESS, aio_error(&write));
	EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(other, &write));
	sim_let_go(other, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(-ECANCELED, block_end(&sync));
	EXPECT_EQ(0, sync_now(O_SYNC, other));
	EXPECT_EQ(1, sim_started(other, SIM_GATE_FSYNC));
	close(other);
}

/* More writes than there are threads: those that have not begun can be cancelled. */
TEST_F(cancel, writes_that_have_not_begun_are_cancelled_and_the_sync_waits_for_the_rest)
{
	int other = world_open(&self->s.world, "other", O_RDWR), i, end;
	struct aiocb writes[60], sync;
	unsigned int cancelled = 0;

	sim_hold(other, SIM_GATE_WRITE);
	for (i = 0; i < 60; i++) {
		writes[i] = transfer_of(other, "x", 1, i);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	sync = block_of(other);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_wait_started(other, SIM_GATE_WRITE, 1);
	for (i = 0; i < 60; i++) {
		end = aio_cancel(other, &writes[i]);
		EXPECT_TRUE(end == AIO_CANCELED || end == AIO_NOTCANCELED);
		cancelled += end == AIO_CANCELED;
		EXPECT_EQ(end == AIO_CANCELED ? ECANCELED : EINPROGRESS,
			  aio_error(&writes[i]));
	}
	EXPECT_LE(1, cancelled);
	EXPECT_GT(60, cancelled);
	EXPECT_TRUE(block_stays(&sync, &self->s.ring, other));
	sim_let_go(other, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(60 - cancelled, sim_last_call(other).writes);
	EXPECT_EQ(60 - cancelled, sim_started(other, SIM_GATE_WRITE));
	for (i = 0; i < 60; i++) {
		end = block_end(&writes[i]);
		EXPECT_TRUE(end == 1 || end == -ECANCELED);
	}
	close(other);
}

/* The block is the program's again when the answer has come: it may queue it anew. */
TEST_F(cancel, block_can_be_used_again_at_once)
{
	struct aiocb block = block_of(self->s.file);
	unsigned int i, n = rounds(500);

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, sync_queue(O_SYNC, &block));
		ASSERT_EQ(AIO_CANCELED, aio_cancel(self->s.file, &block));
		ASSERT_EQ(ECANCELED, aio_error(&block));
		ASSERT_EQ(-1, aio_return(&block));
	}
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
}

/* POSIX: cancelled operations are notified, too, as requested. */
TEST_F(cancel, cancelled_sync_is_notified)
{
	struct aiocb block = block_of(self->s.file);
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	block.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	block.aio_sigevent.sigev_signo = SIGRTMIN;
	block.aio_sigevent.sigev_value.sival_int = 4;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	ASSERT_EQ(AIO_CANCELED, aio_cancel(self->s.file, &block));
	need(sigwaitinfo(&set, &info) == SIGRTMIN);
	EXPECT_EQ(4, info.si_value.sival_int);
	EXPECT_EQ(-ECANCELED, block_end(&block));
}

static void *suspend_thread(void *arg)
{
	const struct aiocb *list[] = { arg };

	return (void *)(long)aio_suspend(list, 1, NULL);
}

TEST_F(cancel, who_waits_for_the_cancelled_sync_is_woken)
{
	struct aiocb block = block_of(self->s.file);
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	thread = thread_start(suspend_thread, &block);
	ASSERT_EQ(AIO_CANCELED, aio_cancel(self->s.file, &block));
	need(pthread_join(thread, &ret) == 0);
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(-ECANCELED, block_end(&block));
}

/* In each order, each block ends exactly once, and as the answer said. */
TEST_F_TIMEOUT(cancel, race_with_the_end_gives_the_answer_that_holds, LONG_TIMEOUT)
{
	unsigned int i, n = rounds(3000), early = 0, wrong = 0;
	struct aiocb block;
	int ret, end;

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/* The first sync has the same descriptor: its answer would be part of the result. */
	ASSERT_EQ(0, block_wait(&self->running));
	for (i = 0; i < n; i++) {
		block = block_of(self->s.file);
		need(sync_queue(O_DSYNC, &block) == 0);
		if (i % 3 == 0)
			sched_yield();
		ret = aio_cancel(self->s.file, i % 2 ? &block : NULL);
		if (ret != AIO_NOTCANCELED)
			early += aio_error(&block) == EINPROGRESS;
		end = block_end(&block);
		if (end == (ret == AIO_CANCELED ? -ECANCELED : 0))
			continue;
		if (!wrong++)
			TH_LOG("round %u: answer %d, end %d", i, ret, end);
	}
	/* Both other answers say that it has ended. */
	EXPECT_EQ(0, early);
	EXPECT_EQ(0, wrong);
}

#define WRITES	200

/* The pipe contains the writes before the first cancelled one, and nothing else. */
TEST_F_TIMEOUT(cancel, no_write_is_done_after_a_cancelled_one, LONG_TIMEOUT)
{
	unsigned int i, j, n = rounds(200), cancelled, holes = 0, wrong = 0;
	char out[WRITES], in[WRITES];
	struct aiocb writes[WRITES];
	int ends[2], ret, end;
	ssize_t got;

	for (i = 0; i < WRITES; i++)
		out[i] = i;
	for (i = 0; i < n; i++) {
		need(pipe(ends) == 0);
		for (j = 0; j < WRITES; j++) {
			writes[j] = transfer_of(ends[1], out + j, 1, 0);
			need(write_queue(&writes[j]) == 0);
		}
		ret = aio_cancel(ends[1], NULL);
		for (cancelled = 0, j = 0; j < WRITES; j++) {
			/* Both other answers say that all have ended. */
			wrong += ret != AIO_NOTCANCELED &&
				 aio_error(&writes[j]) == EINPROGRESS;
			end = block_end(&writes[j]);
			holes += cancelled && end != -ECANCELED;
			cancelled += end == -ECANCELED;
		}
		if (ret == AIO_ALLDONE ? cancelled : ret == AIO_CANCELED && !cancelled)
			wrong++;
		need(close(ends[1]) == 0);
		got = read(ends[0], in, WRITES);
		need(close(ends[0]) == 0);
		holes += got != (ssize_t)(WRITES - cancelled) || memcmp(in, out, got);
		ASSERT_EQ(0, holes) {
			TH_LOG("round %u", i);
		}
		ASSERT_EQ(0, wrong) {
			TH_LOG("round %u", i);
		}
	}
}

/* Leaves one thread, which is busy with a write: no later request begins. */
static void busy_thread(struct aiocb *write, int file)
{
	const struct aioinit init = { .aio_threads = 1, .aio_num = 1 };

	aio_init(&init);
	sim_hold(file, SIM_GATE_WRITE);
	*write = transfer_of(file, "x", 1, 0);
	need(write_queue(write) == 0);
	sim_wait_started(file, SIM_GATE_WRITE, 1);
}

/*
 * The addresses of the blocks may decide which request is cancelled first: there, the
 * syncs are behind all writes.
 */
TEST_F(cancel, cancelling_writes_does_not_start_the_syncs_behind_them)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	unsigned int i, j, n = rounds(30), syncs;
	struct aiocb busy, blocks[200], *first;

	busy_thread(&busy, self->s.file);
	for (i = 0; i < n; i++) {
		first = &blocks[i * 7 % 100];
		for (syncs = 0, j = 0; j < 70; j++) {
			first[j] = transfer_of(other, "x", 1, j);
			need(write_queue(&first[j]) == 0);
			if (j % 5 != 4)
				continue;
			first[70 + syncs] = block_of(other);
			need(sync_queue(O_SYNC, &first[70 + syncs]) == 0);
			syncs++;
		}
		ASSERT_EQ(AIO_CANCELED, aio_cancel(other, NULL)) {
			TH_LOG("round %u", i);
		}
		for (j = 0; j < 70 + syncs; j++) {
			ASSERT_EQ(ECANCELED, aio_error(&first[j])) {
				TH_LOG("round %u, request %u", i, j);
			}
			ASSERT_EQ(-1, aio_return(&first[j]));
		}
		ASSERT_EQ(AIO_ALLDONE, aio_cancel(other, NULL));
	}
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&busy));
	/* Each sync of a file comes after those that were queued before. */
	EXPECT_EQ(0, sync_now(O_SYNC, other));
	EXPECT_EQ(1, sim_started(other, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_started(other, SIM_GATE_WRITE));
	close(other);
}

/* The device continues to start syncs during the call. */
TEST_F_TIMEOUT(cancel, no_sync_is_done_after_a_cancelled_one, LONG_TIMEOUT)
{
	unsigned int i, j, n = rounds(300), cancelled, holes = 0;
	struct aiocb syncs[12];

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 12; j++) {
			syncs[j] = block_of(self->s.file);
			need(sync_queue(j % 2 ? O_SYNC : O_DSYNC, &syncs[j]) == 0);
		}
		if (i % 2)
			sched_yield();
		aio_cancel(self->s.file, NULL);
		for (cancelled = 0, j = 0; j < 12; j++) {
			if (block_end(&syncs[j]) == -ECANCELED)
				cancelled++;
			else
				holes += cancelled != 0;
		}
		ASSERT_EQ(0, holes) {
			TH_LOG("round %u", i);
		}
	}
}

TEST_F(cancel, waiting_write_is_cancelled_and_the_next_goes_on_waiting)
{
	int other = world_open(&self->s.world, "other", O_RDWR), i;
	struct aiocb writes[3];
	char data[5] = "";

	writes[0] = transfer_of(other, "aa", 2, 0);
	writes[1] = transfer_of(other, "bbbb", 4, 0);
	writes[2] = transfer_of(other, "c", 1, 0);
	sim_hold(other, SIM_GATE_WRITE);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, write_queue(&writes[i]));
	sim_wait_started(other, SIM_GATE_WRITE, 1);
	EXPECT_EQ(AIO_CANCELED, aio_cancel(other, &writes[1]));
	EXPECT_EQ(ECANCELED, aio_error(&writes[1]));
	EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(other, &writes[0]));
	EXPECT_TRUE(block_stays(&writes[2], &self->s.ring, other));
	EXPECT_EQ(1, sim_started(other, SIM_GATE_WRITE));
	sim_let_go(other, SIM_GATE_WRITE);
	EXPECT_EQ(2, block_end(&writes[0]));
	EXPECT_EQ(-ECANCELED, block_end(&writes[1]));
	EXPECT_EQ(1, block_end(&writes[2]));
	EXPECT_EQ(2, pread(other, data, 4, 0));
	EXPECT_STREQ("ca", data);
	close(other);
}

/* A cancelled block does not delay the next one. */
TEST_F(cancel, write_that_waited_only_for_the_cancelled_one_is_done)
{
	int other = world_open(&self->s.world, "other", O_RDWR);
	struct aiocb busy, writes[2];
	char data[5] = "";

	busy_thread(&busy, self->s.file);
	writes[0] = transfer_of(other, "aaaa", 4, 0);
	writes[1] = transfer_of(other, "bb", 2, 1);
	ASSERT_EQ(0, write_queue(&writes[0]));
	ASSERT_EQ(0, write_queue(&writes[1]));
	EXPECT_EQ(AIO_CANCELED, aio_cancel(other, &writes[0]));
	EXPECT_EQ(EINPROGRESS, aio_error(&writes[1]));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&busy));
	EXPECT_EQ(-ECANCELED, block_end(&writes[0]));
	EXPECT_EQ(2, block_end(&writes[1]));
	EXPECT_EQ(3, pread(other, data, 4, 0));
	EXPECT_EQ(0, memcmp(data, "\0bb", 3));
	close(other);
}

/* It waits for the cancelled ones, but is not one of them. */
TEST_F(cancel, waiting_write_of_another_descriptor_is_done)
{
	int other = world_open(&self->s.world, "other", O_RDWR), duplicate = dup(other), i;
	struct aiocb busy, writes[8], last;

	busy_thread(&busy, self->s.file);
	for (i = 0; i < 8; i++) {
		writes[i] = transfer_of(other, "aaaa", 4, i * 2);
		ASSERT_EQ(0, write_queue(&writes[i]));
	}
	last = transfer_of(duplicate, "bbbb", 4, 6);
	ASSERT_EQ(0, write_queue(&last));
	EXPECT_EQ(AIO_CANCELED, aio_cancel(other, NULL));
	EXPECT_EQ(EINPROGRESS, aio_error(&last));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&busy));
	EXPECT_EQ(4, block_end(&last));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(-ECANCELED, block_end(&writes[i]));
	EXPECT_EQ(1, sim_started(other, SIM_GATE_WRITE));
	close(duplicate);
	close(other);
}

#define READS	64

static void *cancel_thread(void *arg)
{
	return (void *)(long)aio_cancel(*(int *)arg, NULL);
}

/* Each request ends, and notifies, once. */
TEST_F_TIMEOUT(cancel, two_threads_can_cancel_the_same_requests, LONG_TIMEOUT)
{
	unsigned int i, j, n = rounds(100);
	const struct timespec at_once = {};
	struct aiocb reads[READS];
	pthread_t thread;
	int ends[2], ret;
	char in[READS];
	sigset_t set;
	void *other;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	need(pipe(ends) == 0);
	for (i = 0; i < n; i++) {
		for (j = 0; j < READS; j++) {
			reads[j] = transfer_of(ends[0], in + j, 1, 0);
			reads[j].aio_sigevent.sigev_notify = SIGEV_SIGNAL;
			reads[j].aio_sigevent.sigev_signo = SIGRTMIN;
			need(read_queue(&reads[j]) == 0);
		}
		thread = thread_start(cancel_thread, &ends[0]);
		ret = aio_cancel(ends[0], NULL);
		need(pthread_join(thread, &other) == 0);
		/* The first read may have begun, no other. */
		need(write(ends[1], "x", 1) == 1);
		ASSERT_LE(0, ret);
		ASSERT_LE(0, (long)other);
		for (j = 0; j < READS; j++) {
			ret = block_end(&reads[j]);
			ASSERT_TRUE(ret == -ECANCELED || (!j && ret == 1)) {
				TH_LOG("round %u, read %u: %d", i, j, ret);
			}
			need(sigwaitinfo(&set, NULL) == SIGRTMIN);
			if (!j && ret < 0)
				need(read(ends[0], in, 1) == 1);
		}
		ASSERT_EQ(-1, sigtimedwait(&set, NULL, &at_once));
	}
	close(ends[0]);
	close(ends[1]);
}

TEST_HARNESS_MAIN
