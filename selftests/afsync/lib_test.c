// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every function of libafsync on the real device, with every error that its header
 * names. Needs root and afsync_sim. The logic that needs no device has unit tests
 * beside the library.
 */
#include "common.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>

#include <libafsync.h>

#include "filter.h"

/* The result of a call of the library, which must leave errno alone. */
#define LIB(call) ({							\
	errno = 4711;							\
	__typeof__(call) __ret = (call);				\
	EXPECT_EQ(4711, errno)						\
		TH_LOG("errno changed by %s", #call);			\
	__ret;								\
})

static const struct __kernel_timespec moment = { .tv_nsec = 1000000 };
static const struct __kernel_timespec ages = { .tv_sec = 3600 };

static struct afsync_ring *new_ring(unsigned int entries)
{
	struct afsync_ring *ring;

	need(afsync_queue_init(entries, &ring, 0) == 0);
	return ring;
}

static struct afsync_sqe *prepare(struct afsync_ring *ring, int fd, __u64 data)
{
	struct afsync_sqe *sqe = afsync_get_sqe(ring);

	need(sqe);
	afsync_prep_fsync(sqe, fd);
	afsync_sqe_set_data64(sqe, data);
	return sqe;
}

/* Take the next completion, however long that takes. */
static struct afsync_cqe next_cqe(struct afsync_ring *ring)
{
	struct afsync_cqe copy, *cqe;

	need(afsync_wait_cqe(ring, &cqe) == 0);
	copy = *cqe;
	afsync_cqe_seen(ring, cqe);
	return copy;
}

FIXTURE(lib) {
	struct world world;
	struct afsync_ring *ring;
	int fd;
};

FIXTURE_SETUP(lib)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->ring = new_ring(8);
	self->fd = world_open(&self->world, "file", O_RDWR);
}

FIXTURE_TEARDOWN(lib)
{
	sim_let_go(self->fd, SIM_GATE_FSYNC);
	close(self->fd);
	if (self->ring)
		afsync_queue_exit(self->ring);
	world_unmount(&self->world);
}

/* --- setting up --- */

TEST(entries_are_rounded_up_to_a_power_of_two)
{
	unsigned int max = parameter("max_entries");
	const unsigned int table[][2] = {
		{ 1, 1 }, { 2, 2 }, { 3, 4 }, { 8, 8 }, { 9, 16 },
		{ 1000, 1024 }, { max, max },
	};
	struct afsync_ring *ring;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		ASSERT_EQ(0, LIB(afsync_queue_init(table[i][0], &ring, 0)));
		EXPECT_EQ(table[i][1], LIB(afsync_ring_entries(ring)));
		for (n = 0; n < table[i][1]; n++)
			ASSERT_NE(NULL, LIB(afsync_get_sqe(ring)));
		EXPECT_EQ(NULL, LIB(afsync_get_sqe(ring)));
		EXPECT_EQ(n, LIB(afsync_sq_ready(ring)));
		EXPECT_EQ(0, LIB(afsync_cq_ready(ring)));
		afsync_queue_exit(ring);
	}
	ring = (void *)POISON64;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(0, &ring, 0)));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(max + 1, &ring, 0)));
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(8, &ring, 32)));
}

TEST(more_entries_than_the_module_allows_are_clamped_when_asked_for)
{
	unsigned int max = parameter("max_entries");
	const unsigned int table[][2] = {
		{ 3, 4 }, { max, max }, { max + 1, max }, { UINT_MAX, max },
	};
	struct afsync_ring *ring;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		ASSERT_EQ(0, LIB(afsync_queue_init(table[i][0], &ring,
						   AFSYNC_INIT_CLAMP)));
		EXPECT_EQ(table[i][1], LIB(afsync_ring_entries(ring)));
		afsync_queue_exit(ring);
	}
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_init(0, &ring, AFSYNC_INIT_CLAMP)));
}

TEST(descriptor_is_closed_on_exec_unless_asked_for)
{
	struct afsync_ring *ring = new_ring(1);

	EXPECT_EQ(FD_CLOEXEC, fcntl(LIB(afsync_ring_fd(ring)), F_GETFD));
	afsync_queue_exit(ring);
	ASSERT_EQ(0, LIB(afsync_queue_init(1, &ring, AFSYNC_INIT_NO_CLOEXEC)));
	EXPECT_EQ(0, fcntl(afsync_ring_fd(ring), F_GETFD));
	afsync_queue_exit(ring);
}

TEST(info_is_that_of_the_module)
{
	struct afsync_info info;

	memset(&info, POISON_BYTE, sizeof(info));
	ASSERT_EQ(0, LIB(afsync_get_info(&info, sizeof(info))));
	EXPECT_EQ(AFSYNC_VERSION, info.version);
	EXPECT_EQ(7, info.ops);
	EXPECT_EQ(parameter("max_entries"), info.max_entries);
	EXPECT_EQ(parameter("max_user_requests"), info.max_user_requests);
	EXPECT_EQ(parameter("workers_per_fs"), info.workers_per_fs);
	EXPECT_NE(NULL, strchr(LIB(afsync_version()), '.'));
}

