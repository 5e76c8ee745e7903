// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion by kernel AIO: an AIO write of struct afsync_attach to the ring's descriptor
 * ends when the held request that it names does, with its result, and delays nothing else
 * that ends an AIO.
 *
 * Needs afsync_sim.
 */
#include "common.h"

#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

FIXTURE(attach) {
	struct stage s;
	aio_context_t ctx;
	struct afsync_attach args;
	struct iocb iocb;
};

FIXTURE_SETUP(attach)
{
	STAGE_SETUP(&self->s, "afsync_sim", 8);
	self->ctx = 0;
	need(syscall(SYS_io_setup, 64, &self->ctx) == 0);
}

FIXTURE_TEARDOWN(attach)
{
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	if (self->ctx)
		need(syscall(SYS_io_destroy, self->ctx) == 0);
	stage_close(&self->s);
}

static void prepare(struct iocb *iocb, struct afsync_attach *args, int ring,
		    __u64 user_data, __u32 flags)
{
	*args = (struct afsync_attach) { .user_data = user_data, .flags = flags };
	*iocb = (struct iocb) {
		.aio_data = user_data + 1000,
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = ring,
		.aio_buf = (uintptr_t)args,
		.aio_nbytes = sizeof(*args),
		.aio_offset = AFSYNC_ATTACH_OFFSET,
	};
}

/* 1, or -errno. */
static int submit(aio_context_t ctx, struct iocb *iocb)
{
	int ret = syscall(SYS_io_submit, ctx, 1, &iocb);

	return ret < 0 ? -errno : ret;
}

static int attach(struct __test_metadata *_metadata, FIXTURE_DATA(attach) *self,
		  __u64 user_data, __u32 flags)
{
	(void)_metadata;
	prepare(&self->iocb, &self->args, self->s.ring.fd, user_data, flags);
	return submit(self->ctx, &self->iocb);
}

static struct io_event event_next(aio_context_t ctx)
{
	struct io_event event;
	int ret;

	do {
		ret = syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL);
	} while (ret < 0 && errno == EINTR);
	need(ret == 1);
	return event;
}

/* Is there an event now? */
static bool event_ready(aio_context_t ctx)
{
	struct timespec zero = {};
	struct io_event event;

	return syscall(SYS_io_getevents, ctx, 0, 1, &event, &zero) == 1;
}

#define attach_to(user_data, flags) attach(_metadata, self, user_data, flags)

TEST_F(attach, event_comes_when_the_sync_is_done_and_the_ring_has_no_entry)
{
	struct io_event event;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, 0));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	ASSERT_EQ(1, ring_start(&self->s.ring, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_FALSE(event_ready(self->ctx));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);

	event = event_next(self->ctx);
	EXPECT_EQ(0, event.res);
	EXPECT_EQ(0, event.res2);
	EXPECT_EQ(1001, event.data);
	EXPECT_EQ((uintptr_t)&self->iocb, event.obj);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
}

TEST_F(attach, attach_can_start_it_as_well)
{
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, AFSYNC_ATTACH_START));
	EXPECT_EQ(0, event_next(self->ctx).res);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(-ENOENT, ring_start(&self->s.ring, 1));
}

TEST_F(attach, error_of_the_sync_is_the_result)
{
	sim_fail(self->s.ctl, SIM_GATE_FSYNC, ENOSPC, 1);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, AFSYNC_ATTACH_START));
	EXPECT_EQ(-ENOSPC, (int)event_next(self->ctx).res);
}

TEST_F(attach, slot_is_free_when_the_event_is_there)
{
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, i));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(1, attach_to(i, AFSYNC_ATTACH_START));
		EXPECT_EQ(0, event_next(self->ctx).res);
		ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 100 + i));
	}
	EXPECT_EQ(-EAGAIN, ring_hold(&self->s.ring, self->s.file, 200));
}

TEST_F(attach, of_several_the_oldest_is_attached_first)
{
	struct afsync_attach args;
	struct iocb iocb;

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, 0));
	prepare(&iocb, &args, self->s.ring.fd, 1, 0);
	ASSERT_EQ(1, submit(self->ctx, &iocb));
	prepare(&iocb, &args, self->s.ring.fd, 1, 0);
	EXPECT_EQ(1, submit(self->ctx, &iocb));
	/* The third one finds no request. */
	EXPECT_EQ(-ENOENT, (int)event_next(self->ctx).res);
	EXPECT_EQ(2, ring_start(&self->s.ring, 1));
	EXPECT_EQ((uintptr_t)&self->iocb, event_next(self->ctx).obj);
	EXPECT_EQ((uintptr_t)&iocb, event_next(self->ctx).obj);
}

