// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio: every error of io_fsync(3) and io_submit(2), at the call and as the
 * kernel returns it; requests submitted before the error count and end, later ones are
 * not looked at; a request without room is refused with EAGAIN, and nothing is lost.
 *
 * Needs afsync_sim.
 */
#include "aio_common.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

FIXTURE(arguments) {
	struct aio_stage s;
	char *bad;	/* nothing is mapped here, but a readable page before it */
};

FIXTURE_SETUP(arguments)
{
	AIO_STAGE_SETUP(&self->s, 64);
	self->bad = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(self->bad != MAP_FAILED);
	self->bad += PAGE;
	need(munmap(self->bad, PAGE) == 0);
}

FIXTURE_TEARDOWN(arguments)
{
	aio_stage_close(&self->s);
}

/* Nothing is outstanding: no event comes, and no syncs ran but those of the test. */
#define EXPECT_NO_MORE(s, syncs) do {					\
	others_sync((s)->other, 3);					\
	EXPECT_EQ(0, events_ready((s)->ctx));				\
	/* cancelled requests have ended soon, and no file is held */ \
	WAIT_UNTIL(!counter("in_flight"));				\
	EXPECT_EQ(syncs, sim_started((s)->ctl, SIM_GATE_FSYNC));	\
} while (0)

/*
 * libaio: "EFAULT iocbs referenced data outside of the program's accessible address
 * space"
 */

TEST_F(arguments, bad_array_is_EFAULT)
{
	EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 1, (struct iocb **)self->bad));
	EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 1, NULL));
	EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 1000, (struct iocb **)self->bad));
	EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 1, (struct iocb **)-8L));
	EXPECT_NO_MORE(&self->s, 0);
}

TEST_F(arguments, bad_iocb_pointer_is_EFAULT)
{
	struct iocb *bad[] = {
		NULL,
		(struct iocb *)self->bad,
		(struct iocb *)8,
		(struct iocb *)-64L,
		(struct iocb *)0xffff888000000000,
		/* its end is not mapped */
		(struct iocb *)(self->bad - sizeof(struct iocb) + 8),
	};
	size_t i;

	prep_sync((struct iocb *)(self->bad - sizeof(struct iocb)), self->s.file, false);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 1, &bad[i]));
	EXPECT_NO_MORE(&self->s, 0);
}

TEST_F(arguments, iocb_that_cannot_be_written_is_EFAULT)
{
	struct iocb *iocb = (struct iocb *)(self->bad - sizeof(*iocb)), before;

	prep_sync(iocb, self->s.file, false);
	before = *iocb;
	need(mprotect(self->bad - PAGE, PAGE, PROT_READ) == 0);
	EXPECT_EQ(-EFAULT, submit_one(self->s.ctx, iocb));
	EXPECT_EQ(0, memcmp(&before, iocb, sizeof(before)));
	EXPECT_NO_MORE(&self->s, 0);
}

/* The first can, and is in the same page as the beginning of one of the others. */
TEST_F(arguments, iocb_behind_one_that_can_be_written_is_EFAULT_if_it_cannot)
{
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = memory + PAGE;
	struct iocb *good = (struct iocb *)memory, *bad[] = {
		(struct iocb *)end,
		(struct iocb *)(end - sizeof(struct iocb) / 2),
	};
	struct iocb before;
	int i;

	need(memory != MAP_FAILED);
	for (i = 0; i < 2; i++) {
		struct iocb *list[] = { good, bad[i], good };

		prep_sync(good, self->s.file, false);
		prep_sync(bad[i], self->s.file, false);
		before = *bad[i];
		need(mprotect(end, PAGE, PROT_READ) == 0);
		EXPECT_EQ(1, io_submit(self->s.ctx, 3, list));
		EXPECT_EQ(good, event_next(self->s.ctx).obj);
		EXPECT_EQ(0, memcmp(&before, bad[i], sizeof(before)));
		EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 2, list + 1));
		need(mprotect(end, PAGE, PROT_READ | PROT_WRITE) == 0);
	}
	EXPECT_NO_MORE(&self->s, 2);
	munmap(memory, 2 * PAGE);
}

