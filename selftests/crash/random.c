// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include "change.h"
#include "plan.h"
#include "request.h"

#define PAGE_SECTORS	8u

static uint64_t state;
/* The filesystem has no journal: the test does less there. */
static bool no_journal;
/* A file keeps the name that it was made with. */
static bool keep_names;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

/* A sync of an open file, of a random kind. */
static void sync_file(uint32_t file, int fd)
{
	struct request r = { .file = file, .end = MAX_SECTORS, .with_size = true };
	struct want want = { .op = below(2) ? OP_FSYNC : OP_FDATASYNC, .fd = fd };
	uint32_t n;

	if (syncer->has_ranges) {
		switch (below(8)) {
		case 0:
			r.first = below(MAX_SECTORS);
			r.end = r.first + 1 + below(MAX_SECTORS - r.first);
			r.with_size = r.first <= sizes[file] && r.end >= sizes[file];
			want.offset = (uint64_t)r.first * SECTOR;
			want.length = (uint64_t)(r.end - r.first) * SECTOR;
			break;
		case 1:
			/* Without a journal, syncfs(2) itself does not flush the disk's cache. */
			if (!no_journal)
				want.op = OP_SYNCFS;
			break;
		case 2:
			want.hold = true;
			break;
		}
	}
	/* Several at once are merged. */
	for (n = below(4) ? 1 : 3; n; n--)
		submit(want, r);
}

static void sync_with_drain(uint32_t file, int fd)
{
	if (syncer->has_ranges)
		submit((struct want){ .op = OP_FDATASYNC, .fd = fd, .drain = true },
		       (struct request){ .file = file, .end = MAX_SECTORS, .with_size = true });
}

static void write_file(uint32_t file, int fd, uint32_t name)
{
	uint32_t first, end, size = sizes[file];
	enum write_how how = BUFFERED;

	/* Over old sectors, at the end, or beyond it. */
	first = below(4) ? below(size + 1) : below(MAX_SECTORS - 32);
	end = first + 1 + below(32);
	end = end > MAX_SECTORS ? MAX_SECTORS : end;
	if (first >= end)
		return;
	switch (below(4)) {
	case 0:
		how = DIRECT;
		first &= ~(PAGE_SECTORS - 1);
		end = (end + PAGE_SECTORS - 1) & ~(PAGE_SECTORS - 1);
		break;
	case 1:
		if (end <= size)
			how = MAPPED;
		break;
	}
	write_sectors(file, fd, name, how, first, end, sync_with_drain);
}

/* A write after a sync, and its own sync, which is cancelled while the first one runs. */
static void sync_and_cancel(uint32_t file, int fd, uint32_t name)
{
	struct request r = { .file = file, .end = MAX_SECTORS, .with_size = true };
	struct want want = { .op = OP_FDATASYNC, .fd = fd };

	submit(want, r);
	write_file(file, fd, name);
	cancel(submit(want, r));
}

static void truncate_file(uint32_t file, int fd)
{
	uint32_t end = below(sizes[file] + 16);

	/* Without a journal, a crash can restore a file's old size and take its blocks. */
	if (!no_journal)
		truncate_to(file, fd, end > MAX_SECTORS ? MAX_SECTORS : end);
}

static void change_name(uint32_t name)
{
	uint32_t other = below(NAMES);

	/*
	 * Without a journal, names are changed in several steps, and a crash can come between
	 * them.
	 */
	if (no_journal || keep_names)
		return;
	switch (below(3)) {
	case 0:
		if (names[other] != FOLDER && names[other] != names[name])
			rename_to(name, other);
		return;
	case 1:
		if (names[other] == NO_FILE)
			link_to(name, other);
		return;
	default:
		remove_name(name);
	}
}

static void change_file(uint32_t name)
{
	uint32_t file = names[name];
	int fd = open_name(name);

	switch (below(16)) {
	case 0:
		truncate_file(file, fd);
		break;
	case 1:
		change_mode(file, fd, 0600 | below(64));
		break;
	case 2:
		change_name(name);
		break;
	default:
		write_file(file, fd, name);
	}
	/* Direct I/O opens it by this name. */
	if (names[name] == file && !below(6))
		sync_and_cancel(file, fd, name);
	else if (below(2))
		sync_file(file, fd);
	/* The requests hold references to the file. */
	close(fd);
}

static void step(int folder)
{
	uint32_t name = below(NAMES);

	if (names[name] == FOLDER)
		remove_name(name);
	else if (names[name] != NO_FILE)
		change_file(name);
	else if (below(8))
		make_file(name);
	else
		make_folder(name);
	/*
	 * On vfat, fsync(2) of a folder does not make its names durable: the control "call"
	 * shows this.
	 */
	if (!below(6) && !no_journal)
		sync_folder(folder);
	if (!below(6))
		start_held();
	if (!below(10))
		cancel(below(DEPTH));
	if (in_flight > DEPTH / 2)
		start_held();
	while (in_flight > DEPTH / 2)
		reap();
}

void plan_random(int folder, uint32_t steps, uint64_t seed)
{
	state = seed;
	no_journal = getenv("NO_JOURNAL");
	keep_names = getenv("KEEP_NAMES");
	while (steps--)
		step(folder);
}