/* A program of another version has a struct of another size. */
TEST(info_fills_the_callers_struct_and_no_more)
{
	unsigned char bytes[sizeof(struct afsync_info) + 16];
	struct afsync_info info;
	size_t size, i;

	ASSERT_EQ(0, LIB(afsync_get_info(&info, sizeof(info))));
	for (size = 0; size <= sizeof(bytes); size++) {
		memset(bytes, POISON_BYTE, sizeof(bytes));
		ASSERT_EQ(0, LIB(afsync_get_info((void *)bytes, size)));
		EXPECT_EQ(0, memcmp(bytes, &info,
				    size < sizeof(info) ? size : sizeof(info)));
		for (i = sizeof(info); i < size; i++)
			EXPECT_EQ(0, bytes[i]);
		for (i = size; i < sizeof(bytes); i++)
			EXPECT_EQ(POISON_BYTE, bytes[i]);
	}
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	need(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* If only the device is acceptable, setup and info fail with that error. */
static void expect_no_device(struct __test_metadata *_metadata, int want)
{
	struct afsync_ring *ring = (void *)POISON64;
	struct afsync_info info, poison;

	memset(&info, POISON_BYTE, sizeof(info));
	memset(&poison, POISON_BYTE, sizeof(poison));
	EXPECT_EQ(want, LIB(afsync_queue_init(8, &ring, AFSYNC_INIT_DEVICE)));
	EXPECT_EQ(NULL, ring);
	need(setenv("AFSYNC_ENGINE", "device", 1) == 0);
	EXPECT_EQ(want, LIB(afsync_get_info(&info, sizeof(info))));
	EXPECT_EQ(0, memcmp(&info, &poison, sizeof(info)));
}

/* Puts another node, or nothing, in the place of the device. */
static void hide_device(dev_t dev, mode_t mode)
{
	own_mounts();
	need(mount("none", "/dev", "tmpfs", 0, "mode=755") == 0);
	if (dev) {
		need(mknod(DEVICE, S_IFCHR, dev) == 0);
		need(chmod(DEVICE, mode) == 0);
	}
}

TEST(missing_device_is_enoent)
{
	int fds = count_fds();

	hide_device(0, 0);
	expect_no_device(_metadata, -ENOENT);
	EXPECT_EQ(fds, count_fds());
}

TEST(node_of_another_device_is_enotty)
{
	int fds = count_fds();

	hide_device(makedev(1, 3), 0666);
	expect_no_device(_metadata, -ENOTTY);
	EXPECT_EQ(fds, count_fds());
}

TEST(node_without_a_module_is_enodev_or_enxio)
{
	/* A free minor of the misc devices; a major that no driver has. */
	hide_device(makedev(10, 250), 0666);
	expect_no_device(_metadata, -ENODEV);
	hide_device(makedev(510, 0), 0666);
	expect_no_device(_metadata, -ENXIO);
}

TEST(forbidden_device_is_eacces)
{
	hide_device(makedev(1, 3), 0600);
	need(setresuid(65534, 65534, 65534) == 0);
	expect_no_device(_metadata, -EACCES);
}

TEST(device_forbidden_by_a_filter_is_eperm)
{
	call_fails(SYS_openat, EPERM);
	expect_no_device(_metadata, -EPERM);
}

/* Provoked for real it would hit the whole machine. */
TEST(full_file_table_is_enfile)
{
	call_fails(SYS_openat, ENFILE);
	expect_no_device(_metadata, -ENFILE);
}

TEST(too_many_open_files_is_emfile)
{
	struct rlimit none = { 0 };

	need(setrlimit(RLIMIT_NOFILE, &none) == 0);
	expect_no_device(_metadata, -EMFILE);
}

TEST(no_address_space_is_enomem)
{
	struct rlimit tight = { .rlim_cur = 1, .rlim_max = 1 };
	struct afsync_ring *ring = (void *)POISON64;
	int fds = count_fds(), ret;

	need(setrlimit(RLIMIT_AS, &tight) == 0);
	ret = LIB(afsync_queue_init(1024, &ring, 0));
	tight.rlim_cur = RLIM_INFINITY;
	tight.rlim_max = RLIM_INFINITY;
	need(setrlimit(RLIMIT_AS, &tight) == 0);
	EXPECT_EQ(-ENOMEM, ret);
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(fds, count_fds());
}

TEST(locked_memory_at_the_limit_is_eagain)
{
	struct rlimit tight = { .rlim_cur = 4096, .rlim_max = 4096 };
	struct afsync_ring *ring;
	int ret;

	need(setrlimit(RLIMIT_MEMLOCK, &tight) == 0);
	need(setresuid(65534, 65534, 65534) == 0);
	need(mlockall(MCL_FUTURE) == 0);
	ret = LIB(afsync_queue_init(1024, &ring, 0));
	need(munlockall() == 0);
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(NULL, ring);
}

/* --- preparing and submitting --- */

TEST_F(lib, result_and_data_come_back_and_the_file_may_be_closed)
{
	struct afsync_cqe *cqe;
	int fd = world_open(&self->world, "other", O_RDWR);

	sim_hold(self->fd, SIM_GATE_FSYNC);
	afsync_sqe_set_data(prepare(self->ring, self->fd, 0), self);
	prepare(self->ring, fd, POISON64);
	EXPECT_EQ(2, LIB(afsync_submit(self->ring)));
	EXPECT_EQ(0, afsync_sq_ready(self->ring));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, LIB(afsync_wait_cqe(self->ring, &cqe)));
	EXPECT_EQ(POISON64, LIB(afsync_cqe_get_data64(cqe)));
	EXPECT_EQ(0, cqe->res);
	afsync_cqe_seen(self->ring, cqe);
	EXPECT_EQ(-EAGAIN, LIB(afsync_peek_cqe(self->ring, &cqe)));

	sim_fail(self->fd, SIM_GATE_FSYNC, EIO, 1);
	sim_let_go(self->fd, SIM_GATE_FSYNC);
	EXPECT_EQ(0, LIB(afsync_wait_cqe(self->ring, &cqe)));
	EXPECT_EQ((void *)self, LIB(afsync_cqe_get_data(cqe)));
	EXPECT_EQ(-EIO, cqe->res);
}

TEST_F(lib, each_prep_asks_for_its_own_sync)
{
	const struct {
		__u32 datasync;
		__u64 start, end;
	} want[] = {
		{ 0, 0, LLONG_MAX },
		{ 1, 0, LLONG_MAX },
		{ 0, 4096, 12287 },
		{ 1, 1ULL << 40, LLONG_MAX },
	};
	struct sim_call call;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		struct afsync_sqe *sqe = afsync_get_sqe(self->ring);

		if (i == 0)
			afsync_prep_fsync(sqe, self->fd);
		else if (i == 1)
			afsync_prep_fdatasync(sqe, self->fd);
		else if (i == 2)
			afsync_prep_fsync_range(sqe, self->fd, 4096, 8192);
		else
			afsync_prep_fdatasync_range(sqe, self->fd, 1ULL << 40, 0);
		ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
		EXPECT_EQ(0, next_cqe(self->ring).res);
		call = sim_call(self->fd, i);
		EXPECT_EQ(want[i].datasync, call.datasync);
		EXPECT_EQ(want[i].start, call.start);
		EXPECT_EQ(want[i].end, call.end);
	}
	EXPECT_EQ(0, sim_started(self->fd, SIM_GATE_SYNCFS));
	afsync_prep_syncfs(afsync_get_sqe(self->ring), self->fd);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(0, next_cqe(self->ring).res);
	EXPECT_EQ(1, sim_started(self->fd, SIM_GATE_SYNCFS));
	EXPECT_EQ(ARRAY_SIZE(want), sim_started(self->fd, SIM_GATE_FSYNC));
}