TEST_F(arguments, iocb_at_the_very_end_of_memory_is_taken)
{
	struct iocb *iocb = (struct iocb *)(self->bad - sizeof(*iocb));

	EXPECT_EQ(1, submit_sync(self->s.ctx, iocb, self->s.file, false));
	EXPECT_EQ(0, event_next(self->s.ctx).res);
	EXPECT_NO_MORE(&self->s, 1);
}

TEST_F(arguments, what_is_before_the_bad_pointer_is_submitted)
{
	struct iocb **list = (struct iocb **)self->bad - 3, iocbs[3];
	int i;

	/* the third pointer is bad */
	for (i = 0; i < 3; i++)
		prep_sync(&iocbs[i], self->s.file, i % 2);
	list[0] = &iocbs[0];
	list[1] = &iocbs[1];
	list[2] = (struct iocb *)self->bad;
	EXPECT_EQ(2, io_submit(self->s.ctx, 3, list));
	EXPECT_EQ(&iocbs[0], event_next(self->s.ctx).obj);
	EXPECT_EQ(&iocbs[1], event_next(self->s.ctx).obj);
	EXPECT_EQ(-EFAULT, io_submit(self->s.ctx, 1, list + 2));

	/* the array ends too early */
	list[2] = &iocbs[2];
	EXPECT_EQ(3, io_submit(self->s.ctx, 100, list));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(&iocbs[i], event_next(self->s.ctx).obj);
	EXPECT_EQ(0, events_ready(self->s.ctx));
}

/* libaio: "EINVAL ctx refers to an uninitialized aio context" */

TEST_F(arguments, uninitialised_context_is_EINVAL)
{
	struct timespec zero = { 0, 0 };
	io_context_t destroyed = NULL, bad[4];
	struct io_event event;
	struct iocb iocb;
	size_t i;

	need(io_setup(1, &destroyed) == 0);
	need(submit_sync(destroyed, &iocb, self->s.other, false) == 1);
	need(event_next(destroyed).res == 0);
	need(io_destroy(destroyed) == 0);
	bad[0] = NULL;
	bad[1] = (io_context_t)-1L;
	bad[2] = (io_context_t)self->bad;
	bad[3] = destroyed;
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EINVAL, submit_sync(bad[i], &iocb, self->s.file, false));
		EXPECT_EQ(-EINVAL, io_fsync(bad[i], &iocb, NULL, self->s.file));
		EXPECT_EQ(-EINVAL, io_getevents(bad[i], 0, 1, &event, &zero));
		EXPECT_EQ(-EINVAL, io_pgetevents(bad[i], 0, 1, &event, &zero, NULL));
		EXPECT_EQ(-EINVAL, io_cancel(bad[i], &iocb, &event));
		EXPECT_EQ(-EINVAL, io_destroy(bad[i]));
		EXPECT_EQ(-EINVAL, io_queue_release(bad[i]));
	}
	EXPECT_NO_MORE(&self->s, 0);
}

/* libaio: "the iocb pointed to by iocbs contains an improperly initialized iocb" */

struct improper {
	const char *what;
	void (*spoil)(struct iocb *iocb);
	int error;
};

static void spoil_buffer(struct iocb *iocb) { iocb->u.c.buf = iocb; }
static void spoil_size(struct iocb *iocb) { iocb->u.c.nbytes = 1; }
static void spoil_size_negative(struct iocb *iocb) { iocb->u.c.nbytes = -1; }
static void spoil_offset(struct iocb *iocb) { iocb->u.c.offset = 4096; }
static void spoil_rw_flags(struct iocb *iocb) { iocb->aio_rw_flags = 1; }
static void spoil_reserved(struct iocb *iocb) { iocb->u.c.__pad3 = 1; }
static void spoil_operation(struct iocb *iocb) { iocb->aio_lio_opcode = 99; }
static void spoil_eventfd(struct iocb *iocb) { io_set_eventfd(iocb, -1); }
static void spoil_eventfd_kind(struct iocb *iocb) { io_set_eventfd(iocb, 0); }
static void spoil_descriptor(struct iocb *iocb) { iocb->aio_fildes = -1; }

static void spoil_all(struct iocb *iocb)
{
	memset(iocb, POISON_BYTE, sizeof(*iocb));
}

