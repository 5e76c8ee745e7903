// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio: a sync queued through libaio returns at once, syncs the file of the
 * call, and is notified only through the callback and the event, with its result.
 *
 * Needs afsync_sim; the tests of the data on the disk need root, loop devices and the
 * device mapper.
 */
#include "aio_common.h"

/* The values that the callback saw; callbacks have no argument of their own. */
static struct {
	int calls;
	io_context_t ctx;
	struct iocb *iocb;
	long res;
	long res2;
	int synced;	/* syncs of the file that had ended by then */
	int ctl;
} seen;

static void callback(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	seen.calls++;
	seen.ctx = ctx;
	seen.iocb = iocb;
	seen.res = res;
	seen.res2 = res2;
	if (seen.ctl)
		seen.synced = sim_stats(seen.ctl).finished[SIM_GATE_FSYNC];
}

/* No event wakes a program that only calls io_queue_run(). */
static void run_until_called(io_context_t ctx, int calls)
{
	while (seen.calls < calls) {
		need(io_queue_run(ctx) >= 0);
		sched_yield();
	}
}

FIXTURE(sync) {
	struct aio_stage s;
};

FIXTURE_VARIANT(sync) {
	bool datasync;
};

FIXTURE_VARIANT_ADD(sync, fsync) { .datasync = false };
FIXTURE_VARIANT_ADD(sync, fdsync) { .datasync = true };

FIXTURE_SETUP(sync)
{
	AIO_STAGE_SETUP(&self->s, 64);
	memset(&seen, 0, sizeof(seen));
	seen.ctl = self->s.ctl;
}

FIXTURE_TEARDOWN(sync)
{
	aio_stage_close(&self->s);
}

/* The inline functions of libaio.h that do all in one call. */
static int queue_callback(io_context_t ctx, struct iocb *iocb, int fd, bool datasync)
{
	return datasync ? io_fdsync(ctx, iocb, callback, fd) :
			  io_fsync(ctx, iocb, callback, fd);
}

/*
 * libaio: "The io_fsync function returns immediately". It returns io_submit()'s count;
 * the 0 of the manual page was never true of the function in its header.
 */
TEST_F(sync, io_fsync_returns_one_while_the_sync_is_not_done)
{
	struct iocb iocb;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, queue_callback(self->s.ctx, &iocb, self->s.file, variant->datasync));
	EXPECT_EQ(0, sim_stats(self->s.ctl).finished[SIM_GATE_FSYNC]);
	EXPECT_EQ(0, io_queue_run(self->s.ctx));
	EXPECT_EQ(0, seen.calls);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	run_until_called(self->s.ctx, 1);
}

/*
 * libaio: "the notification through the method described in io_callback will happen only
 * after ... the file is synchronized"
 */
TEST_F(sync, callback_is_run_after_the_sync_with_its_result)
{
	struct iocb iocb;

	ASSERT_EQ(1, queue_callback(self->s.ctx, &iocb, self->s.file, variant->datasync));
	run_until_called(self->s.ctx, 1);
	EXPECT_EQ(1, seen.synced);
	EXPECT_EQ(self->s.ctx, seen.ctx);
	EXPECT_EQ(&iocb, seen.iocb);
	EXPECT_EQ(0, seen.res);
	EXPECT_EQ(0, seen.res2);
	/* Only once. */
	others_sync(self->s.other, 5);
	EXPECT_EQ(0, io_queue_run(self->s.ctx));
	EXPECT_EQ(1, seen.calls);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(sync, error_of_the_sync_is_the_res_of_the_callback)
{
	struct iocb iocb;

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(1, queue_callback(self->s.ctx, &iocb, self->s.file, variant->datasync));
	run_until_called(self->s.ctx, 1);
	EXPECT_EQ(-EIO, seen.res);
	EXPECT_EQ(0, seen.res2);
	/* The next sync does not report it. */
	ASSERT_EQ(1, queue_callback(self->s.ctx, &iocb, self->s.file, variant->datasync));
	run_until_called(self->s.ctx, 2);
	EXPECT_EQ(0, seen.res);
}

TEST_F(sync, writeback_error_is_reported_once)
{
	struct iocb iocb;

	sim_wb_error(self->s.ctl, ENOSPC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, self->s.file, variant->datasync));
	EXPECT_EQ(-ENOSPC, (long)event_next(self->s.ctx).res);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, self->s.file, variant->datasync));
	EXPECT_EQ(0, (long)event_next(self->s.ctx).res);
}

