// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors, on both engines of libafsync: the errno of a sync is the result of all requests
 * that it served, and of no other; a request that cannot be queued is refused with the
 * errno that <libafsync.h> names, those before it are queued, and it stays in front.
 */
#include "engine.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <linux/ioprio.h>

FIXTURE(errors) {
	struct scene s;
};

FIXTURE_ENGINES(errors);

FIXTURE_SETUP(errors)
{
	SCENE_SETUP(&self->s, variant->engine, 32);
}

FIXTURE_TEARDOWN(errors)
{
	scene_close(&self->s);
}

static int sync_one(struct afsync_ring *ring, int fd, __u32 op)
{
	queue(ring, fd, op, 1);
	return next_cqe(ring).res;
}

/* --- of the syncs --- */

TEST_F(errors, errno_of_the_sync_is_the_result)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT, EROFS, ESTALE, EINTR, EAGAIN };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		sync_fail(self->s.ctl, SIM_GATE_FSYNC, errors[i], 1);
		EXPECT_EQ(-errors[i], sync_one(self->s.ring, self->s.file, i % 2));
		EXPECT_EQ(0, sync_one(self->s.ring, self->s.file, AFSYNC_OP_FSYNC));
		EXPECT_EQ(2 * (i + 1), syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	}
}

TEST_F(errors, error_reaches_all_requests_that_the_sync_served_and_none_later)
{
	struct afsync_ring *ring = new_ring(&self->s, 8);
	int i, again = dup(self->s.file);

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i <= 6; i++)
		queue(i % 2 ? self->s.ring : ring, i % 3 ? self->s.file : again, i % 2, i);
	gate_step(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	syncs_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sync_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 7);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 1; i <= 6; i += 2) {
		EXPECT_EQ(-EIO, next_cqe(self->s.ring).res);
		EXPECT_EQ(-EIO, next_cqe(ring).res);
	}
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	EXPECT_EQ(3, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	close(again);
	afsync_queue_exit(ring);
}

TEST_F(errors, error_of_one_file_is_not_that_of_another)
{
	int other = scene_file(&self->s, "other", O_RDWR), i;
	struct afsync_cqe cqe;

	sync_fail(self->s.ctl, SIM_GATE_FSYNC, ENOSPC, 1);
	for (i = 0; i < 10; i++)
		prepare(self->s.ring, i % 2 ? self->s.file : other, i);
	ASSERT_EQ(10, afsync_submit(self->s.ring));
	for (i = 0; i < 10; i++) {
		cqe = next_cqe(self->s.ring);
		EXPECT_EQ(cqe.user_data % 2 ? -ENOSPC : 0, cqe.res);
	}
	close(other);
}

TEST_F(errors, failed_syncfs_fails_for_all_that_it_served)
{
	int i;

	sync_fail(self->s.ctl, SIM_GATE_SYNCFS, EIO, 1);
	for (i = 0; i < 4; i++)
		afsync_prep_syncfs(afsync_get_sqe(self->s.ring), self->s.file);
	ASSERT_EQ(4, afsync_submit(self->s.ring));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-EIO, next_cqe(self->s.ring).res);
	EXPECT_EQ(0, sync_one(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS));
	EXPECT_EQ(0, sync_one(self->s.ring, self->s.file, AFSYNC_OP_FSYNC));
}

TEST_F(errors, cancelled_request_leaves_the_error_to_the_next)
{
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	gate_step(self->s.ctl, SIM_GATE_FSYNC);
	syncs_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	sync_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3);
	ASSERT_EQ(1, afsync_cancel(self->s.ring, 3));
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(-EIO, next_cqe(self->s.ring).res);
}

/* --- of the submit --- */

struct bad {
	const char *what;
	int fd, error;
	__u32 op, flags, ioprio;
	__u64 offset, length;
};

/*
 * Two are submitted before it, and one after it once it is dropped. Errors of a submit do
 * not affect the next one.
 */
static void expect_refused(struct __test_metadata *_metadata, struct scene *scene,
			   const struct bad *bad)
{
	struct afsync_ring *ring = scene->ring;
	struct afsync_sqe *sqe, dropped;

	prepare(ring, scene->file, 1);
	prepare(ring, scene->file, 2);
	sqe = prepare(ring, bad->fd, 3);
	sqe->op = bad->op;
	sqe->flags = bad->flags;
	sqe->ioprio = bad->ioprio;
	sqe->offset = bad->offset;
	sqe->length = bad->length;
	prepare(ring, scene->file, 4);

	/* Must not wait for the fourth, which is not queued. */
	EXPECT_EQ(2, LIB(afsync_submit_and_wait(ring, 4)))
		TH_LOG("%s", bad->what);
	EXPECT_EQ(2, LIB(afsync_sq_ready(ring)));
	EXPECT_EQ(bad->error, LIB(afsync_submit(ring)))
		TH_LOG("%s", bad->what);
	EXPECT_EQ(bad->error, LIB(afsync_submit_and_wait(ring, 4)));
	EXPECT_EQ(2, LIB(afsync_sq_ready(ring)));
	ASSERT_EQ(0, LIB(afsync_sq_drop(ring, &dropped, sizeof(dropped))));
	EXPECT_EQ(3, dropped.user_data);
	EXPECT_EQ(bad->fd, dropped.fd);
	EXPECT_EQ(1, LIB(afsync_submit(ring)));

	EXPECT_EQ(1, next_cqe(ring).user_data);
	EXPECT_EQ(2, next_cqe(ring).user_data);
	EXPECT_EQ(4, next_cqe(ring).user_data);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_all(ring)));
	EXPECT_EQ(0, afsync_cq_ready(ring));
}

