// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every documented errno of every command for its arguments; and a refused call changes
 * nothing. Built for 64-bit and, as args_test_32, for 32-bit programs.
 * EAGAIN, ENOMEM, ETIME and EINTR are in bounds_test.c and waiting_test.c.
 *
 * The tests of filesystems and of counted operations need afsync_sim.
 */
#include "common.h"

#include <sys/socket.h>

/* An address that can be neither read nor written. */
static void *nowhere(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED);
	return p;
}

/* Memory that can be read and not written, with these bytes in it. */
static void *readonly(const void *bytes, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED && size <= page);
	memcpy(p, bytes, size);
	need(mprotect(p, page, PROT_READ) == 0);
	return p;
}

/* --- INFO and SETUP --- */

TEST(info_refuses_memory_that_cannot_be_written)
{
	struct afsync_info info = {};
	int fd = device_open();

	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_INFO, NULL));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_INFO, nowhere()));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_INFO, readonly(&info, sizeof(info))));
	close(fd);
}

TEST(setup_refuses_bad_arguments_and_makes_no_ring)
{
	struct afsync_setup setup;
	int fd = device_open();

	EXPECT_EQ(-EINVAL, afsync_cmd_setup(fd, 0, &setup));
	EXPECT_EQ(-EINVAL, afsync_cmd_setup(fd, AFSYNC_MAX_ENTRIES + 1, &setup));
	EXPECT_EQ(-EINVAL, afsync_cmd_setup(fd, ~0U, &setup));
	setup = (struct afsync_setup) { .entries = 8, .flags = 2 };
	EXPECT_EQ(-EINVAL, command(fd, AFSYNC_IOC_SETUP, &setup));
	setup.flags = 0x80000000;
	EXPECT_EQ(-EINVAL, command(fd, AFSYNC_IOC_SETUP, &setup));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SETUP, NULL));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SETUP, nowhere()));
	setup = (struct afsync_setup) { .entries = 8 };
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SETUP, readonly(&setup, sizeof(setup))));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(ENXIO, errno);

	/* After all that, it works. */
	EXPECT_EQ(0, afsync_cmd_setup(fd, 5, &setup));
	EXPECT_EQ(8, setup.entries);
	EXPECT_EQ(0, setup.flags);
	EXPECT_EQ(0, setup.mmap_size % sysconf(_SC_PAGESIZE));
	close(fd);
}

/* The memory that cannot be written holds only the part that this kernel does not know. */
TEST(setup_whose_longer_struct_cannot_be_written_makes_no_ring)
{
	size_t page = sysconf(_SC_PAGESIZE), size = sizeof(struct afsync_setup);
	char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int cmd = _IOC(_IOC_DIR(AFSYNC_IOC_SETUP), _IOC_TYPE(AFSYNC_IOC_SETUP),
				_IOC_NR(AFSYNC_IOC_SETUP), size + 8);
	struct afsync_setup setup = { .entries = 8 };
	int fd = device_open();

	need(area != MAP_FAILED && mprotect(area + page, page, PROT_READ) == 0);
	memcpy(area + page - size, &setup, size);
	EXPECT_EQ(-EFAULT, command(fd, cmd, area + page - size));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(ENXIO, errno);

	need(mprotect(area + page, page, PROT_READ | PROT_WRITE) == 0);
	EXPECT_EQ(0, command(fd, cmd, area + page - size));
	munmap(area, 2 * page);
	close(fd);
}

TEST(second_setup_is_refused_and_leaves_the_ring)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct afsync_setup setup;
	struct ring ring;

	ring_open(&ring, 8);
	ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 9));
	EXPECT_EQ(-EBUSY, afsync_cmd_setup(ring.fd, 16, &setup));
	EXPECT_EQ(9, ring_next(&ring).user_data);
	EXPECT_EQ(8, ring.header->entries);
	ring_close(&ring);
	close(file);
}

TEST(commands_need_a_ring)
{
	int file = memfd_create("afsync", MFD_CLOEXEC), event = eventfd(0, EFD_CLOEXEC);
	struct ring ring = { .fd = device_open() };

	EXPECT_EQ(-ENXIO, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(-ENXIO, afsync_cmd_wait(ring.fd, 0, 0, 0, 0));
	EXPECT_EQ(-ENXIO, afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL));
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, event));
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, -1));
	ring_close(&ring);
	close(file);
	close(event);
}

