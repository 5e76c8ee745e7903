// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file of a request, on both engines of libafsync: it is the open file that the
 * descriptor named at the submit, even if the descriptor is closed or reused later; it is
 * released before the completion can be seen; and the program keeps its record locks.
 */
#include "engine.h"

#include <sys/file.h>

#define ENTRIES		64

FIXTURE(file) {
	struct scene s;
};

FIXTURE_ENGINES(file);

FIXTURE_SETUP(file)
{
	SCENE_SETUP(&self->s, variant->engine, ENTRIES);
}

FIXTURE_TEARDOWN(file)
{
	scene_close(&self->s);
}

TEST_F(file, descriptor_may_be_closed_right_after_the_submit)
{
	unsigned int i, n = rounds(200);
	int fd;

	for (i = 0; i < n; i++) {
		fd = scene_file(&self->s, "file", O_RDWR);
		queue(self->s.ring, fd, AFSYNC_OP_FSYNC, i);
		need(close(fd) == 0);
		ASSERT_EQ(0, next_cqe(self->s.ring).res);
	}
	EXPECT_EQ(n, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(file, descriptor_that_is_another_file_after_the_submit_is_not_that_file)
{
	int other = scene_file(&self->s, "other", O_RDWR);
	unsigned int i, n = rounds(200);
	int fd;

	for (i = 0; i < n; i++) {
		fd = scene_file(&self->s, "file", O_RDWR);
		queue(self->s.ring, fd, AFSYNC_OP_FSYNC, i);
		need(dup2(other, fd) == fd);
		ASSERT_EQ(0, next_cqe(self->s.ring).res);
		close(fd);
	}
	EXPECT_EQ(n, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, syncs_started(other, SIM_GATE_FSYNC));
	close(other);
}

TEST_F(file, waiting_request_keeps_its_file)
{
	int other = scene_file(&self->s, "other", O_RDWR);
	int fd = dup(self->s.file);

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, fd, AFSYNC_OP_FSYNC, 1);
	need(dup2(other, fd) == fd);
	queue(self->s.ring, fd, AFSYNC_OP_FSYNC, 2);
	need(close(fd) == 0 && close(self->s.file) == 0);
	self->s.file = -1;
	EXPECT_EQ(2, next_cqe(self->s.ring).user_data);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 2));
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, syncs_started(other, SIM_GATE_FSYNC));
	close(other);
}

/* flock(2) belongs to the open file, and ends with the last reference to that. */
TEST_F(file, is_let_go_of_before_the_completion_can_be_seen)
{
	unsigned int i, n = rounds(200);
	struct afsync_cqe *cqe;
	int fd;

	for (i = 0; i < n; i++) {
		fd = scene_file(&self->s, "file", O_RDWR);
		need(flock(fd, LOCK_EX | LOCK_NB) == 0);
		queue(self->s.ring, fd, i % 2, i);
		need(close(fd) == 0);
		while (afsync_peek_cqe(self->s.ring, &cqe))
			sched_yield();
		afsync_cqe_seen(self->s.ring, cqe);
		ASSERT_EQ(0, flock(self->s.ctl, LOCK_EX | LOCK_NB));
		need(flock(self->s.ctl, LOCK_UN) == 0);
	}
}

/* Each has a descriptor of its own: to let go of all takes the engine longer than of one. */
TEST_F(file, of_many_requests_is_let_go_of_before_the_first_completion_can_be_seen)
{
	unsigned int i, j, n = rounds(200);
	int fds[ENTRIES];

	for (i = 0; i < n; i++) {
		fds[0] = scene_file(&self->s, "file", O_RDWR);
		need(flock(fds[0], LOCK_EX | LOCK_NB) == 0);
		for (j = 0; j < ENTRIES; j++) {
			if (j)
				fds[j] = dup(fds[0]);
			prepare(self->s.ring, fds[j], j);
		}
		need(afsync_submit(self->s.ring) == ENTRIES);
		for (j = 0; j < ENTRIES; j++)
			need(close(fds[j]) == 0);
		while (!afsync_cq_ready(self->s.ring))
			;
		ASSERT_EQ(0, flock(self->s.ctl, LOCK_EX | LOCK_NB));
		need(flock(self->s.ctl, LOCK_UN) == 0);
		for (j = 0; j < ENTRIES; j++)
			next_cqe(self->s.ring);
	}
}

