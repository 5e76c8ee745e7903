// SPDX-License-Identifier: GPL-2.0-only
/*
 * P11 distrust: nothing that a program writes to the shared ring, passes to an ioctl or
 * does from another thread at the same time can crash the kernel, write out of bounds or
 * hurt another ring.
 *
 * Needs nothing but the device. The kernel's own messages about these tests (KASAN,
 * lockdep, warnings) are checked by the VM, or by hand.
 */
#include "common.h"

static bool stopped(const bool *stop)
{
	return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static void stop_now(bool *stop)
{
	__atomic_store_n(stop, true, __ATOMIC_RELAXED);
}

static __u32 next_random(__u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8 ^ *seed << 13;
}

/* --- a ring that is scribbled over --- */

struct scribble {
	struct ring ring;
	int file;
	bool stop;
};

/* Every word, all the time: mostly near the truth, where mistakes would hurt. */
static void *scribbler(void *arg)
{
	struct scribble *scribble = arg;
	volatile __u32 *words = (volatile __u32 *)scribble->ring.header;
	__u32 seed = 1, tail;
	size_t i;

	while (!stopped(&scribble->stop)) {
		for (i = 0; i < scribble->ring.size / 4; i++)
			words[i] = next_random(&seed) % 4 ? next_random(&seed) % 32 :
				   next_random(&seed);
		tail = words[16];
		words[0] = tail - next_random(&seed) % 16;
	}
	return NULL;
}

/* All commands on the ring; any answer is right, as long as there is one. */
static void *user_of_scribbled(void *arg)
{
	struct scribble *scribble = arg;
	struct pollfd pollfd = { .fd = scribble->ring.fd, .events = POLLIN };
	unsigned int i, n = rounds(10000);
	struct afsync_sqe sqes[4];
	int event, ret, j;

	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 4; j++)
			sqes[j] = sqe_of(scribble->file, j % 3, i);
		ret = ring_submit(&scribble->ring, sqes, 4, NULL);
		need((ret > 0 && ret <= 4) || ret == -EAGAIN);
		ret = afsync_cmd_wait(scribble->ring.fd, i % 9, AFSYNC_WAIT_TIMEOUT,
				      i % 1000, 0);
		need((ret >= 0 && ret <= 8) || ret == -ETIME);
		need(poll(&pollfd, 1, 0) >= 0);
		if (i % 16 == 0)
			afsync_cmd_cancel(scribble->ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
		if (i % 32 == 0)
			afsync_cmd_eventfd(scribble->ring.fd, i % 64 ? -1 : event);
	}
	close(event);
	return NULL;
}