TEST_F(errors, request_with_impossible_fields_is_refused)
{
	int fd = self->s.file;
	const struct bad table[] = {
		{ "operation 3", .fd = fd, .error = -EINVAL, .op = 3 },
		{ "operation -1", .fd = fd, .error = -EINVAL, .op = ~0U },
		{ "unknown flag", .fd = fd, .error = -EINVAL, .flags = 1U << 3 },
		{ "last flag", .fd = fd, .error = -EINVAL, .flags = 1U << 31 },
		{ "priority of no class", .fd = fd, .error = -EINVAL, .ioprio = 0xffff },
		{ "level without a class", .fd = fd, .error = -EINVAL, .ioprio = 5 },
		{ "real-time level that is none", .fd = fd, .error = -EINVAL,
		  .ioprio = IOPRIO_CLASS_RT << IOPRIO_CLASS_SHIFT | 8 },
		{ "more than a priority", .fd = fd, .error = -EINVAL, .ioprio = 1U << 16 },
		{ "offset of 2^63", .fd = fd, .error = -EINVAL, .offset = 1ULL << 63 },
		{ "end past 2^63", .fd = fd, .error = -EINVAL, .offset = 1, .length = 1ULL << 63 },
		{ "range that wraps", .fd = fd, .error = -EINVAL, .offset = 2, .length = ~0ULL },
		{ "syncfs with an offset", .fd = fd, .error = -EINVAL, .op = AFSYNC_OP_SYNCFS,
		  .offset = 1 },
		{ "syncfs with a length", .fd = fd, .error = -EINVAL, .op = AFSYNC_OP_SYNCFS,
		  .length = 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		expect_refused(_metadata, &self->s, &table[i]);
}

static void expect_bad_fd(struct __test_metadata *_metadata, struct scene *scene, int fd, int error,
			  const char *what)
{
	struct bad bad = { what, .fd = fd, .error = error };

	for (bad.op = AFSYNC_OP_FSYNC; bad.op <= AFSYNC_OP_SYNCFS; bad.op++)
		expect_refused(_metadata, scene, &bad);
}

TEST_F(errors, request_for_what_cannot_be_synced_is_refused)
{
	int path = scene_file(&self->s, "file", O_PATH);
	/* Not the next descriptor, which the library may use for a file of its own. */
	int closed = fcntl(self->s.file, F_DUPFD_CLOEXEC, 500);
	int pipes[2], sockets[2];

	need(closed >= 0 && pipe(pipes) == 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	close(closed);
	expect_bad_fd(_metadata, &self->s, -1, -EBADF, "descriptor -1");
	expect_bad_fd(_metadata, &self->s, INT_MAX, -EBADF, "descriptor far away");
	expect_bad_fd(_metadata, &self->s, INT_MIN, -EBADF, "least descriptor");
	expect_bad_fd(_metadata, &self->s, AT_FDCWD, -EBADF, "AT_FDCWD");
	expect_bad_fd(_metadata, &self->s, closed, -EBADF, "closed descriptor");
	expect_bad_fd(_metadata, &self->s, path, -EBADF, "O_PATH");
	expect_bad_fd(_metadata, &self->s, pipes[0], -EINVAL, "reading end of a pipe");
	expect_bad_fd(_metadata, &self->s, pipes[1], -EINVAL, "writing end of a pipe");
	expect_bad_fd(_metadata, &self->s, sockets[0], -EINVAL, "socket");
	expect_bad_fd(_metadata, &self->s, afsync_ring_fd(self->s.ring), -EINVAL, "the ring");
	close(path);
}

TEST_F(errors, request_that_needs_a_writer_is_refused_for_others)
{
	int path = scene_file(&self->s, "file", O_PATH);
	int readonly = scene_file(&self->s, "file", O_RDONLY);
	struct bad bad = {
		"O_PATH", .fd = path, .error = -EBADF, .flags = AFSYNC_SQE_WRITABLE,
	};

	expect_refused(_metadata, &self->s, &bad);
	bad.fd = readonly;
	bad.what = "not for writing";
	expect_refused(_metadata, &self->s, &bad);
	close(path);
	close(readonly);
}

TEST_F(errors, request_that_was_not_prepared_is_refused)
{
	need(afsync_get_sqe(self->s.ring));
	EXPECT_EQ(-EBADF, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(0, LIB(afsync_sq_drop(self->s.ring, NULL, 0)));
	EXPECT_EQ(-ENOENT, LIB(afsync_sq_drop(self->s.ring, NULL, 0)));
	EXPECT_EQ(0, LIB(afsync_submit(self->s.ring)));
}

/* The device refuses it; with the threads, the sync may report the error. */
TEST_F(errors, file_that_has_no_fsync_is_EINVAL)
{
	int loop = epoll_create1(EPOLL_CLOEXEC), event = eventfd(0, EFD_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int files[] = { loop, event, null };
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		prepare(self->s.ring, files[i], i);
		ret = LIB(afsync_submit(self->s.ring));
		if (ret == 1)
			ret = next_cqe(self->s.ring).res;
		else
			need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
		EXPECT_EQ(-EINVAL, ret);
		close(files[i]);
	}
}

TEST_F(errors, what_is_allowed_is_queued)
{
	int readonly = scene_file(&self->s, "file", O_RDONLY);
	int writeonly = scene_file(&self->s, "file", O_WRONLY);
	int dir = scene_file(&self->s, "dir", O_RDONLY);
	const struct bad table[] = {
		{ "not for writing", .fd = readonly },
		{ "only for writing", .fd = writeonly, .flags = AFSYNC_SQE_WRITABLE },
		{ "for both", .fd = self->s.file, .flags = AFSYNC_SQE_WRITABLE },
		{ "a folder", .fd = dir },
		{ "syncfs of a folder", .fd = dir, .op = AFSYNC_OP_SYNCFS },
		{ "the last byte", .fd = self->s.file, .offset = LLONG_MAX, .length = 1 },
		{ "all bytes", .fd = self->s.file, .length = 1ULL << 63 },
		{ "the lowest priority", .fd = self->s.file,
		  .ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7) },
		{ "idle", .fd = self->s.file, .ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0) },
	};
	struct afsync_sqe *sqe;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		sqe = prepare(self->s.ring, table[i].fd, i);
		sqe->op = table[i].op;
		sqe->flags = table[i].flags;
		sqe->ioprio = table[i].ioprio;
		sqe->offset = table[i].offset;
		sqe->length = table[i].length;
		ASSERT_EQ(1, LIB(afsync_submit(self->s.ring)))
			TH_LOG("%s", table[i].what);
		EXPECT_EQ(0, next_cqe(self->s.ring).res)
			TH_LOG("%s", table[i].what);
	}
	close(readonly);
	close(writeonly);
	close(dir);
}

TEST_F(errors, realtime_priority_needs_a_privilege)
{
	bool root = geteuid() == 0;

	afsync_sqe_set_ioprio(prepare(self->s.ring, self->s.file, 0),
			      IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 0));
	need(!root || seteuid(65534) == 0);
	EXPECT_EQ(-EPERM, LIB(afsync_submit(self->s.ring)));
	need(!root || seteuid(0) == 0);
	if (root) {
		EXPECT_EQ(1, LIB(afsync_submit(self->s.ring)));
		EXPECT_EQ(0, next_cqe(self->s.ring).res);
	}
}

