// SPDX-License-Identifier: GPL-2.0-only
/*
 * The output of `afsync top` for a sample: a table for people, or one line of JSON.
 */
#include <inttypes.h>
#include <string.h>

#include "top.h"

#define MS	1e6

static double per_second(const struct top_sample *sample, uint64_t count)
{
	return (double)count * 1e9 / (double)sample->interval_ns;
}

/* A sync serves one request that is not merged, so both together are those served. */
static double merged_percent(const struct top_counts *more)
{
	return 100 * (double)more->merged / (double)(more->merged + more->syncs);
}

static double average_ms(const struct top_counts *more)
{
	return (double)more->sync_ns / (double)more->syncs / MS;
}

static void print_cell(FILE *out, bool known, double value, const char *unit)
{
	if (known)
		fprintf(out, "%9.1f%s ", value, unit);
	else
		fprintf(out, "%9s%s ", "-", *unit ? " " : "");
}

static void print_row(FILE *out, const struct top_sample *sample, const struct top_fs *fs)
{
	const struct top_counts *more = &fs->more;
	bool known = sample->interval_ns;

	print_cell(out, known, per_second(sample, more->requests), "");
	print_cell(out, known, per_second(sample, more->syncs), "");
	print_cell(out, more->merged + more->syncs, merged_percent(more), "%");
	print_cell(out, more->syncs, average_ms(more), "");
	print_cell(out, true, (double)fs->now.sync_max_ns / MS, "");
	fprintf(out, "%9" PRIu64 " %7" PRIu64 "  %-8s %s", fs->now.in_flight, fs->now.failed,
		fs->type, fs->name ? fs->name : fs->device);
}

static const char heading[] =
	"   reqs/s   syncs/s     merged    avg ms    max ms in flight  failed  type     filesystem";

/*
 * At most @lines lines, 0 for all, each ended by a newline but the last one. A filesystem
 * that has no room is counted in the last line.
 */
void top_table(FILE *out, const struct top_sample *sample, size_t lines)
{
	size_t i, room = lines ? lines - 1 : sample->nr;

	fputs(heading, out);
	if (room < sample->nr && room)
		room--;
	for (i = 0; i < sample->nr && i < room; i++) {
		fputc('\n', out);
		print_row(out, sample, &sample->fs[i]);
	}
	if (i < sample->nr && lines != 1)
		fprintf(out, "\n%9zu more", sample->nr - i);
	if (!sample->nr && lines != 1)
		fputs("\n(no request yet)", out);
}

/* A JSON string; escape_name() left no control character in it. */
static void print_string(FILE *out, const char *key, const char *text)
{
	fprintf(out, "\"%s\": \"", key);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputs("\", ", out);
}

static void print_number(FILE *out, const char *key, uint64_t value)
{
	fprintf(out, "\"%s\": %" PRIu64 ", ", key, value);
}

static void print_real(FILE *out, const char *key, bool known, double value, const char *end)
{
	if (known)
		fprintf(out, "\"%s\": %.3f%s", key, value, end);
	else
		fprintf(out, "\"%s\": null%s", key, end);
}

static void print_object(FILE *out, const struct top_sample *sample, const struct top_fs *fs)
{
	const struct top_counts *now = &fs->now, *more = &fs->more;

	fputc('{', out);
	print_string(out, "device", fs->device);
	print_string(out, "type", fs->type);
	print_string(out, "filesystem", fs->name ? fs->name : fs->device);
	print_number(out, "requests", now->requests);
	print_number(out, "merged", now->merged);
	print_number(out, "syncs", now->syncs);
	print_number(out, "completed", now->completed);
	print_number(out, "cancelled", now->cancelled);
	print_number(out, "failed", now->failed);
	print_number(out, "in_flight", now->in_flight);
	print_number(out, "sync_ns", now->sync_ns);
	print_number(out, "sync_max_ns", now->sync_max_ns);
	print_real(out, "requests_per_s", true, per_second(sample, more->requests), ", ");
	print_real(out, "syncs_per_s", true, per_second(sample, more->syncs), ", ");
	print_real(out, "merged_percent", more->merged + more->syncs, merged_percent(more), ", ");
	print_real(out, "sync_average_ms", more->syncs, average_ms(more), "}");
}

/* One line; @time is that of CLOCK_REALTIME, in seconds. */
void top_json(FILE *out, const struct top_sample *sample, double time)
{
	size_t i;

	fputc('{', out);
	print_real(out, "time", true, time, ", ");
	print_real(out, "interval_s", true, (double)sample->interval_ns / 1e9, ", ");
	fputs("\"filesystems\": [", out);
	for (i = 0; i < sample->nr; i++) {
		if (i)
			fputs(", ", out);
		print_object(out, sample, &sample->fs[i]);
	}
	fputs("]}\n", out);
}
