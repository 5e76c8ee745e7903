// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that links libafsync-posix has the promises of the manual with the device and
 * without it: the sync is of the file of the call, even if the descriptor is closed or
 * reused, and the errors are those of the manual.
 *
 * Hides the device in a mount namespace of its own. Needs afsync_sim and root.
 */
#define POSIX_LINKED
#include "posix.h"

#include <dirent.h>
#include <mqueue.h>
#include <sys/socket.h>

FIXTURE(linked) {
	struct world world;
	int file;
	int other;
	int ctl;
};

FIXTURE_VARIANT(linked) {
	bool device;
};

FIXTURE_VARIANT_ADD(linked, with_device) { .device = true };
FIXTURE_VARIANT_ADD(linked, without_device) { .device = false };

FIXTURE_SETUP(linked)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->ctl = world_open(&self->world, "file", O_RDONLY);
	self->file = world_open(&self->world, "file", O_RDWR);
	self->other = world_open(&self->world, "other", O_RDONLY);
	if (!variant->device)
		need(mount("none", "/dev", "tmpfs", 0, NULL) == 0);
}

FIXTURE_TEARDOWN(linked)
{
	__u32 gate;

	for (gate = 0; gate < SIM_NR_GATES; gate++)
		sim_let_go(self->ctl, gate);
	if (!variant->device)
		need(umount("/dev") == 0);
	close(self->ctl);
	close(self->file);
	close(self->other);
	world_unmount(&self->world);
}

/* How many descriptors of that file the thread has. */
static int times_open_in(const char *thread, ino_t inode)
{
	char path[300];
	struct dirent *fd;
	struct stat st;
	DIR *fds;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%s/fd", thread);
	fds = opendir(path);
	/* It has just ended. */
	if (!fds)
		return 0;
	while ((fd = readdir(fds)))
		n += !fstatat(dirfd(fds), fd->d_name, &st, 0) && S_ISREG(st.st_mode) &&
		     st.st_ino == inode;
	closedir(fds);
	return n;
}

/*
 * The same for all tables of the process. A table with as many as this thread's is the
 * same table: the tests have at least two, and no other thread keeps as many.
 */
static int times_open(ino_t inode)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *thread;
	char self[20];
	int own, one, n;

	snprintf(self, sizeof(self), "%d", thread_id());
	own = times_open_in(self, inode);
	n = own;
	need(threads && own > 1);
	while ((thread = readdir(threads))) {
		if (thread->d_name[0] == '.')
			continue;
		one = times_open_in(thread->d_name, inode);
		n += one == own ? 0 : one;
	}
	closedir(threads);
	return n;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	need(fstat(fd, &st) == 0);
	return st.st_ino;
}

/* AIX, illumos, NetBSD: EBADF if it is not open for writing. */
TEST_F(linked, descriptor_that_is_not_open_for_writing_is_ebadf)
{
	struct aiocb block = block_of(self->ctl);

	EXPECT_EQ(-EBADF, sync_queue(O_SYNC, &block));
	EXPECT_EQ(-EBADF, sync_queue(O_DSYNC, &block));
	EXPECT_EQ(0, sim_started(self->ctl, SIM_GATE_FSYNC));
}

/* POSIX asks for a valid descriptor only; a directory cannot be opened for writing. */
TEST_F(linked, directory_is_accepted)
{
	int fd = world_open(&self->world, "dir", O_RDONLY | O_DIRECTORY);

	EXPECT_EQ(0, sync_now(O_SYNC, fd));
	EXPECT_EQ(1, sim_started(fd, SIM_GATE_FSYNC));
	close(fd);
}