TEST_F(file, of_a_cancelled_request_is_let_go_of_likewise)
{
	int fd = scene_file(&self->s, "file", O_RDWR);

	need(flock(fd, LOCK_EX | LOCK_NB) == 0);
	queue_held(self->s.ring, fd, 1);
	need(close(fd) == 0);
	EXPECT_EQ(-1, flock(self->s.ctl, LOCK_EX | LOCK_NB));
	EXPECT_EQ(1, afsync_cancel(self->s.ring, 1));
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	EXPECT_EQ(0, flock(self->s.ctl, LOCK_EX | LOCK_NB));
}

/* Whether they wait, begin or run when the ring ends. */
TEST_F(file, of_a_ring_that_has_ended_is_let_go_of)
{
	unsigned int i, j, n = rounds(200);
	struct afsync_ring *ring;
	char name[16];
	int fd;

	for (i = 0; i < n; i++) {
		ring = new_ring(&self->s, 8);
		for (j = 0; j < 4; j++) {
			snprintf(name, sizeof(name), "file%u", j);
			fd = scene_file(&self->s, name, O_RDWR);
			/* No file of the last round is still open. */
			ASSERT_EQ(0, flock(fd, LOCK_EX | LOCK_NB));
			queue(ring, fd, AFSYNC_OP_FSYNC, j);
			need(close(fd) == 0);
		}
		afsync_queue_exit(ring);
	}
}

TEST_F(file, umount_succeeds_at_the_completion)
{
	unsigned int i, n = rounds(20);
	struct afsync_cqe *cqe;
	struct world world;
	int fd;

	if (host)
		SKIP(return, "needs root and afsync_sim");
	for (i = 0; i < n; i++) {
		world_mount(&world, "afsync_sim");
		fd = world_open(&world, "file", O_RDWR);
		queue(self->s.ring, fd, i % 3, i);
		need(close(fd) == 0);
		while (afsync_peek_cqe(self->s.ring, &cqe))
			sched_yield();
		afsync_cqe_seen(self->s.ring, cqe);
		ASSERT_EQ(0, umount(world.dir));
		need(rmdir(world.dir) == 0);
	}
}

/* --- record locks --- */

static void record_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	need(fcntl(fd, F_SETLK, &lock) == 0);
}

/* The process that has the record lock, as another process sees it; 0: none. */
static pid_t locked_by(const struct scene *scene)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	pid_t child, owner = -1;
	int fds[2];

	need(pipe(fds) == 0);
	child = fork();
	need(child >= 0);
	if (!child) {
		need(fcntl(scene->ctl, F_GETLK, &lock) == 0);
		owner = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
		need(write(fds[1], &owner, sizeof(owner)) == sizeof(owner));
		_exit(0);
	}
	need(child_wait(child) == 0);
	need(read(fds[0], &owner, sizeof(owner)) == sizeof(owner));
	close(fds[0]);
	close(fds[1]);
	return owner;
}

TEST_F(file, record_locks_of_the_program_are_kept_through_every_end_of_a_request)
{
	int again = dup(self->s.file), i;

	record_lock(self->s.file);
	need(locked_by(&self->s) == getpid());
	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	for (i = 1; i < 4; i++)
		queue(self->s.ring, i % 2 ? again : self->s.file, i % 2, i);
	queue(self->s.ring, self->s.ctl, AFSYNC_OP_FSYNC, 4);
	queue(self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 5);
	EXPECT_EQ(getpid(), locked_by(&self->s));

	EXPECT_EQ(1, afsync_cancel(self->s.ring, 3));
	EXPECT_EQ(-ENOENT, afsync_cancel_match(self->s.ring, AFSYNC_CANCEL_FD |
					       AFSYNC_CANCEL_USER_DATA, 99, again, NULL));
	EXPECT_EQ(getpid(), locked_by(&self->s));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 6; i++)
		next_cqe(self->s.ring);
	EXPECT_EQ(getpid(), locked_by(&self->s));

	/* One that is refused, and the end of the ring. */
	afsync_sqe_set_flags(prepare(self->s.ring, self->s.ctl, 6), AFSYNC_SQE_WRITABLE);
	EXPECT_EQ(-EBADF, afsync_submit(self->s.ring));
	need(afsync_sq_drop(self->s.ring, NULL, 0) == 0);
	queue_held(self->s.ring, self->s.file, 7);
	afsync_queue_exit(self->s.ring);
	self->s.ring = NULL;
	EXPECT_EQ(getpid(), locked_by(&self->s));
	/* The lock can be lost, which shows that the test would have seen it. */
	close(again);
	EXPECT_EQ(0, locked_by(&self->s));
}