TEST(ring_that_is_scribbled_over_all_the_time_hurts_no_other_ring)
{
	struct scribble scribble = { .file = memfd_create("afsync", MFD_CLOEXEC) };
	unsigned int i, n = rounds(20000);
	pthread_t threads[4];
	struct afsync_cqe cqe;
	struct ring ring;

	ring_open(&scribble.ring, 8);
	ring_open(&ring, 8);
	threads[0] = thread_start(scribbler, &scribble);
	for (i = 1; i < 4; i++)
		threads[i] = thread_start(user_of_scribbled, &scribble);

	/* The same file, so that both rings are in the same batches. */
	for (i = 0; i < n; i++) {
		ASSERT_EQ(1, ring_queue(&ring, scribble.file, AFSYNC_OP_FSYNC, i));
		cqe = ring_next(&ring);
		ASSERT_EQ(i, cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(0, cqe.flags & ~AFSYNC_CQE_MERGED);
	}
	for (i = 1; i < 4; i++)
		thread_join(threads[i]);
	stop_now(&scribble.stop);
	thread_join(threads[0]);
	ring_close(&scribble.ring);
	EXPECT_EQ(0, ring_ready(&ring));
	ring_close(&ring);
	EXPECT_EQ(0, counter("in_flight"));
	close(scribble.file);
}

TEST(kernel_trusts_none_of_its_own_words_and_writes_only_entries)
{
	int file = memfd_create("afsync", MFD_CLOEXEC), event = eventfd(0, EFD_CLOEXEC);
	unsigned int i, wrong, n = rounds(2000);
	unsigned char *bytes;
	struct ring ring;
	__u32 seed = 7;
	__u64 count;
	size_t j;

	ring_open(&ring, 8);
	ASSERT_EQ(0, afsync_cmd_eventfd(ring.fd, event));
	bytes = (unsigned char *)ring.header;
	for (i = 0; i < n; i++) {
		/* All but head, tail and entries is poison, and the constants lie. */
		memset(bytes + 4, POISON_BYTE, 60);
		memset(bytes + 68, POISON_BYTE, 60);
		memset(bytes + 256, POISON_BYTE, ring.size - 256);
		ring.header->mask = next_random(&seed);
		ring.header->entries = next_random(&seed);
		ring.header->cqes_offset = next_random(&seed);
		ring.header->tail = next_random(&seed);
		ring.header->head = i;

		ASSERT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, i));
		ASSERT_EQ(8, read(event, &count, 8));
		ASSERT_EQ(i + 1, ring.header->tail);
		ASSERT_EQ(i, ring.cqes[i % 8].user_data);
		for (j = 4, wrong = 0; j < ring.size; j++)
			if (j < 64 || (j >= 80 && j < 128) || j >= 256)
				wrong += bytes[j] != POISON_BYTE;
		ASSERT_EQ(0, wrong);
	}
	ring_close(&ring);
	close(event);
	close(file);
}

TEST(head_outside_the_ring_counts_as_a_full_ring)
{
	static const __u32 heads[] = { 1, 2, 9, 0x7fffffff, 0x80000000, ~0U - 8, ~0U - 7 };
	int file = memfd_create("afsync", MFD_CLOEXEC);
	struct pollfd pollfd = { .events = POLLIN };
	unsigned int i;
	struct ring ring;

	ring_open(&ring, 8);
	pollfd.fd = ring.fd;
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		/* The tail is 0. */
		ring.header->head = heads[i];
		EXPECT_EQ(-EAGAIN, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 1))
			TH_LOG("head %#x", heads[i]);
		EXPECT_EQ(8, afsync_cmd_wait(ring.fd, 8, 0, 0, 0));
		EXPECT_EQ(1, poll(&pollfd, 1, 0));
	}
	ring.header->head = 0;
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(1, ring_queue(&ring, file, AFSYNC_OP_FSYNC, 1));
	EXPECT_EQ(1, ring_next(&ring).user_data);
	ring_close(&ring);
	close(file);
}

/* --- a mapping that is changed in every possible manner --- */

/* A ring with one entry that has not been read. */
static void ring_with_entry(struct ring *ring, __u32 entries)
{
	int file = memfd_create("afsync", MFD_CLOEXEC);

	ring_open(ring, entries);
	need(ring_queue(ring, file, AFSYNC_OP_FSYNC, 77) == 1);
	ring_wait(ring, 1);
	close(file);
}

static bool has_entry(const struct ring *ring)
{
	return ring->header->entries == ring->entries && ring->header->tail == 1 &&
	       ring->cqes[0].user_data == 77 && ring->cqes[0].res == 0;
}

static void ring_moved(struct ring *ring, void *to)
{
	ring->header = to;
	ring->cqes = (void *)((char *)to + ring->header->cqes_offset);
}

