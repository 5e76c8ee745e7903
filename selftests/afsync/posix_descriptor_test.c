// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: the file at the call of aio_fsync is synced, even if its descriptor is
 * closed, reused or dup'd afterwards. And a program that closes descriptors
 * it does not know, the library's among them, is still served.
 *
 * AIX, illumos: the I/O operations associated with the file indicated by aio_fildes, and
 * queued at the time of the call.
 *
 * Needs afsync_sim.
 */
#include "posix.h"

#include <linux/close_range.h>
#include <sys/resource.h>

FIXTURE(descriptor) {
	struct stage s;
	int other;	/* of another file, opened once for reading commands */
};

FIXTURE_SETUP(descriptor)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	self->other = world_open(&self->s.world, "other", O_RDONLY);
}

FIXTURE_TEARDOWN(descriptor)
{
	__u32 gate;

	for (gate = 0; gate < SIM_NR_GATES; gate++)
		sim_let_go(self->other, gate);
	close(self->other);
	stage_close(&self->s);
}

TEST_F(descriptor, file_closed_right_after_the_call_is_synced)
{
	int fd = world_open(&self->s.world, "file", O_RDWR);
	__u32 id = sim_open_id(fd);
	struct aiocb block = block_of(fd);

	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	need(close(fd) == 0);
	EXPECT_EQ(0, block_end(&block));
	ASSERT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(id, sim_last_call(self->s.ctl).open_id);
}

TEST_F(descriptor, close_right_after_the_call_loses_no_sync_of_many)
{
	unsigned int i, n = rounds(500), failed = 0;
	struct aiocb block;
	int fd;

	for (i = 0; i < n; i++) {
		fd = world_open(&self->s.world, "file", O_RDWR);
		block = block_of(fd);
		need(sync_queue(i % 2 ? O_SYNC : O_DSYNC, &block) == 0);
		need(close(fd) == 0);
		failed += block_end(&block) != 0;
	}
	EXPECT_EQ(0, failed);
	EXPECT_EQ(n, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* The number names another file when the sync runs. */
TEST_F(descriptor, number_that_is_reused_does_not_lead_to_the_wrong_file)
{
	int fd = world_open(&self->s.world, "file", O_RDWR), again;
	struct aiocb blocks[2] = { block_of(fd), block_of(fd) };

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &blocks[0]));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &blocks[1]));
	again = world_open(&self->s.world, "other", O_RDWR);
	need(dup2(again, fd) == fd);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&blocks[0]));
	EXPECT_EQ(0, block_end(&blocks[1]));
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_started(self->other, SIM_GATE_FSYNC));
	close(fd);
	close(again);
}

/* The same where the sync still waits for a write, which has the file already. */
TEST_F(descriptor, number_reused_while_the_sync_waits_for_a_running_write)
{
	int fd = world_open(&self->s.world, "file", O_RDWR), again;
	struct aiocb write = transfer_of(fd, "x", 1, 0), sync = block_of(fd);

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	again = world_open(&self->s.world, "other", O_RDWR);
	need(dup2(again, fd) == fd);
	close(again);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(1, block_end(&write));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, sim_last_call(self->s.ctl).writes);
	EXPECT_EQ(0, sim_started(self->other, SIM_GATE_FSYNC));
	close(fd);
}

/*
 * POSIX: close() cancels a request, or it continues as if the close had not happened. A
 * write that has not begun is cancelled; it must never write to the file that has the
 * number now. Its sync reports the error.
 */
TEST_F(descriptor, queued_write_never_goes_to_the_file_that_got_its_number)
{
	int fd = world_open(&self->s.world, "file", O_WRONLY | O_APPEND), again, end;
	struct aiocb writes[2], sync = block_of(fd);
	struct stat st;

	/* Both append, so the second one waits for the first. */
	writes[0] = transfer_of(fd, "x", 1, 0);
	writes[1] = transfer_of(fd, "y", 1, 0);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&writes[0]));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	ASSERT_EQ(0, write_queue(&writes[1]));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	again = world_open(&self->s.world, "other", O_RDWR);
	need(dup2(again, fd) == fd);
	close(again);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&writes[0]));
	end = block_end(&writes[1]);
	EXPECT_TRUE(end == 1 || end == -ECANCELED);
	/* AIX, illumos: the error of the write shows in the sync. */
	EXPECT_EQ(end == 1 ? 0 : -ECANCELED, block_end(&sync));
	need(fstat(self->other, &st) == 0);
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(0, sim_started(self->other, SIM_GATE_WRITE));
	EXPECT_EQ(0, sim_started(self->other, SIM_GATE_FSYNC));
	close(fd);
}

