// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio: a sync is notified only after all earlier requests for its descriptor
 * have ended and the file is synced; later requests neither delay it nor wait for it.
 *
 * Kernel AIO keeps neither half: it starts a sync at once, with any requests in flight.
 * Only direct I/O can be in flight there; a buffered read or write ends within
 * io_submit(), so a second thread is needed to submit the sync in between.
 *
 * Needs afsync_sim; the tests with direct I/O need root, loop devices and the device
 * mapper.
 */
#include "aio_common.h"

FIXTURE(direct) {
	struct aio_lanes l;
};

FIXTURE_VARIANT(direct) {
	enum fs_id id;
	bool datasync;
};

FIXTURE_VARIANT_ADD(direct, ext4_fsync) { .id = FS_EXT4, .datasync = false };
FIXTURE_VARIANT_ADD(direct, ext4_fdsync) { .id = FS_EXT4, .datasync = true };
FIXTURE_VARIANT_ADD(direct, xfs_fsync) { .id = FS_XFS, .datasync = false };
FIXTURE_VARIANT_ADD(direct, xfs_fdsync) { .id = FS_XFS, .datasync = true };
FIXTURE_VARIANT_ADD(direct, device_fsync) { .id = FS_NONE, .datasync = false };
FIXTURE_VARIANT_ADD(direct, device_fdsync) { .id = FS_NONE, .datasync = true };

FIXTURE_SETUP(direct)
{
	AIO_LANES_SETUP(&self->l, variant->id);
}

FIXTURE_TEARDOWN(direct)
{
	lanes_close(&self->l);
}

/* No event has come, although others had time to sync. */
#define EXPECT_NOTHING_YET(l) do {					\
	others_sync((l)->other, 20);					\
	EXPECT_EQ(0, events_ready((l)->ctx));				\
} while (0)

#define EXPECT_EVENT(ctx, iocb, result) do {				\
	struct io_event event = event_next(ctx);			\
									\
	EXPECT_EQ(iocb, event.obj);					\
	EXPECT_EQ((long)(result), (long)event.res);			\
	EXPECT_EQ(0, event.res2);					\
} while (0)

/*
 * libaio: "the notification ... will happen only after all requests for this file
 * descriptor have terminated and the file is synchronized"
 */