static const struct improper impropers[] = {
	{ "buffer", spoil_buffer, -EINVAL },
	{ "size", spoil_size, -EINVAL },
	{ "negative size", spoil_size_negative, -EINVAL },
	{ "offset", spoil_offset, -EINVAL },
	{ "rw_flags", spoil_rw_flags, -EINVAL },
	{ "reserved", spoil_reserved, -EINVAL },
	{ "operation", spoil_operation, -EINVAL },
	{ "eventfd", spoil_eventfd, -EBADF },
	{ "not an eventfd", spoil_eventfd_kind, -EINVAL },
	{ "descriptor", spoil_descriptor, -EBADF },
	{ "all of it", spoil_all, -EINVAL },
};

TEST_F(arguments, improper_iocb_is_refused_with_the_error_that_kernel_aio_gives)
{
	struct iocb iocb, *list[] = { &iocb };
	int ret, raw;
	size_t i, j;

	/* descriptor 0 must be open, and no eventfd */
	need(dup2(self->s.other, 0) == 0);
	for (i = 0; i < 2 * sizeof(impropers) / sizeof(impropers[0]); i++) {
		j = i / 2;
		prep_sync(&iocb, self->s.file, i % 2);
		impropers[j].spoil(&iocb);
		ret = submit_one(self->s.ctx, &iocb);
		raw = syscall(SYS_io_submit, self->s.ctx, 1, list) < 0 ? -errno : 0;
		EXPECT_EQ(impropers[j].error, ret) {
			TH_LOG("%s", impropers[j].what);
		}
		EXPECT_EQ(raw, ret) {
			TH_LOG("%s", impropers[j].what);
		}
	}
	close(0);
	EXPECT_NO_MORE(&self->s, 0);
}

/* The options that kernel AIO allows in an iocb of a sync. */
TEST_F(arguments, priority_is_taken)
{
	struct iocb iocb;

	prep_sync(&iocb, self->s.file, false);
	iocb.aio_reqprio = 5;
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	EXPECT_EQ(0, event_next(self->s.ctx).res);
	iocb.u.c.flags = 1 << 1;	/* IOCB_FLAG_IOPRIO */
	iocb.aio_reqprio = 2 << 13 | 7;
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	EXPECT_EQ(0, event_next(self->s.ctx).res);
	/* an invalid one: it was never looked at */
	iocb.aio_reqprio = 7 << 13 | 7;
	ASSERT_EQ(1, submit_one(self->s.ctx, &iocb));
	EXPECT_EQ(0, event_next(self->s.ctx).res);
}

TEST_F(arguments, count_below_zero_is_EINVAL_and_zero_is_nothing)
{
	struct iocb *list[] = { NULL };

	EXPECT_EQ(-EINVAL, io_submit(self->s.ctx, -1, list));
	EXPECT_EQ(0, io_submit(self->s.ctx, 0, list));
	EXPECT_EQ(0, io_submit(self->s.ctx, 0, NULL));
	EXPECT_EQ(-EINVAL, io_submit(NULL, 0, NULL));
}

/* libaio: "EBADF The iocb contains a file descriptor that does not exist." */
TEST_F(arguments, descriptor_that_does_not_exist_is_EBADF)
{
	int closed = dup(self->s.file), fds[4];
	struct iocb iocb;
	size_t i;

	close(closed);
	fds[0] = -1;
	fds[1] = closed;
	fds[2] = INT_MAX;
	fds[3] = open("/", O_PATH | O_CLOEXEC);
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(-EBADF, submit_sync(self->s.ctx, &iocb, fds[i / 2], i % 2));
		EXPECT_EQ(-EBADF, io_fsync(self->s.ctx, &iocb, NULL, fds[i / 2]));
	}
	close(fds[3]);
	EXPECT_NO_MORE(&self->s, 0);
}

