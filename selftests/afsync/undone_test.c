// SPDX-License-Identifier: GPL-2.0-only
/*
 * A command that fails has changed nothing, at whatever step it fails; a command that has
 * changed something says so, even if its struct can no longer be written. With fault
 * injection every allocation and copy of a command fails once; elsewhere another thread
 * takes the struct's memory away in the midst of the command.
 *
 * Needs afsync_sim; most tests need a kernel with fault injection.
 */
#include "faults.h"

/*
 * Each test fails the first step of a command, then the second ... until there is none
 * left to fail.
 */
FIXTURE(undone) {
	struct stage s;
	unsigned int failed;	/* times that the command failed */
};

FIXTURE_SETUP(undone)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
	if (!faults_ready())
		SKIP(exit(255), "no fault injection in this kernel");
}

FIXTURE_TEARDOWN(undone)
{
	stage_close(&self->s);
}

/* Is there no ring? */
static bool has_no_ring(int fd)
{
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	return map == MAP_FAILED && errno == ENXIO;
}

TEST_F(undone, setup_that_failed_has_made_no_ring)
{
	struct afsync_setup setup;
	unsigned int nth;
	bool happened;
	int fd, ret;

	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		fd = device_open();
		fault_set(nth);
		ret = afsync_cmd_setup(fd, 64, &setup);
		happened = fault_happened();
		if (ret) {
			EXPECT_TRUE(happened && is_fault(ret, -ENOMEM))
				TH_LOG("step %u: %d", nth, ret);
			EXPECT_TRUE(has_no_ring(fd))
				TH_LOG("step %u: %d", nth, ret);
			EXPECT_EQ(0, afsync_cmd_setup(fd, 64, &setup))
				TH_LOG("step %u: %d", nth, ret);
			self->failed++;
		}
		EXPECT_FALSE(has_no_ring(fd));
		EXPECT_EQ(64, setup.entries);
		close(fd);
	}
	/* At least: the copies in and out, the memory, and a step after it. */
	EXPECT_LE(4, self->failed);
}

TEST_F(undone, info_that_failed_says_EFAULT)
{
	struct afsync_info info;
	unsigned int nth;
	bool happened;
	int ret;

	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		fault_set(nth);
		ret = afsync_cmd_info(self->s.ring.fd, &info);
		happened = fault_happened();
		if (ret) {
			EXPECT_EQ(-EFAULT, ret);
			self->failed++;
		} else {
			EXPECT_EQ(AFSYNC_VERSION, info.version);
		}
	}
	EXPECT_LE(1, self->failed);
}

TEST_F(undone, submit_that_failed_has_queued_nothing_and_one_that_queued_says_how_many)
{
	long long submitted = counter("submitted");
	struct afsync_sqe sqes[3];
	struct afsync_submit submit;
	unsigned int nth, i;
	bool happened;
	int ret;

	for (i = 0; i < 3; i++)
		sqes[i] = sqe_of(i ? world_open(&self->s.world, "file", O_RDWR) : self->s.file,
				 AFSYNC_OP_FSYNC, i);
	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		submit = submit_of(sqes, 3);
		fault_set(nth);
		ret = command(self->s.ring.fd, AFSYNC_IOC_SUBMIT, &submit);
		happened = fault_happened();
		if (ret < 0) {
			EXPECT_TRUE(happened && is_fault(ret, -EAGAIN))
				TH_LOG("step %u: %d", nth, ret);
			self->failed++;
		} else {
			EXPECT_TRUE(ret == 3 || (happened && ret > 0 && ret < 3));
			submitted += ret;
		}
		EXPECT_EQ(submitted, counter("submitted"))
			TH_LOG("step %u: %d", nth, ret);
		for (i = 0; ret > 0 && i < (unsigned int)ret; i++)
			EXPECT_EQ(i, ring_next(&self->s.ring).user_data);
		EXPECT_EQ(0, ring_ready(&self->s.ring));
		EXPECT_EQ(0, fdinfo_number(self->s.ring.fd, "in_flight"));
	}
	EXPECT_LE(2, self->failed);
	for (i = 1; i < 3; i++)
		close(sqes[i].fd);
}

TEST_F(undone, wait_that_failed_leaves_what_is_unread)
{
	struct afsync_wait wait;
	unsigned int nth;
	bool happened;
	int ret;

	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 5));
	ring_wait(&self->s.ring, 1);
	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		wait = (struct afsync_wait) { .min_complete = 1 };
		fault_set(nth);
		ret = command(self->s.ring.fd, AFSYNC_IOC_WAIT, &wait);
		happened = fault_happened();
		EXPECT_TRUE(ret == 1 || (happened && ret == -EFAULT))
			TH_LOG("step %u: %d", nth, ret);
		self->failed += ret < 0;
		EXPECT_EQ(1, ring_ready(&self->s.ring));
	}
	EXPECT_LE(2, self->failed);
	EXPECT_EQ(5, ring_next(&self->s.ring).user_data);
}