/* --- SUBMIT: the requests --- */

FIXTURE(request) {
	struct stage s;
	long long submitted;
};

FIXTURE_SETUP(request)
{
	STAGE_SETUP(&self->s, "afsync_sim", 8);
	self->submitted = counter("submitted");
}

/* A refused request was not queued. */
FIXTURE_TEARDOWN(request)
{
	struct sim_stats stats = sim_stats(self->s.ctl);

	EXPECT_EQ(0, stats.started[SIM_GATE_FSYNC]);
	EXPECT_EQ(0, stats.started[SIM_GATE_SYNCFS]);
	EXPECT_EQ(self->submitted, counter("submitted"));
	EXPECT_EQ(0, ring_ready(&self->s.ring));
	EXPECT_EQ(0, counter("in_flight"));
	stage_close(&self->s);
}

/* The request is refused whether it is alone or first of an array; error has the same errno. */
static int submit_refused(struct ring *ring, const struct afsync_sqe *sqe)
{
	struct afsync_sqe sqes[2] = { *sqe, *sqe };
	__s32 error;
	int ret;

	ret = ring_submit(ring, sqes, 1, &error);
	need(ret < 0 && error == ret);
	need(ring_submit(ring, sqes, 2, &error) == ret && error == ret);
	return ret;
}

TEST_F(request, unknown_operations_and_flags_are_EINVAL)
{
	struct afsync_sqe sqe;
	unsigned int bit;

	sqe = sqe_of(self->s.file, 3, 1);
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	sqe.op = ~0U;
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	sqe.op = AFSYNC_OP_FSYNC;
	for (bit = 3; bit < 32; bit++) {
		sqe.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
		sqe.flags |= AFSYNC_SQE_DRAIN;
		EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	}
}

TEST_F(request, impossible_ranges_are_EINVAL)
{
	static const struct {
		__u64 offset;
		__u64 length;
	} ranges[] = {
		{ 1ULL << 63, 0 }, { 1ULL << 63, 1 }, { ~0ULL, 0 }, { ~0ULL, 1 },
		{ ~0ULL, ~0ULL }, { 0, (1ULL << 63) + 1 }, { 0, ~0ULL }, { 1, 1ULL << 63 },
		{ LLONG_MAX, 2 }, { 1ULL << 62, (1ULL << 62) + 1 },
	};
	struct afsync_sqe sqe;
	unsigned int i, op;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (op = AFSYNC_OP_FSYNC; op <= AFSYNC_OP_FDATASYNC; op++) {
			sqe = sqe_of(self->s.file, op, 1);
			sqe.offset = ranges[i].offset;
			sqe.length = ranges[i].length;
			EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe))
				TH_LOG("%llx + %llx", sqe.offset, sqe.length);
		}
	}
}

TEST_F(request, syncfs_with_a_range_or_drain_is_EINVAL)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_SYNCFS, 1);

	sqe.offset = 1;
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	sqe.offset = 0;
	sqe.length = 1;
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	sqe.length = 0;
	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
}

TEST_F(request, descriptors_that_are_not_open_are_EBADF)
{
	struct afsync_sqe sqe = sqe_of(-1, AFSYNC_OP_FSYNC, 1);
	char path[PATH_MAX];

	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.fd = INT_MIN;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.fd = INT_MAX;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.fd = dup(self->s.file);
	close(sqe.fd);
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));

	/* A descriptor opened with O_PATH gives no right to sync. */
	snprintf(path, sizeof(path), "%s/file", self->s.world.dir);
	sqe.fd = open(path, O_PATH | O_CLOEXEC);
	need(sqe.fd >= 0);
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.op = AFSYNC_OP_SYNCFS;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	close(sqe.fd);
}

TEST_F(request, files_that_cannot_be_synced_are_EINVAL)
{
	int fds[16], nr = 0, i, op;
	struct afsync_sqe sqe;

	need(pipe2(fds, O_CLOEXEC) == 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, fds + 2) == 0);
	nr = 4;
	fds[nr++] = eventfd(0, EFD_CLOEXEC);
	fds[nr++] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[nr++] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	fds[nr++] = device_open();
	fds[nr++] = dup(self->s.ring.fd);
	for (i = 0; i < nr; i++) {
		need(fds[i] >= 0);
		for (op = AFSYNC_OP_FSYNC; op <= AFSYNC_OP_SYNCFS; op++) {
			sqe = sqe_of(fds[i], op, 1);
			EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe))
				TH_LOG("file %d, op %d", i, op);
		}
		close(fds[i]);
	}
}