TEST_F(errors, drain_is_EOPNOTSUPP_where_the_engine_cannot_do_it)
{
	afsync_sqe_set_flags(prepare(self->s.ring, self->s.file, 0), AFSYNC_SQE_DRAIN);
	EXPECT_EQ(is_device(&self->s) ? 1 : -EOPNOTSUPP, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(!is_device(&self->s), LIB(afsync_sq_ready(self->s.ring)));
}

TEST_F(errors, impossible_ring_is_EINVAL)
{
	struct afsync_ring *ring = (void *)POISON64;

	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(0, &ring, self->s.engine)));
	EXPECT_EQ(NULL, ring);
	ring = (void *)POISON64;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(AFSYNC_MAX_ENTRIES + 1, &ring,
						 self->s.engine)));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(8, &ring, self->s.engine | 1U << 31)));
	ASSERT_EQ(0, LIB(afsync_queue_init(AFSYNC_MAX_ENTRIES + 1, &ring,
					   self->s.engine | AFSYNC_INIT_CLAMP)));
	EXPECT_EQ(AFSYNC_MAX_ENTRIES, LIB(afsync_ring_entries(ring)));
	afsync_queue_exit(ring);
	ASSERT_EQ(0, LIB(afsync_queue_init(5, &ring, self->s.engine)));
	EXPECT_EQ(8, LIB(afsync_ring_entries(ring)));
	afsync_queue_exit(ring);
}

TEST_HARNESS_MAIN