TEST(mapping_that_was_dropped_has_its_contents_again)
{
	static const int advices[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_PAGEOUT, MADV_COLD };
	struct ring ring;
	unsigned int i;

	ring_with_entry(&ring, 1024);
	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		if (madvise(ring.header, ring.size, advices[i]))
			EXPECT_EQ(EINVAL, errno);
		EXPECT_TRUE(has_entry(&ring));
	}
	/* It is the ring: the program's writes there have an effect. */
	EXPECT_EQ(1, afsync_cmd_wait(ring.fd, 1, 0, 0, 0));
	EXPECT_EQ(77, ring_next(&ring).user_data);
	EXPECT_EQ(-ETIME, afsync_cmd_wait(ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	EXPECT_EQ(0, ring.cqes[1023].user_data);
	ring_close(&ring);
}

TEST(mapping_can_be_moved_and_does_not_grow)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct ring ring;
	void *room, *to;

	ring_with_entry(&ring, 1024);
	room = mmap(NULL, 2 * ring.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(room != MAP_FAILED);
	to = mremap(ring.header, ring.size, ring.size, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	ASSERT_EQ(room, to);
	ring_moved(&ring, to);
	EXPECT_TRUE(has_entry(&ring));

	EXPECT_EQ(MAP_FAILED, mremap(ring.header, ring.size, ring.size + page, MREMAP_MAYMOVE));
	EXPECT_TRUE(errno == EFAULT || errno == EINVAL);
	EXPECT_EQ(MAP_FAILED, mremap(ring.header, ring.size, 16 * ring.size, MREMAP_MAYMOVE));
	EXPECT_TRUE(errno == EFAULT || errno == EINVAL);
	EXPECT_TRUE(has_entry(&ring));
	EXPECT_EQ(77, ring_next(&ring).user_data);

	/* A smaller mapping is allowed. */
	ASSERT_EQ(ring.header, mremap(ring.header, ring.size, page, 0));
	EXPECT_EQ(1, ring.header->tail);
	ring.size = page;
	ring_close(&ring);
}

TEST(part_of_a_ring_that_is_mapped_does_not_grow)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct ring ring;
	__u32 *part;

	ring_with_entry(&ring, 1024);
	part = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, 0);
	need(part != MAP_FAILED);
	EXPECT_EQ(MAP_FAILED, mremap(part, page, 2 * page, MREMAP_MAYMOVE));
	EXPECT_TRUE(errno == EFAULT || errno == EINVAL);
	EXPECT_EQ(1, part[16]);
	munmap(part, page);
	ring_close(&ring);
}

TEST(page_beyond_the_ring_cannot_be_mapped)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct ring ring;

	ring_open(&ring, 1024);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ, MAP_SHARED, ring.fd, ring.size));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, ring.size + page, PROT_READ, MAP_SHARED, ring.fd, 0));
	EXPECT_EQ(EINVAL, errno);
	ring_close(&ring);
}

/* The line VmFlags of the mapping at that address. */
static bool has_vm_flag(const void *at, const char *flag)
{
	char *text = text_read("/proc/self/smaps"), start[32], *line, *end;
	bool has = false;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)at);
	line = strstr(text, start);
	line = line ? strstr(line, "VmFlags:") : NULL;
	end = line ? strchr(line, '\n') : NULL;
	if (end) {
		*end = '\0';
		has = strstr(line, flag);
	}
	free(text);
	return has;
}

TEST(mapping_neither_grows_nor_is_dumped)
{
	struct ring ring;

	if (access("/proc/self/smaps", R_OK))
		SKIP(return, "no smaps in this kernel");
	ring_open(&ring, 8);
	EXPECT_TRUE(has_vm_flag(ring.header, " dd"));
	EXPECT_TRUE(has_vm_flag(ring.header, " de"));
	/* The other flags are unchanged. */
	EXPECT_TRUE(has_vm_flag(ring.header, " sh"));
	ring_close(&ring);
}