TEST_F(request, writable_flag_on_a_descriptor_not_open_for_writing_is_EBADF)
{
	int dir = world_open(&self->s.world, "dir", O_RDONLY);
	struct afsync_sqe sqe = sqe_of(self->s.ctl, AFSYNC_OP_FSYNC, 1);

	sqe.flags = AFSYNC_SQE_WRITABLE;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.op = AFSYNC_OP_FDATASYNC;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.op = AFSYNC_OP_SYNCFS;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.fd = dir;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	close(dir);
}

TEST_F(request, drain_where_direct_io_cannot_be_seen_is_EOPNOTSUPP)
{
	struct afsync_sqe sqe;
	struct world net;

	world_mount(&net, "afsync_simnet");
	sqe = sqe_of(world_open(&net, "file", O_RDWR), AFSYNC_OP_FSYNC, 1);
	sqe.flags = AFSYNC_SQE_DRAIN;
	EXPECT_EQ(-EOPNOTSUPP, submit_refused(&self->s.ring, &sqe));
	close(sqe.fd);
	world_unmount(&net);
}

TEST_F(request, first_error_of_a_request_wins_in_the_documented_order)
{
	struct afsync_sqe sqe = {
		.fd = -1, .op = 99, .flags = AFSYNC_SQE_WRITABLE, .ioprio = 1 << 13,
	};

	/* Everything is wrong: the operation is checked before the descriptor. */
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	sqe.op = AFSYNC_OP_FSYNC;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
	sqe.fd = self->s.ring.fd;
	EXPECT_EQ(-EINVAL, submit_refused(&self->s.ring, &sqe));
	sqe.fd = self->s.ctl;
	EXPECT_EQ(-EBADF, submit_refused(&self->s.ring, &sqe));
}

TEST_F(request, valid_flags_and_ranges_are_taken)
{
	struct afsync_sqe sqes[6];
	int i;

	for (i = 0; i < 6; i++)
		sqes[i] = sqe_of(self->s.file, AFSYNC_OP_FSYNC, i);
	sqes[0].flags = AFSYNC_SQE_WRITABLE;
	sqes[1].flags = AFSYNC_SQE_DRAIN;
	sqes[2].flags = AFSYNC_SQE_WRITABLE | AFSYNC_SQE_DRAIN;
	sqes[3].length = 1ULL << 63;
	sqes[4].offset = LLONG_MAX;
	sqes[4].length = 1;
	sqes[5].offset = LLONG_MAX;
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 0);
	ASSERT_EQ(6, ring_submit(&self->s.ring, sqes, 6, NULL));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, ring_next(&self->s.ring).res);

	/* For the teardown, which looks for requests that should not have been queued. */
	stage_close(&self->s);
	world_mount(&self->s.world, "afsync_sim");
	stage_open(&self->s, 8);
	self->submitted = counter("submitted");
}

/* --- SUBMIT: the call --- */