TEST_F(direct, sync_is_notified_after_the_write_in_flight_before_it)
{
	struct iocb write, sync;

	lane_stop(&self->l, 0);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

TEST_F(direct, sync_is_notified_after_the_read_in_flight_before_it)
{
	struct iocb read, sync;

	lane_stop(&self->l, 0);
	read_begin(&self->l, &read, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &read, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

TEST_F(direct, vectored_requests_count_as_well)
{
	struct iovec vec = { self->l.pages, PAGE };
	struct iocb write, read, sync;

	lane_stop(&self->l, 0);
	io_prep_pwritev(&write, self->l.direct, &vec, 1, LANE(0) * PAGE);
	ASSERT_EQ(1, submit_one(self->l.ctx, &write));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);

	lane_stop(&self->l, 0);
	io_prep_preadv(&read, self->l.direct, &vec, 1, LANE(0) * PAGE);
	ASSERT_EQ(1, submit_one(self->l.ctx, &read));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &read, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

/* "all requests": the last to end need not be the last that was submitted */
TEST_F(direct, sync_waits_for_every_one_of_many_requests)
{
	struct iocb writes[LANES * LANE_PAGES], sync;
	struct io_event events[LANES * LANE_PAGES];
	int i;

	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	for (i = 0; i < LANES * LANE_PAGES; i++)
		write_begin(&self->l, &writes[i], RIG_BAD + i);
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 1);
	events_wait(self->l.ctx, events, LANE_PAGES);
	for (i = 0; i < LANE_PAGES; i++)
		EXPECT_NE(&sync, events[i].obj);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	events_wait(self->l.ctx, events, LANE_PAGES);
	for (i = 0; i < LANE_PAGES; i++)
		EXPECT_NE(&sync, events[i].obj);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

TEST_F(direct, sync_in_one_io_submit_with_writes_has_the_place_it_has_in_the_array)
{
	struct iocb before, sync, after;
	struct iocb *list[] = { &before, &sync, &after };

	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	prep_page_write(&self->l, &before, self->l.direct, LANE(0));
	prep_sync(&sync, self->l.direct, variant->datasync);
	prep_page_write(&self->l, &after, self->l.direct, LANE(1));
	ASSERT_EQ(3, io_submit(self->l.ctx, 3, list));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &before, PAGE);
	/* libaio: "requests ... queued after the synchronization request" */
	EXPECT_EVENT(self->l.ctx, &sync, 0);
	lane_go(&self->l, 1);
	EXPECT_EVENT(self->l.ctx, &after, PAGE);
}

/*
 * libaio: "requests for this very same file descriptor which are queued after the
 * synchronization request are not affected"
 */
TEST_F(direct, later_write_does_not_wait_for_a_sync_that_waits)
{
	struct iocb before, sync, after;

	lane_stop(&self->l, 0);
	write_begin(&self->l, &before, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	write_begin(&self->l, &after, LANE(1));
	EXPECT_EVENT(self->l.ctx, &after, PAGE);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &before, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

TEST_F(direct, sync_does_not_wait_for_a_later_write)
{
	struct iocb before, sync, after;

	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	write_begin(&self->l, &before, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	write_begin(&self->l, &after, LANE(1));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &before, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 1);
	EXPECT_EVENT(self->l.ctx, &after, PAGE);
}

/* "for this file descriptor": no other sync has to wait */
TEST_F(direct, sync_of_another_descriptor_does_not_wait)
{
	struct iocb write, other, sync;

	lane_stop(&self->l, 0);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &other, self->l.other, variant->datasync));
	EXPECT_EVENT(self->l.ctx, &other, 0);
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &other, self->l.other, variant->datasync));
	EXPECT_EVENT(self->l.ctx, &other, 0);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

/* A sync is a request, too. */
TEST_F(direct, sync_behind_a_waiting_sync_comes_after_it)
{
	struct iocb write, first, second, third;

	lane_stop(&self->l, 0);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &first, self->l.direct, variant->datasync));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &second, self->l.direct,
				 !variant->datasync));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &third, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &first, 0);
	EXPECT_EVENT(self->l.ctx, &second, 0);
	EXPECT_EVENT(self->l.ctx, &third, 0);
}

/* "have terminated": with any result */
TEST_F(direct, request_that_fails_has_ended)
{
	struct dm_table error = { 0 };
	struct iocb write, sync;

	dm_add(&error, 0, LANE_PAGES * PAGE / SECTOR, "error", "%s", "");
	lane_stop(&self->l, 0);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, variant->datasync));
	EXPECT_NOTHING_YET(&self->l);
	ASSERT_EQ(0, dm_load(&self->l.inner[0], &error));
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, -EIO);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

/* Kernel AIO has a copy of the iocb, so a program may; its events look the same. */
TEST_F(direct, iocb_used_again_while_it_is_in_flight_makes_no_sync_early)
{
	struct iocb write, first, second;

	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	write_begin(&self->l, &write, LANE(0));
	write_begin(&self->l, &write, LANE(1));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &first, self->l.direct, variant->datasync));
	lane_go(&self->l, 1);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &first, 0);

	/* one of the two comes after the sync, and ends before the other */
	lane_stop(&self->l, 0);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &second, self->l.direct,
				 variant->datasync));
	write_begin(&self->l, &write, LANE(1));
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &second, 0);
}

TEST_F(direct, closing_the_descriptor_changes_nothing)
{
	int number = self->l.direct, again;
	struct iocb write, sync;

	lane_stop(&self->l, 0);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, number, variant->datasync));
	close(number);
	again = fcntl(self->l.other, F_DUPFD_CLOEXEC, number);
	ASSERT_EQ(number, again);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