TEST_F(lib, flags_and_priority_reach_the_sync)
{
	struct afsync_sqe *sqe;
	__u32 prio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
	int other = world_open(&self->world, "other", O_RDWR);

	sqe = prepare(self->ring, self->fd, 0);
	afsync_sqe_set_flags(sqe, AFSYNC_SQE_WRITABLE);
	afsync_sqe_set_ioprio(sqe, prio);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(prio, sim_call(self->fd, 0).ioprio);
	EXPECT_EQ(0, next_cqe(self->ring).res);

	sim_dio_begin(self->fd);
	sqe = prepare(self->ring, self->fd, 0);
	afsync_sqe_set_flags(sqe, AFSYNC_SQE_DRAIN);
	prepare(self->ring, other, 1);
	ASSERT_EQ(2, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(1, sim_started(self->fd, SIM_GATE_FSYNC));
	sim_dio_end(self->fd);
	EXPECT_EQ(0, next_cqe(self->ring).res);
	close(other);
}

/*
 * A refused request stays in front until it is dropped; the others are submitted before
 * and after it.
 */
TEST_F(lib, refused_request_stops_the_rest_until_it_is_dropped)
{
	int readonly = world_open(&self->world, "file", O_RDONLY);
	int path = world_open(&self->world, "file", O_PATH);
	int pipes[2];
	struct {
		int fd, error;
		__u32 op, flags, ioprio;
		__u64 offset, length;
	} table[] = {
		{ .fd = -1, .error = -EBADF },
		{ .fd = path, .error = -EBADF },
		{ readonly, -EBADF, .flags = AFSYNC_SQE_WRITABLE },
		{ self->fd, -EINVAL, .op = 3 },
		{ self->fd, -EINVAL, .flags = 1U << 31 },
		{ self->fd, -EINVAL, .ioprio = 0xffff },
		{ self->fd, -EINVAL, .offset = 1ULL << 63 },
		{ self->fd, -EINVAL, .offset = 1, .length = 1ULL << 63 },
		{ .fd = afsync_ring_fd(self->ring), .error = -EINVAL },
		{ .error = -EINVAL },			/* a pipe */
	};
	struct afsync_sqe *sqe, dropped;
	unsigned int i;

	need(pipe(pipes) == 0);
	table[ARRAY_SIZE(table) - 1].fd = pipes[0];
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		prepare(self->ring, self->fd, 1);
		prepare(self->ring, self->fd, 2);
		sqe = prepare(self->ring, table[i].fd, 3);
		sqe->op = table[i].op;
		afsync_sqe_set_flags(sqe, table[i].flags);
		afsync_sqe_set_ioprio(sqe, table[i].ioprio);
		sqe->offset = table[i].offset;
		sqe->length = table[i].length;
		prepare(self->ring, self->fd, 4);

		/* Must not wait for the fourth, which is not queued. */
		EXPECT_EQ(2, LIB(afsync_submit_and_wait(self->ring, 4)));
		EXPECT_EQ(2, LIB(afsync_sq_ready(self->ring)));
		EXPECT_EQ(table[i].error, LIB(afsync_submit(self->ring)));
		EXPECT_EQ(table[i].error, LIB(afsync_submit(self->ring)));
		EXPECT_EQ(2, LIB(afsync_sq_ready(self->ring)));
		EXPECT_EQ(0, LIB(afsync_sq_drop(self->ring, &dropped, sizeof(dropped))));
		EXPECT_EQ(3, dropped.user_data);
		EXPECT_EQ(table[i].fd, dropped.fd);
		EXPECT_EQ(1, LIB(afsync_submit(self->ring)));

		EXPECT_EQ(1, next_cqe(self->ring).user_data);
		EXPECT_EQ(2, next_cqe(self->ring).user_data);
		EXPECT_EQ(4, next_cqe(self->ring).user_data);
		EXPECT_EQ(0, afsync_cq_ready(self->ring));
	}
	EXPECT_EQ(-ENOENT, LIB(afsync_sq_drop(self->ring, &dropped, sizeof(dropped))));
	close(readonly);
	close(path);
}

TEST_F(lib, realtime_priority_needs_a_privilege)
{
	struct afsync_sqe *sqe = prepare(self->ring, self->fd, 0);

	afsync_sqe_set_ioprio(sqe, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 0));
	need(seteuid(65534) == 0);
	EXPECT_EQ(-EPERM, LIB(afsync_submit(self->ring)));
	need(seteuid(0) == 0);
	EXPECT_EQ(1, LIB(afsync_submit(self->ring)));
	EXPECT_EQ(0, next_cqe(self->ring).res);
}

TEST(drain_where_direct_io_cannot_be_seen_is_eopnotsupp)
{
	struct afsync_ring *ring;
	struct world world;
	int fd;

	WORLD_SETUP(&world, "afsync_simnet");
	ring = new_ring(1);
	fd = world_open(&world, "file", O_RDWR);
	afsync_sqe_set_flags(prepare(ring, fd, 0), AFSYNC_SQE_DRAIN);
	EXPECT_EQ(-EOPNOTSUPP, LIB(afsync_submit(ring)));
	afsync_queue_exit(ring);
	close(fd);
	world_unmount(&world);
}

TEST_F(lib, full_ring_is_eagain_until_completions_are_read)
{
	struct afsync_cqe *cqes[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		prepare(self->ring, self->fd, i);
	ASSERT_EQ(8, LIB(afsync_submit_and_wait(self->ring, 8)));
	for (i = 8; i < 11; i++)
		prepare(self->ring, self->fd, i);
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->ring)));
	ASSERT_EQ(8, LIB(afsync_peek_batch_cqe(self->ring, cqes, 8)));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i, cqes[i]->user_data);

	afsync_cq_advance(self->ring, 2);
	EXPECT_EQ(2, LIB(afsync_submit(self->ring)));
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->ring)));
	afsync_cq_advance(self->ring, 1);
	EXPECT_EQ(1, LIB(afsync_submit(self->ring)));
	for (i = 3; i < 11; i++)
		EXPECT_EQ(i, next_cqe(self->ring).user_data);
	EXPECT_EQ(0, LIB(afsync_submit(self->ring)));
}