/* libaio: "The file specified in the iocb does not support the given io operation." */
TEST_F(arguments, file_that_cannot_be_synced_is_EINVAL)
{
	int pipes[2], sockets[2], fds[9];
	struct iocb iocb;
	size_t i;

	need(pipe2(pipes, O_CLOEXEC) == 0);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	fds[0] = pipes[0];
	fds[1] = pipes[1];
	fds[2] = sockets[0];
	fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[4] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	fds[5] = eventfd(0, EFD_CLOEXEC);
	fds[6] = epoll_create1(EPOLL_CLOEXEC);
	fds[7] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	fds[8] = device_open();
	for (i = 0; i < 18; i++) {
		ASSERT_LE(0, fds[i / 2]);
		EXPECT_EQ(-EINVAL, submit_sync(self->s.ctx, &iocb, fds[i / 2], i % 2));
	}
	for (i = 0; i < 9; i++)
		close(fds[i]);
	close(sockets[1]);
	EXPECT_NO_MORE(&self->s, 0);
}

/* Partial submission */

TEST_F(arguments, submission_stops_at_the_first_that_is_refused)
{
	struct iocb iocbs[5];
	struct iocb *list[5];
	char byte[1] = "x";
	int i, j;

	for (i = 0; i < 5; i++)
		list[i] = &iocbs[i];
	/* a refused sync, or a refused write, behind i good ones of both kinds */
	for (i = 1; i < 8; i++) {
		for (j = 0; j < 5; j++) {
			if (j % 2)
				io_prep_pwrite(&iocbs[j], self->s.file, byte, 1, 0);
			else
				prep_sync(&iocbs[j], self->s.file, false);
		}
		iocbs[i / 2 + 1].aio_fildes = -1;
		if (i % 2)
			iocbs[i / 2 + 1].aio_lio_opcode ^= IO_CMD_PWRITE ^ IO_CMD_FSYNC;
		ASSERT_EQ(i / 2 + 1, io_submit(self->s.ctx, 5, list));
		for (j = 0; j < i / 2 + 1; j++)
			EXPECT_LE(0, (long)event_next(self->s.ctx).res);
		others_sync(self->s.other, 2);
		EXPECT_EQ(0, events_ready(self->s.ctx));
		EXPECT_EQ(-EBADF, io_submit(self->s.ctx, 1, &list[i / 2 + 1]));
	}
}

TEST_F(arguments, long_array_is_submitted_up_to_the_one_that_is_refused)
{
	struct iocb iocbs[100], *list[100];
	/* The library takes 64 at a time. */
	static const int places[] = { 1, 15, 16, 29, 62, 63, 64, 65, 99 };
	struct io_event events[100];
	unsigned int n;
	int i, bad;

	for (i = 0; i < 100; i++)
		list[i] = &iocbs[i];
	for (n = 0; n < sizeof(places) / sizeof(places[0]); n++) {
		bad = places[n];
		for (i = 0; i < 100; i++)
			prep_sync(&iocbs[i], self->s.file, i % 3);
		iocbs[bad].u.c.offset = 1;
		ASSERT_EQ(bad, io_submit(self->s.ctx, 100, list));
		events_wait(self->s.ctx, events, bad);
		for (i = 0; i < bad; i++)
			EXPECT_EQ(&iocbs[i], events[i].obj);
		EXPECT_EQ(0, events_ready(self->s.ctx));
		ASSERT_EQ(-EINVAL, io_submit(self->s.ctx, 100 - bad, list + bad));
	}
}

/* The kernel copies each iocb when it comes to it, so an array may contain one twice. */
TEST_F(arguments, iocb_that_is_in_the_array_twice_is_two_requests)
{
	struct iocb iocb, *list[] = { &iocb, &iocb, &iocb };
	struct io_event events[3];
	int i;

	prep_sync(&iocb, self->s.file, false);
	iocb.data = self;
	ASSERT_EQ(3, io_submit(self->s.ctx, 3, list));
	events_wait(self->s.ctx, events, 3);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(&iocb, events[i].obj);
		EXPECT_EQ(self, events[i].data);
		EXPECT_EQ(0, events[i].res);
	}
	EXPECT_EQ(self->s.file, iocb.aio_fildes);
	EXPECT_EQ(IO_CMD_FSYNC, iocb.aio_lio_opcode);
	EXPECT_EQ(0, events_ready(self->s.ctx));
}

/* Room */