/* A filesystem on a disk may give the new file the inode number of the removed one. */
TEST_F(descriptor, queued_write_never_goes_to_the_file_that_got_its_inode_number)
{
	const struct aioinit one_thread = { .aio_threads = 1 };
	char path[] = "/mnt/ext4/posix-descriptor-XXXXXX";
	struct aiocb first = transfer_of(self->s.file, "x", 1, 0), second;
	struct stat before, after;
	int fd, again;

	fd = mkstemp(path);
	need(fd >= 0);
	aio_init(&one_thread);
	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&first));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	second = transfer_of(fd, "y", 1, 0);
	ASSERT_EQ(0, write_queue(&second));
	need(fstat(fd, &before) == 0);
	need(unlink(path) == 0 && close(fd) == 0);
	again = open(path, O_RDWR | O_CREAT, 0600);
	need(again == fd && fstat(again, &after) == 0);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(-ECANCELED, block_end(&second));
	EXPECT_EQ(1, block_end(&first));
	/* Otherwise the test would have shown less. */
	EXPECT_EQ(before.st_ino, after.st_ino);
	need(fstat(again, &after) == 0);
	EXPECT_EQ(0, after.st_size);
	unlink(path);
	close(again);
}

TEST_F(descriptor, dup_made_after_the_call_changes_nothing)
{
	int fd = world_open(&self->s.world, "file", O_RDWR), copy;
	struct aiocb block = block_of(fd);
	__u32 id = sim_open_id(fd);

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync_queue(O_SYNC, &block));
	copy = dup(fd);
	need(copy >= 0 && close(fd) == 0);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, block_end(&block));
	EXPECT_EQ(id, sim_last_call(self->s.ctl).open_id);
	/* And a sync of the copy syncs the same open file. */
	EXPECT_EQ(0, sync_now(O_SYNC, copy));
	EXPECT_EQ(id, sim_last_call(self->s.ctl).open_id);
	close(copy);
}

/* Closing a copy that it had made of the descriptor would drop the program's locks. */
TEST_F(descriptor, record_locks_of_the_program_survive)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	pid_t pid;

	need(fcntl(self->s.file, F_SETLK, &lock) == 0);
	ASSERT_EQ(0, write_queue(&write));
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(1, block_end(&write));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		lock = (struct flock) { .l_type = F_WRLCK, .l_len = 1 };
		need(fcntl(self->s.file, F_GETLK, &lock) == 0);
		_exit(lock.l_type == F_WRLCK ? 0 : 1);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* The program's next open must return the same number as without the library. */
TEST_F(descriptor, low_numbers_are_left_to_the_program)
{
	int before = dup(0), after;

	need(before >= 0);
	close(before);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	after = dup(0);
	EXPECT_EQ(before, after);
	close(after);
}

/* --- a program that closes descriptors that it does not know --- */

static bool is_device(int fd)
{
	struct stat st, device;

	return fstat(fd, &st) == 0 && stat(DEVICE, &device) == 0 &&
	       S_ISCHR(st.st_mode) && st.st_rdev == device.st_rdev;
}

/* Closes every descriptor of the device but the test's own; returns how many. */
static int close_the_librarys(const struct ring *mine)
{
	int fd, n = 0;

	for (fd = 3; fd < 4096; fd++) {
		if (fd != mine->fd && is_device(fd)) {
			need(close(fd) == 0);
			n++;
		}
	}
	return n;
}

TEST_F(descriptor, closing_the_librarys_own_does_not_stop_later_syncs)
{
	int i, closed;

	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	for (i = 0; i < 3; i++) {
		closed = close_the_librarys(&self->s.ring);
		/* It has one; otherwise the test would check nothing. */
		if (!preload_peer())
			EXPECT_LE(1, closed + i);
		EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
		EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	}
}