TEST_F(request, submit_refuses_bad_arguments_and_queues_nothing)
{
	struct afsync_sqe sqe = sqe_of(self->s.file, AFSYNC_OP_FSYNC, 1);
	const struct afsync_submit valid = submit_of(&sqe, 1);
	int fd = self->s.ring.fd;
	struct afsync_submit submit;
	unsigned int bit;

#define REFUSED(...) do {						\
	submit = valid;							\
	__VA_ARGS__;							\
	EXPECT_EQ(-EINVAL, command(fd, AFSYNC_IOC_SUBMIT, &submit))	\
		TH_LOG("%s", #__VA_ARGS__);				\
} while (0)

	for (bit = 1; bit < 32; bit++)
		REFUSED(submit.flags = 1U << bit);
	REFUSED(submit.sqe_size = 39);
	submit = valid;
	submit.ring = self->s.ring.header->id + 1;
	EXPECT_EQ(-ESTALE, command(fd, AFSYNC_IOC_SUBMIT, &submit));
	/* Fields of the wait without the flag for it. */
	REFUSED(submit.min_complete = 1);
	REFUSED(submit.wait_flags = AFSYNC_WAIT_TIMEOUT);
	REFUSED(submit.timeout_ns = 1);
	REFUSED(submit.sigmask = 1);
	/* A wait that is invalid in itself: the kernel checks it before it queues anything. */
	for (bit = 3; bit < 32; bit++)
		REFUSED(submit.flags = AFSYNC_SUBMIT_WAIT, submit.wait_flags = 1U << bit);
	REFUSED(submit.flags = AFSYNC_SUBMIT_WAIT, submit.wait_flags = AFSYNC_WAIT_ABSTIME);
	REFUSED(submit.flags = AFSYNC_SUBMIT_WAIT, submit.timeout_ns = 1);
	REFUSED(submit.flags = AFSYNC_SUBMIT_WAIT, submit.sigmask = 1);
	REFUSED(submit.flags = AFSYNC_SUBMIT_WAIT, submit.min_complete = 9);
#undef REFUSED

	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SUBMIT, NULL));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SUBMIT, nowhere()));
	submit = submit_of(NULL, 1);
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SUBMIT, &submit));
	EXPECT_EQ(-EFAULT, submit.error);
	submit = submit_of(nowhere(), 1);
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SUBMIT, &submit));
	submit = submit_of(NULL, 1);
	submit.sqes = ~0ULL;
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SUBMIT, &submit));
	submit.sqes = 1ULL << 63;
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_SUBMIT, &submit));
}

TEST_F(request, submit_of_nothing_does_nothing)
{
	struct afsync_submit submit = submit_of(NULL, 0);

	EXPECT_EQ(0, command(self->s.ring.fd, AFSYNC_IOC_SUBMIT, &submit));
	EXPECT_EQ(0, submit.error);
	EXPECT_EQ(0, submit.wait_result);
	submit.sqe_size = 0;
	submit.sqes = ~0ULL;
	EXPECT_EQ(0, command(self->s.ring.fd, AFSYNC_IOC_SUBMIT, &submit));
}

TEST(array_that_runs_into_unreadable_memory_is_queued_up_to_it)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct afsync_sqe *sqes;
	struct ring ring;
	__s32 error;
	int i;

	need(area != MAP_FAILED && mprotect(area + page, page, PROT_NONE) == 0);
	ring_open(&ring, 8);
	sqes = (void *)(area + page - 3 * sizeof(*sqes));
	for (i = 0; i < 3; i++)
		sqes[i] = sqe_of(file, AFSYNC_OP_FSYNC, i);
	EXPECT_EQ(3, ring_submit(&ring, sqes, 5, &error));
	EXPECT_EQ(-EFAULT, error);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, ring_next(&ring).user_data);

	/* The array is only read. */
	need(mprotect(area, page, PROT_READ) == 0);
	EXPECT_EQ(3, ring_submit(&ring, sqes, 3, &error));
	ring_wait(&ring, 3);
	ring_close(&ring);
	close(file);
}

TEST(array_at_any_address_is_read_whole)
{
	char area[3 * sizeof(struct afsync_sqe) + 8];
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct afsync_sqe sqes[3];
	unsigned int shift, i;
	struct ring ring;
	__s32 error;

	ring_open(&ring, 8);
	for (shift = 0; shift < 8; shift++) {
		for (i = 0; i < 3; i++)
			sqes[i] = sqe_of(file, AFSYNC_OP_FSYNC, 0x0102030405060700 + 3 * shift + i);
		memcpy(area + shift, sqes, sizeof(sqes));
		ASSERT_EQ(3, ring_submit(&ring, (void *)(area + shift), 3, &error));
		for (i = 0; i < 3; i++)
			EXPECT_EQ(sqes[i].user_data, ring_next(&ring).user_data);
		/* The last word counts, too. */
		sqes[2].offset = LLONG_MAX;
		sqes[2].length = 2;
		memcpy(area + shift, sqes, sizeof(sqes));
		EXPECT_EQ(2, ring_submit(&ring, (void *)(area + shift), 3, &error));
		EXPECT_EQ(-EINVAL, error);
		ring_next(&ring);
		ring_next(&ring);
	}
	ring_close(&ring);
	close(file);
}

