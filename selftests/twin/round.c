// SPDX-License-Identifier: GPL-2.0-only
/*
 * A round: pages of files are written, then descriptors are synced, and each result goes
 * into the log. The result of each open file must not depend on which of several syncs runs
 * first. So there are three modes, and the twin, which has only the system calls, follows
 * them:
 *
 * merged	All requests of a file make one batch. They wait behind a sync of the clean
 *		file, which waits for its flush, which the device keeps. All requests of one
 *		open file share the sync of the first. The twin makes one call for each open
 *		file, in the order of the requests.
 * single	One request after the other, each with a sync of its own.
 * free		All processes at the same time, but one request for each open file. All data
 *		has been written before, so the first sync, whichever it is, writes it all:
 *		each open file reports the error.
 *
 * If the failing write is the i-th to any block of the device, one file takes part: the
 * writes of concurrent syncs have no order, nor have those of a syncfs, which several threads
 * of the kernel send. In a batch all requests are then of one kind: a datasync that an fsync
 * serves reports an error in the journal that it would not have had alone. If the i-th write
 * to the blocks of one file fails, all files take part.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "twin.h"

struct part {
	bool has_file[NR_FILES];
	bool wants[NR_FILES][NR_DESCRIPTORS];
	enum ask asks[NR_FILES][NR_DESCRIPTORS];
};

static const char * const mode_names[] = { "merged", "single", "free" };
static const char * const ask_names[] = { "fsync", "fdatasync", "syncfs", "range" };

static bool whole_device(void) { return fault == FAULT_DEVICE || fault == FAULT_HOLE; }

/* Open files 0 and 1 have descriptors in several processes: one of these is chosen. */
static void choose_free(struct part *part, unsigned int file)
{
	unsigned int of, d, chosen;

	for (of = 0; of < NR_OPEN_FILES - 1; of++) {
		chosen = below(BLOCKER);
		for (d = 0; d < BLOCKER; d++) {
			chosen = (chosen + 1) % BLOCKER;
			if (descriptors[chosen].open_file == of)
				break;
		}
		part->wants[file][chosen] = below(4);
		part->asks[file][chosen] = below(ASK_SYNCFS + 1);
	}
}

static struct part choose(enum mode mode)
{
	const unsigned int asks = mode == MODE_MERGED ? ASK_SYNCFS : NR_ASKS;
	enum ask one = below(ASK_SYNCFS);
	unsigned int file, d, only = below(NR_FILES);
	struct part part = {};

	for (file = 0; file < NR_FILES; file++) {
		part.has_file[file] = !whole_device() || file == only;
		if (!part.has_file[file])
			continue;
		if (mode == MODE_FREE) {
			choose_free(&part, file);
			continue;
		}
		for (d = 0; d < BLOCKER; d++) {
			part.wants[file][d] = below(4);
			part.asks[file][d] = below(asks);
			/* fdatasync() has to write metadata where sync_file_range() does not. */
			if (part.asks[file][d] == ASK_RANGE && fault != FAULT_FILE)
				part.asks[file][d] = ASK_FDATASYNC;
			if (part.asks[file][d] == ASK_SYNCFS && whole_device())
				part.asks[file][d] = ASK_FSYNC;
			if (mode == MODE_MERGED && whole_device())
				part.asks[file][d] = one;
		}
	}
	return part;
}

/*
 * Writes some of every other page, at random; on a thin device, pages that were never written.
 * Only few if all writes are counted: those to the journal come after them.
 */
static void write_pages(unsigned int file)
{
	static unsigned int rounds;
	char page[PAGE];
	unsigned int i, written = 0;
	int ret = 0;
	off_t at;

	memset(page, 'a' + below(26), sizeof(page));
	if (fault == FAULT_HOLE &&
	    fallocate(file_fds[file], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      NR_PAGES * PAGE))
		say("file%u punch %s", file, strerrorname_np(errno));
	rounds++;
	for (i = 0; i < NR_PAGES; i += 2) {
		if (i && below(whole_device() ? 16 : 2))
			continue;
		at = i * PAGE;
		if (fault == FAULT_THIN)
			at = (rounds * NR_PAGES / 2 + i / 2) * THIN_BLOCK % THIN_SIZE;
		if (pwrite(file_fds[file], page, PAGE, at) == PAGE)
			written++;
		else if (!ret)
			ret = errno;
	}
	say("file%u write %u %s", file, written, ret ? strerrorname_np(ret) : "0");
}

static void write_files(const struct part *part)
{
	unsigned int file;

	for (file = 0; file < NR_FILES; file++)
		if (part->has_file[file])
			write_pages(file);
}

/* Makes the event happen if this is one of its times. */
static void happen(const struct event *event, unsigned int when)
{
	int ret;

	if (!event || !(event->when & when))
		return;
	ret = event->begin();
	say("%s %s", event->name, ret ? strerrorname_np(-ret) : "0");
}

static void happen_end(const struct event *event)
{
	int ret;

	if (!event || !event->end)
		return;
	ret = event->end();
	say("%s ends %s", event->name, ret ? strerrorname_np(-ret) : "0");
}