/* The sync of each has a result of its own. */
TEST_F(attach, of_two_files_that_of_the_oldest_is_attached_first)
{
	int other = world_open(&self->s.world, "other", O_RDWR);

	sim_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, ring_hold(&self->s.ring, other, 1));
	ASSERT_EQ(1, attach_to(1, 0));
	EXPECT_EQ(2, ring_start(&self->s.ring, 1));
	EXPECT_EQ(-EIO, (int)event_next(self->ctx).res);
	EXPECT_EQ(0, ring_next(&self->s.ring).res);
	close(other);
}

TEST_F(attach, what_is_not_held_cannot_be_attached)
{
	ASSERT_EQ(1, attach_to(1, 0));
	EXPECT_EQ(-ENOENT, (int)event_next(self->ctx).res);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 2));
	ASSERT_EQ(1, ring_start(&self->s.ring, 2));
	ASSERT_EQ(1, attach_to(2, 0));
	EXPECT_EQ(-ENOENT, (int)event_next(self->ctx).res);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, ring_next(&self->s.ring).user_data);
}

TEST_F(attach, bad_attach_is_refused_and_leaves_the_request_held)
{
	int fresh = device_open();
	struct iovec iov = { &self->args, sizeof(self->args) };

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, 2));
	EXPECT_EQ(-EINVAL, (int)event_next(self->ctx).res);

	prepare(&self->iocb, &self->args, self->s.ring.fd, 1, 0);
	self->args.ring = self->s.ring.header->id + 1;
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	EXPECT_EQ(-ESTALE, (int)event_next(self->ctx).res);

	prepare(&self->iocb, &self->args, self->s.ring.fd, 1, 0);
	self->iocb.aio_offset = 0;
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	EXPECT_EQ(-EINVAL, (int)event_next(self->ctx).res);

	prepare(&self->iocb, &self->args, self->s.ring.fd, 1, 0);
	self->iocb.aio_nbytes--;
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	EXPECT_EQ(-EINVAL, (int)event_next(self->ctx).res);

	prepare(&self->iocb, (void *)&self->args, self->s.ring.fd, 1, 0);
	self->iocb.aio_buf = 8;
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	EXPECT_EQ(-EFAULT, (int)event_next(self->ctx).res);

	prepare(&self->iocb, &self->args, fresh, 1, 0);
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	EXPECT_EQ(-ENXIO, (int)event_next(self->ctx).res);
	close(fresh);

	prepare(&self->iocb, &self->args, self->s.ring.fd, 1, 0);
	EXPECT_EQ(-1, write(self->s.ring.fd, &self->args, sizeof(self->args)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, writev(self->s.ring.fd, &iov, 1));
	EXPECT_EQ(EINVAL, errno);

	EXPECT_EQ(1, ring_start(&self->s.ring, 1));
	EXPECT_EQ(1, ring_next(&self->s.ring).user_data);
}

/* By the time of the write, the descriptor number can belong to another file. */
TEST_F(attach, attach_never_ends_up_in_a_file)
{
	char path[] = "/tmp/afsync-attach-XXXXXX";
	int file = mkstemp(path), pipes[2];
	struct stat st;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, unlink(path));
	prepare(&self->iocb, &self->args, file, 1, 0);
	EXPECT_EQ(-EINVAL, submit(self->ctx, &self->iocb));
	ASSERT_EQ(0, fstat(file, &st));
	EXPECT_EQ(0, st.st_size);

	ASSERT_EQ(0, pipe2(pipes, O_NONBLOCK));
	prepare(&self->iocb, &self->args, pipes[1], 1, 0);
	EXPECT_EQ(-EINVAL, submit(self->ctx, &self->iocb));
	EXPECT_EQ(-1, read(pipes[0], path, sizeof(path)));
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(attach, cancel_of_the_ring_ends_the_aio)
{
	__u32 running;

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, 0));
	ASSERT_EQ(1, afsync_cmd_cancel(self->s.ring.fd, AFSYNC_CANCEL_USER_DATA, 1, 0,
				       &running));
	EXPECT_EQ(-ECANCELED, (int)event_next(self->ctx).res);
	EXPECT_EQ(0, ring_ready(&self->s.ring));
}

