// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the counters of the filesystems, finds a name for each, and compares the counters
 * with those of the sample before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "top.h"

#define MAX_COLUMNS	64

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{ "requests",		offsetof(struct top_counts, requests) },
	{ "merged",		offsetof(struct top_counts, merged) },
	{ "syncs",		offsetof(struct top_counts, syncs) },
	{ "completed",		offsetof(struct top_counts, completed) },
	{ "cancelled",		offsetof(struct top_counts, cancelled) },
	{ "failed",		offsetof(struct top_counts, failed) },
	{ "in_flight",		offsetof(struct top_counts, in_flight) },
	{ "sync_ns",		offsetof(struct top_counts, sync_ns) },
	{ "sync_max_ns",	offsetof(struct top_counts, sync_max_ns) },
};

static uint64_t *field(struct top_counts *counts, size_t i)
{
	return (uint64_t *)((char *)counts + fields[i].offset);
}

/* The word of each column in a line; -1: there is no such column. */
struct columns {
	int device;
	int type;
	int field[ARRAY_SIZE(fields)];
};

static const char blanks[] = { ' ', '\n', '\0' };

/* The words of a line; returns how many. */
static int words_of(char *line, char **words)
{
	char *word, *rest;
	int nr = 0;

	for (word = strtok_r(line, blanks, &rest); word && nr < MAX_COLUMNS;
	     word = strtok_r(NULL, blanks, &rest))
		words[nr++] = word;
	return nr;
}

static int find(char **words, int nr, const char *name)
{
	while (nr--)
		if (!strcmp(words[nr], name))
			break;
	return nr;
}

/* Returns 0 if all columns are there. */
static int read_heading(struct columns *columns, char *line)
{
	char *words[MAX_COLUMNS];
	int nr = words_of(line, words);
	bool all;
	size_t i;

	columns->device = find(words, nr, "device");
	columns->type = find(words, nr, "type");
	all = columns->device >= 0 && columns->type >= 0;
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		columns->field[i] = find(words, nr, fields[i].name);
		all &= columns->field[i] >= 0;
	}
	return all ? 0 : -1;
}

static int read_line(struct top_fs *fs, const struct columns *columns, char *line)
{
	char *words[MAX_COLUMNS], *end;
	int nr = words_of(line, words);
	size_t i;

	if (nr <= columns->device || nr <= columns->type)
		return -1;
	*fs = (struct top_fs){ .device = NULL };
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (nr <= columns->field[i])
			return -1;
		errno = 0;
		*field(&fs->now, i) = strtoull(words[columns->field[i]], &end, 10);
		if (*end || errno)
			return -1;
	}
	fs->device = strdup(words[columns->device]);
	fs->type = strdup(words[columns->type]);
	if (fs->device && fs->type)
		return 0;
	free(fs->device);
	free(fs->type);
	return -1;
}

/* \040 of mountinfo is a blank. In place. */
static char *unescape(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return text;
}

/* A block device that is synced directly. */
static bool is_bdev(const struct top_fs *fs)
{
	return !strcmp(fs->type, "bdev");
}

/*
 * The names of those that are mounted: a mount of the whole filesystem before one of a
 * directory in it, else the first.
 */
static void name_mounted(struct top_sample *sample, FILE *mounts)
{
	char *line = NULL, *words[MAX_COLUMNS];
	size_t size = 0, i;
	bool *whole = calloc(sample->nr + 1, sizeof(*whole));

	while (whole && getline(&line, &size, mounts) > 0) {
		/* 36 35 98:0 /root /mount/point rw - ext3 /dev/vda rw */
		if (words_of(line, words) < 5)
			continue;
		for (i = 0; i < sample->nr; i++) {
			struct top_fs *fs = &sample->fs[i];
			bool is_whole = !strcmp(words[3], "/");

			if (is_bdev(fs) || strcmp(fs->device, words[2]) ||
			    (fs->name && (whole[i] || !is_whole)))
				continue;
			free(fs->name);
			fs->name = escape_name(unescape(words[4]));
			whole[i] = is_whole;
			break;
		}
	}
	free(whole);
	free(line);
}

/* "/dev/vda" */
static void name_device(struct top_fs *fs)
{
	char path[128], line[256], name[280];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%s/uevent", fs->device);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "DEVNAME=", 8))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, sizeof(name), "/dev/%s", line + 8);
		fs->name = escape_name(name);
		break;
	}
	if (file)
		fclose(file);
}

/* Returns 0; or -1 if this is not the file that it should be, or with errno without memory. */
int top_read(struct top_sample *sample, FILE *counters, FILE *mounts)
{
	struct columns columns;
	char *line = NULL;
	size_t size = 0, room = 0, i;
	int ret = -1;

	*sample = (struct top_sample){ .ns = clock_ns() };
	errno = 0;
	if (getline(&line, &size, counters) <= 0 || read_heading(&columns, line))
		goto out;
	while (getline(&line, &size, counters) > 0) {
		if (sample->nr == room) {
			struct top_fs *fs;

			room = room ? 2 * room : 16;
			fs = reallocarray(sample->fs, room, sizeof(*fs));
			if (!fs)
				goto out;
			sample->fs = fs;
		}
		if (read_line(&sample->fs[sample->nr], &columns, line))
			goto out;
		sample->nr++;
	}
	if (mounts)
		name_mounted(sample, mounts);
	for (i = 0; i < sample->nr; i++)
		if (is_bdev(&sample->fs[i]))
			name_device(&sample->fs[i]);
	ret = 0;
out:
	free(line);
	return ret;
}

static const struct top_fs *find_fs(const struct top_sample *sample, const struct top_fs *fs)
{
	size_t i;

	for (i = 0; i < sample->nr; i++)
		if (!strcmp(sample->fs[i].device, fs->device) &&
		    !strcmp(sample->fs[i].type, fs->type))
			return &sample->fs[i];
	return NULL;
}

static int busiest_first(const void *a, const void *b)
{
	const struct top_fs *x = a, *y = b;

	if (x->more.requests != y->more.requests)
		return x->more.requests < y->more.requests ? 1 : -1;
	if (x->now.in_flight != y->now.in_flight)
		return x->now.in_flight < y->now.in_flight ? 1 : -1;
	return strcmp(x->device, y->device);
}

/*
 * The increase since the sample before, if there is one; then the busiest first. The
 * counters of a filesystem that the module dropped meanwhile have begun with 0 again.
 */
void top_compare(struct top_sample *now, const struct top_sample *before)
{
	size_t i, j;

	now->interval_ns = before ? now->ns - before->ns : 0;
	for (i = 0; before && i < now->nr; i++) {
		const struct top_fs *old = find_fs(before, &now->fs[i]);
		struct top_counts zero = { 0 }, was = old ? old->now : zero;

		if (was.requests > now->fs[i].now.requests || was.syncs > now->fs[i].now.syncs)
			was = zero;
		for (j = 0; j < ARRAY_SIZE(fields); j++) {
			uint64_t value = *field(&now->fs[i].now, j), past = *field(&was, j);

			*field(&now->fs[i].more, j) = value > past ? value - past : 0;
		}
	}
	if (now->nr)
		qsort(now->fs, now->nr, sizeof(*now->fs), busiest_first);
}

void top_free(struct top_sample *sample)
{
	while (sample->nr) {
		struct top_fs *fs = &sample->fs[--sample->nr];

		free(fs->device);
		free(fs->type);
		free(fs->name);
	}
	free(sample->fs);
	sample->fs = NULL;
}
