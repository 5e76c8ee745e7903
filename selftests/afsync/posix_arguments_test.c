// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: every error that aio_fsync can return at the call; a refused call
 * queues nothing.
 *
 * Needs afsync_sim and root; changes the limit of requests of a user for a while.
 */
#include "posix.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

FIXTURE(arguments) {
	struct stage s;
	long long max_user_requests;
};

FIXTURE_SETUP(arguments)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->max_user_requests = parameter("max_user_requests");
}

FIXTURE_TEARDOWN(arguments)
{
	parameter_set("max_user_requests", self->max_user_requests);
	stage_close(&self->s);
}

/* How many calls of fsync the file has seen, including all those that are queued by now. */
static unsigned int syncs_seen(struct stage *s)
{
	need(ring_queue(&s->ring, s->file, AFSYNC_OP_FSYNC, 0) == 1);
	need(ring_next(&s->ring).res == 0);
	return sim_started(s->ctl, SIM_GATE_FSYNC) - 1;
}

/*
 * NetBSD: op could be set only to O_DSYNC or O_SYNC; EINVAL otherwise, and the call
 * returns without having enqueued the request. illumos: EINVAL for a value of op other
 * than O_DSYNC or O_SYNC.
 */
TEST_F(arguments, operation_other_than_o_sync_and_o_dsync_is_einval)
{
	static const int ops[] = {
		0, 1, 2, -1, INT_MAX, INT_MIN, O_RDWR, O_APPEND, O_DIRECT, O_NONBLOCK,
		O_SYNC & ~O_DSYNC, O_SYNC | O_RDWR, O_DSYNC | O_RDWR, O_SYNC | O_APPEND,
		O_DSYNC | O_NONBLOCK, ~O_SYNC, ~O_DSYNC,
	};
	unsigned char poison[sizeof(struct aiocb)];
	struct aiocb block;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		block = block_of(self->s.file);
		memcpy(poison, &block, sizeof(block));
		errno = 0;
		EXPECT_EQ(-1, aio_fsync(ops[i], &block)) {
			TH_LOG("op %#x", ops[i]);
			block_wait(&block);
		}
		EXPECT_EQ(EINVAL, errno);
		/* Not even the block has changed. */
		EXPECT_EQ(0, memcmp(poison, &block, sizeof(block)));
	}
	EXPECT_EQ(0, syncs_seen(&self->s));
}

/*
 * AIX, illumos: EBADF if aio_fildes is not a valid file descriptor open for writing.
 * NetBSD: EBADF if it is invalid for writing.
 */
TEST_F(arguments, descriptor_that_is_not_valid_is_ebadf)
{
	int closed = dup(self->s.file), i;
	const int fds[] = { -1, -100, INT_MIN, INT_MAX, 1 << 20, closed };
	struct aiocb block;

	close(closed);
	for (i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		block = block_of(fds[i]);
		EXPECT_EQ(-EBADF, sync_queue(O_SYNC, &block));
		EXPECT_EQ(-EBADF, sync_queue(O_DSYNC, &block));
		/* The block is as it was. */
		EXPECT_EQ(0, aio_error(&block));
	}
}

/* A program that was written for glibc, which takes such a descriptor, must not fail. */
TEST_F(arguments, preloaded_library_accepts_a_descriptor_open_for_reading_as_glibc_does)
{
	int fd = world_open(&self->s.world, "file", O_RDONLY);

	EXPECT_EQ(0, sync_now(O_SYNC, fd));
	EXPECT_EQ(0, sync_now(O_DSYNC, fd));
	EXPECT_EQ(2, syncs_seen(&self->s));
	close(fd);
}

/* Syncing a directory makes a rename durable, and no directory can be opened for writing. */
TEST_F(arguments, directory_is_accepted)
{
	int fd = world_open(&self->s.world, "dir", O_RDONLY | O_DIRECTORY);

	EXPECT_EQ(0, sync_now(O_SYNC, fd));
	EXPECT_EQ(0, sync_now(O_DSYNC, fd));
	EXPECT_EQ(2, sim_started(fd, SIM_GATE_FSYNC));
	close(fd);
}