TEST_F(linked, pipe_and_socket_are_einval_at_the_call)
{
	struct aiocb block;
	int fds[2], i;

	for (i = 0; i < 2; i++) {
		if (i)
			need(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		else
			need(pipe(fds) == 0);
		block = block_of(fds[1]);
		EXPECT_EQ(-EINVAL, sync_queue(O_SYNC, &block));
		close(fds[0]);
		close(fds[1]);
	}
}

TEST_F(linked, file_closed_right_after_the_call_is_synced)
{
	unsigned int i, n = rounds(200), failed = 0, wrong = 0;
	struct aiocb block;
	__u32 id;
	int fd, again;

	for (i = 0; i < n; i++) {
		fd = world_open(&self->world, "file", O_RDWR);
		id = sim_open_id(fd);
		block = block_of(fd);
		need(sync_queue(i % 2 ? O_SYNC : O_DSYNC, &block) == 0);
		need(close(fd) == 0);
		again = world_open(&self->world, "other", O_RDWR);
		failed += block_end(&block) != 0;
		wrong += sim_last_call(self->ctl).open_id != id;
		close(again);
	}
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(n, sim_started(self->ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_started(self->other, SIM_GATE_FSYNC));
}

/* AIX, illumos: all I/O that was queued at the time of the call. */
TEST_F(linked, sync_behind_a_write_is_of_the_file_of_the_call)
{
	int fd = world_open(&self->world, "file", O_RDWR), again;
	struct aiocb write = transfer_of(fd, "x", 1, 0), sync = block_of(fd);

	sim_hold(self->ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	again = world_open(&self->world, "other", O_RDWR);
	need(dup2(again, fd) == fd);
	close(again);
	sim_let_go(self->ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(1, sim_last_call(self->ctl).writes);
	EXPECT_EQ(0, sim_started(self->other, SIM_GATE_FSYNC));
	close(fd);
}

TEST_F(linked, file_is_let_go_of_before_the_end_can_be_seen)
{
	ino_t inode = inode_of(self->file);
	int before = times_open(inode), fd;
	unsigned int i, n = rounds(50), kept = 0;
	struct aiocb block;

	for (i = 0; i < n; i++) {
		fd = world_open(&self->world, "file", O_RDWR);
		block = block_of(fd);
		need(sync_queue(O_SYNC, &block) == 0);
		need(close(fd) == 0);
		need(block_end(&block) == 0);
		kept += times_open(inode) != before;
	}
	EXPECT_EQ(0, kept);
}

TEST_F(linked, file_of_a_cancelled_sync_is_let_go_of_before_the_end_can_be_seen)
{
	ino_t inode = inode_of(self->file);
	struct aiocb write = transfer_of(self->file, "x", 1, 0), sync;
	int before, fd;

	sim_hold(self->ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->ctl, SIM_GATE_WRITE, 1);
	before = times_open(inode);
	fd = world_open(&self->world, "file", O_RDWR);
	sync = block_of(fd);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(AIO_CANCELED, aio_cancel(fd, &sync));
	EXPECT_EQ(-ECANCELED, block_end(&sync));
	need(close(fd) == 0);
	EXPECT_EQ(before, times_open(inode));
	sim_let_go(self->ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(0, sim_started(self->ctl, SIM_GATE_FSYNC));
}

TEST_F(linked, record_locks_of_the_program_survive)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	pid_t pid;

	need(fcntl(self->file, F_SETLK, &lock) == 0);
	EXPECT_EQ(0, sync_now(O_SYNC, self->file));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		lock = (struct flock) { .l_type = F_WRLCK, .l_len = 1 };
		need(fcntl(self->file, F_GETLK, &lock) == 0);
		_exit(lock.l_type == F_WRLCK ? 0 : 1);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* A file that the program closes is closed, even if the library has just copied its table. */
TEST_F(linked, other_files_of_the_program_are_not_kept_open)
{
	struct aiocb block = block_of(self->file);
	int fds[2];
	char c;

	sim_hold(self->ctl, SIM_GATE_FSYNC);
	need(pipe(fds) == 0);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	close(fds[1]);
	/* Hangs if another thread has the end for writing. */
	EXPECT_EQ(0, read(fds[0], &c, 1));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
	close(fds[0]);
}

TEST_F(linked, many_more_syncs_than_threads_all_end)
{
	enum { SYNCS = 100 };
	struct aiocb blocks[SYNCS];
	unsigned int i, failed = 0;
	int fd;

	sim_hold(self->ctl, SIM_GATE_FSYNC);
	for (i = 0; i < SYNCS; i++) {
		fd = world_open(&self->world, "file", O_RDWR);
		blocks[i] = block_of(fd);
		need(sync_queue(O_SYNC, &blocks[i]) == 0);
		close(fd);
	}
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	for (i = 0; i < SYNCS; i++)
		failed += block_end(&blocks[i]) != 0;
	EXPECT_EQ(0, failed);
}

TEST_F(linked, program_that_closes_all_descriptors_is_served_all_the_same)
{
	struct aiocb block;
	int i, fd;

	sim_hold(self->ctl, SIM_GATE_FSYNC);
	fd = world_open(&self->world, "file", O_RDWR);
	block = block_of(fd);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	close(fd);
	for (i = 3; i < 4096; i++)
		if (i != self->file && i != self->ctl && i != self->other)
			close(i);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
	for (i = 0; i < 3; i++) {
		fd = world_open(&self->world, "file", O_RDWR);
		block = block_of(fd);
		ASSERT_EQ(0, sync_queue(O_SYNC, &block));
		close(fd);
		EXPECT_EQ(0, block_end(&block));
	}
	EXPECT_EQ(4, sim_started(self->ctl, SIM_GATE_FSYNC));
}

TEST_F(linked, child_of_a_fork_syncs_by_itself)
{
	struct aiocb block = block_of(self->file);
	pid_t pid;

	sim_hold(self->ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		int fd = world_open(&self->world, "other", O_RDWR);
		struct aiocb own = block_of(fd);

		if (sync_queue(O_SYNC, &own))
			_exit(1);
		close(fd);
		_exit(block_end(&own) ? 2 : 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(1, sim_started(self->other, SIM_GATE_FSYNC));
}

static void *syncs_thread(void *arg)
{
	unsigned int i, n = rounds(300), failed = 0;
	const struct world *world = arg;
	struct aiocb block;
	int fd;

	for (i = 0; i < n; i++) {
		fd = world_open(world, "file", O_RDWR);
		block = block_of(fd);
		failed += sync_queue(O_SYNC, &block) != 0;
		close(fd);
		failed += block_wait(&block) != 0;
	}
	return (void *)(uintptr_t)failed;
}

TEST_F(linked, threads_that_sync_at_the_same_time_are_all_served)
{
	pthread_t threads[6];
	void *failed;
	int i;

	for (i = 0; i < 6; i++)
		threads[i] = thread_start(syncs_thread, &self->world);
	for (i = 0; i < 6; i++) {
		need(pthread_join(threads[i], &failed) == 0);
		EXPECT_EQ(0, (uintptr_t)failed);
	}
}

/* Closing a copy of its descriptor in this process would remove it. */
TEST_F(linked, notification_of_a_message_queue_of_the_program_stays)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 8 };
	siginfo_t info;
	sigset_t set;
	mqd_t queue;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	mq_unlink("/afsync-posix-linked");
	queue = mq_open("/afsync-posix-linked", O_RDWR | O_CREAT, 0600, &attr);
	if (queue < 0)
		SKIP(return, "no message queues");
	need(mq_notify(queue, &event) == 0);
	EXPECT_EQ(0, sync_now(O_SYNC, self->file));
	need(mq_send(queue, "x", 1, 0) == 0);
	EXPECT_EQ(SIGUSR1, sigtimedwait(&set, &info, &(struct timespec) { 0 }));
	mq_close(queue);
	mq_unlink("/afsync-posix-linked");
}

static void note(union sigval value)
{
	int *fds = value.sival_ptr;

	/* The descriptors are those of the program. */
	fds[1] = fcntl(fds[0], F_GETFD) < 0 ? -1 : 1;
	__atomic_store_n(&fds[2], 1, __ATOMIC_RELEASE);
}

TEST_F(linked, thread_of_a_notification_has_the_descriptors_of_the_program)
{
	struct aiocb block = block_of(self->file);
	int told[3] = { self->other, 0, 0 };

	block.aio_sigevent.sigev_notify = SIGEV_THREAD;
	block.aio_sigevent.sigev_notify_function = note;
	block.aio_sigevent.sigev_value.sival_ptr = told;
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	EXPECT_EQ(0, block_end(&block));
	while (!__atomic_load_n(&told[2], __ATOMIC_ACQUIRE))
		sched_yield();
	EXPECT_EQ(1, told[1]);
}

TEST_HARNESS_MAIN
