// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads of libafsync where the kernel is old, or a filter of system calls, as containers
 * have them, refuses some: the promises stay, and what is impossible is an error.
 *
 * Without close_range(2) no thread can have a descriptor table of its own. Then the thread that
 * submits runs the syncs.
 */
#include "engine.h"
#include "filter.h"

#define ENTRIES		8
/* The library's descriptors are below that. */
#define MAX_FDS		1024

/* Linux 6.10. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY	1027
#endif

FIXTURE(caller) {
	struct scene s;
};

FIXTURE_VARIANT(caller) {
	int error;
};

FIXTURE_VARIANT_ADD(caller, old_kernel) { .error = ENOSYS };
FIXTURE_VARIANT_ADD(caller, filter) { .error = EPERM };

FIXTURE_SETUP(caller)
{
	SCENE_SETUP(&self->s, AFSYNC_INIT_THREADS, ENTRIES);
	call_fails(SYS_close_range, variant->error);
}

FIXTURE_TEARDOWN(caller)
{
	scene_close(&self->s);
}

TEST_F(caller, submit_returns_when_all_is_synced)
{
	int other = scene_file(&self->s, "other", O_RDWR), i;
	struct afsync_cqe cqe;

	prepare(self->s.ring, self->s.file, 0);
	prepare(self->s.ring, self->s.file, 1);
	prepare(self->s.ring, other, 2);
	ASSERT_EQ(3, LIB(afsync_submit(self->s.ring)));
	ASSERT_EQ(3, afsync_cq_ready(self->s.ring));
	EXPECT_EQ(1, syncs_finished(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(1, syncs_finished(other, SIM_GATE_FSYNC));
	EXPECT_EQ(thread_id(), sync_call(self->s.ctl, 0).pid);
	for (i = 0; i < 3; i++) {
		cqe = next_cqe(self->s.ring);
		EXPECT_EQ(i, cqe.user_data);
		EXPECT_EQ(0, cqe.res);
		EXPECT_EQ(i == 1 ? AFSYNC_CQE_MERGED : 0, cqe.flags);
	}
	close(other);
}

TEST_F(caller, syncs_are_not_merged_over_a_syncfs)
{
	prepare(self->s.ring, self->s.file, 1)->op = AFSYNC_OP_FDATASYNC;
	prepare(self->s.ring, self->s.file, 2)->op = AFSYNC_OP_SYNCFS;
	prepare(self->s.ring, self->s.file, 3)->op = AFSYNC_OP_FSYNC;
	ASSERT_EQ(3, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(3, take_unmerged(self->s.ring, 3));
	EXPECT_TRUE(sync_call(self->s.ctl, 0).datasync);
	EXPECT_FALSE(sync_call(self->s.ctl, 1).datasync);
	EXPECT_EQ(1, syncs_finished(self->s.ctl, SIM_GATE_SYNCFS));
}

TEST_F(caller, error_is_reported)
{
	sync_fail(self->s.ctl, SIM_GATE_FSYNC, EDQUOT, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(-EDQUOT, next_cqe(self->s.ring).res);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
}

TEST_F(caller, held_request_is_refused)
{
	afsync_sqe_set_flags(prepare(self->s.ring, self->s.file, 1), AFSYNC_SQE_HOLD);
	EXPECT_EQ(-EOPNOTSUPP, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(1, afsync_sq_ready(self->s.ring));
	EXPECT_EQ(0, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(caller, bad_descriptor_is_refused_and_those_before_it_are_synced)
{
	prepare(self->s.ring, self->s.file, 1);
	prepare(self->s.ring, -1, 2);
	EXPECT_EQ(1, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(-EBADF, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(1, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(caller, no_completion_of_a_full_ring_is_lost)
{
	int i;

	for (i = 0; i < ENTRIES; i++)
		queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, i);
	prepare(self->s.ring, self->s.file, ENTRIES);
	EXPECT_EQ(-EAGAIN, LIB(afsync_submit(self->s.ring)));
	EXPECT_EQ(0, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(1, LIB(afsync_submit(self->s.ring)));
	for (i = 1; i <= ENTRIES; i++)
		EXPECT_EQ(i, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(0, afsync_cq_ready(self->s.ring));
}

TEST_F(caller, nothing_is_left_to_cancel_or_to_start)
{
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel(self->s.ring, 1)));
	EXPECT_EQ(-ENOENT, LIB(afsync_cancel_all(self->s.ring)));
	EXPECT_EQ(-ENOENT, LIB(afsync_start(self->s.ring, 1)));
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
}

TEST_F(caller, eventfd_is_signalled)
{
	int event = eventfd(0, EFD_CLOEXEC);

	need(event >= 0);
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, event)));
	EXPECT_EQ(0, polled(event));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(POLLIN, polled(event));
	EXPECT_EQ(1, event_read(event));
	EXPECT_EQ(0, LIB(afsync_unregister_eventfd(self->s.ring)));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	EXPECT_EQ(0, polled(event));
	close(event);
}

TEST_F(caller, ring_is_readable_while_completions_are_unread)
{
	int fd = LIB(afsync_ring_fd(self->s.ring));

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, polled(fd));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(POLLIN, polled(fd));
	next_cqe(self->s.ring);
	EXPECT_EQ(0, polled(fd));
}

/* As some programs do before they become a daemon. */
TEST_F(caller, closed_descriptors_of_the_library_get_nothing_in_their_new_files)
{
	int event = eventfd(0, EFD_CLOEXEC), victim, fd;
	struct stat st;

	need(event >= 0);
	victim = scene_file(&self->s, "victim", O_RDWR);
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, event)));
	ASSERT_LE(0, LIB(afsync_ring_fd(self->s.ring)));
	for (fd = victim + 1; fd < MAX_FDS; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			need(dup2(victim, fd) == fd);
	need(dup2(victim, event) == event);

	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(1, next_cqe(self->s.ring).user_data);
	EXPECT_EQ(0, LIB(afsync_unregister_eventfd(self->s.ring)));
	ASSERT_EQ(0, fstat(victim, &st));
	EXPECT_EQ(0, st.st_size);
	for (fd = event; fd < MAX_FDS; fd++)
		close(fd);
}