TEST_F(arguments, descriptor_of_a_path_alone_is_ebadf)
{
	int fd = world_open(&self->s.world, "file", O_PATH);

	EXPECT_EQ(-EBADF, sync_now(O_SYNC, fd));
	EXPECT_EQ(-EBADF, sync_now(O_DSYNC, fd));
	EXPECT_EQ(0, syncs_seen(&self->s));
	close(fd);
}

TEST_F(arguments, descriptor_open_for_writing_alone_or_for_both_is_accepted)
{
	static const int modes[] = {
		O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDWR | O_SYNC,
	};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = world_open(&self->s.world, "file", modes[i]);
		EXPECT_EQ(0, sync_now(O_SYNC, fd));
		EXPECT_EQ(0, sync_now(O_DSYNC, fd));
		close(fd);
	}
}

/* Refused at the call, or by the status: the manuals allow both. */
static int sync_refused(int fd)
{
	return -sync_now(O_SYNC, fd);
}

/*
 * illumos: EINVAL, the system does not support synchronized I/O for this file. NetBSD:
 * the conditions may be detected when the call is made, or at any time thereafter. Here
 * it is at the call.
 */
TEST_F(arguments, file_that_cannot_be_synced_is_einval_at_the_call)
{
	int pipes[2], sockets[2], fds[10], n = 0, i;
	struct aiocb block;

	need(pipe(pipes) == 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	fds[n++] = pipes[1];
	fds[n++] = sockets[0];
	fds[n++] = eventfd(0, 0);
	fds[n++] = epoll_create1(0);
	fds[n++] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[n++] = open("/dev/null", O_RDWR);
	fds[n++] = open("/dev/zero", O_WRONLY);
	fds[n++] = device_open();
	fds[n++] = open("/proc/self/oom_score_adj", O_RDWR);
	for (i = 0; i < n; i++) {
		need(fds[i] >= 0);
		EXPECT_EQ(EINVAL, sync_refused(fds[i])) {
			TH_LOG("descriptor number %d", i);
		}
		block = block_of(fds[i]);
		EXPECT_EQ(-EINVAL, sync_queue(O_DSYNC, &block)) {
			TH_LOG("descriptor number %d", i);
			block_wait(&block);
		}
		close(fds[i]);
	}
	close(pipes[0]);
	close(sockets[1]);
}

/*
 * illumos: if aiocbp is NULL, then no status is returned in aiocbp, and no signal is
 * generated upon completion of the operation.
 */
TEST_F(arguments, null_block_is_accepted_and_nothing_is_signalled)
{
	/* <aio.h> says that it is never null: the compiler must not see that it is. */
	struct aiocb *volatile none = NULL;
	const struct timespec at_once = {};
	sigset_t all;

	sigfillset(&all);
	need(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
	EXPECT_EQ(0, sync_queue(O_SYNC, none));
	EXPECT_EQ(0, sync_queue(O_DSYNC, none));
	EXPECT_EQ(-EINVAL, sync_queue(0, none));
	EXPECT_EQ(-EINVAL, sync_queue(O_RDWR, none));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(-1, sigtimedwait(&all, NULL, &at_once));
}

/* POSIX: a block that is in flight must not be queued again; it is refused. */
TEST_F(arguments, block_that_is_in_flight_is_refused_and_goes_on_unharmed)
{
	struct aiocb sync = block_of(self->s.file), write, read;
	char buffer[2][8] = { "12345678", "" };

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(-EINVAL, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(-EINVAL, sync_queue(O_DSYNC, &sync));
	EXPECT_EQ(-EINVAL, write_queue(&sync));
	EXPECT_EQ(-EINVAL, read_queue(&sync));
	EXPECT_EQ(EINPROGRESS, aio_error(&sync));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&sync));

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	sim_hold(self->s.ctl, SIM_GATE_READ);
	write = transfer_of(self->s.file, buffer[0], 8, 0);
	read = transfer_of(self->s.file, buffer[1], 8, 0);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, read_queue(&read));
	EXPECT_EQ(-EINVAL, sync_queue(O_SYNC, &write));
	EXPECT_EQ(-EINVAL, write_queue(&write));
	EXPECT_EQ(-EINVAL, sync_queue(O_SYNC, &read));
	EXPECT_EQ(-EINVAL, read_queue(&read));
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(8, block_end(&write));
	sim_let_go(self->s.ctl, SIM_GATE_READ);
	EXPECT_EQ(8, block_end(&read));
	EXPECT_EQ(0, memcmp(buffer[0], buffer[1], 8));

	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_WRITE));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_READ));
}