/* Submits syncs one by one until one is refused: how many were taken. */
static unsigned int submit_until_refused(struct __test_metadata *_metadata,
					 io_context_t ctx, struct iocb *iocbs,
					 unsigned int max, int fd)
{
	unsigned int n;
	int ret = 1;

	for (n = 0; n < max; n++) {
		iocbs[n].data = NULL;
		ret = submit_sync(ctx, &iocbs[n], fd, n % 2);
		if (ret != 1)
			break;
	}
	EXPECT_EQ(-EAGAIN, ret);
	return n;
}

/* Each of them is notified, once. */
static void expect_all(struct __test_metadata *_metadata, io_context_t ctx,
		       const struct iocb *iocbs, unsigned int n)
{
	unsigned int i, wrong = 0;
	struct io_event event;
	char *seen = calloc(n, 1);

	need(seen);
	for (i = 0; i < n; i++) {
		event = event_next(ctx);
		if (event.res || event.obj < iocbs || event.obj >= iocbs + n ||
		    seen[event.obj - iocbs]++)
			wrong++;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, events_ready(ctx));
	free(seen);
}

TEST_F(arguments, more_than_the_context_has_room_for_is_EAGAIN_and_nothing_is_lost)
{
	struct iocb *iocbs = calloc(4096, sizeof(*iocbs));
	unsigned int n, again;

	need(iocbs);
	/* The kernel keeps free slots for each CPU: those of another CPU are found only later. */
	stay_on_this_cpu();
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	n = submit_until_refused(_metadata, self->s.ctx, iocbs, 4096, self->s.file);
	EXPECT_LE(64, n);
	/* as long as no request has ended, and its event been read */
	EXPECT_EQ(-EAGAIN, submit_one(self->s.ctx, &iocbs[n]));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	expect_all(_metadata, self->s.ctx, iocbs, n);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	again = submit_until_refused(_metadata, self->s.ctx, iocbs, 4096, self->s.file);
	/* the kernel keeps some of the free slots on other processors */
	EXPECT_LE(64, again);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	expect_all(_metadata, self->s.ctx, iocbs, again);
	free(iocbs);
}

/* Unread events occupy slots, too. */
TEST_F(arguments, room_is_short_until_events_are_taken)
{
	struct iocb *iocbs = calloc(4096, sizeof(*iocbs));
	unsigned int n;

	need(iocbs);
	n = submit_until_refused(_metadata, self->s.ctx, iocbs, 4096, self->s.file);
	expect_all(_metadata, self->s.ctx, iocbs, n);
	free(iocbs);
}

TEST_F(arguments, array_that_is_too_long_is_submitted_as_far_as_there_is_room)
{
	struct iocb *iocbs = calloc(4096, sizeof(*iocbs)), *list[4096];
	unsigned int i;
	int n, more;

	need(iocbs);
	for (i = 0; i < 4096; i++) {
		prep_sync(&iocbs[i], self->s.file, i % 2);
		list[i] = &iocbs[i];
	}
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (n = 0; (more = io_submit(self->s.ctx, 4096 - n, list + n)) > 0; n += more)
		;
	EXPECT_EQ(-EAGAIN, more);
	EXPECT_LE(64, n);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	expect_all(_metadata, self->s.ctx, iocbs, n);
	free(iocbs);
}

TEST_F_TIMEOUT(arguments, more_than_the_device_has_room_for_is_EAGAIN_and_nothing_is_lost,
	       LONG_TIMEOUT)
{
	long long max = parameter("max_user_requests");
	struct iocb *iocbs = calloc(20000, sizeof(*iocbs));
	unsigned int n, again;
	io_context_t ctx = NULL;

	need(iocbs);
	need(io_setup(20000, &ctx) == 0);
	/* fewer than the slots of any ring */
	parameter_set("max_user_requests", 500);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	n = submit_until_refused(_metadata, ctx, iocbs, 20000, self->s.file);
	parameter_set("max_user_requests", max);
	EXPECT_LT(0, n);
	EXPECT_GE(500, n);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	expect_all(_metadata, ctx, iocbs, n);

	/* as many as the slots of the ring */
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	n = submit_until_refused(_metadata, ctx, iocbs, 20000, self->s.file);
	EXPECT_LT(1000, n);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	expect_all(_metadata, ctx, iocbs, n);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	again = submit_until_refused(_metadata, ctx, iocbs, 20000, self->s.file);
	EXPECT_EQ(n, again);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	expect_all(_metadata, ctx, iocbs, again);
	need(io_destroy(ctx) == 0);
	free(iocbs);
}

