// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replays a log of writes (dm-log-writes) to one point after the other, and runs a command
 * at each.
 *
 *	replay LOG TARGET POINTS SEED COMMAND [first]
 *
 * TARGET holds the contents of the device at the beginning of the log. Points are chosen
 * among the entries behind the mark "begin": marks, some flushes and writes that bypass the
 * cache, and now and then any other. COMMAND is run by sh with the number of the entry, and
 * for each process, from 0 on, the number of its acknowledgments so far. Prints at the end
 * the number of points and of those at which the command failed; the status is 1 if it
 * failed at any. With "first", the run stops there.
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The format that drivers/md/dm-log-writes.c in the kernel writes, little endian. */
#define MAGIC		0x6a736677736872ull
#define FLUSH		(1 << 0)
#define FUA		(1 << 1)
#define DISCARD		(1 << 2)
#define MARK		(1 << 3)

struct super {
	uint64_t magic, version, nr_entries;
	uint32_t sectorsize;
};

struct entry {
	uint64_t sector, nr_sectors, flags, data_len;
};

#define PROCESSES	8

static int log_fd, target;
static uint32_t sectorsize;
static uint64_t nr_entries;
static off_t at;			/* of the next entry */
static uint32_t acks[PROCESSES], processes;
static bool begun;

static void read_log(void *buf, size_t n, off_t offset)
{
	if (pread(log_fd, buf, n, offset) != (ssize_t)n)
		err(2, "the log at %jd", (intmax_t)offset);
}

static void write_target(const void *buf, size_t n, off_t offset)
{
	if (pwrite(target, buf, n, offset) != (ssize_t)n)
		err(2, "the target at %jd", (intmax_t)offset);
}

static void note_mark(const char *text)
{
	uint32_t process, ack;

	if (!strcmp(text, "begin")) {
		begun = true;
	} else if (sscanf(text, "%u.%u", &process, &ack) == 2 && process < PROCESSES) {
		acks[process] = ack;
		if (processes <= process)
			processes = process + 1;
	}
}

/* Puts the next entry on the target, or only looks at it. Returns its flags. */
static uint64_t next(bool apply)
{
	static char *buf;
	static size_t size;
	char head[4096];
	struct entry e;
	size_t n;

	read_log(head, sectorsize, at);
	memcpy(&e, head, sizeof(e));
	e.sector = le64toh(e.sector);
	e.nr_sectors = le64toh(e.nr_sectors);
	e.flags = le64toh(e.flags);
	e.data_len = le64toh(e.data_len);
	at += sectorsize;
	n = e.nr_sectors * sectorsize;
	if (size < n) {
		size = n;
		buf = realloc(buf, size);
		if (!buf)
			err(2, "an entry of %zu bytes", n);
	}
	if (e.flags & DISCARD) {
		memset(buf, 0, n);
	} else if (n) {
		if (apply)
			read_log(buf, n, at);
		at += n;
	}
	if (apply && n)
		write_target(buf, n, e.sector * sectorsize);
	if (e.flags & MARK) {
		if (sizeof(e) + e.data_len >= sectorsize)
			errx(2, "a mark of %" PRIu64 " bytes", e.data_len);
		head[sizeof(e) + e.data_len] = '\0';
		note_mark(head + sizeof(e));
	}
	return e.flags;
}

static void open_log(const char *path)
{
	struct super super;

	log_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (log_fd < 0)
		err(2, "%s", path);
	read_log(&super, sizeof(super), 0);
	if (le64toh(super.magic) != MAGIC || le64toh(super.version) != 1)
		errx(2, "%s: no log of writes", path);
	sectorsize = le32toh(super.sectorsize);
	nr_entries = le64toh(super.nr_entries);
	if (sectorsize < 512 || sectorsize > 4096)
		errx(2, "%s: sectors of %u bytes", path, sectorsize);
	at = sectorsize;
}

/* Chooses the points among the possible entries: as many as wanted, evenly, at random. */
static uint64_t choose(bool *chosen, uint64_t wanted, unsigned int seed)
{
	uint64_t *able = calloc(nr_entries, sizeof(*able)), nr = 0, i, other, swap;

	srandom(seed);
	for (i = 0; i < nr_entries; i++) {
		uint64_t flags = next(false);

		/* At a mark, the disk has the least that the acknowledgment allows. */
		if (begun && ((flags & MARK) || random() % (flags & (FLUSH | FUA) ? 8 : 32) == 0))
			able[nr++] = i;
	}
	for (i = 0; i < nr && i < wanted; i++) {
		other = i + random() % (nr - i);
		swap = able[i];
		able[i] = able[other];
		able[other] = swap;
		chosen[able[i]] = true;
	}
	free(able);
	return i;
}

static bool run(const char *command, uint64_t entry)
{
	char line[4096];
	uint32_t i;
	int n;

	if (fdatasync(target))
		err(2, "the target");
	n = snprintf(line, sizeof(line), "%s %" PRIu64, command, entry);
	for (i = 0; i < processes; i++)
		n += snprintf(line + n, sizeof(line) - n, " %u", acks[i]);
	fflush(stdout);
	return system(line) == 0;
}

int main(int argc, char **argv)
{
	uint64_t points, i, failed = 0, done = 0;
	bool *chosen, first;

	if (argc != 6 && argc != 7)
		errx(2, "usage: replay LOG TARGET POINTS SEED COMMAND [first]");
	first = argc == 7 && !strcmp(argv[6], "first");
	open_log(argv[1]);
	target = open(argv[2], O_RDWR | O_CLOEXEC);
	if (target < 0)
		err(2, "%s", argv[2]);
	chosen = calloc(nr_entries + 1, 1);
	points = choose(chosen, strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	if (!points)
		errx(2, "%s: %" PRIu64 " entries, and none behind the mark 'begin'", argv[1],
		     nr_entries);
	at = sectorsize;
	begun = false;
	memset(acks, 0, sizeof(acks));
	for (i = 0; i < nr_entries && !(first && failed); i++) {
		next(true);
		if (!chosen[i])
			continue;
		failed += !run(argv[5], i);
		if (++done % 50 == 0)
			fprintf(stderr, "%" PRIu64 " of %" PRIu64 " points\n", done, points);
	}
	printf("%" PRIu64 " entries, %" PRIu64 " points, %" PRIu64 " failed\n", nr_entries, done,
	       failed);
	return failed != 0;
}