TEST_F(sync, event_names_the_iocb_and_its_data)
{
	struct io_event event;
	struct iocb iocb;

	prep_sync(&iocb, self->s.file, variant->datasync);
	iocb.data = (void *)0x1122334455667788;
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	event = event_next(self->s.ctx);
	EXPECT_EQ(&iocb, event.obj);
	EXPECT_EQ((void *)0x1122334455667788, event.data);
	EXPECT_EQ(0, event.res);
	EXPECT_EQ(0, event.res2);
}

TEST_F(sync, operation_is_the_one_asked_for)
{
	struct iocb iocb;

	ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, self->s.file, variant->datasync));
	event_next(self->s.ctx);
	EXPECT_EQ(variant->datasync, sim_call(self->s.ctl, 0).datasync);
	EXPECT_EQ(0, sim_call(self->s.ctl, 0).start);
	EXPECT_EQ(LLONG_MAX, sim_call(self->s.ctl, 0).end);
}

/* libaio: "forces all I/O operations ... into the synchronized I/O completion state" */
TEST_F(sync, sync_sees_every_write_made_through_the_context_before_it)
{
	struct iocb iocb;
	char text[] = "text";
	unsigned int i;
	__u32 calls;

	for (i = 0; i < rounds(200); i++) {
		io_prep_pwrite(&iocb, self->s.file, text, sizeof(text), 0);
		ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
		ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, self->s.file,
					 variant->datasync));
		ASSERT_EQ(sizeof(text), event_next(self->s.ctx).res);
		ASSERT_EQ(0, event_next(self->s.ctx).res);
		calls = sim_started(self->s.ctl, SIM_GATE_FSYNC);
		ASSERT_EQ(i + 1, sim_call(self->s.ctl, calls - 1).writes);
	}
}

TEST_F(sync, iocb_is_as_it_was_when_io_submit_has_returned)
{
	struct iocb iocb, before;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	prep_sync(&iocb, self->s.file, variant->datasync);
	iocb.data = &self->s;
	before = iocb;
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	EXPECT_EQ(0, memcmp(&before, &iocb, sizeof(iocb)));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	event_next(self->s.ctx);
	EXPECT_EQ(0, memcmp(&before, &iocb, sizeof(iocb)));
}

/* Kernel AIO copies the iocb; that is why programs may have it on their stack. */
TEST_F(sync, iocb_may_be_gone_when_io_submit_has_returned)
{
	struct iocb *iocb, *list[1];
	struct io_event event;

	iocb = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	need(iocb != MAP_FAILED);
	prep_sync(iocb, self->s.file, variant->datasync);
	list[0] = iocb;
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, io_submit(self->s.ctx, 1, list));
	need(munmap(iocb, PAGE) == 0);
	EXPECT_EQ(0, io_queue_run(self->s.ctx));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	event = event_next(self->s.ctx);
	EXPECT_EQ(iocb, event.obj);
	EXPECT_EQ(0, event.res);
}

/* libaio: "operating on the file descriptor iocb->io_fildes": the file that it now names */
TEST_F(sync, file_of_the_call_is_synced_though_the_descriptor_is_closed_and_used_again)
{
	__u32 id = sim_open_id(self->s.file);
	struct iocb iocb;
	int again;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, self->s.file, variant->datasync));
	close(self->s.file);
	again = world_open(&self->s.world, "again", O_RDWR);
	EXPECT_EQ(self->s.file, again);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, event_next(self->s.ctx).res);
	EXPECT_EQ(id, sim_call(self->s.ctl, 0).open_id);
	EXPECT_EQ(0, sim_started(again, SIM_GATE_FSYNC));
}

/* The device's promise P6; kernel AIO posts the event first. */
TEST_F(sync, file_is_let_go_before_the_event_can_be_seen)
{
	unsigned int i;
	struct iocb iocb;

	for (i = 0; i < rounds(200); i++) {
		struct world world;
		int fd;

		world_mount(&world, "afsync_sim");
		fd = world_open(&world, "file", O_RDWR);
		ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, fd, variant->datasync));
		close(fd);
		ASSERT_EQ(0, event_next(self->s.ctx).res);
		ASSERT_EQ(0, umount(world.dir));
		rmdir(world.dir);
	}
}