/* A context that is busy with one descriptor, then with another, in turn and mixed. */
#define FILES	4
#define DEPTH	24

struct busy {
	struct iocb iocb[DEPTH];
	unsigned int number[DEPTH];	/* of its request of its file; 0: free */
	int file[DEPTH];
	unsigned int submitted[FILES];	/* requests of the file */
	unsigned int early;		/* syncs notified before an earlier request */
};

static void busy_event(struct busy *b, const struct io_event *event)
{
	int slot = (struct iocb *)event->obj - b->iocb, i;

	need(slot >= 0 && slot < DEPTH && b->number[slot]);
	for (i = 0; b->iocb[slot].aio_lio_opcode >= IO_CMD_FSYNC && i < DEPTH; i++)
		b->early += b->number[i] && b->file[i] == b->file[slot] &&
			    b->number[i] < b->number[slot];
	b->number[slot] = 0;
}

static int busy_slot(const struct busy *b)
{
	int i;

	for (i = 0; i < DEPTH; i++)
		if (!b->number[i])
			return i;
	return -1;
}

TEST_F_TIMEOUT(direct, no_sync_of_busy_descriptors_comes_before_an_earlier_request,
	       LONG_TIMEOUT)
{
	unsigned int i, n = rounds(2000), random = 1, bad = 0;
	int fds[FILES], file, slot, kind, count, e;
	struct io_event events[DEPTH];
	struct busy b = { 0 };
	struct iocb *iocb;

	for (i = 0; i < FILES; i++) {
		fds[i] = open(self->l.rig.file, O_RDWR | O_DIRECT | O_CLOEXEC);
		need(fds[i] >= 0);
	}
	for (i = 0; i < n; i++) {
		while ((slot = busy_slot(&b)) < 0) {
			count = io_getevents(self->l.ctx, 1, DEPTH, events, NULL);
			need(count > 0);
			for (e = 0; e < count; e++) {
				bad += (long)events[e].res < 0;
				busy_event(&b, &events[e]);
			}
		}
		random = random * 1103515245 + 12345;
		file = random >> 16 & (FILES - 1);
		kind = random >> 20 & 7;
		iocb = &b.iocb[slot];
		if (kind < 3)
			prep_sync(iocb, fds[file], variant->datasync);
		else if (kind < 6)
			prep_page_write(&self->l, iocb, fds[file], file);
		else
			io_prep_pread(iocb, fds[file], self->l.pages + (8 + file) * PAGE,
				      PAGE, file * PAGE);
		b.file[slot] = file;
		b.number[slot] = ++b.submitted[file];
		ASSERT_EQ(1, submit_one(self->l.ctx, iocb));
	}
	for (slot = 0; slot < DEPTH; slot++)
		while (b.number[slot]) {
			struct io_event event = event_next(self->l.ctx);

			busy_event(&b, &event);
		}
	EXPECT_EQ(0, b.early);
	EXPECT_EQ(0, bad);
	for (i = 0; i < FILES; i++)
		close(fds[i]);
}

/* Requests that look the same in their events: one iocb for all of them, and no data. */
FIXTURE(alike) {
	struct aio_lanes l;
	struct iocb iocb;
	int second;	/* another descriptor */
};

FIXTURE_SETUP(alike)
{
	AIO_LANES_SETUP(&self->l, FS_NONE);
	self->second = open(self->l.rig.file, O_RDWR | O_DIRECT | O_CLOEXEC);
	need(self->second >= 0);
}

FIXTURE_TEARDOWN(alike)
{
	close(self->second);
	lanes_close(&self->l);
}

static void alike_begin(FIXTURE_DATA(alike) *self, int fd, int page)
{
	prep_page_write(&self->l, &self->iocb, fd, page);
	need(submit_one(self->l.ctx, &self->iocb) == 1);
}