static int kernel_cancel(aio_context_t ctx, struct iocb *iocb)
{
	struct io_event event;

	return syscall(SYS_io_cancel, ctx, iocb, &event) < 0 ? -errno : 0;
}

TEST_F(attach, io_cancel_ends_held_and_queued_requests)
{
	struct afsync_attach args;
	struct iocb iocb;

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, 0));
	EXPECT_EQ(-EINPROGRESS, kernel_cancel(self->ctx, &self->iocb));
	EXPECT_EQ(-ECANCELED, (int)event_next(self->ctx).res);
	EXPECT_EQ(-ENOENT, ring_start(&self->s.ring, 1));

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 5));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 2));
	prepare(&iocb, &args, self->s.ring.fd, 2, AFSYNC_ATTACH_START);
	ASSERT_EQ(1, submit(self->ctx, &iocb));
	EXPECT_EQ(-EINPROGRESS, kernel_cancel(self->ctx, &iocb));
	EXPECT_EQ(-ECANCELED, (int)event_next(self->ctx).res);
}

TEST_F(attach, io_cancel_of_a_running_request_says_so)
{
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, AFSYNC_ATTACH_START));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(-EAGAIN, kernel_cancel(self->ctx, &self->iocb));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, event_next(self->ctx).res);
}

TEST_F(attach, io_destroy_does_not_wait_for_what_is_held)
{
	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	ASSERT_EQ(1, attach_to(1, 0));
	ASSERT_EQ(0, syscall(SYS_io_destroy, self->ctx));
	self->ctx = 0;
	EXPECT_EQ(-ENOENT, ring_start(&self->s.ring, 1));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(attach, exit_does_not_wait_for_what_is_held)
{
	long long in_flight = counter("in_flight");
	pid_t pid = fork();

	if (!pid) {
		struct afsync_attach args;
		aio_context_t ctx = 0;
		struct iocb iocb;
		struct ring ring;

		ring_open(&ring, 4);
		need(syscall(SYS_io_setup, 4, &ctx) == 0);
		need(ring_hold(&ring, self->s.file, 1) == 1);
		prepare(&iocb, &args, ring.fd, 1, 0);
		need(submit(ctx, &iocb) == 1);
		/* The AIO alone keeps the ring open now. */
		ring_close(&ring);
		_exit(7);
	}
	EXPECT_EQ(7, child_wait(pid));
	EXPECT_EQ(in_flight, counter("in_flight"));
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(attach, eventfd_of_the_aio_is_signalled)
{
	int event = eventfd(0, 0);
	__u64 count;

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 1));
	prepare(&self->iocb, &self->args, self->s.ring.fd, 1, AFSYNC_ATTACH_START);
	self->iocb.aio_flags = IOCB_FLAG_RESFD;
	self->iocb.aio_resfd = event;
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	ASSERT_EQ(sizeof(count), read(event, &count, sizeof(count)));
	EXPECT_EQ(1, count);
	EXPECT_TRUE(event_ready(self->ctx));
	close(event);
}

static void *wait_for_two(void *arg)
{
	ring_wait(arg, 2);
	return NULL;
}

/* Also for lockdep: kernel AIO polls under a lock that attaching takes as well. */
TEST_F(attach, aio_can_poll_the_ring_beside_a_waiter_and_an_attach)
{
	pthread_t waiter = thread_start(wait_for_two, &self->s.ring);
	struct afsync_attach args;
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = self->s.ring.fd,
		.aio_buf = POLLIN,
	};
	struct io_event event;

	ASSERT_EQ(1, submit(self->ctx, &iocb));
	EXPECT_FALSE(event_ready(self->ctx));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	event = event_next(self->ctx);
	EXPECT_EQ((uintptr_t)&iocb, event.obj);
	EXPECT_EQ(POLLIN, event.res & POLLIN);

	ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 2));
	prepare(&self->iocb, &args, self->s.ring.fd, 2, AFSYNC_ATTACH_START);
	ASSERT_EQ(1, submit(self->ctx, &self->iocb));
	EXPECT_EQ(0, event_next(self->ctx).res);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 3));
	thread_join(waiter);
}

struct racer {
	struct ring *ring;
	aio_context_t ctx;
	struct iocb *iocbs;
	unsigned int count;
};