TEST(mapping_can_be_used_after_a_fork_and_with_its_pages_populated)
{
	struct ring ring, populated;
	pid_t pid;

	ring_with_entry(&ring, 1024);
	populated = ring;
	populated.header = mmap(NULL, ring.size, PROT_READ, MAP_SHARED | MAP_POPULATE, ring.fd,
				0);
	need(populated.header != MAP_FAILED);
	ring_moved(&populated, populated.header);
	EXPECT_TRUE(has_entry(&populated));
	pid = fork();
	need(pid >= 0);
	if (!pid)
		_exit(!has_entry(&ring) || madvise(ring.header, ring.size, MADV_DONTNEED) ||
		      !has_entry(&ring) || ring_next(&ring).user_data != 77);
	EXPECT_EQ(0, child_wait(pid));
	/* The child has read it. */
	EXPECT_EQ(0, ring_ready(&ring));
	munmap(populated.header, ring.size);
	ring_close(&ring);
}

/* --- arguments that change while they are read --- */

struct flipper {
	struct afsync_sqe *sqes;
	int fds[4];
	bool stop;
};

/* Without AFSYNC_SQE_HOLD: nothing would start the accepted requests. */
static const __u32 some_flags[] = {
	0, AFSYNC_SQE_DRAIN, AFSYNC_SQE_WRITABLE, AFSYNC_SQE_DRAIN | AFSYNC_SQE_WRITABLE, 1 << 7,
};

static void *flip_requests(void *arg)
{
	struct flipper *flipper = arg;
	__u32 seed = 3;
	struct afsync_sqe sqe;

	while (!stopped(&flipper->stop)) {
		sqe = sqe_of(flipper->fds[next_random(&seed) % 4], next_random(&seed) % 4,
			     next_random(&seed));
		sqe.flags = some_flags[next_random(&seed) % ARRAY_SIZE(some_flags)];
		sqe.ioprio = next_random(&seed) % 2 << 13;
		sqe.offset = (__u64)next_random(&seed) << 32;
		sqe.length = (__u64)next_random(&seed) << 31;
		flipper->sqes[next_random(&seed) % 8] = sqe;
	}
	return NULL;
}

TEST(requests_changed_while_they_are_read_are_one_valid_request_or_an_error)
{
	struct afsync_sqe sqes[8];
	struct flipper flipper = { .sqes = sqes };
	unsigned int i, n = rounds(20000);
	unsigned long accepted = 0, completed = 0;
	struct afsync_cqe cqe;
	pthread_t thread;
	struct ring ring;
	int pipes[2], ret;
	__s32 error;

	need(pipe2(pipes, O_CLOEXEC) == 0);
	flipper.fds[0] = memfd_create("afsync", MFD_CLOEXEC);
	flipper.fds[1] = -1;
	flipper.fds[2] = pipes[0];
	flipper.fds[3] = open("/", O_RDONLY | O_CLOEXEC);
	memset(sqes, 0, sizeof(sqes));
	ring_open(&ring, 64);
	thread = thread_start(flip_requests, &flipper);
	/* On a busy machine the other thread may take its time to begin. */
	for (i = 0; i < n || !accepted; i++) {
		ret = ring_submit(&ring, sqes, 8, &error);
		if (ret > 0)
			accepted += ret;
		else
			ASSERT_EQ(ret, error);
		ASSERT_LE(ret, 8);
		ASSERT_TRUE(!error || error == -EINVAL || error == -EBADF ||
			    error == -EAGAIN || error == -EOPNOTSUPP || error == -EPERM);
		while (ring_take(&ring, &cqe))
			completed++;
	}
	stop_now(&flipper.stop);
	thread_join(thread);
	while (completed < accepted) {
		ring_next(&ring);
		completed++;
	}
	EXPECT_EQ(-ETIME, afsync_cmd_wait(ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 0, 0));
	ring_close(&ring);
	EXPECT_EQ(0, counter("in_flight"));
}

/* --- everything at once on a descriptor that comes and goes --- */

struct storm {
	int fd;		/* its number stays, its file changes */
	int file;
	int event;
	bool stop;
};

static void *storm_submit(void *arg)
{
	struct storm *storm = arg;
	struct ring ring = { .fd = storm->fd };
	struct afsync_sqe sqes[8];
	int i;

	for (i = 0; i < 8; i++)
		sqes[i] = sqe_of(storm->file, i % 3, i);
	while (!stopped(&storm->stop))
		ring_submit(&ring, sqes, 8, NULL);
	return NULL;
}