TEST_F_TIMEOUT(alike, sync_is_not_early_however_many_came_and_went, LONG_TIMEOUT)
{
	struct iocb sync;
	int i, fd;

	fd = open(self->l.rig.file, O_RDWR | O_DIRECT | O_CLOEXEC);
	need(fd >= 0);
	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	alike_begin(self, self->l.direct, LANE(0));
	alike_begin(self, self->second, LANE(1));
	/* more than a context has entries, and at no point have all of them ended */
	for (i = 0; i < 1000; i++) {
		alike_begin(self, i % 2 ? self->l.direct : self->second, LANE_FREE);
		ASSERT_EQ(PAGE, event_next(self->l.ctx).res);
	}
	alike_begin(self, fd, LANE(1) + 1);
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, fd, false));
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &self->iocb, PAGE);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 1);
	EXPECT_EVENT(self->l.ctx, &self->iocb, PAGE);
	EXPECT_EVENT(self->l.ctx, &self->iocb, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
	close(fd);
}

TEST_F(alike, sync_is_not_early_when_another_is_cancelled)
{
	struct io_event unused;
	struct iocb write, sync;

	lane_stop(&self->l, 0);
	lane_stop(&self->l, 1);
	write_begin(&self->l, &write, LANE(0));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &self->iocb, self->l.direct, false));
	alike_begin(self, self->second, LANE(1));
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->second, false));
	/* only the sync of the two can be cancelled */
	ASSERT_EQ(-EINPROGRESS, io_cancel(self->l.ctx, &self->iocb, &unused));
	EXPECT_EVENT(self->l.ctx, &self->iocb, -ECANCELED);
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 1);
	EXPECT_EVENT(self->l.ctx, &self->iocb, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &write, PAGE);
}

/* Requests that begin and end behind one that stays do not use up anything. */
TEST_F_TIMEOUT(alike, thousand_syncs_are_cancelled_behind_one_write, LONG_TIMEOUT)
{
	struct io_event events[2], unused;
	struct iocb stays, write, sync;
	int i;

	lane_stop(&self->l, 0);
	write_begin(&self->l, &stays, LANE(0));
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, i % 2));
		write_begin(&self->l, &write, LANE_FREE);
		ASSERT_EQ(-EINPROGRESS, io_cancel(self->l.ctx, &sync, &unused));
		events_wait(self->l.ctx, events, 2);
		ASSERT_NE(&stays, events[0].obj);
		ASSERT_NE(&stays, events[1].obj);
	}
	ASSERT_EQ(1, submit_sync(self->l.ctx, &sync, self->l.direct, false));
	EXPECT_NOTHING_YET(&self->l);
	lane_go(&self->l, 0);
	EXPECT_EVENT(self->l.ctx, &stays, PAGE);
	EXPECT_EVENT(self->l.ctx, &sync, 0);
}

FIXTURE(buffered) {
	struct aio_stage s;
	struct iocb write;
	pthread_t thread;
	int submitted;	/* the result of the thread's io_submit */
};

FIXTURE_SETUP(buffered)
{
	AIO_STAGE_SETUP(&self->s, 64);
}

FIXTURE_TEARDOWN(buffered)
{
	aio_stage_close(&self->s);
}

static void *submit_write(void *arg)
{
	FIXTURE_DATA(buffered) *self = arg;

	self->submitted = submit_one(self->s.ctx, &self->write);
	return NULL;
}

/* libaio: "all I/O operations ... queued at the time of the function call" */
TEST_F(buffered, sync_waits_for_the_write_that_another_thread_is_submitting)
{
	struct iocb sync;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	io_prep_pwrite(&self->write, self->s.file, &self->s, 16, 0);
	self->thread = thread_start(submit_write, self);
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &sync, self->s.file, false));
	others_sync(self->s.other, 20);
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, events_ready(self->s.ctx));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EVENT(self->s.ctx, &self->write, 16);
	EXPECT_EVENT(self->s.ctx, &sync, 0);
	EXPECT_EQ(1, sim_call(self->s.ctl, 0).writes);
	thread_join(self->thread);
	EXPECT_EQ(1, self->submitted);
}