/* --- other descriptors --- */

TEST_F(file, ring_opens_few_descriptors_and_leaves_none)
{
	struct afsync_ring *ring;
	int before, after, i;

	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 0);
	need(next_cqe(self->s.ring).res == 0);
	before = dup(0);
	close(before);
	for (i = 0; i < 50; i++) {
		ring = new_ring(&self->s, 8);
		need(afsync_ring_fd(ring) >= 0);
		queue(ring, self->s.file, AFSYNC_OP_FSYNC, i);
		need(next_cqe(ring).res == 0);
		afsync_queue_exit(ring);
	}
	after = dup(0);
	close(after);
	EXPECT_EQ(before, after);
}

/* A program that closes all descriptors that it does not know must not harm itself. */
TEST_F(file, closing_every_descriptor_of_the_library_harms_no_other_file_and_hangs_nowhere)
{
	int files[64], i, fd, ret, ctl = self->s.ctl, file = self->s.file;
	struct stat st;

	afsync_ring_fd(self->s.ring);
	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, file, AFSYNC_OP_FSYNC, 1);
	for (fd = 3; fd < 256; fd++)
		if (fd != ctl && fd != file)
			close(fd);
	/* All numbers of the library's descriptors now belong to this file. */
	files[0] = scene_file(&self->s, "victim", O_RDWR);
	for (i = 1; i < 64; i++)
		files[i] = dup(files[0]);

	prepare(self->s.ring, file, 2);
	ret = LIB(afsync_submit(self->s.ring));
	EXPECT_TRUE(ret == 1 || ret == -ENOTTY || ret == -EBADF);
	gate_open(ctl, SIM_GATE_FSYNC);
	afsync_queue_exit(self->s.ring);
	self->s.ring = NULL;
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, fstat(files[i], &st));
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(0, syncs_started(files[0], SIM_GATE_FSYNC));

	self->s.ring = new_ring(&self->s, 8);
	queue(self->s.ring, file, AFSYNC_OP_FSYNC, 3);
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	for (i = 0; i < 64; i++)
		close(files[i]);
}

/* --- open files: on a filesystem whose fsync is each open file's own --- */

FIXTURE(open_file) {
	struct scene s;
	int other;
};

FIXTURE_ENGINES(open_file);

FIXTURE_SETUP(open_file)
{
	SCENE_SETUP_TYPE(&self->s, variant->engine, 64, "afsync_simnet");
	self->other = scene_file(&self->s, "file", O_RDWR);
}

FIXTURE_TEARDOWN(open_file)
{
	gate_open(self->other, SIM_GATE_FSYNC);
	close(self->other);
	scene_close(&self->s);
}

TEST_F(open_file, each_open_has_syncs_of_its_own_and_a_duplicate_shares_them)
{
	int again = dup(self->s.file), i;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 0);
	queue(self->s.ring, self->other, AFSYNC_OP_FSYNC, 0);
	/* Both run at the same time, or this never returns. */
	syncs_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	for (i = 0; i < 10; i++) {
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
		queue(self->s.ring, again, AFSYNC_OP_FSYNC, i);
		queue(self->s.ring, self->other, AFSYNC_OP_FSYNC, i);
	}
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(4, take_unmerged(self->s.ring, 32));
	EXPECT_EQ(4, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
	close(again);
}

TEST_F(open_file, error_that_one_was_told_is_not_told_to_another)
{
	struct afsync_cqe cqe;
	int i;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 100);
	sync_fail(self->s.ctl, SIM_GATE_FSYNC, EIO, 1);
	gate_step(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(-EIO, next_cqe(self->s.ring).res);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	queue(self->s.ring, self->other, AFSYNC_OP_FSYNC, 2);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	for (i = 0; i < 2; i++) {
		cqe = next_cqe(self->s.ring);
		EXPECT_EQ(0, cqe.res);
		EXPECT_EQ(0, cqe.flags);
	}
	EXPECT_EQ(3, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_HARNESS_MAIN