/* --- waiting and reading --- */

TEST_F(lib, waits_end_when_the_time_is_over)
{
	struct afsync_cqe *cqe = (void *)POISON64;

	sim_hold(self->fd, SIM_GATE_FSYNC);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqe_timeout(self->ring, &cqe, &moment)));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->ring, &cqe, 8, &moment, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->ring, NULL, 1, &moment, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							     &moment, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->ring)));
	EXPECT_EQ(-EINVAL, LIB(afsync_wait_cqes(self->ring, &cqe, 9, NULL, NULL)));

	/* The count of queued requests is the return value; the result of the wait is separate. */
	prepare(self->ring, self->fd, 1);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							&moment, NULL)));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(0, LIB(afsync_cq_ready(self->ring)));
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->ring)));
	/* The result of the last submit's wait, whether it waited or not. */
	EXPECT_EQ(0, LIB(afsync_submit(self->ring)));
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->ring)));

	sim_let_go(self->fd, SIM_GATE_FSYNC);
	EXPECT_EQ(0, LIB(afsync_wait_cqe_timeout(self->ring, &cqe, &ages)));
	EXPECT_EQ(1, cqe->user_data);
	prepare(self->ring, self->fd, 2);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 2,
							&ages, NULL)));
	EXPECT_EQ(1, cqe->user_data);
	EXPECT_EQ(2, LIB(afsync_cq_ready(self->ring)));
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->ring)));
	EXPECT_EQ(0, LIB(afsync_wait_cqes(self->ring, &cqe, 2, NULL, NULL)));
}

static struct __kernel_timespec monotonic(void)
{
	struct timespec now;

	need(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (struct __kernel_timespec) { now.tv_sec, now.tv_nsec };
}

/* @ns later. */
static struct __kernel_timespec monotonic_in(long ns)
{
	struct __kernel_timespec ts = monotonic();

	ts.tv_nsec += ns;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static bool has_come(const struct __kernel_timespec *ts)
{
	struct __kernel_timespec now = monotonic();

	return now.tv_sec > ts->tv_sec ||
	       (now.tv_sec == ts->tv_sec && now.tv_nsec >= ts->tv_nsec);
}

TEST_F(lib, waits_end_at_a_time_of_the_clock_and_not_before)
{
	struct __kernel_timespec until, past = { .tv_nsec = 1 };
	struct afsync_cqe *cqe = (void *)POISON64;

	sim_hold(self->fd, SIM_GATE_FSYNC);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes_until(self->ring, &cqe, 1, &past, NULL)));
	EXPECT_EQ(NULL, cqe);
	until = monotonic_in(20000000);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes_until(self->ring, &cqe, 1, &until, NULL)));
	EXPECT_TRUE(has_come(&until));
	until = monotonic_in(20000000);
	EXPECT_EQ(-ETIME, LIB(afsync_submit_and_wait_until(self->ring, &cqe, 1, &until,
							   NULL)));
	EXPECT_TRUE(has_come(&until));
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->ring)));
	prepare(self->ring, self->fd, 1);
	until = monotonic_in(20000000);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_until(self->ring, &cqe, 1, &until, NULL)));
	EXPECT_TRUE(has_come(&until));
	EXPECT_EQ(NULL, cqe);
	EXPECT_EQ(-ETIME, LIB(afsync_sq_wait_result(self->ring)));
	EXPECT_EQ(-EINVAL, LIB(afsync_wait_cqes_until(self->ring, &cqe, 9, NULL, NULL)));
	EXPECT_EQ(-EAGAIN, LIB(afsync_wait_cqes_until(self->ring, &cqe, 0, NULL, NULL)));

	sim_let_go(self->fd, SIM_GATE_FSYNC);
	until = monotonic();
	until.tv_sec += 3600;
	EXPECT_EQ(0, LIB(afsync_wait_cqes_until(self->ring, &cqe, 1, &until, NULL)));
	EXPECT_EQ(1, cqe->user_data);
	prepare(self->ring, self->fd, 2);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_until(self->ring, &cqe, 2, &until, NULL)));
	EXPECT_EQ(2, LIB(afsync_cq_ready(self->ring)));
	EXPECT_EQ(0, LIB(afsync_sq_wait_result(self->ring)));
	prepare(self->ring, self->fd, 3);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_until(self->ring, &cqe, 3, NULL, NULL)));
	EXPECT_EQ(3, LIB(afsync_cq_ready(self->ring)));
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	(void)sig;
	handled++;
}

static void handle_usr1(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	handled = 0;
	need(sigaction(SIGUSR1, &action, NULL) == 0);
}

struct interrupter {
	pthread_t thread;
	pid_t tid;
	int release;		/* after the signal, release the syncs of this file */
};

static void *interrupt(void *arg)
{
	struct interrupter *it = arg;

	thread_wait_in(it->tid, SYS_ioctl);
	need(pthread_kill(it->thread, SIGUSR1) == 0);
	while (!handled)
		sched_yield();
	if (it->release >= 0) {
		thread_wait_in(it->tid, SYS_ioctl);
		sim_let_go(it->release, SIM_GATE_FSYNC);
	}
	return NULL;
}

TEST_F(lib, signal_handler_ends_a_wait)
{
	struct interrupter it = { pthread_self(), thread_id(), -1 };
	struct afsync_cqe *cqe;
	pthread_t thread;
	int i, ret;

	sim_hold(self->fd, SIM_GATE_FSYNC);
	for (i = 0; i < 4; i++) {
		handle_usr1(0);
		thread = thread_start(interrupt, &it);
		if (i == 0)
			ret = LIB(afsync_wait_cqe(self->ring, &cqe));
		else if (i == 1)
			ret = LIB(afsync_wait_cqe_timeout(self->ring, &cqe, &ages));
		else if (i == 2)
			ret = LIB(afsync_submit_and_wait(self->ring, 1));
		else
			ret = LIB(afsync_submit_and_wait_timeout(self->ring, &cqe,
								 1, &ages, NULL));
		EXPECT_EQ(-EINTR, ret);
		thread_join(thread);
		EXPECT_EQ(1, handled);
	}
	/* If requests were queued, the call returns their count. */
	handle_usr1(0);
	prepare(self->ring, self->fd, 1);
	thread = thread_start(interrupt, &it);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	thread_join(thread);
	EXPECT_EQ(0, LIB(afsync_cq_ready(self->ring)));
	EXPECT_EQ(-EINTR, LIB(afsync_sq_wait_result(self->ring)));
}