static void *storm_wait(void *arg)
{
	struct storm *storm = arg;
	struct pollfd pollfd = { .fd = storm->fd, .events = POLLIN };

	while (!stopped(&storm->stop)) {
		afsync_cmd_wait(storm->fd, 1, AFSYNC_WAIT_TIMEOUT, 100000, 0);
		need(poll(&pollfd, 1, 0) >= 0);
	}
	return NULL;
}

static void *storm_map(void *arg)
{
	struct storm *storm = arg;
	size_t page = sysconf(_SC_PAGESIZE);
	struct afsync_ring_header *header;

	while (!stopped(&storm->stop)) {
		header = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, storm->fd, 0);
		if (header == MAP_FAILED)
			continue;
		header->head = header->tail;
		need(munmap(header, page) == 0);
	}
	return NULL;
}

static void *storm_rest(void *arg)
{
	struct storm *storm = arg;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", storm->fd);
	while (!stopped(&storm->stop)) {
		afsync_cmd_cancel(storm->fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
		afsync_cmd_cancel(storm->fd, AFSYNC_CANCEL_FD, 0, storm->file, NULL);
		afsync_cmd_eventfd(storm->fd, storm->event);
		free(text_read(path));
		afsync_cmd_eventfd(storm->fd, -1);
	}
	return NULL;
}

TEST(ring_is_closed_while_others_submit_wait_poll_map_and_cancel)
{
	static void *(*const jobs[])(void *) = {
		storm_submit, storm_submit, storm_wait, storm_map, storm_rest,
	};
	struct storm storm = {
		.file = memfd_create("afsync", MFD_CLOEXEC),
		.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	pthread_t threads[ARRAY_SIZE(jobs)];
	unsigned int i, n = rounds(3000);
	struct afsync_setup setup;
	int fd;

	storm.fd = device_open();
	need(afsync_cmd_setup(storm.fd, 64, &setup) == 0);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		threads[i] = thread_start(jobs[i], &storm);
	for (i = 0; i < n; i++) {
		fd = device_open();
		if (i % 8)
			need(afsync_cmd_setup(fd, 64, &setup) == 0);
		/* Closes the previous file, in the midst of its use. */
		need(dup3(fd, storm.fd, O_CLOEXEC) == storm.fd);
		need(close(fd) == 0);
	}
	stop_now(&storm.stop);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		thread_join(threads[i]);
	close(storm.fd);
	EXPECT_EQ(0, counter("in_flight"));
	close(storm.file);
	close(storm.event);
}

struct race {
	int fd;
	pthread_barrier_t barrier;
	int ret[2];
};

static void *race_setup(void *arg)
{
	struct race *race = arg;
	struct afsync_setup setup;

	pthread_barrier_wait(&race->barrier);
	race->ret[1] = afsync_cmd_setup(race->fd, 16, &setup);
	return NULL;
}

TEST(two_threads_that_set_up_at_once_make_one_ring)
{
	unsigned int i, n = rounds(1000);
	struct afsync_setup setup;
	struct race race;
	pthread_t thread;
	int map_ok;
	void *map;

	for (i = 0; i < n; i++) {
		race.fd = device_open();
		pthread_barrier_init(&race.barrier, NULL, 2);
		thread = thread_start(race_setup, &race);
		pthread_barrier_wait(&race.barrier);
		race.ret[0] = afsync_cmd_setup(race.fd, 16, &setup);
		thread_join(thread);
		ASSERT_EQ(-EBUSY, race.ret[0] + race.ret[1]);
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, race.fd, 0);
		map_ok = map != MAP_FAILED;
		ASSERT_TRUE(map_ok);
		munmap(map, 4096);
		close(race.fd);
	}
}

TEST_HARNESS_MAIN