TEST(submit_whose_struct_cannot_be_written_queues_nothing)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct afsync_sqe sqe = sqe_of(file, AFSYNC_OP_FSYNC, 1);
	struct afsync_submit submit = submit_of(&sqe, 1);
	struct ring ring;

	ring_open(&ring, 8);
	EXPECT_EQ(-EFAULT,
		  command(ring.fd, AFSYNC_IOC_SUBMIT, readonly(&submit, sizeof(submit))));
	EXPECT_EQ(-ETIME, afsync_cmd_wait(ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	ring_close(&ring);
	close(file);
}

/* --- WAIT, CANCEL and EVENTFD --- */

TEST(wait_refuses_bad_arguments)
{
	struct afsync_wait wait = {};
	struct ring ring;
	unsigned int bit;

	ring_open(&ring, 8);
	for (bit = 3; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 0, 1U << bit, 0, 0));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 0, AFSYNC_WAIT_ABSTIME, 0, 0));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 0, 0, 1, 0));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 0, AFSYNC_WAIT_SIGMASK, 1, 0));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 0, 0, 0, 1));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 0, AFSYNC_WAIT_TIMEOUT, 0, 1));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, 9, 0, 0, 0));
	EXPECT_EQ(-EINVAL, afsync_cmd_wait(ring.fd, ~0U, 0, 0, 0));
	EXPECT_EQ(-EFAULT, command(ring.fd, AFSYNC_IOC_WAIT, NULL));
	EXPECT_EQ(-EFAULT, command(ring.fd, AFSYNC_IOC_WAIT, nowhere()));
	EXPECT_EQ(-EFAULT, command(ring.fd, AFSYNC_IOC_WAIT, readonly(&wait, sizeof(wait))));
	wait.reserved = 1;
	EXPECT_EQ(-EINVAL, command(ring.fd, AFSYNC_IOC_WAIT, &wait));
	wait.reserved = 0x80000000;
	EXPECT_EQ(-EINVAL, command(ring.fd, AFSYNC_IOC_WAIT, &wait));
	ring_close(&ring);
}

TEST(wait_on_another_ring_than_it_names_is_ESTALE)
{
	struct afsync_wait wait = { .min_complete = 1 };
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct ring ring;

	ring_open(&ring, 8);
	/* This call would wait for ever. */
	wait.ring = ring.header->id + 1;
	EXPECT_EQ(-ESTALE, command(ring.fd, AFSYNC_IOC_WAIT, &wait));
	ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(-ESTALE, command(ring.fd, AFSYNC_IOC_WAIT, &wait));
	wait.ring = ring.header->id;
	EXPECT_EQ(1, command(ring.fd, AFSYNC_IOC_WAIT, &wait));
	/* The kernel has its own copy of the id. */
	ring.header->id++;
	EXPECT_EQ(1, command(ring.fd, AFSYNC_IOC_WAIT, &wait));
	ring_close(&ring);
	close(file);
}

TEST_F(request, cancel_refuses_bad_arguments_and_cancels_nothing)
{
	struct afsync_cancel cancel;
	int fd = self->s.ring.fd;
	unsigned int bit;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0));

	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, 0, 0, 0, NULL));
	for (bit = 3; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, 1U << bit, 0, 0, NULL));
		EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, 1U << bit | AFSYNC_CANCEL_ALL, 0, 0,
						     NULL));
	}
	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, AFSYNC_CANCEL_ALL | AFSYNC_CANCEL_USER_DATA,
					     0, 0, NULL));
	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, AFSYNC_CANCEL_ALL | AFSYNC_CANCEL_FD,
					     0, self->s.file, NULL));
	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, AFSYNC_CANCEL_ALL, 1, 0, NULL));
	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, AFSYNC_CANCEL_ALL, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, AFSYNC_CANCEL_USER_DATA, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, afsync_cmd_cancel(fd, AFSYNC_CANCEL_FD, 1, self->s.file, NULL));
	cancel = (struct afsync_cancel) {
		.match	= AFSYNC_CANCEL_ALL,
		.ring	= self->s.ring.header->id + 1,
	};
	EXPECT_EQ(-ESTALE, command(fd, AFSYNC_IOC_CANCEL, &cancel));
	EXPECT_EQ(-EBADF, afsync_cmd_cancel(fd, AFSYNC_CANCEL_FD, 0, -1, NULL));
	EXPECT_EQ(-EBADF, afsync_cmd_cancel(fd, AFSYNC_CANCEL_FD, 0, INT_MAX, NULL));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_CANCEL, NULL));
	EXPECT_EQ(-EFAULT, command(fd, AFSYNC_IOC_CANCEL, nowhere()));

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	stage_close(&self->s);
	world_mount(&self->s.world, "afsync_sim");
	stage_open(&self->s, 8);
	self->submitted = counter("submitted");
}