TEST_F(lib, restarting_handler_does_not_end_a_wait)
{
	struct interrupter it = { pthread_self(), thread_id(), self->fd };
	struct afsync_cqe *cqe;
	pthread_t thread;
	int i, ret;

	for (i = 0; i < 2; i++) {
		handle_usr1(SA_RESTART);
		sim_hold(self->fd, SIM_GATE_FSYNC);
		prepare(self->ring, self->fd, i);
		need(afsync_submit(self->ring) == 1);
		thread = thread_start(interrupt, &it);
		if (i == 0)
			ret = LIB(afsync_wait_cqe(self->ring, &cqe));
		else
			ret = LIB(afsync_wait_cqe_timeout(self->ring, &cqe, &ages));
		EXPECT_EQ(0, ret);
		EXPECT_EQ(i, cqe->user_data);
		afsync_cqe_seen(self->ring, cqe);
		thread_join(thread);
		EXPECT_EQ(1, handled);
	}
}

TEST_F(lib, signal_mask_holds_during_the_wait_only)
{
	sigset_t usr1, none, now;
	struct afsync_cqe *cqe;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	handle_usr1(SA_RESTART);
	need(pthread_sigmask(SIG_SETMASK, &usr1, NULL) == 0);
	need(raise(SIGUSR1) == 0);

	/* Pending and blocked: no effect. Pending and not blocked: the wait ends. */
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->ring, &cqe, 1, &moment, NULL)));
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->ring, &cqe, 1, &moment, &usr1)));
	EXPECT_EQ(0, handled);
	EXPECT_EQ(-EINTR, LIB(afsync_wait_cqes(self->ring, &cqe, 1, &ages, &none)));
	EXPECT_EQ(1, handled);
	need(raise(SIGUSR1) == 0);
	EXPECT_EQ(-EINTR, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							     &ages, &none)));
	EXPECT_EQ(2, handled);

	/* The same while something is queued. */
	sim_hold(self->fd, SIM_GATE_FSYNC);
	need(raise(SIGUSR1) == 0);
	prepare(self->ring, self->fd, 1);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							&moment, &usr1)));
	EXPECT_EQ(2, handled);
	prepare(self->ring, self->fd, 2);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait_timeout(self->ring, &cqe, 1,
							&ages, &none)));
	EXPECT_EQ(3, handled);

	need(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
	EXPECT_EQ(1, sigismember(&now, SIGUSR1));
}

TEST_F(lib, reading_completions_needs_no_system_call)
{
	struct afsync_cqe *cqe, *cqes[8];
	unsigned int i, head, n = 0;
	pid_t pid;

	for (i = 0; i < 6; i++)
		prepare(self->ring, self->fd, i);
	ASSERT_EQ(6, LIB(afsync_submit_and_wait(self->ring, 6)));
	pid = fork();
	if (pid == 0) {
		/* Any system call except read, write and exit kills the process. */
		need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
		n += afsync_wait_cqe(self->ring, &cqe) != 0;
		afsync_cqe_seen(self->ring, cqe);
		n += afsync_peek_cqe(self->ring, &cqe) != 0;
		n += afsync_peek_batch_cqe(self->ring, cqes, 8) != 5;
		n += afsync_wait_cqes(self->ring, &cqe, 5, &ages, NULL) != 0;
		i = 0;
		afsync_for_each_cqe(self->ring, head, cqe)
			n += cqe->user_data != ++i;
		afsync_cq_advance(self->ring, i);
		n += i != 5 || afsync_cq_ready(self->ring) != 0;
		n += afsync_submit_and_wait(self->ring, 0) != 0;
		prepare(self->ring, self->fd, 7);
		syscall(SYS_exit, n);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* The child shares the ring: it has read them all. */
	EXPECT_EQ(0, LIB(afsync_cq_ready(self->ring)));
	EXPECT_EQ(0, LIB(afsync_sq_ready(self->ring)));
}

/* --- cancelling --- */

TEST_F(lib, cancel_takes_back_what_is_queued_and_says_what_runs)
{
	int other = world_open(&self->world, "other", O_RDWR);
	unsigned int i;

	sim_hold(self->fd, SIM_GATE_FSYNC);
	sim_hold(other, SIM_GATE_FSYNC);
	prepare(self->ring, self->fd, 1);
	prepare(self->ring, other, 2);
	need(afsync_submit(self->ring) == 2);
	sim_wait_started(self->fd, SIM_GATE_FSYNC, 1);
	sim_wait_started(other, SIM_GATE_FSYNC, 1);
	for (i = 0; i < 2; i++)
		prepare(self->ring, self->fd, 3);
	prepare(self->ring, self->fd, 4);
	prepare(self->ring, other, 5);
	need(afsync_submit(self->ring) == 4);
	prepare(self->ring, self->fd, 3);

	EXPECT_EQ(-EALREADY, LIB(afsync_cancel(self->ring, 1)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel(self->ring, 6)));
	EXPECT_EQ(-EBADF, LIB(afsync_cancel_fd(self->ring, -1)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_fd(self->ring,
						afsync_ring_fd(self->ring))));
	EXPECT_EQ(2, LIB(afsync_cancel(self->ring, 3)));
	for (i = 0; i < 2; i++) {
		struct afsync_cqe cqe = next_cqe(self->ring);

		EXPECT_EQ(3, cqe.user_data);
		EXPECT_EQ(-ECANCELED, cqe.res);
	}
	EXPECT_EQ(1, LIB(afsync_cancel_fd(self->ring, self->fd)));
	EXPECT_EQ(4, next_cqe(self->ring).user_data);
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_fd(self->ring, self->fd)));
	EXPECT_EQ(1, LIB(afsync_cancel_all(self->ring)));
	EXPECT_EQ(5, next_cqe(self->ring).user_data);
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_all(self->ring)));

	sim_let_go(self->fd, SIM_GATE_FSYNC);
	sim_let_go(other, SIM_GATE_FSYNC);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, next_cqe(self->ring).res);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_all(self->ring)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_fd(self->ring, self->fd)));
	/* A prepared request that is not submitted is not touched. */
	EXPECT_EQ(1, LIB(afsync_sq_ready(self->ring)));
	close(other);
}