TEST_F(descriptor, closing_the_librarys_own_while_syncs_are_queued_hangs_nobody)
{
	struct aiocb blocks[3];
	int i, end;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 3; i++) {
		blocks[i] = block_of(self->s.file);
		ASSERT_EQ(0, sync_queue(O_SYNC, &blocks[i]));
	}
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	close_the_librarys(&self->s.ring);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	/* Each ends, with its result or with an error; if it succeeded, it was synced. */
	for (i = 0; i < 3; i++) {
		end = block_end(&blocks[i]);
		EXPECT_TRUE(end == 0 || end == -EBADF || end == -ECANCELED) {
			TH_LOG("sync %d: %d", i, end);
		}
	}
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

TEST_F(descriptor, closing_the_librarys_own_while_a_sync_waits_for_a_write_hangs_nobody)
{
	struct aiocb write = transfer_of(self->s.file, "x", 1, 0);
	struct aiocb sync = block_of(self->s.file);
	int end;

	sim_hold(self->s.ctl, SIM_GATE_WRITE);
	ASSERT_EQ(0, write_queue(&write));
	ASSERT_EQ(0, sync_queue(O_SYNC, &sync));
	sim_wait_started(self->s.ctl, SIM_GATE_WRITE, 1);
	close_the_librarys(&self->s.ring);
	sim_let_go(self->s.ctl, SIM_GATE_WRITE);
	EXPECT_EQ(1, block_end(&write));
	end = block_end(&sync);
	EXPECT_TRUE(end == 0 || end == -ECANCELED);
	if (!end) {
		ASSERT_LE(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
		EXPECT_EQ(1, sim_last_call(self->s.ctl).writes);
	}
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
}

/* The number of the library's ring now belongs to a file of the program. */
TEST_F(descriptor, file_that_gets_the_number_of_the_librarys_own_is_not_harmed)
{
	int fd, victim = world_open(&self->s.world, "other", O_RDWR), n = 0;

	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	for (fd = 3; fd < 4096; fd++) {
		if (fd != self->s.ring.fd && is_device(fd)) {
			need(dup2(victim, fd) == fd);
			n++;
		}
	}
	if (!preload_peer())
		EXPECT_LE(1, n);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	/* The library did not close it, nor any other. */
	EXPECT_EQ(0, sync_now(O_SYNC, victim));
	for (fd = 512; fd < 4096; fd++) {
		struct stat st, other;

		if (fstat(fd, &st) == 0 && fstat(victim, &other) == 0 &&
		    st.st_ino == other.st_ino && st.st_dev == other.st_dev) {
			close(fd);
			n--;
		}
	}
	EXPECT_GE(0, n);
	close(victim);
}

/* The same for a ring of the program with that number: the same device, but another open of it. */
TEST_F(descriptor, ring_of_the_program_that_gets_that_number_is_left_alone)
{
	struct aiocb blocks[2] = { block_of(self->s.file), block_of(self->s.file) };
	struct ring ring;
	int fd, i, end;

	ring_open(&ring, 8);
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, sync_queue(O_SYNC, &blocks[i]));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	for (fd = 3; fd < 4096; fd++)
		if (fd != self->s.ring.fd && fd != ring.fd && is_device(fd))
			need(dup2(ring.fd, fd) == fd);
	ASSERT_EQ(1, ring_queue(&ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	end = aio_cancel(self->s.file, NULL);
	EXPECT_TRUE(end == AIO_CANCELED || end == AIO_NOTCANCELED);
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 2; i++) {
		end = block_end(&blocks[i]);
		EXPECT_TRUE(end == 0 || end == -EBADF || end == -ECANCELED);
	}
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_EQ(0, sync_now(O_DSYNC, self->s.file));
	/* One request was queued by the program, and there is no other. */
	EXPECT_EQ(1, ring_next(&ring).user_data);
	EXPECT_EQ(0, ring_ready(&ring));
	ring_close(&ring);
}

TEST_HARNESS_MAIN
