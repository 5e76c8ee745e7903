// SPDX-License-Identifier: GPL-2.0-only
/*
 * AFSYNC_SQE_DRAIN: the sync waits for direct I/O that is in flight on the file.
 *
 * The second half of the file lies on an inner device that can be suspended (or
 * made slow) on its own, and the outer one says that it has no cache. So a direct
 * write to that half stays in flight for as long as the test likes, while a sync
 * of the file has all it needs. Needs root, loop devices and the device mapper.
 */
#include "fs_rig.h"

#include <sys/uio.h>

#include <linux/aio_abi.h>

#define DIRECT_PAGES	(RIG_PAGES - RIG_BAD)

FIXTURE(drain) {
	struct rig rig;
	struct dmdev inner;
	struct ring ring;
	aio_context_t aio;
	char *page;
	int fd;
	int direct;
};

FIXTURE_VARIANT(drain) {
	enum fs_id id;
};

FIXTURE_VARIANT_ADD(drain, ext4) { .id = FS_EXT4 };
FIXTURE_VARIANT_ADD(drain, xfs) { .id = FS_XFS };

/* Puts the second half of the file on a device of its own, of that target. */
static void split(FIXTURE_DATA(drain) *self, const char *target, const char *more)
{
	const struct dm_line *bad = &self->rig.broken.lines[1];
	struct dm_table inner = { 0 }, outer = self->rig.broken;
	char path[64];

	dm_add(&inner, 0, bad->length, target, "%s %llu%s", self->rig.disk.path,
	       (unsigned long long)bad->start, more);
	need(dm_create(&self->inner, "inner", &inner) == 0);
	outer.lines[1].type = "linear";
	snprintf(outer.lines[1].args, sizeof(outer.lines[1].args), "%s 0", self->inner.path);
	rig_table(&self->rig, &outer);
	dm_remove_when_unused(&self->inner);
	/* otherwise the flush that belongs to a sync would wait for the inner device */
	snprintf(path, sizeof(path), "/sys/block/%s/queue/write_cache",
		 self->rig.dm.path + strlen("/dev/"));
	need(text_write(path, "write through") == 0);
}

FIXTURE_SETUP(drain)
{
	FS_OR_SKIP(variant->id);
	own_world();
	rig_up(&self->rig, variant->id, "drain");
	rig_make_file(&self->rig);
	self->fd = rig_open(&self->rig);
	self->direct = open(self->rig.file, O_RDWR | O_DIRECT | O_CLOEXEC);
	need(self->direct >= 0);
	need(syscall(SYS_io_setup, 8, &self->aio) == 0);
	need(posix_memalign((void **)&self->page, PAGE, PAGE) == 0);
	ring_open(&self->ring, 64);
}

FIXTURE_TEARDOWN(drain)
{
	if (self->inner.suspended)
		dm_resume(&self->inner);
	ring_close(&self->ring);
	syscall(SYS_io_destroy, self->aio);
	close(self->fd);
	close(self->direct);
	rig_down(&self->rig);
	dm_gone(&self->inner);
	free(self->page);
}

/* Starts a direct write to a page of the second half; returns while it is in flight. */
static void direct_begin(aio_context_t aio, int fd, char *page, int nr)
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)page,
		.aio_nbytes = PAGE,
		.aio_offset = (RIG_BAD + nr) * PAGE,
	};
	struct iocb *list[] = { &iocb };

	need(syscall(SYS_io_submit, aio, 1, list) == 1);
}

static void direct_end(aio_context_t aio)
{
	struct io_event event;

	need(syscall(SYS_io_getevents, aio, 1, 1, &event, NULL) == 1);
	need(event.res == PAGE);
}

static int queue(FIXTURE_DATA(drain) *self, __u32 op, __u32 flags, __u64 user_data)
{
	struct afsync_sqe sqe = sqe_of(self->fd, op, user_data);

	sqe.flags = flags;
	return ring_submit(&self->ring, &sqe, 1, NULL);
}

/* Waits until so many requests run; if one completes instead, the checks after it show that. */
static void wait_running(FIXTURE_DATA(drain) *self, int nr)
{
	WAIT_UNTIL(ring_pending(&self->ring, "running") == nr || ring_ready(&self->ring));
}

TEST_F(drain, without_the_flag_a_sync_does_not_wait_for_direct_writes)
{
	split(self, "linear", "");
	fill_page(self->page, "afsync: direct");
	ASSERT_EQ(0, dm_suspend(&self->inner));
	direct_begin(self->aio, self->direct, self->page, 0);
	ASSERT_EQ(1, queue(self, AFSYNC_OP_FSYNC, 0, 1));
	EXPECT_EQ(0, ring_next(&self->ring).res);
	EXPECT_FALSE(image_has(self->rig.disk.image, "afsync: direct"));
	ASSERT_EQ(0, dm_resume(&self->inner));
	direct_end(self->aio);
}