TEST_F(lib, cancel_of_what_matches_both_counts_those_that_run)
{
	const unsigned int both = AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD;
	int other = world_open(&self->world, "other", O_RDWR);
	unsigned int i, bit, running = POISON32;

	sim_hold(self->fd, SIM_GATE_FSYNC);
	sim_hold(other, SIM_GATE_FSYNC);
	prepare(self->ring, self->fd, 1);
	prepare(self->ring, other, 1);
	need(afsync_submit(self->ring) == 2);
	sim_wait_started(self->fd, SIM_GATE_FSYNC, 1);
	sim_wait_started(other, SIM_GATE_FSYNC, 1);
	prepare(self->ring, self->fd, 1);
	prepare(self->ring, self->fd, 2);
	prepare(self->ring, other, 1);
	prepare(self->ring, other, 2);
	need(afsync_submit(self->ring) == 4);

	EXPECT_EQ(1, LIB(afsync_cancel_match(self->ring, both, 1, self->fd, &running)));
	EXPECT_EQ(1, running);
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_match(self->ring, both, 1, self->fd,
						     &running)));
	EXPECT_EQ(1, running);
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->ring, both, 2, self->fd, &running)));
	EXPECT_EQ(0, running);
	EXPECT_EQ(2, next_cqe(self->ring).user_data);
	running = POISON32;
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_match(self->ring, both, 2, self->fd,
						   &running)));
	EXPECT_EQ(0, running);

	/* Criteria that the flags do not ask for are ignored. */
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->ring, AFSYNC_CANCEL_USER_DATA, 1, -1,
					     &running)));
	EXPECT_EQ(2, running);
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(1, LIB(afsync_cancel_match(self->ring, AFSYNC_CANCEL_FD, 99, other, NULL)));
	EXPECT_EQ(2, next_cqe(self->ring).user_data);
	EXPECT_EQ(-EALREADY, LIB(afsync_cancel_match(self->ring, AFSYNC_CANCEL_ALL, 99, -1,
						     &running)));
	EXPECT_EQ(2, running);

	EXPECT_EQ(-EBADF, LIB(afsync_cancel_match(self->ring, both, 1, -1, &running)));
	EXPECT_EQ(0, running);
	EXPECT_EQ(-EINVAL, LIB(afsync_cancel_match(self->ring, 0, 0, 0, NULL)));
	EXPECT_EQ(-EINVAL, LIB(afsync_cancel_match(self->ring, AFSYNC_CANCEL_ALL | both,
						   0, 0, NULL)));
	for (bit = 3; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, LIB(afsync_cancel_match(self->ring, 1U << bit, 0, 0,
							   NULL)));
	sim_let_go(self->fd, SIM_GATE_FSYNC);
	sim_let_go(other, SIM_GATE_FSYNC);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, next_cqe(self->ring).res);
	close(other);
}

/* --- event loops --- */

TEST_F(lib, held_request_runs_when_it_is_started)
{
	struct afsync_sqe *sqe = prepare(self->ring, self->fd, 5);

	afsync_sqe_set_flags(sqe, AFSYNC_SQE_HOLD);
	ASSERT_EQ(1, LIB(afsync_submit(self->ring)));
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->ring, 6)));
	EXPECT_EQ(0, sim_started(self->fd, SIM_GATE_FSYNC));
	EXPECT_EQ(1, LIB(afsync_start(self->ring, 5)));
	EXPECT_EQ(5, next_cqe(self->ring).user_data);
	EXPECT_EQ(1, sim_started(self->fd, SIM_GATE_FSYNC));
}

TEST_F(lib, eventfd_and_epoll_tell_of_completions)
{
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };
	__u64 count;

	need(event >= 0 && loop >= 0);
	need(epoll_ctl(loop, EPOLL_CTL_ADD, afsync_ring_fd(self->ring), &ev) == 0);
	EXPECT_EQ(-ENXIO, LIB(afsync_unregister_eventfd(self->ring)));
	EXPECT_EQ(-EBADF, LIB(afsync_register_eventfd(self->ring, -1)));
	EXPECT_EQ(-EBADF, LIB(afsync_register_eventfd(self->ring, 9999)));
	EXPECT_EQ(-EINVAL, LIB(afsync_register_eventfd(self->ring, self->fd)));
	EXPECT_EQ(0, LIB(afsync_register_eventfd(self->ring, event)));
	EXPECT_EQ(-EBUSY, LIB(afsync_register_eventfd(self->ring, event)));
	EXPECT_EQ(-1, read(event, &count, sizeof(count)));
	EXPECT_EQ(0, epoll_wait(loop, &ev, 1, 0));

	prepare(self->ring, self->fd, 1);
	need(afsync_submit(self->ring) == 1);
	EXPECT_EQ(1, epoll_wait(loop, &ev, 1, -1));
	need(poll(&(struct pollfd) { .fd = event, .events = POLLIN }, 1, -1) == 1);
	EXPECT_EQ(8, read(event, &count, sizeof(count)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	EXPECT_EQ(0, epoll_wait(loop, &ev, 1, 0));

	EXPECT_EQ(0, LIB(afsync_unregister_eventfd(self->ring)));
	prepare(self->ring, self->fd, 2);
	ASSERT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(-1, read(event, &count, sizeof(count)));
	/* The entry can be there a moment before the poller knows. */
	EXPECT_EQ(1, epoll_wait(loop, &ev, 1, -1));
	close(loop);
	close(event);
}

/* --- other processes, and threads --- */

TEST_F(lib, child_shares_the_ring_and_its_exit_leaves_the_parents_alone)
{
	pid_t pid;

	prepare(self->ring, self->fd, 1);
	pid = fork();
	if (pid == 0) {
		need(afsync_sq_ready(self->ring) == 1);
		need(afsync_submit(self->ring) == 1);
		afsync_queue_exit(self->ring);
		_exit(0);
	}
	ASSERT_EQ(0, child_wait(pid));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
	/* The request was prepared before the fork: the parent still has it, too. */
	EXPECT_EQ(1, LIB(afsync_sq_ready(self->ring)));
	EXPECT_EQ(1, LIB(afsync_submit_and_wait(self->ring, 1)));
	EXPECT_EQ(1, next_cqe(self->ring).user_data);
}

static void send_fd(int sock, int fd)
{
	union { struct cmsghdr hdr; char room[CMSG_SPACE(sizeof(int))]; } ctl;
	struct iovec iov = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &ctl, .msg_controllen = sizeof(ctl),
	};

	ctl.hdr.cmsg_level = SOL_SOCKET;
	ctl.hdr.cmsg_type = SCM_RIGHTS;
	ctl.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&ctl.hdr), &fd, sizeof(fd));
	need(sendmsg(sock, &msg, 0) == 1);
}