TEST_F(buffered, sync_waits_for_the_read_that_another_thread_is_submitting)
{
	char byte[1];
	struct iocb sync;

	sim_hold(self->s.ctl, SIM_GATE_READ);
	io_prep_pread(&self->write, self->s.file, byte, 1, 0);
	self->thread = thread_start(submit_write, self);
	sim_wait_started(self->s.ctl, SIM_GATE_READ, 1);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &sync, self->s.file, false));
	others_sync(self->s.other, 20);
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, events_ready(self->s.ctx));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EVENT(self->s.ctx, &self->write, 0);
	EXPECT_EVENT(self->s.ctx, &sync, 0);
	thread_join(self->thread);
}

/* The one in between has ended when its io_submit() has failed. */
TEST_F(buffered, write_that_is_refused_holds_up_no_sync)
{
	struct iocb write, sync;

	io_prep_pwrite(&write, self->s.file, NULL, 16, -1);
	EXPECT_EQ(-EINVAL, submit_one(self->s.ctx, &write));
	io_prep_pwrite(&write, self->s.file, NULL, -1, 0);
	EXPECT_EQ(-EINVAL, submit_one(self->s.ctx, &write));
	ASSERT_EQ(1, submit_sync(self->s.ctx, &sync, self->s.file, false));
	EXPECT_EVENT(self->s.ctx, &sync, 0);
}

TEST_F(buffered, later_write_is_not_held_up_by_a_sync_that_runs)
{
	struct iocb write, sync;
	char text[] = "text";

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &sync, self->s.file, false));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	io_prep_pwrite(&write, self->s.file, text, sizeof(text), 0);
	ASSERT_EQ(1, submit_one(self->s.ctx, &write));
	EXPECT_EVENT(self->s.ctx, &write, sizeof(text));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &sync, 0);
	EXPECT_EQ(0, sim_call(self->s.ctl, 0).writes);
}

TEST_F(buffered, sync_after_a_write_is_not_served_by_a_sync_before_it)
{
	struct iocb write, first, second;
	char text[] = "text";

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &first, self->s.file, false));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	io_prep_pwrite(&write, self->s.file, text, sizeof(text), 0);
	ASSERT_EQ(1, submit_one(self->s.ctx, &write));
	ASSERT_EQ(1, submit_sync(self->s.ctx, &second, self->s.file, false));
	EXPECT_EVENT(self->s.ctx, &write, sizeof(text));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EVENT(self->s.ctx, &first, 0);
	EXPECT_EVENT(self->s.ctx, &second, 0);
	ASSERT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, sim_call(self->s.ctl, 1).writes);
}

/* "all requests": even one that neither reads nor writes */
TEST_F(buffered, sync_waits_for_the_poll_in_flight_before_it)
{
	int fd = open(PARAMETERS "max_entries", O_RDONLY | O_CLOEXEC);
	struct iocb poll, sync;
	struct io_event unused;
	char text[32];

	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, text, sizeof(text)));
	io_prep_poll(&poll, fd, POLLPRI);
	ASSERT_EQ(1, submit_one(self->s.ctx, &poll));
	ASSERT_EQ(1, submit_sync(self->s.ctx, &sync, fd, false));
	others_sync(self->s.other, 20);
	EXPECT_EQ(0, events_ready(self->s.ctx));
	EXPECT_EQ(-EINPROGRESS, io_cancel(self->s.ctx, &poll, &unused));
	EXPECT_EQ(&poll, event_next(self->s.ctx).obj);
	EXPECT_EVENT(self->s.ctx, &sync, 0);
	close(fd);
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