/*
 * AIX, illumos: EAGAIN, the operation was not queued due to temporary resource
 * limitations. NetBSD: EAGAIN, and then it is not enqueued.
 */
TEST_F(arguments, no_room_is_eagain_and_nothing_that_was_queued_is_lost)
{
	struct aiocb blocks[20], refused;
	int i, taken;

	/* The library's first ring is made before the space runs out. */
	ASSERT_EQ(0, sync_now(O_SYNC, self->s.file));
	parameter_set("max_user_requests", 12);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (taken = 0; taken < 20; taken++) {
		blocks[taken] = block_of(self->s.file);
		if (aio_fsync(O_DSYNC, &blocks[taken]))
			break;
	}
	ASSERT_EQ(12, taken);
	EXPECT_EQ(EAGAIN, errno);
	refused = block_of(self->s.file);
	EXPECT_EQ(-EAGAIN, sync_queue(O_SYNC, &refused));
	EXPECT_EQ(-EAGAIN, sync_queue(O_SYNC, &refused));
	for (i = 0; i < taken; i++)
		EXPECT_EQ(EINPROGRESS, aio_error(&blocks[i]));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < taken; i++)
		EXPECT_EQ(0, block_end(&blocks[i]));
	/* The same block, once there is room again. */
	EXPECT_EQ(0, sync_queue(O_SYNC, &refused));
	EXPECT_EQ(0, block_end(&refused));
}

/* The same behind a transfer, where the sync waits outside the file's queue. */
TEST_F(arguments, no_room_behind_a_write_is_eagain_at_the_call)
{
	struct aiocb blocks[20], write = transfer_of(self->s.file, "x", 1, 0);
	int i, taken;

	ASSERT_EQ(0, sync_now(O_SYNC, self->s.file));
	parameter_set("max_user_requests", 12);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	for (taken = 0; taken < 20; taken++) {
		blocks[taken] = block_of(self->s.file);
		if (aio_fsync(O_DSYNC, &blocks[taken]))
			break;
	}
	EXPECT_EQ(12, taken);
	EXPECT_EQ(EAGAIN, errno);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	for (i = 0; i < taken; i++)
		EXPECT_EQ(0, block_end(&blocks[i]));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/* Reasons to refuse a transfer, at the call or by its status. */
TEST_F(arguments, impossible_transfers_are_refused_as_posix_has_it)
{
	int input = world_open(&self->s.world, "file", O_RDONLY);
	int output = world_open(&self->s.world, "file", O_WRONLY);
	char data[8] = "";
	const struct {
		struct aiocb block;
		bool write;
		int prio;
		int error;
	} cases[] = {
		{ transfer_of(-1, data, 8, 0), true, 0, EBADF },
		{ transfer_of(-1, data, 8, 0), false, 0, EBADF },
		{ transfer_of(input, data, 8, 0), true, 0, EBADF },
		{ transfer_of(output, data, 8, 0), false, 0, EBADF },
		{ transfer_of(self->s.file, data, 8, -1), true, 0, EINVAL },
		{ transfer_of(self->s.file, data, 8, -1), false, 0, EINVAL },
		{ transfer_of(self->s.file, data, 8, 0), true, -1, EINVAL },
		{ transfer_of(self->s.file, data, 8, 0), false, -1, EINVAL },
		{ transfer_of(self->s.file, data, 8, 0), true, INT_MAX, EINVAL },
		{ transfer_of(self->s.file, NULL, 8, 0), true, 0, EFAULT },
	};
	struct aiocb block;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		block = cases[i].block;
		block.aio_reqprio = cases[i].prio;
		if (cases[i].write)
			ret = write_queue(&block);
		else
			ret = read_queue(&block);
		if (!ret)
			ret = block_end(&block);
		EXPECT_EQ(-cases[i].error, ret) {
			TH_LOG("case %u", i);
		}
	}
	/* None of them blocks a sync. */
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	close(input);
	close(output);
}