static int receive_fd(int sock)
{
	union { struct cmsghdr hdr; char room[CMSG_SPACE(sizeof(int))]; } ctl;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &ctl, .msg_controllen = sizeof(ctl),
	};
	int fd;

	need(recvmsg(sock, &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(&ctl.hdr), sizeof(fd));
	return fd;
}

TEST_F(lib, ring_received_over_a_socket_is_used_with_attach)
{
	struct afsync_ring *ring;
	int socks[2];
	pid_t pid;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, socks) == 0);
	pid = fork();
	if (pid == 0) {
		/* A process that never had the ring. */
		afsync_queue_exit(self->ring);
		need(afsync_queue_attach(receive_fd(socks[1]), &ring) == 0);
		need(afsync_ring_entries(ring) == 8);
		prepare(ring, self->fd, 1);
		need(afsync_submit_and_wait(ring, 1) == 1);
		need(next_cqe(ring).user_data == 1);
		prepare(ring, self->fd, 2);
		need(afsync_submit(ring) == 1);
		afsync_queue_exit(ring);
		_exit(0);
	}
	send_fd(socks[0], afsync_ring_fd(self->ring));
	ASSERT_EQ(0, child_wait(pid));
	EXPECT_EQ(2, next_cqe(self->ring).user_data);
}

TEST_F(lib, attach_refuses_what_is_no_sound_ring)
{
	struct afsync_ring *ring = (void *)POISON64;
	struct rlimit tight = { 1, RLIM_INFINITY };
	struct ring raw;
	int fd, ret;
	__u32 id;

	EXPECT_EQ(-EBADF, LIB(afsync_queue_attach(9999, &ring)));
	EXPECT_EQ(NULL, ring);
	EXPECT_EQ(-ENOTTY, LIB(afsync_queue_attach(0, &ring)));
	fd = device_open();
	EXPECT_EQ(-ENXIO, LIB(afsync_queue_attach(fd, &ring)));
	EXPECT_EQ(0, close(fd));
	fd = open(DEVICE, O_RDONLY);
	EXPECT_EQ(-EACCES, LIB(afsync_queue_attach(fd, &ring)));
	EXPECT_EQ(0, close(fd));
	fd = open(DEVICE, O_PATH);
	EXPECT_EQ(-EBADF, LIB(afsync_queue_attach(fd, &ring)));
	EXPECT_EQ(0, close(fd));

	ring_open(&raw, 8);
	need(setrlimit(RLIMIT_AS, &tight) == 0);
	ret = LIB(afsync_queue_attach(raw.fd, &ring));
	tight.rlim_cur = RLIM_INFINITY;
	need(setrlimit(RLIMIT_AS, &tight) == 0);
	EXPECT_EQ(-ENOMEM, ret);

	raw.header->entries = 7;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_attach(raw.fd, &ring)));
	raw.header->entries = AFSYNC_MAX_ENTRIES;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_attach(raw.fd, &ring)));
	raw.header->entries = 8;
	raw.header->cqes_offset = 0;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_attach(raw.fd, &ring)));
	raw.header->cqes_offset = sizeof(*raw.header);
	/* With another id, even that of another ring, every command would be refused. */
	id = raw.header->id;
	raw.header->id = id + 1;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_attach(raw.fd, &ring)));
	raw.header->id = 0;
	EXPECT_EQ(-EINVAL, LIB(afsync_queue_attach(raw.fd, &ring)));
	EXPECT_EQ(NULL, ring);
	raw.header->id = id;
	ASSERT_EQ(0, LIB(afsync_queue_attach(dup(raw.fd), &ring)));
	/* From now on writes there have no effect. */
	raw.header->id = id + 1;
	prepare(ring, self->fd, 1);
	EXPECT_EQ(1, LIB(afsync_submit_and_wait(ring, 1)));
	afsync_queue_exit(ring);
	ring_close(&raw);
}

/* --- a descriptor that the program has closed --- */

/* A ring whose descriptor is lost does nothing. */
static void expect_lost(struct __test_metadata *_metadata, struct afsync_ring *ring, int file,
			int event, int error)
{
	unsigned int running = POISON32;
	struct afsync_cqe *cqe;

	prepare(ring, file, 0xaaaa);
	EXPECT_EQ(error, LIB(afsync_submit(ring)));
	EXPECT_EQ(error, LIB(afsync_submit_and_wait(ring, 1)));
	EXPECT_EQ(1, LIB(afsync_sq_ready(ring)));
	EXPECT_EQ(0, LIB(afsync_sq_drop(ring, NULL, 0)));
	EXPECT_EQ(error, LIB(afsync_submit_and_wait(ring, 1)));
	EXPECT_EQ(error, LIB(afsync_wait_cqe(ring, &cqe)));
	EXPECT_EQ(error, LIB(afsync_wait_cqes_until(ring, &cqe, 1, NULL, NULL)));
	EXPECT_EQ(error, LIB(afsync_cancel(ring, 1)));
	EXPECT_EQ(error, LIB(afsync_cancel_fd(ring, file)));
	EXPECT_EQ(error, LIB(afsync_cancel_all(ring)));
	EXPECT_EQ(error, LIB(afsync_cancel_match(ring, AFSYNC_CANCEL_ALL, 0, 0, &running)));
	EXPECT_EQ(0, running);
	EXPECT_EQ(error, LIB(afsync_start(ring, 1)));
	EXPECT_EQ(error, LIB(afsync_register_eventfd(ring, event)));
	EXPECT_EQ(error, LIB(afsync_unregister_eventfd(ring)));
}