TEST_F(undone, cancel_that_failed_has_cancelled_nothing_and_one_that_did_says_how_many)
{
	struct afsync_cancel cancel;
	unsigned int nth, i;
	bool happened;
	int ret;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC, 2));
	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		cancel = (struct afsync_cancel) { .match = AFSYNC_CANCEL_ALL };
		fault_set(nth);
		ret = command(self->s.ring.fd, AFSYNC_IOC_CANCEL, &cancel);
		happened = fault_happened();
		if (ret < 0) {
			EXPECT_TRUE(happened && ret == -EFAULT)
				TH_LOG("step %u: %d", nth, ret);
			EXPECT_EQ(3, fdinfo_lines(self->s.ring.fd, "pending:\tqueued"));
			self->failed++;
			continue;
		}
		EXPECT_EQ(3, ret);
		for (i = 0; i < 3; i++)
			EXPECT_EQ(-ECANCELED, ring_next(&self->s.ring).res);
		for (i = 0; i < 3; i++)
			ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_FSYNC,
						2));
	}
	EXPECT_LE(2, self->failed);
	EXPECT_EQ(4, fdinfo_number(self->s.ring.fd, "in_flight"));
	EXPECT_EQ(0, ring_ready(&self->s.ring));
}

TEST_F(undone, eventfd_that_failed_is_not_registered)
{
	int event = eventfd(0, EFD_CLOEXEC), ret;
	unsigned int nth;
	bool happened;

	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		fault_set(nth);
		ret = afsync_cmd_eventfd(self->s.ring.fd, event);
		happened = fault_happened();
		EXPECT_TRUE(ret == 0 || (happened && ret == -EFAULT))
			TH_LOG("step %u: %d", nth, ret);
		self->failed += ret < 0;
		EXPECT_EQ(ret ? -ENXIO : 0, afsync_cmd_eventfd(self->s.ring.fd, -1));
	}
	EXPECT_LE(1, self->failed);
	close(event);
}

TEST_F(undone, start_that_failed_has_started_nothing)
{
	unsigned int nth, i;
	bool happened;
	int ret;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 7));
	for (nth = 1, happened = true; happened; nth++) {
		ASSERT_LT(nth, 200);
		fault_set(nth);
		ret = ring_start(&self->s.ring, 7);
		happened = fault_happened();
		if (ret < 0) {
			EXPECT_TRUE(happened && ret == -EFAULT)
				TH_LOG("step %u: %d", nth, ret);
			EXPECT_EQ(3, fdinfo_lines(self->s.ring.fd, "pending:\theld"));
			self->failed++;
			continue;
		}
		EXPECT_EQ(3, ret);
		for (i = 0; i < 3; i++)
			EXPECT_EQ(0, ring_next(&self->s.ring).res);
		for (i = 0; i < 3; i++)
			ASSERT_EQ(1, ring_hold(&self->s.ring, self->s.file, 7));
	}
	EXPECT_LE(1, self->failed);
}

/* --- where nothing can be made to fail --- */

struct taker {
	void *page;
	bool stop;
};

static void *take_page_and_give_it_back(void *arg)
{
	struct taker *taker = arg;
	size_t page = sysconf(_SC_PAGESIZE);

	while (!__atomic_load_n(&taker->stop, __ATOMIC_RELAXED)) {
		need(mprotect(taker->page, page, PROT_READ) == 0);
		sched_yield();
		need(mprotect(taker->page, page, PROT_READ | PROT_WRITE) == 0);
		sched_yield();
	}
	return NULL;
}

/* Chance decides whether the page is mapped at that moment; both answers are correct. */
TEST(setup_whose_struct_is_taken_away_meanwhile_fails_and_makes_no_ring_or_makes_one)
{
	unsigned int n = rounds(2000), i, failed = 0, made = 0, wrong = 0;
	struct taker taker = {};
	struct afsync_setup *setup;
	pthread_t thread;
	int fd, ret;

	taker.page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(taker.page != MAP_FAILED);
	setup = taker.page;
	setup->entries = 1024;
	setup->flags = 0;
	thread = thread_start(take_page_and_give_it_back, &taker);
	for (i = 0; i < n || !failed || !made; i++) {
		fd = device_open();
		ret = command(fd, AFSYNC_IOC_SETUP, setup);
		ASSERT_TRUE(!ret || ret == -EFAULT);
		if (ret) {
			wrong += !has_no_ring(fd);
			failed++;
		} else {
			wrong += has_no_ring(fd);
			made++;
		}
		close(fd);
	}
	__atomic_store_n(&taker.stop, true, __ATOMIC_RELAXED);
	thread_join(thread);
	EXPECT_EQ(0, wrong)
		TH_LOG("%u failed, %u made", failed, made);
	munmap(taker.page, sysconf(_SC_PAGESIZE));
}

TEST_HARNESS_MAIN
