// SPDX-License-Identifier: GPL-2.0-only
/*
 * P1 durability: a completion with result 0 means what fsync on that open file would
 * have meant, for everything written before the request was queued.
 *
 * Needs afsync_sim. The test of clean pages needs /mnt/ext4 or another filesystem on a
 * disk in $TEST_DIR.
 */
#include "common.h"

FIXTURE(durability) {
	struct stage s;
};

FIXTURE_VARIANT(durability) {
	__u32 op;
	bool datasync;
};

FIXTURE_VARIANT_ADD(durability, fsync) {
	.op = AFSYNC_OP_FSYNC, .datasync = false,
};

FIXTURE_VARIANT_ADD(durability, fdatasync) {
	.op = AFSYNC_OP_FDATASYNC, .datasync = true,
};

FIXTURE_SETUP(durability)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(durability)
{
	stage_close(&self->s);
}

TEST_F(durability, sync_runs_between_the_submit_and_the_completion)
{
	struct afsync_cqe cqe;
	struct sim_call call;
	__u64 before, after;

	before = now_ns();
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, variant->op, 7));
	cqe = ring_next(&self->s.ring);
	after = now_ns();

	EXPECT_EQ(7, cqe.user_data);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(0, cqe.flags);
	ASSERT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	call = sim_call(self->s.ctl, 0);
	EXPECT_GE(call.begun_ns, before);
	EXPECT_GE(call.ended_ns, call.begun_ns);
	EXPECT_LE(call.ended_ns, after);
	EXPECT_EQ(variant->datasync, call.datasync);
	EXPECT_EQ(0, call.start);
	EXPECT_EQ(LLONG_MAX, call.end);
	EXPECT_EQ(sim_open_id(self->s.file), call.open_id);
}

TEST_F(durability, sync_sees_every_write_made_before_the_request)
{
	unsigned int i, n = rounds(500);
	struct afsync_cqe cqe;
	__u32 calls;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(1, write(self->s.file, "x", 1));
		ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, variant->op, i));
		cqe = ring_next(&self->s.ring);
		ASSERT_EQ(i, cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		calls = sim_started(self->s.ctl, SIM_GATE_FSYNC);
		ASSERT_EQ(i + 1, sim_call(self->s.ctl, calls - 1).writes);
	}
}

TEST_F(durability, running_sync_does_not_serve_a_request_queued_after_its_start)
{
	struct afsync_cqe first, second;
	__u64 written;

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, variant->op, 1));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, write(self->s.file, "x", 1));
	written = now_ns();
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, variant->op, 2));

	/* Only the first sync passes: it must not complete the second request. */
	sim_step(self->s.ctl, SIM_GATE_FSYNC, 1);
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 2);
	first = ring_next(&self->s.ring);
	EXPECT_EQ(1, first.user_data);
	EXPECT_EQ(0, ring_ready(&self->s.ring));

	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	second = ring_next(&self->s.ring);
	EXPECT_EQ(2, second.user_data);
	EXPECT_EQ(0, second.flags);
	EXPECT_EQ(2, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(0, sim_call(self->s.ctl, 0).writes);
	EXPECT_EQ(1, sim_call(self->s.ctl, 1).writes);
	EXPECT_GE(sim_call(self->s.ctl, 1).begun_ns, written);
}

TEST_F(durability, write_of_another_process_before_the_request_is_covered)
{
	struct afsync_cqe cqe;
	pid_t pid = fork();

	need(pid >= 0);
	if (!pid)
		_exit(write(world_open(&self->s.world, "file", O_WRONLY), "x", 1) != 1);
	ASSERT_EQ(0, child_wait(pid));
	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, variant->op, 1));
	cqe = ring_next(&self->s.ring);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(1, sim_call(self->s.ctl, 0).writes);
}

TEST_F(durability, directories_are_synced_too)
{
	int dir = world_open(&self->s.world, "dir", O_RDONLY | O_DIRECTORY);
	struct afsync_cqe cqe;

	ASSERT_EQ(1, ring_queue(&self->s.ring, dir, variant->op, 1));
	cqe = ring_next(&self->s.ring);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(1, sim_started(dir, SIM_GATE_FSYNC));
	EXPECT_EQ(variant->datasync, sim_call(dir, 0).datasync);
	close(dir);
}

TEST_F(durability, syncfs_syncs_the_filesystem_that_holds_the_file)
{
	struct afsync_cqe cqe;

	ASSERT_EQ(1, ring_queue(&self->s.ring, self->s.file, AFSYNC_OP_SYNCFS, 1));
	cqe = ring_next(&self->s.ring);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_SYNCFS));
	EXPECT_EQ(1, sim_stats(self->s.ctl).finished[SIM_GATE_SYNCFS]);
	EXPECT_EQ(0, sim_started(self->s.ctl, SIM_GATE_FSYNC));
}

/* Flags of /proc/kpageflags. */
#define KPF_DIRTY	4
#define KPF_WRITEBACK	8

/* Counts the pages of a mapping that are dirty or being written; -1: unknown. */
static int pages_not_clean(const char *map, size_t pages)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int flags = open("/proc/kpageflags", O_RDONLY);
	__u64 entry, bits, pfn;
	size_t i, page = sysconf(_SC_PAGESIZE);
	int count = 0;

	if (pagemap < 0 || flags < 0)
		return -1;
	for (i = 0; i < pages; i++) {
		/* the page has to be mapped for its number to show */
		(void)*(volatile const char *)(map + i * page);
		need(pread(pagemap, &entry, 8, ((uintptr_t)map / page + i) * 8) == 8);
		pfn = entry & ((1ULL << 55) - 1);
		if (!pfn)
			return -1;
		need(pread(flags, &bits, 8, pfn * 8) == 8);
		count += !!(bits & (1ULL << KPF_DIRTY | 1ULL << KPF_WRITEBACK));
	}
	close(pagemap);
	close(flags);
	return count;
}

#define CLEAN_PAGES	64

TEST(pages_written_before_the_request_are_clean_when_it_has_completed)
{
	const char *dir = getenv("TEST_DIR") ?: "/mnt/ext4";
	size_t page = sysconf(_SC_PAGESIZE), size = CLEAN_PAGES * page;
	struct ring ring;
	char path[PATH_MAX], *data, *map;
	int fd, dirty;

	snprintf(path, sizeof(path), "%s/afsync-clean-XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		SKIP(return, "no filesystem on a disk in %s", dir);
	need(unlink(path) == 0);
	data = malloc(size);
	need(data);
	memset(data, 'x', size);
	need(pwrite(fd, data, size, 0) == (ssize_t)size);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	need(map != MAP_FAILED);
	dirty = pages_not_clean(map, CLEAN_PAGES);
	if (dirty < 0)
		SKIP(return, "no /proc/kpageflags");
	if (!dirty)
		SKIP(return, "%s has no dirty pages of its own", dir);

	ring_open(&ring, 8);
	ASSERT_EQ(1, ring_queue(&ring, fd, AFSYNC_OP_FSYNC, 1));
	ASSERT_EQ(0, ring_next(&ring).res);
	EXPECT_EQ(0, pages_not_clean(map, CLEAN_PAGES));
	ring_close(&ring);
}

TEST_HARNESS_MAIN