TEST_F(lib, ring_whose_descriptor_is_another_rings_does_nothing_to_that)
{
	struct afsync_ring *lost = self->ring, *other;
	int fd = afsync_ring_fd(lost);
	struct afsync_sqe *sqe;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	need(close(fd) == 0);
	other = new_ring(8);
	need(afsync_ring_fd(other) == fd);
	need(event >= 0 && afsync_register_eventfd(other, event) == 0);
	/* A request to cancel and to start. */
	sqe = prepare(other, self->fd, 1);
	afsync_sqe_set_flags(sqe, AFSYNC_SQE_HOLD);
	need(afsync_submit(other) == 1);

	expect_lost(_metadata, lost, self->fd, event, -ESTALE);
	errno = 4711;
	afsync_queue_exit(lost);
	EXPECT_EQ(4711, errno);
	self->ring = NULL;

	EXPECT_EQ(0, LIB(afsync_cq_ready(other)));
	EXPECT_EQ(1, LIB(afsync_start(other, 1)));
	EXPECT_EQ(1, next_cqe(other).user_data);
	EXPECT_EQ(0, LIB(afsync_unregister_eventfd(other)));
	EXPECT_NE(-1, fcntl(fd, F_GETFD));
	afsync_queue_exit(other);
	EXPECT_EQ(-1, fcntl(fd, F_GETFD));
	close(event);
}

TEST_F(lib, ring_whose_descriptor_is_another_files_leaves_that_alone)
{
	int files[] = {
		memfd_create("afsync", MFD_CLOEXEC), device_open(), -1,
	};
	const int errors[] = { -ENOTTY, -ENXIO, -EBADF };
	int event = eventfd(0, EFD_CLOEXEC);
	long long before = counter("in_flight");
	struct afsync_ring *ring;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ring = new_ring(8);
		fd = afsync_ring_fd(ring);
		prepare(ring, self->fd, 7)->flags = AFSYNC_SQE_HOLD;
		need(afsync_submit(ring) == 1);
		if (files[i] >= 0)
			need(dup2(files[i], fd) == fd);
		else
			need(close(fd) == 0);
		expect_lost(_metadata, ring, self->fd, event, errors[i]);
		afsync_queue_exit(ring);
		/* The mapping was the last of the ring. */
		EXPECT_EQ(before, counter("in_flight"));
		EXPECT_EQ(files[i] < 0 ? -1 : 0, close(fd));
		if (files[i] >= 0)
			close(files[i]);
	}
	close(event);
}

TEST_F(lib, exit_of_the_last_holder_ends_the_ring)
{
	long long before = counter("in_flight");

	sim_hold(self->fd, SIM_GATE_FSYNC);
	prepare(self->ring, self->fd, 1);
	need(afsync_submit(self->ring) == 1);
	sim_wait_started(self->fd, SIM_GATE_FSYNC, 1);
	prepare(self->ring, self->fd, 2);
	need(afsync_submit(self->ring) == 1);
	EXPECT_EQ(before + 2, counter("in_flight"));
	sim_let_go(self->fd, SIM_GATE_FSYNC);
	errno = 4711;
	afsync_queue_exit(self->ring);
	EXPECT_EQ(4711, errno);
	self->ring = NULL;
	EXPECT_EQ(before, counter("in_flight"));
}

struct crew {
	struct afsync_ring *ring;
	int fd;
	unsigned int total;
	unsigned int stop;
	unsigned int bad;
};

static void *crew_submit(void *arg)
{
	struct crew *crew = arg;
	struct afsync_sqe *sqe;
	unsigned int next = 0;
	int ret;

	while (next < crew->total || afsync_sq_ready(crew->ring)) {
		while (next < crew->total && (sqe = afsync_get_sqe(crew->ring))) {
			afsync_prep_fdatasync(sqe, crew->fd);
			afsync_sqe_set_data64(sqe, next++);
		}
		ret = afsync_submit(crew->ring);
		if (ret == -EAGAIN)
			sched_yield();
		else if (ret < 0)
			break;
	}
	return (void *)(uintptr_t)next;
}

/* Threads that are neither submitter nor reader: wait, look and cancel. */
static void *crew_bystand(void *arg)
{
	struct crew *crew = arg;
	unsigned int i = 0;
	int ret;

	while (!__atomic_load_n(&crew->stop, __ATOMIC_ACQUIRE)) {
		ret = afsync_wait_cqe_timeout(crew->ring, NULL, &moment);
		if (ret && ret != -ETIME)
			__atomic_fetch_add(&crew->bad, 1, __ATOMIC_RELAXED);
		if (afsync_cq_ready(crew->ring) > 8)
			__atomic_fetch_add(&crew->bad, 1, __ATOMIC_RELAXED);
		ret = afsync_cancel(crew->ring, i++ % crew->total);
		if (ret != 1 && ret != -ENOENT && ret != -EALREADY)
			__atomic_fetch_add(&crew->bad, 1, __ATOMIC_RELAXED);
		if (i % 16 == 0)
			afsync_cancel_all(crew->ring);
		sched_yield();
	}
	return NULL;
}

TEST_F_TIMEOUT(lib, submitter_reader_and_bystanders_need_no_lock, LONG_TIMEOUT)
{
	struct crew crew = {
		.ring = self->ring, .fd = self->fd, .total = rounds(20000),
	};
	unsigned char *seen = calloc(crew.total, 1);
	unsigned int head, n, left = crew.total, twice = 0, odd = 0;
	pthread_t submitter, bystanders[2];
	struct afsync_cqe *cqe;

	submitter = thread_start(crew_submit, &crew);
	bystanders[0] = thread_start(crew_bystand, &crew);
	bystanders[1] = thread_start(crew_bystand, &crew);
	while (left) {
		ASSERT_EQ(0, afsync_wait_cqe(self->ring, &cqe));
		n = 0;
		afsync_for_each_cqe(self->ring, head, cqe) {
			ASSERT_GT(crew.total, cqe->user_data);
			twice += seen[cqe->user_data]++;
			odd += cqe->res != 0 && cqe->res != -ECANCELED;
			n++;
		}
		afsync_cq_advance(self->ring, n);
		left -= n;
	}
	__atomic_store_n(&crew.stop, 1, __ATOMIC_RELEASE);
	thread_join(submitter);
	thread_join(bystanders[0]);
	thread_join(bystanders[1]);
	EXPECT_EQ(0, twice);
	EXPECT_EQ(0, odd);
	EXPECT_EQ(0, crew.bad);
	EXPECT_EQ(0, LIB(afsync_cq_ready(self->ring)));
	free(seen);
}

TEST_HARNESS_MAIN