TEST_F(sync, syncs_of_one_file_are_done_by_the_device_and_merged)
{
	long long submitted = counter("submitted");
	struct iocb iocbs[50];
	int i;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 50; i++)
		ASSERT_EQ(1, submit_sync(self->s.ctx, &iocbs[i], self->s.file,
					 variant->datasync));
	EXPECT_EQ(submitted + 50, counter("submitted"));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 50; i++)
		EXPECT_EQ(0, event_next(self->s.ctx).res);
	/* The first one, and one for all that were queued while it ran. */
	EXPECT_GE(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(sync, syncs_of_one_call_are_one_sync)
{
	struct iocb iocbs[50], *list[50];
	int i;

	for (i = 0; i < 50; i++) {
		prep_sync(&iocbs[i], self->s.file, variant->datasync);
		list[i] = &iocbs[i];
	}
	ASSERT_EQ(50, io_submit(self->s.ctx, 50, list));
	for (i = 0; i < 50; i++)
		EXPECT_EQ(0, event_next(self->s.ctx).res);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(sync, syncs_of_one_descriptor_are_notified_in_their_order)
{
	struct iocb iocbs[50];
	int i;

	for (i = 0; i < 50; i++)
		ASSERT_EQ(1, submit_sync(self->s.ctx, &iocbs[i], self->s.file, i % 2));
	for (i = 0; i < 50; i++)
		EXPECT_EQ(&iocbs[i], event_next(self->s.ctx).obj);
}

/* Kernel AIO's rule, unlike POSIX: a file need not be open for writing. */
TEST_F(sync, what_can_be_synced_need_not_be_open_for_writing)
{
	int fds[] = {
		world_open(&self->s.world, "file", O_RDONLY),
		world_open(&self->s.world, "dir", O_RDONLY | O_DIRECTORY),
		open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
		memfd_create("libaio", MFD_CLOEXEC),
	};
	struct iocb iocb;
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, fds[i], variant->datasync));
		EXPECT_EQ(0, event_next(self->s.ctx).res);
		close(fds[i]);
	}
}

TEST_F(sync, io_queue_run_calls_the_callbacks_of_all_that_have_ended)
{
	struct iocb iocbs[20];
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(1, queue_callback(self->s.ctx, &iocbs[i], self->s.file, i % 2));
	run_until_called(self->s.ctx, 20);
	EXPECT_EQ(0, seen.res);
	EXPECT_EQ(&iocbs[19], seen.iocb);
}

FIXTURE(disk) {
	struct aio_lanes l;
};

FIXTURE_VARIANT(disk) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(disk, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(disk, xfs) { .id = FS_XFS };

FIXTURE_SETUP(disk)
{
	AIO_LANES_SETUP(&self->l, variant->id);
	memset(&seen, 0, sizeof(seen));
}

FIXTURE_TEARDOWN(disk)
{
	lanes_close(&self->l);
}

static bool copy_has(int image, enum fs_id id, const char *file, int page,
		     const char *text)
{
	struct memdev copy;
	char path[80], got[PAGE] = "";
	bool has;
	int fd;

	need(memdev_open(&copy, image_copy(image)) == 0);
	need(fs_mount(id, copy.path, "/mnt/copy") == 0);
	snprintf(path, sizeof(path), "/mnt/copy/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	has = fd >= 0 && pread(fd, got, PAGE, page * PAGE) == PAGE &&
	      !memcmp(got, text, strlen(text));
	if (fd >= 0)
		close(fd);
	need(umount("/mnt/copy") == 0);
	memdev_close(&copy);
	return has;
}

/*
 * libaio: "Synchronize a file's complete in-core state with that on disk". After a power
 * cut at the time of the callback the disk has the data of a file that is new, was
 * extended by buffered and by direct writes, and was never synced before.
 */
TEST_F(disk, in_core_state_is_on_the_disk_when_the_callback_is_run)
{
	char *pages = self->l.pages, path[80];
	struct iocb writes[2], sync;
	struct iocb *list[] = { &writes[0], &writes[1], &sync };
	int fds[2];

	snprintf(path, sizeof(path), "%s/new", self->l.rig.dir);
	fds[0] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	fds[1] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fds[0]);
	ASSERT_LE(0, fds[1]);
	fill_page(pages, "afsync: buffered");
	fill_page(pages + PAGE, "afsync: direct");
	io_prep_pwrite(&writes[0], fds[0], pages, PAGE, 0);
	io_prep_pwrite(&writes[1], fds[1], pages + PAGE, PAGE, PAGE);
	io_set_callback(&writes[0], callback);
	io_set_callback(&writes[1], callback);
	/* the descriptor whose writes reach the disk last */
	io_prep_fsync(&sync, fds[1]);
	io_set_callback(&sync, callback);
	ASSERT_EQ(3, io_submit(self->l.ctx, 3, list));
	run_until_called(self->l.ctx, 3);
	EXPECT_EQ(&sync, seen.iocb);
	EXPECT_EQ(0, seen.res);
	EXPECT_TRUE(copy_has(self->l.rig.disk.image, variant->id, "new", 0,
			     "afsync: buffered"));
	EXPECT_TRUE(copy_has(self->l.rig.disk.image, variant->id, "new", 1,
			     "afsync: direct"));
	close(fds[0]);
	close(fds[1]);
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