TEST_F(caller, wait_with_a_mask_ends_by_its_timeout)
{
	struct afsync_cqe *cqe;
	sigset_t mask;

	sigemptyset(&mask);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &moment, &mask)));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(0, LIB(afsync_wait_cqes(self->s.ring, &cqe, 1, &ages, &mask)));
	EXPECT_EQ(1, cqe->user_data);
}

/* --- where other calls are refused --- */

FIXTURE(team) {
	struct scene s;
};

FIXTURE_VARIANT(team) {
	long call;
	int error;
};

FIXTURE_VARIANT_ADD(team, statx) { .call = SYS_statx, .error = EPERM };
FIXTURE_VARIANT_ADD(team, no_statx) { .call = SYS_statx, .error = ENOSYS };
FIXTURE_VARIANT_ADD(team, futex_waitv) { .call = SYS_futex_waitv, .error = EPERM };
FIXTURE_VARIANT_ADD(team, no_futex_waitv) { .call = SYS_futex_waitv, .error = ENOSYS };

FIXTURE_SETUP(team)
{
	SCENE_SETUP(&self->s, AFSYNC_INIT_THREADS, ENTRIES);
	call_fails(variant->call, variant->error);
}

FIXTURE_TEARDOWN(team)
{
	scene_close(&self->s);
}

TEST_F(team, requests_that_wait_are_merged)
{
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FDATASYNC, 3);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(2, take_unmerged(self->s.ring, 3));
	EXPECT_EQ(2, syncs_started(self->s.ctl, SIM_GATE_FSYNC));
}

TEST_F(team, pipe_is_refused)
{
	int ends[2];

	need(pipe(ends) == 0);
	prepare(self->s.ring, ends[0], 1);
	EXPECT_EQ(-EINVAL, LIB(afsync_submit(self->s.ring)));
}

TEST_F(team, wait_ends_by_its_timeout)
{
	struct afsync_cqe *cqe;

	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(-ETIME, LIB(afsync_wait_cqe_timeout(self->s.ring, &cqe, &moment)));
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, LIB(afsync_wait_cqe_timeout(self->s.ring, &cqe, &ages)));
}

TEST_F(team, waiting_requests_are_cancelled)
{
	hold_one(&self->s, AFSYNC_OP_FSYNC, 1);
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2);
	EXPECT_EQ(1, LIB(afsync_cancel(self->s.ring, 2)));
	EXPECT_EQ(-ECANCELED, next_cqe(self->s.ring).res);
	gate_open(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
}

TEST_F(team, eventfd_is_signalled)
{
	int event = eventfd(0, EFD_CLOEXEC);

	need(event >= 0);
	ASSERT_EQ(0, LIB(afsync_register_eventfd(self->s.ring, event)));
	queue(self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1);
	EXPECT_EQ(1, event_read(event));
	EXPECT_EQ(0, next_cqe(self->s.ring).res);
	close(event);
}

/* Then it cannot be known that two descriptors are one open file, except in one submit. */
TEST(files_that_cannot_be_compared_are_not_merged)
{
	struct scene s;
	bool compares;

	SCENE_SETUP(&s, AFSYNC_INIT_THREADS, ENTRIES);
	call_fails(SYS_kcmp, EPERM);
	compares = fcntl(s.file, F_DUPFD_QUERY, s.file) >= 0;
	hold_one(&s, AFSYNC_OP_FSYNC, 1);
	queue(s.ring, s.file, AFSYNC_OP_FSYNC, 2);
	queue(s.ring, s.file, AFSYNC_OP_FSYNC, 3);
	EXPECT_EQ(compares ? 2 : -EOPNOTSUPP, LIB(afsync_cancel_fd(s.ring, s.file)));
	prepare(s.ring, s.file, 4);
	prepare(s.ring, s.file, 5);
	ASSERT_EQ(2, LIB(afsync_submit(s.ring)));
	gate_open(s.ctl, SIM_GATE_FSYNC);
	if (compares) {
		EXPECT_EQ(-ECANCELED, next_cqe(s.ring).res);
		EXPECT_EQ(-ECANCELED, next_cqe(s.ring).res);
		EXPECT_EQ(2, take_unmerged(s.ring, 3));
	} else {
		EXPECT_EQ(4, take_unmerged(s.ring, 5));
	}
	scene_close(&s);
}

TEST_HARNESS_MAIN