static void say_result(unsigned int file, unsigned int d, enum ask ask)
{
	int res = shared->results[file][d];

	say("file%u open%u descriptor%u %s %s", file, descriptors[d].open_file, d,
	    ask_names[ask], res ? strerrorname_np(-res) : "0");
}

static void begin_results(void)
{
	unsigned int file, of;

	for (file = 0; file < NR_FILES; file++)
		for (of = 0; of < NR_OPEN_FILES; of++)
			shared->of_open_file[file][of] = UNTOLD;
}

/*
 * Afterwards nothing is left to write, and the open file of the blocker has no error left to
 * report: that would end its sync at once. A sync that fails may leave the rest to the next.
 */
static void clean_file(unsigned int file)
{
	int i, ret = -1;

	for (i = 0; ret && i < 3; i++) {
		ret = fsync(worker_blocker(file));
		say("file%u clean %s", file, ret ? strerrorname_np(errno) : "0");
	}
}

/* A first sync of each file, which waits for its flush unless the filesystem is dead. */
static void block(const struct part *part)
{
	const unsigned int process = descriptors[BLOCKER].process;
	unsigned int file, nr = 0, kept = 0;
	unsigned long writes, failed;

	for (file = 0; file < NR_FILES; file++)
		if (part->has_file[file])
			clean_file(file);
	if (!plain)
		device_message("hold");
	for (file = 0; file < NR_FILES; file++) {
		if (part->has_file[file]) {
			worker_submit(file, BLOCKER, ASK_FSYNC, false);
			nr++;
		}
	}
	worker_collect(process);
	if (plain)
		worker_wait(process);
	while (kept < nr && !worker_answered(process, 1))
		device_count(&writes, &failed, &kept);
}

static void run_merged(struct part *part, const struct event *event)
{
	unsigned int file, d, process;
	bool early = event && event->when & (AFTER_WRITES_SYNCS | FREEZES);

	if (early)
		write_files(part);
	happen(event, AFTER_WRITES_SYNCS | FREEZES);
	block(part);
	if (!early)
		write_files(part);
	happen(event, AFTER_WRITES);
	for (d = 0; d < BLOCKER; d++) {
		for (file = 0; file < NR_FILES; file++) {
			if (!part->wants[file][d])
				continue;
			worker_submit(file, d, part->asks[file][d], true);
			worker_wait(descriptors[d].process);
		}
	}
	device_message("release");
	happen_end(event);
	for (process = 0; process < NR_PROCESSES; process++) {
		if (process < descriptors[BLOCKER].process)
			worker_collect(process);
		worker_wait(process);
	}
	for (file = 0; file < NR_FILES; file++) {
		part->wants[file][BLOCKER] = part->has_file[file];
		part->asks[file][BLOCKER] = ASK_FSYNC;
	}
}

static void run_single(const struct part *part, const struct event *event)
{
	unsigned int file, d;

	write_files(part);
	happen(event, AFTER_WRITES | AFTER_WRITES_SYNCS | FREEZES);
	happen_end(event);
	for (file = 0; file < NR_FILES; file++) {
		for (d = 0; d < BLOCKER; d++) {
			if (!part->wants[file][d])
				continue;
			if (!below(3))
				write_pages(file);
			worker_submit(file, d, part->asks[file][d], false);
			worker_collect(descriptors[d].process);
			worker_wait(descriptors[d].process);
		}
	}
}

static void run_free(const struct part *part, const struct event *event)
{
	unsigned int file, d, process;

	write_files(part);
	happen(event, AFTER_WRITES | AFTER_WRITES_SYNCS);
	for (file = 0; file < NR_FILES; file++)
		for (d = 0; d < BLOCKER; d++)
			if (part->wants[file][d])
				worker_submit(file, d, part->asks[file][d], false);
	for (process = 0; process < NR_PROCESSES; process++)
		worker_collect(process);
	/* While the syncs run. */
	happen(event, FREEZES);
	happen_end(event);
	for (process = 0; process < NR_PROCESSES; process++)
		worker_wait(process);
}

static void reopen_one(void)
{
	unsigned int file = below(NR_FILES);
	unsigned int d = below(BLOCKER);
	int ret;

	if (!below(3) || descriptors[d].open_file < 2)
		return;
	ret = worker_reopen(file, d);
	say("file%u open%u is opened anew %s", file, descriptors[d].open_file,
	    ret ? strerrorname_np(-ret) : "0");
}

void run_round(enum mode mode, const struct event *event)
{
	struct part part = choose(mode);
	unsigned int file, d;

	say("%s", mode_names[mode]);
	reopen_one();
	begin_results();
	happen(event, BEFORE_WRITES);
	if (mode == MODE_MERGED)
		run_merged(&part, event);
	else if (mode == MODE_SINGLE)
		run_single(&part, event);
	else
		run_free(&part, event);
	for (file = 0; file < NR_FILES; file++)
		for (d = 0; d < NR_DESCRIPTORS; d++)
			if (part.wants[file][d])
				say_result(file, d, part.asks[file][d]);
}
