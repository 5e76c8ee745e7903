// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workload of a process: changes files, syncs them, and keeps a history of both.
 *
 *	work FOLDER HISTORY PROCESS STEPS SEED SYNCER DEVICE
 *
 * FOLDER is the process's own, on the filesystem that will crash; HISTORY is the file that
 * its records go to. SYNCER is library, posix, libaio, command or call. DEVICE is the log of writes
 * (dm-log-writes): a mark goes into it after each acknowledgment.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mark.h"
#include "work.h"

#define PAGE_SECTORS	8u

/* A request in flight: what it acknowledges. */
struct pending {
	bool used, held, cancelled;
	enum op op;
	uint32_t file;		/* NO_FILE: the folder */
	uint32_t first, end;
	uint32_t upto;
	bool with_size;
};

/* The names that SYNCER takes. */
static const struct syncer * const syncers[] = {
	&by_library, &by_posix, &by_libaio, &by_command, &by_call,
};

static const struct syncer *syncer;
static struct pending pending[DEPTH];
static uint32_t in_flight, process, nr_records, nr_acks, nr_files;
static uint32_t names[NAMES], sizes[FILES];
static int history, folder;
static const char *device;
static uint64_t state;
/* The filesystem has none: less is done there. */
static bool no_journal;
/* A file keeps the name that it was made with. */
static bool keep_names;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

static void keep(struct record record)
{
	if (write(history, &record, sizeof(record)) != sizeof(record))
		err(2, "the history");
	nr_records++;
}

static void acknowledge(const struct pending *p)
{
	struct record r = { .file = p->file, .upto = p->upto, .ack = ++nr_acks };

	if (p->op == OP_SYNCFS) {
		r.kind = ACK_ALL;
		keep(r);
	} else if (p->file == NO_FILE) {
		r.kind = ACK_NAMES;
		keep(r);
	} else {
		r.kind = ACK_DATA;
		r.first = p->first;
		r.end = p->end;
		keep(r);
		r.kind = ACK_SIZE;
		if (p->with_size)
			keep(r);
		r.kind = ACK_MODE;
		if (p->op == OP_FSYNC)
			keep(r);
	}
	put_mark(device, "%u.%u", process, nr_acks);
}

static void reap(void)
{
	struct pending *p;
	uint32_t slot;
	int res;

	res = syncer->reap(&slot);
	p = &pending[slot];
	if (slot >= DEPTH || !p->used)
		errx(1, "process %u: a completion of nothing", process);
	if (!res)
		acknowledge(p);
	else if (res != -ECANCELED || !p->cancelled)
		errx(1, "process %u: a sync ended with: %s", process, strerror(-res));
	p->used = false;
	in_flight--;
}

static void start_held(void)
{
	uint32_t slot;

	for (slot = 0; slot < DEPTH; slot++) {
		if (!pending[slot].held)
			continue;
		pending[slot].held = false;
		/* What is written before the start is covered. */
		pending[slot].upto = nr_records;
		syncer->start(slot);
	}
}

/* Returns its slot. */
static uint32_t submit(struct want want, struct pending p)
{
	uint32_t slot = 0;
	int ret;

	/* A held one does not end by itself. */
	if (in_flight == DEPTH)
		start_held();
	while (in_flight == DEPTH)
		reap();
	while (pending[slot].used)
		slot++;
	p.used = true;
	p.held = want.hold;
	p.op = want.op;
	p.upto = nr_records;
	ret = syncer->submit(&want, slot);
	/* This kernel, or this engine, cannot tell what direct I/O is in flight. */
	if (ret == -EOPNOTSUPP && want.drain)
		return slot;
	if (ret)
		errx(1, "process %u: a sync was refused: %s", process, strerror(-ret));
	pending[slot] = p;
	in_flight++;
	return slot;
}