/* The effect of the flag on a sync while a direct write is stuck, and after it. */
static void waits_for_direct(struct __test_metadata *_metadata, FIXTURE_DATA(drain) *self, __u32 op)
{
	struct afsync_cqe cqe;
	char path[64];
	int i, other;

	split(self, "linear", "");
	fill_page(self->page, "afsync: direct");
	ASSERT_EQ(0, dm_suspend(&self->inner));
	direct_begin(self->aio, self->direct, self->page, 0);
	ASSERT_EQ(1, queue(self, op, AFSYNC_SQE_DRAIN, 1));
	wait_running(self, 1);

	ASSERT_EQ(0U, ring_ready(&self->ring));

	/* Other writes begin and end meanwhile, and the request is still there. */
	snprintf(path, sizeof(path), "%s/other", self->rig.dir);
	other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ASSERT_LE(0, other);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, write_page(other, 0, "afsync: other"));
		ASSERT_EQ(1, ring_queue(&self->ring, other, AFSYNC_OP_FSYNC, 2));
		cqe = ring_next(&self->ring);
		ASSERT_EQ(2U, cqe.user_data);
		ASSERT_EQ(0, cqe.res);
	}
	close(other);
	EXPECT_EQ(1, ring_pending(&self->ring, "running"));
	EXPECT_FALSE(image_has(self->rig.disk.image, "afsync: direct"));

	ASSERT_EQ(0, dm_resume(&self->inner));
	cqe = ring_next(&self->ring);
	EXPECT_EQ(1U, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: direct"));
	direct_end(self->aio);
}

TEST_F(drain, a_sync_with_the_flag_completes_after_the_direct_write)
{
	waits_for_direct(_metadata, self, AFSYNC_OP_FSYNC);
}

TEST_F(drain, a_datasync_with_the_flag_completes_after_the_direct_write)
{
	waits_for_direct(_metadata, self, AFSYNC_OP_FDATASYNC);
}

TEST_F(drain, one_request_with_the_flag_drains_for_its_whole_batch)
{
	struct afsync_sqe sqes[4];
	struct afsync_cqe cqe;
	int i, syncs = 0;

	split(self, "linear", "");
	fill_page(self->page, "afsync: direct");
	ASSERT_EQ(0, dm_suspend(&self->inner));
	direct_begin(self->aio, self->direct, self->page, 0);
	for (i = 0; i < 4; i++) {
		sqes[i] = sqe_of(self->fd, AFSYNC_OP_FSYNC, i);
		sqes[i].flags = i == 3 ? AFSYNC_SQE_DRAIN : 0;
	}
	ASSERT_EQ(4, ring_submit(&self->ring, sqes, 4, NULL));
	wait_running(self, 4);
	EXPECT_EQ(0U, ring_ready(&self->ring));
	ASSERT_EQ(0, dm_resume(&self->inner));
	for (i = 0; i < 4; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
		syncs += !(cqe.flags & AFSYNC_CQE_MERGED);
		EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: direct"));
	}
	EXPECT_EQ(1, syncs);
	direct_end(self->aio);
}