static void *start_each(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;

	for (i = 0; i < racer->count; i++)
		ring_start(racer->ring, i);
	return NULL;
}

static void *cancel_each(void *arg)
{
	struct racer *racer = arg;
	__u32 running;
	unsigned int i;

	for (i = 0; i < racer->count; i++) {
		kernel_cancel(racer->ctx, &racer->iocbs[i]);
		afsync_cmd_cancel(racer->ring->fd, AFSYNC_CANCEL_USER_DATA, i, 0, &running);
	}
	return NULL;
}

/* Attach, start, both cancels and the destruction of the context, all at once. */
TEST_F(attach, every_request_ends_once_whoever_wins)
{
	struct racer racer = { .count = 200 };
	struct afsync_attach args[200];
	struct iocb iocbs[200];
	unsigned int round, i;
	__u32 running;
	pthread_t starter, canceller;
	struct afsync_cqe cqe;
	struct ring ring;

	/* Twice the requests of a round: an end is counted before its entry can be read. */
	ring_open(&ring, 512);
	racer.ring = &ring;
	racer.iocbs = iocbs;
	for (round = 0; round < rounds(100); round++) {
		racer.ctx = 0;
		ASSERT_EQ(0, syscall(SYS_io_setup, 256, &racer.ctx));
		for (i = 0; i < racer.count; i++) {
			ASSERT_EQ(1, ring_hold(&ring, self->s.file, i));
			prepare(&iocbs[i], &args[i], ring.fd, i, 0);
		}
		starter = thread_start(start_each, &racer);
		canceller = thread_start(cancel_each, &racer);
		for (i = 0; i < racer.count; i++)
			ASSERT_EQ(1, submit(racer.ctx, &iocbs[i]));
		ASSERT_EQ(0, syscall(SYS_io_destroy, racer.ctx));
		thread_join(starter);
		thread_join(canceller);
		/* Requests that no call attached or started are held still. */
		afsync_cmd_cancel(ring.fd, AFSYNC_CANCEL_ALL, 0, 0, &running);
		while (counter("in_flight") > 0)
			sched_yield();
		while (ring_take(&ring, &cqe))
			EXPECT_TRUE(cqe.res == 0 || cqe.res == -ECANCELED);
	}
	ring_close(&ring);
	EXPECT_EQ(0, counter("in_flight"));
}

/* --- many at once --- */

#define MANY	4096

TEST_F(attach, thousands_are_attached_oldest_first_and_end_in_the_order_started)
{
	unsigned int n = rounds(MANY), i;
	static struct afsync_attach args[MANY];
	static struct iocb iocbs[MANY];
	struct io_event event;
	struct ring ring;

	ring_open(&ring, MANY);
	need(syscall(SYS_io_destroy, self->ctx) == 0);
	self->ctx = 0;
	need(syscall(SYS_io_setup, MANY, &self->ctx) == 0);
	for (i = 0; i < n; i++)
		ASSERT_EQ(1, ring_hold(&ring, self->s.file, i % 2));
	for (i = 0; i < n; i++) {
		prepare(&iocbs[i], &args[i], ring.fd, i % 2, 0);
		ASSERT_EQ(1, submit(self->ctx, &iocbs[i]));
	}
	EXPECT_FALSE(event_ready(self->ctx));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(n / 2, ring_start(&ring, 1));
	EXPECT_EQ(n - n / 2, ring_start(&ring, 0));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < n; i++) {
		event = event_next(self->ctx);
		ASSERT_EQ(0, event.res);
		/* First the odd ones, in order. */
		ASSERT_EQ((uintptr_t)&iocbs[i < n / 2 ? 2 * i + 1 : 2 * (i - n / 2)], event.obj);
	}
	EXPECT_EQ(0, ring_ready(&ring));
	ring_close(&ring);
}

#define GROUPS	8
#define ARRAY	512

/* The requests of a group share their user data, so that one command applies to many. */
struct crowd {
	struct ring ring;
	int files[4];
	bool stop;
	unsigned long attached[GROUPS];		/* that ended as AIO */
};

static bool crowd_goes_on(const struct crowd *crowd)
{
	return !__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED);
}

static void *crowd_start(void *arg)
{
	struct crowd *crowd = arg;
	unsigned int i;
	int ret;

	for (i = 0; crowd_goes_on(crowd); i++) {
		ret = ring_start(&crowd->ring, i % GROUPS);
		need(ret > 0 || ret == -ENOENT);
	}
	return NULL;
}