TEST(eventfd_refuses_bad_arguments)
{
	struct afsync_eventfd arg = { .fd = eventfd(0, EFD_CLOEXEC), .flags = 1 };
	struct afsync_eventfd other;
	struct ring ring;

	ring_open(&ring, 8);
	EXPECT_EQ(-EINVAL, command(ring.fd, AFSYNC_IOC_EVENTFD, &arg));
	arg.flags = 0x80000000;
	EXPECT_EQ(-EINVAL, command(ring.fd, AFSYNC_IOC_EVENTFD, &arg));
	EXPECT_EQ(-EFAULT, command(ring.fd, AFSYNC_IOC_EVENTFD, NULL));
	EXPECT_EQ(-EFAULT, command(ring.fd, AFSYNC_IOC_EVENTFD, nowhere()));
	arg.flags = 0;
	arg.ring = ring.header->id + 1;
	EXPECT_EQ(-ESTALE, command(ring.fd, AFSYNC_IOC_EVENTFD, &arg));
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, -1));
	arg.ring = ring.header->id;
	EXPECT_EQ(0, command(ring.fd, AFSYNC_IOC_EVENTFD, readonly(&arg, sizeof(arg))));
	/* The eventfd of another ring is not removed either. */
	other = (struct afsync_eventfd) { .fd = -1, .ring = arg.ring + 1 };
	EXPECT_EQ(-ESTALE, command(ring.fd, AFSYNC_IOC_EVENTFD, &other));
	EXPECT_EQ(-EBUSY, command(ring.fd, AFSYNC_IOC_EVENTFD, &arg));
	other.ring = arg.ring;
	EXPECT_EQ(0, command(ring.fd, AFSYNC_IOC_EVENTFD, &other));
	ring_close(&ring);
	close(arg.fd);
}

/* --- the device --- */

TEST(mapping_follows_the_rules)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct afsync_setup setup;
	int fd = device_open();
	__u32 *maps[2];

	ASSERT_EQ(0, afsync_cmd_setup(fd, 1024, &setup));
#define REFUSED(size, flags, offset) do {					\
	EXPECT_EQ(MAP_FAILED, mmap(NULL, size, PROT_READ | PROT_WRITE, flags,	\
				   fd, offset));				\
	EXPECT_EQ(EINVAL, errno);						\
} while (0)
	REFUSED(setup.mmap_size, MAP_PRIVATE, 0);
	REFUSED(setup.mmap_size, MAP_SHARED, page);
	REFUSED(page, MAP_SHARED, page);
	REFUSED(setup.mmap_size + page, MAP_SHARED, 0);
	REFUSED(setup.mmap_size * 16, MAP_SHARED, 0);
#undef REFUSED

	/* A smaller mapping is allowed, and any number of them. */
	maps[0] = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)maps[0]);
	maps[1] = mmap(NULL, setup.mmap_size, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)maps[1]);
	maps[0][1] = 42;
	EXPECT_EQ(42, maps[1][1]);
	close(fd);
}

TEST(device_can_be_opened_by_everybody)
{
	struct stat st;
	pid_t pid;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_EQ(0666, st.st_mode & 0777);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		struct ring ring;

		if (!geteuid())
			need(setresuid(1000, 1000, 1000) == 0);
		ring_open(&ring, 8);
		_exit(ring_queue(&ring, memfd_create("afsync", 0), 0, 1) != 1 ||
		      ring_next(&ring).res != 0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST(device_is_no_file_to_read_write_or_seek)
{
	int fd = device_open();
	char c = 0;

	EXPECT_EQ(-1, read(fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, fsync(fd));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

TEST_HARNESS_MAIN