TEST_F(drain, a_request_queued_behind_a_draining_one_keeps_its_place)
{
	struct afsync_cqe cqe;
	int i;

	split(self, "linear", "");
	fill_page(self->page, "afsync: direct");
	ASSERT_EQ(0, dm_suspend(&self->inner));
	direct_begin(self->aio, self->direct, self->page, 0);
	ASSERT_EQ(1, queue(self, AFSYNC_OP_FSYNC, AFSYNC_SQE_DRAIN, 0));
	wait_running(self, 1);
	ASSERT_EQ(1, queue(self, AFSYNC_OP_FSYNC, 0, 1));
	EXPECT_EQ(1, ring_pending(&self->ring, "queued"));
	/* and it can be cancelled, while the draining one cannot */
	ASSERT_EQ(1, queue(self, AFSYNC_OP_FSYNC, AFSYNC_SQE_DRAIN, 2));
	ASSERT_EQ(1, afsync_cmd_cancel(self->ring.fd, AFSYNC_CANCEL_USER_DATA, 2, 0, NULL));
	cqe = ring_next(&self->ring);
	EXPECT_EQ(2U, cqe.user_data);
	EXPECT_EQ(-ECANCELED, cqe.res);
	EXPECT_EQ(-EALREADY, afsync_cmd_cancel(self->ring.fd, AFSYNC_CANCEL_USER_DATA, 0, 0, NULL));
	ASSERT_EQ(0, dm_resume(&self->inner));
	for (i = 0; i < 2; i++) {
		cqe = ring_next(&self->ring);
		EXPECT_EQ((__u64)i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
	}
	direct_end(self->aio);
}

/* A direct read of the first half that fails rather than waits: PAGE or -errno. */
static int direct_try(FIXTURE_DATA(drain) *self, char *page)
{
	struct iovec iov = { page, PAGE };
	int ret = preadv2(self->direct, &iov, 1, RIG_GOOD * PAGE, RWF_NOWAIT);

	return ret < 0 ? -errno : ret;
}

static bool direct_refused(FIXTURE_DATA(drain) *self, char *page, int times)
{
	while (times--)
		if (direct_try(self, page) != -EAGAIN)
			return false;
	return true;
}

TEST_F(drain, no_new_direct_io_starts_while_it_waits)
{
	char *page;

	split(self, "linear", "");
	ASSERT_EQ(0, posix_memalign((void **)&page, PAGE, PAGE));
	fill_page(self->page, "afsync: direct");
	ASSERT_EQ(0, dm_suspend(&self->inner));
	direct_begin(self->aio, self->direct, self->page, 0);
	/* One direct write in flight keeps no others out (now and then a queue is full). */
	WAIT_UNTIL(direct_try(self, page) == PAGE);
	ASSERT_EQ(1, queue(self, AFSYNC_OP_FSYNC, AFSYNC_SQE_DRAIN, 1));
	WAIT_UNTIL(direct_refused(self, page, 20));
	/* That is why a stream of them cannot delay the sync for ever. */
	EXPECT_TRUE(direct_refused(self, page, 1000));
	ASSERT_EQ(0, dm_resume(&self->inner));
	EXPECT_EQ(0, ring_next(&self->ring).res);
	direct_end(self->aio);
	WAIT_UNTIL(direct_try(self, page) == PAGE);
	free(page);
}

/* A thread that has direct writes in flight until it is stopped. */
struct stream {
	int fd;
	int page_nr;
	bool stop;
	struct turn flows;
};

static void *stream_run(void *arg)
{
	struct stream *stream = arg;
	aio_context_t aio = 0;
	char *page;

	need(syscall(SYS_io_setup, 8, &aio) == 0);
	need(posix_memalign((void **)&page, PAGE, PAGE) == 0);
	fill_page(page, "afsync: stream");
	direct_begin(aio, stream->fd, page, stream->page_nr);
	turn_post(&stream->flows);
	while (!__atomic_load_n(&stream->stop, __ATOMIC_RELAXED)) {
		direct_begin(aio, stream->fd, page, stream->page_nr);
		direct_end(aio);
	}
	direct_end(aio);
	syscall(SYS_io_destroy, aio);
	free(page);
	return NULL;
}

TEST_F(drain, it_completes_again_and_again_in_a_stream_of_direct_writes)
{
	struct stream streams[4];
	pthread_t threads[4];
	unsigned int i;

	load_module("dm_delay");
	/* Slow enough that there is hardly ever none in flight. */
	split(self, "delay", " 50");
	for (i = 0; i < 4; i++) {
		streams[i] = (struct stream){ .fd = self->direct, .page_nr = i };
		turn_init(&streams[i].flows);
		threads[i] = thread_start(stream_run, &streams[i]);
	}
	for (i = 0; i < 4; i++)
		turn_wait(&streams[i].flows, 1);
	for (i = 0; i < rounds(20); i++) {
		EXPECT_EQ(1, queue(self, i % 2, AFSYNC_SQE_DRAIN, i));
		EXPECT_EQ(0, ring_next(&self->ring).res);
	}
	for (i = 0; i < 4; i++)
		__atomic_store_n(&streams[i].stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 4; i++)
		thread_join(threads[i]);
}

TEST_F(drain, with_no_direct_write_in_flight_the_flag_changes_nothing)
{
	int dir = open(self->rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int tmp = open("/mnt", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct afsync_sqe sqe;

	ASSERT_LE(0, dir);
	ASSERT_LE(0, tmp);
	ASSERT_EQ(0, write_page(self->fd, 0, "afsync: buffered"));
	ASSERT_EQ(1, queue(self, AFSYNC_OP_FSYNC, AFSYNC_SQE_DRAIN, 1));
	EXPECT_EQ(0, ring_next(&self->ring).res);
	EXPECT_TRUE(image_has(self->rig.disk.image, "afsync: buffered"));

	sqe = sqe_of(dir, AFSYNC_OP_FSYNC, 2);
	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_EQ(1, ring_submit(&self->ring, &sqe, 1, NULL));
	EXPECT_EQ(0, ring_next(&self->ring).res);
	/* a filesystem that does no direct I/O has none to wait for */
	sqe = sqe_of(tmp, AFSYNC_OP_FSYNC, 3);
	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_EQ(1, ring_submit(&self->ring, &sqe, 1, NULL));
	EXPECT_EQ(0, ring_next(&self->ring).res);
	close(dir);
	close(tmp);
}

TEST_F(drain, a_block_device_refuses_the_flag)
{
	struct afsync_sqe sqe = sqe_of(self->rig.disk.fd, AFSYNC_OP_FSYNC, 1);
	__s32 error = 0;

	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_EQ(-EOPNOTSUPP, ring_submit(&self->ring, &sqe, 1, &error));
	EXPECT_EQ(-EOPNOTSUPP, error);
	EXPECT_EQ(0U, ring_ready(&self->ring));
	EXPECT_EQ(0, ring_pending(&self->ring, "running") + ring_pending(&self->ring, "queued"));
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