/* A program with nothing to wait for could only retry for ever. */
TEST_F(arguments, context_with_nothing_outstanding_has_room_whoever_uses_the_device)
{
	long long max = parameter("max_user_requests");
	struct ring ring;
	struct iocb iocb;
	int i, ret;

	ring_open(&ring, 16);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, i));
	parameter_set("max_user_requests", 4);
	ret = submit_sync(self->s.ctx, &iocb, self->s.other, false);
	parameter_set("max_user_requests", max);
	EXPECT_EQ(1, ret);
	if (ret == 1) {
		EXPECT_EQ(0, event_next(self->s.ctx).res);
		EXPECT_EQ(1, sim_started(self->s.other, SIM_GATE_FSYNC));
	}
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	ring_close(&ring);
}

/* The other calls, and errno */

TEST_F(arguments, io_getevents_refuses_what_the_kernel_refuses)
{
	struct io_event event;
	struct iocb iocb;

	EXPECT_EQ(-EINVAL, io_getevents(self->s.ctx, 2, 1, &event, NULL));
	EXPECT_EQ(-EINVAL, io_getevents(self->s.ctx, -1, 1, &event, NULL));
	EXPECT_EQ(-EINVAL, io_pgetevents(self->s.ctx, 2, 1, &event, NULL, NULL));
	ASSERT_EQ(1, submit_sync(self->s.ctx, &iocb, self->s.file, false));
	WAIT_UNTIL(events_ready(self->s.ctx));
	EXPECT_EQ(-EFAULT, io_getevents(self->s.ctx, 1, 1, (void *)self->bad, NULL));
	/* the event is still there */
	EXPECT_EQ(&iocb, event_next(self->s.ctx).obj);
}

TEST_F(arguments, io_setup_and_io_queue_init_refuse_what_the_kernel_refuses)
{
	io_context_t ctx = NULL;

	EXPECT_EQ(-EINVAL, io_setup(0, &ctx));
	EXPECT_EQ(-EFAULT, io_setup(1, NULL));
	EXPECT_EQ(-EINVAL, io_setup(1, &self->s.ctx));
	EXPECT_EQ(-EINVAL, io_setup(1 << 24, &ctx));
	EXPECT_EQ(-EAGAIN, io_setup(number_read("/proc/sys/fs/aio-max-nr") + 1, &ctx));
	EXPECT_EQ(-EINVAL, io_queue_init(0, &ctx));
	/* it need not be zero here */
	ctx = (io_context_t)self->bad;
	ASSERT_EQ(0, io_queue_init(1, &ctx));
	EXPECT_EQ(0, io_queue_run(ctx));
	EXPECT_EQ(0, io_queue_release(ctx));
	EXPECT_EQ(-EINVAL, io_queue_run(ctx));
}

TEST_F(arguments, errno_is_left_alone)
{
	struct timespec zero = { 0, 0 };
	io_context_t ctx = NULL;
	struct io_event event;
	struct iocb iocb;
	int saved;

	errno = 12345;
	submit_sync(self->s.ctx, &iocb, -1, false);
	submit_sync(self->s.ctx, &iocb, self->s.file, false);
	io_getevents(self->s.ctx, 1, 1, &event, NULL);
	io_submit(self->s.ctx, 1, NULL);
	io_submit(self->s.ctx, 1, (struct iocb **)self->bad);
	io_submit(NULL, -1, NULL);
	io_cancel(self->s.ctx, &iocb, &event);
	io_getevents(NULL, 1, 1, &event, &zero);
	io_pgetevents(NULL, 1, 1, &event, &zero, NULL);
	io_setup(0, &ctx);
	io_setup(1, &ctx);
	io_destroy(ctx);
	io_destroy(NULL);
	io_queue_init(0, &ctx);
	io_queue_run(NULL);
	saved = errno;
	EXPECT_EQ(12345, saved);
}

TEST_HARNESS_MAIN