/* POSIX: EBADF may be detected at the call or asynchronously; glibc does the latter. */
TEST_F(arguments, transfer_of_a_bad_descriptor_ends_with_ebadf_and_notifies)
{
	int closed = dup(self->s.file);
	const int fds[] = { -1, INT_MIN, INT_MAX, 1 << 20, closed };
	struct aiocb block, *list[1] = { &block };
	siginfo_t info;
	char data[8];
	sigset_t set;
	int i, ret;

	close(closed);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	for (i = 0; i < (int)ARRAY_SIZE(fds) * 3; i++) {
		block = transfer_of(fds[i / 3], data, 8, 0);
		block.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
		block.aio_sigevent.sigev_signo = SIGRTMIN;
		block.aio_sigevent.sigev_value.sival_int = i;
		block.aio_lio_opcode = LIO_READ;
		ret = i % 3 == 0 ? read_queue(&block) :
		      i % 3 == 1 ? write_queue(&block) :
				   lio_listio(LIO_NOWAIT, list, 1, NULL);
		ASSERT_EQ(0, ret);
		EXPECT_EQ(-EBADF, block_end(&block));
		need(sigwaitinfo(&set, &info) == SIGRTMIN);
		EXPECT_EQ(i, info.si_value.sival_int);
	}
}

#define EXPECT_EINVAL(call) do {	\
	errno = 0;			\
	EXPECT_EQ(-1, call);		\
	EXPECT_EQ(EINVAL, errno);	\
} while (0)

/* A program must not crash by it, as it would with glibc. */
TEST_F(arguments, missing_control_block_is_einval)
{
	struct aiocb *volatile missing = NULL;
	struct aiocb64 *volatile missing64 = NULL;
	const struct aioinit *volatile init = NULL;

	EXPECT_EINVAL(aio_read(missing));
	EXPECT_EINVAL(aio_write(missing));
	EXPECT_EINVAL(aio_error(missing));
	EXPECT_EINVAL(aio_return(missing));
	EXPECT_EINVAL(aio_read64(missing64));
	EXPECT_EINVAL(aio_write64(missing64));
	EXPECT_EINVAL(aio_error64(missing64));
	EXPECT_EINVAL(aio_return64(missing64));
	/* This is no error: it asks for nothing. */
	aio_init(init);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/*
 * Some programs leave aio_reqprio as malloc() returns it, which works if that memory is
 * new: memory that the library has used for itself must not reach the program.
 */
TEST_F(arguments, memory_that_the_library_used_does_not_become_a_block_of_the_program)
{
	unsigned int i, j, n = rounds(20);
	struct aiocb *blocks[64];

	/* Uses up memory that other code has freed. */
	for (i = 0; i < 4096; i++)
		need(malloc(sizeof(struct aiocb)));
	for (i = 0; i < n; i++) {
		for (j = 0; j < 64; j++) {
			blocks[j] = malloc(sizeof(struct aiocb));
			need(blocks[j]);
			blocks[j]->aio_fildes = self->s.file;
			blocks[j]->aio_buf = "x";
			blocks[j]->aio_nbytes = 1;
			blocks[j]->aio_offset = j;
			blocks[j]->aio_sigevent.sigev_notify = SIGEV_NONE;
			ASSERT_EQ(0, write_queue(blocks[j])) {
				TH_LOG("round %u, block %u", i, j);
			}
		}
		for (j = 0; j < 64; j++)
			ASSERT_EQ(1, block_end(blocks[j]));
	}
}

TEST_HARNESS_MAIN