/* A sync of an open file, of one kind or another. */
static void sync_file(uint32_t file, int fd)
{
	struct pending p = { .file = file, .end = MAX_SECTORS, .with_size = true };
	struct want want = { .op = below(2) ? OP_FSYNC : OP_FDATASYNC, .fd = fd };
	uint32_t n;

	if (syncer->has_ranges) {
		switch (below(8)) {
		case 0:
			p.first = below(MAX_SECTORS);
			p.end = p.first + 1 + below(MAX_SECTORS - p.first);
			p.with_size = p.first <= sizes[file] && p.end >= sizes[file];
			want.offset = (uint64_t)p.first * SECTOR;
			want.length = (uint64_t)(p.end - p.first) * SECTOR;
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
		submit(want, p);
}

static void sync_folder(void)
{
	/* On vfat, fsync(2) of a folder does not keep its names: the control "call" shows it. */
	if (no_journal)
		return;
	submit((struct want){ .op = OP_FSYNC, .fd = folder }, (struct pending){ .file = NO_FILE });
}

static void cancel(uint32_t slot)
{
	if (!syncer->cancel || !pending[slot].used || pending[slot].held)
		return;
	pending[slot].cancelled = true;
	syncer->cancel(slot);
}

/* The sectors first to end, as the next record will have written them. */
static void *sectors(uint32_t file, uint32_t first, uint32_t end)
{
	static char buf[MAX_SECTORS * SECTOR] __attribute__((aligned(4096)));
	struct sector_id id = { process, file, 0, nr_records + 1 };

	for (id.place = first; id.place < end; id.place++)
		sector_fill(buf + (id.place - first) * SECTOR, &id);
	return buf;
}

static void write_buffered(int fd, const void *buf, uint32_t first, uint32_t end)
{
	size_t length = (size_t)(end - first) * SECTOR;

	if (pwrite(fd, buf, length, (off_t)first * SECTOR) != (ssize_t)length)
		err(2, "pwrite");
}

static void write_mapped(int fd, const void *buf, uint32_t first, uint32_t end)
{
	size_t length = (size_t)end * SECTOR;
	char *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		err(2, "mmap");
	memcpy(map + (size_t)first * SECTOR, buf, (size_t)(end - first) * SECTOR);
	munmap(map, length);
}

/* Direct I/O that is in flight while its sync with DRAIN is submitted. */
static void write_direct(uint32_t file, const char *path, void *buf, uint32_t first, uint32_t end)
{
	struct want want = { .op = OP_FDATASYNC, .drain = true };
	struct pending p = { .file = file, .end = MAX_SECTORS, .with_size = true };
	static io_context_t context;
	struct iocb iocb, *list = &iocb;
	struct io_event event;

	want.fd = open(path, O_RDWR | O_DIRECT);
	if (want.fd < 0 || (!context && io_setup(1, &context)))
		err(2, "direct I/O of %s", path);
	io_prep_pwrite(&iocb, want.fd, buf, (size_t)(end - first) * SECTOR, (off_t)first * SECTOR);
	if (io_submit(context, 1, &list) != 1)
		errx(2, "io_submit of %s", path);
	if (syncer->has_ranges)
		submit(want, p);
	if (io_getevents(context, 1, 1, &event, NULL) != 1 || event.res != iocb.u.c.nbytes)
		errx(2, "direct I/O of %s: %ld", path, (long)event.res);
	close(want.fd);
}

static void note_write(uint32_t file, uint32_t first, uint32_t end)
{
	keep((struct record){ .kind = DID_WRITE, .file = file, .first = first, .end = end });
	if (sizes[file] < end)
		sizes[file] = end;
}

static void write_file(uint32_t file, int fd, const char *path)
{
	uint32_t first, end, size = sizes[file];
	void *buf;

	/* Over old sectors, at the end, or behind it. */
	first = below(4) ? below(size + 1) : below(MAX_SECTORS - 32);
	end = first + 1 + below(32);
	end = end > MAX_SECTORS ? MAX_SECTORS : end;
	if (first >= end)
		return;
	switch (below(4)) {
	case 0:
		first &= ~(PAGE_SECTORS - 1);
		end = (end + PAGE_SECTORS - 1) & ~(PAGE_SECTORS - 1);
		buf = sectors(file, first, end);
		note_write(file, first, end);
		write_direct(file, path, buf, first, end);
		return;
	case 1:
		if (end <= size)
			write_mapped(fd, sectors(file, first, end), first, end);
		else
			write_buffered(fd, sectors(file, first, end), first, end);
		break;
	default:
		write_buffered(fd, sectors(file, first, end), first, end);
	}
	note_write(file, first, end);
}

/* What is written behind a sync, and its own sync, which is cancelled while that one runs. */
static void sync_and_cancel(uint32_t file, int fd, const char *path)
{
	struct pending p = { .file = file, .end = MAX_SECTORS, .with_size = true };
	struct want want = { .op = OP_FDATASYNC, .fd = fd };

	submit(want, p);
	write_file(file, fd, path);
	cancel(submit(want, p));
}

static void truncate_file(uint32_t file, int fd)
{
	uint32_t end = below(sizes[file] + 16);

	/* Without a journal, a crash can leave a file its old size and take its blocks. */
	if (no_journal)
		return;
	end = end > MAX_SECTORS ? MAX_SECTORS : end;
	if (ftruncate(fd, (off_t)end * SECTOR))
		err(2, "ftruncate");
	keep((struct record){ .kind = DID_TRUNCATE, .file = file, .end = end });
	sizes[file] = end;
}

static void chmod_file(uint32_t file, int fd)
{
	uint32_t mode = 0600 | below(64);

	if (fchmod(fd, mode))
		err(2, "fchmod");
	keep((struct record){ .kind = DID_CHMOD, .file = file, .end = mode });
}

static void name_is(uint32_t name, uint32_t file)
{
	keep((struct record){ .kind = DID_NAME, .name = name, .file = file });
	names[name] = file;
}

static void path_of(char *path, uint32_t name)
{
	sprintf(path, "n%u", name);
}

static void change_name(uint32_t name)
{
	uint32_t other = below(NAMES);
	char from[16], to[16];

	/* Without a journal names are changed in steps, of which a crash can leave any. */
	if (no_journal || keep_names)
		return;
	path_of(from, name);
	path_of(to, other);
	switch (below(3)) {
	case 0:
		if (names[other] == FOLDER || names[other] == names[name])
			return;
		if (rename(from, to))
			err(2, "rename");
		name_is(other, names[name]);
		name_is(name, NO_FILE);
		return;
	case 1:
		if (names[other] != NO_FILE)
			return;
		if (link(from, to))
			err(2, "link");
		name_is(other, names[name]);
		return;
	default:
		if (unlink(from))
			err(2, "unlink");
		name_is(name, NO_FILE);
	}
}

static void make_name(uint32_t name)
{
	char path[16];
	int fd;

	path_of(path, name);
	if (!below(8)) {
		if (mkdir(path, 0700))
			err(2, "mkdir");
		name_is(name, FOLDER);
		return;
	}
	if (nr_files == FILES)
		errx(2, "too many files: fewer steps, please");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		err(2, "%s", path);
	close(fd);
	name_is(name, nr_files++);
}

static void step(void)
{
	uint32_t name = below(NAMES), file = names[name];
	char path[16];
	int fd;

	path_of(path, name);
	if (file == NO_FILE) {
		make_name(name);
	} else if (file == FOLDER) {
		if (rmdir(path))
			err(2, "rmdir");
		name_is(name, NO_FILE);
	} else {
		/* For the command, which is run with it: not O_CLOEXEC. */
		fd = open(path, O_RDWR);
		if (fd < 0)
			err(2, "%s", path);
		switch (below(16)) {
		case 0:
			truncate_file(file, fd);
			break;
		case 1:
			chmod_file(file, fd);
			break;
		case 2:
			change_name(name);
			break;
		default:
			write_file(file, fd, path);
		}
		if (!below(6))
			sync_and_cancel(file, fd, path);
		else if (below(2))
			sync_file(file, fd);
		/* The requests have the file. */
		close(fd);
	}
	if (!below(6))
		sync_folder();
	if (!below(6))
		start_held();
	if (!below(10))
		cancel(below(DEPTH));
	if (in_flight > DEPTH / 2)
		start_held();
	while (in_flight > DEPTH / 2)
		reap();
}

int main(int argc, char **argv)
{
	uint32_t steps, i;

	if (argc != 8)
		errx(2, "usage: work FOLDER HISTORY PROCESS STEPS SEED SYNCER DEVICE");
	history = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	process = strtoul(argv[3], NULL, 10);
	steps = strtoul(argv[4], NULL, 10);
	state = strtoull(argv[5], NULL, 10) * 977 + process;
	for (i = 0; i < sizeof(syncers) / sizeof(*syncers); i++)
		if (!strcmp(argv[6], syncers[i]->name))
			syncer = syncers[i];
	device = argv[7];
	no_journal = getenv("NO_JOURNAL");
	keep_names = getenv("KEEP_NAMES");
	folder = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (!syncer || history < 0 || folder < 0 || fchdir(folder))
		err(2, "%s, %s or %s", argv[1], argv[2], argv[6]);
	umask(0);
	for (i = 0; i < NAMES; i++)
		names[i] = NO_FILE;
	syncer->begin();
	for (i = 0; i < steps; i++)
		step();
	start_held();
	while (in_flight)
		reap();
	syncer->end();
	printf("process %u: %u changes and acknowledgments, %u syncs acknowledged\n", process,
	       nr_records, nr_acks);
	return 0;
}