static void *crowd_cancel(void *arg)
{
	static const __u32 matches[] = {
		AFSYNC_CANCEL_USER_DATA, AFSYNC_CANCEL_FD,
		AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD, AFSYNC_CANCEL_ALL,
	};
	struct crowd *crowd = arg;
	unsigned int i;
	__u32 match;
	int ret;

	for (i = 0; crowd_goes_on(crowd); i++) {
		match = matches[i % 16 ? i % 3 : 3];
		ret = afsync_cmd_cancel(crowd->ring.fd, match,
					match & AFSYNC_CANCEL_USER_DATA ? i % GROUPS : 0,
					match & AFSYNC_CANCEL_FD ? crowd->files[i / 3 % 4] : 0,
					NULL);
		need(ret > 0 || ret == -ENOENT || ret == -EALREADY);
	}
	return NULL;
}

/* Attaches a few at a time, and takes their events. */
static void *crowd_attach(void *arg)
{
	struct crowd *crowd = arg;
	struct afsync_attach args[16];
	struct iocb iocbs[16];
	aio_context_t ctx = 0;
	struct io_event event;
	unsigned int i, j;

	need(syscall(SYS_io_setup, 16, &ctx) == 0);
	for (i = 0; crowd_goes_on(crowd); i++) {
		for (j = 0; j < 16; j++) {
			prepare(&iocbs[j], &args[j], crowd->ring.fd, (i + j) % GROUPS,
				AFSYNC_ATTACH_START);
			iocbs[j].aio_data = (i + j) % GROUPS;
			need(submit(ctx, &iocbs[j]) == 1);
		}
		for (j = 0; j < 16; j++) {
			event = event_next(ctx);
			need(event.res == 0 || (int)event.res == -ECANCELED ||
			     (int)event.res == -ENOENT);
			if ((int)event.res != -ENOENT)
				crowd->attached[event.data]++;
		}
	}
	need(syscall(SYS_io_destroy, ctx) == 0);
	return NULL;
}

static void take_all(struct crowd *crowd, unsigned long *ended)
{
	struct afsync_cqe cqe;

	while (ring_take(&crowd->ring, &cqe)) {
		need(cqe.user_data < GROUPS && (cqe.res == 0 || cqe.res == -ECANCELED));
		ended[cqe.user_data]++;
	}
}

TEST_F_TIMEOUT(attach, thousands_end_once_each_while_others_start_attach_and_cancel_them,
	       LONG_TIMEOUT)
{
	static void *(*const jobs[])(void *) = { crowd_start, crowd_cancel, crowd_attach };
	unsigned long submitted[GROUPS] = {}, ended[GROUPS] = {};
	static struct afsync_sqe sqes[ARRAY];
	unsigned int round, i, n = rounds(1000);
	pthread_t threads[ARRAY_SIZE(jobs)];
	static struct crowd crowd;
	char name[16];
	int ret;

	ring_open(&crowd.ring, 32768);
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "crowd%u", i);
		crowd.files[i] = world_open(&self->s.world, name, O_RDWR);
	}
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		threads[i] = thread_start(jobs[i], &crowd);
	for (round = 0; round < n; round++) {
		for (i = 0; i < ARRAY; i++) {
			sqes[i] = sqe_of(crowd.files[(i / 7) % 4], i % 2, (i + round) % GROUPS);
			if (i % 4)
				sqes[i].flags = AFSYNC_SQE_HOLD;
		}
		ret = ring_submit(&crowd.ring, sqes, ARRAY, NULL);
		ASSERT_TRUE(ret > 0 || ret == -EAGAIN);
		for (i = 0; ret > 0 && i < (unsigned int)ret; i++)
			submitted[sqes[i].user_data]++;
		take_all(&crowd, ended);
	}
	__atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		thread_join(threads[i]);

	afsync_cmd_cancel(crowd.ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
	while (fdinfo_number(crowd.ring.fd, "in_flight"))
		sched_yield();
	take_all(&crowd, ended);
	for (i = 0; i < GROUPS; i++)
		EXPECT_EQ(submitted[i], ended[i] + crowd.attached[i])
			TH_LOG("group %u", i);
	for (i = 0; i < 4; i++)
		close(crowd.files[i]);
	ring_close(&crowd.ring);
	EXPECT_EQ(0, counter("in_flight"));
}

TEST_HARNESS_MAIN
