// SPDX-License-Identifier: GPL-2.0-only
/* The output of `afsync top` for given counters of the module, without a device. */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "top.h"

#define HEADING	"device type requests merged syncs completed cancelled failed in_flight " \
		"sync_ns sync_max_ns\n"

#define REORDERED "new device sync_ns type requests merged completed syncs cancelled failed " \
		  "sync_max_ns in_flight\n"

static const char mounts[] =
	"20 1 254:0 /sub /bind rw - ext4 /dev/vda rw\n"
	"21 1 254:0 / /with\\040blank rw,noatime shared:1 - ext4 /dev/vda rw\n"
	"22 1 254:0 / /again rw - ext4 /dev/vda rw\n"
	"23 1 0:40 / /odd\\134\"\\012 rw - fuse - rw\n";

static int read_text(struct top_sample *sample, const char *text)
{
	FILE *counters = fmemopen((void *)text, strlen(text), "r");
	FILE *file = fmemopen((void *)mounts, strlen(mounts), "r");
	int ret;

	if (!counters || !file)
		abort();
	ret = top_read(sample, counters, file);
	fclose(counters);
	fclose(file);
	return ret;
}

/* The output; the caller frees it. @lines as in top_table(), -1 for JSON. */
static char *shown(const struct top_sample *sample, int lines)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	if (lines < 0)
		top_json(out, sample, 1.5);
	else
		top_table(out, sample, (size_t)lines);
	fclose(out);
	return text;
}

static bool has(const struct top_sample *sample, int lines, const char *part)
{
	char *text = shown(sample, lines);
	bool found = strstr(text, part);

	free(text);
	return found;
}

static size_t count_lines(const struct top_sample *sample, int lines)
{
	char *text = shown(sample, lines), *at;
	size_t n = 1;

	for (at = text; (at = strchr(at, '\n')); at++)
		n++;
	free(text);
	return n;
}

static void reading(void)
{
	struct top_sample s;

	tap(!read_text(&s, HEADING "254:0 ext4 9 5 3 8 1 2 1 4000000 3000000\n") && s.nr == 1 &&
	    s.fs[0].now.requests == 9 && s.fs[0].now.merged == 5 && s.fs[0].now.syncs == 3 &&
	    s.fs[0].now.completed == 8 && s.fs[0].now.cancelled == 1 &&
	    s.fs[0].now.failed == 2 && s.fs[0].now.in_flight == 1 &&
	    s.fs[0].now.sync_ns == 4000000 && s.fs[0].now.sync_max_ns == 3000000,
	    "every_column_is_read");
	tap(!strcmp(s.fs[0].name, "/with blank"), "the_first_mount_of_the_whole_is_the_name");
	top_free(&s);

	tap(!read_text(&s, REORDERED "77 0:40 6 fuse 1 2 3 4 5 0 8 7\n") &&
	    s.fs[0].now.requests == 1 && s.fs[0].now.sync_ns == 6 && s.fs[0].now.in_flight == 7,
	    "columns_are_found_by_their_names");
	tap(!strcmp(s.fs[0].name, "/odd\\\\\"\\012"), "names_have_no_control_characters");
	top_compare(&s, NULL);
	tap(has(&s, -1, "\"filesystem\": \"/odd\\\\\\\\\\\"\\\\012\""), "json_escapes_names");
	top_free(&s);

	tap(!read_text(&s, HEADING "0:40 bdev 1 0 1 1 0 0 0 1 1\n") && !s.fs[0].name,
	    "a_block_device_is_not_named_by_what_is_mounted_from_it");
	top_free(&s);

	tap(read_text(&s, "device type requests\n0:1 x 1\n"), "a_missing_column_is_an_error");
	top_free(&s);
	tap(read_text(&s, HEADING "254:0 ext4 9 5 3 8 1 2 1 4\n"), "a_short_line_is_an_error");
	top_free(&s);
	tap(read_text(&s, HEADING "254:0 ext4 9 5 3 x 1 2 1 4 5\n"), "no_number_is_an_error");
	top_free(&s);
	tap(read_text(&s, "\n"), "an_empty_file_is_an_error");
	top_free(&s);
}

static void comparing(void)
{
	struct top_sample a, b;

	if (read_text(&a, HEADING "254:0 ext4 100 50 50 100 0 0 0 50000000 9000000\n"
				  "0:40 fuse 10 0 10 10 0 0 0 10 10\n") ||
	    read_text(&b, HEADING "0:40 fuse 4 1 3 4 0 0 0 8 5\n"
				  "254:0 ext4 180 105 70 176 0 3 4 90000000 9500000\n"))
		abort();
	top_compare(&a, NULL);
	tap(has(&a, 0, "        -         -         -          -"),
	    "the_first_sample_has_no_rates");
	b.ns = a.ns + 2000000000U;
	top_compare(&b, &a);
	tap(b.interval_ns == 2000000000U && !strcmp(b.fs[0].type, "ext4"), "the_busiest_is_first");
	tap(b.fs[0].more.requests == 80 && b.fs[0].more.merged == 55 &&
	    b.fs[0].more.syncs == 20 && b.fs[0].more.sync_ns == 40000000,
	    "what_was_added_is_the_difference");
	tap(b.fs[1].more.requests == 4 && b.fs[1].more.syncs == 3,
	    "counters_that_began_again_are_counted_from_0");
	/* 80 requests and 20 syncs in 2 s; 55 of 75 served were merged; 40 ms for 20 syncs */
	tap(has(&b, 0, "     40.0      10.0      73.3%       2.0       9.5 ") &&
	    has(&b, 0, "        4       3  ext4     /with blank"), "a_row_has_rates_and_totals");
	tap(has(&b, -1, "{\"time\": 1.500, \"interval_s\": 2.000, \"filesystems\": [{") &&
	    has(&b, -1, "\"device\": \"254:0\", \"type\": \"ext4\", ") &&
	    has(&b, -1, "\"requests_per_s\": 40.000, \"syncs_per_s\": 10.000, ") &&
	    has(&b, -1, "\"merged_percent\": 73.333, \"sync_average_ms\": 2.000}, {"),
	    "json_has_rates");
	tap(count_lines(&b, 0) == 3 && count_lines(&b, 3) == 3 && count_lines(&b, 2) == 2 &&
	    count_lines(&b, 1) == 1 && has(&b, 2, "        2 more"),
	    "the_table_keeps_to_its_lines");
	top_free(&a);
	if (read_text(&a, HEADING "0:40 fuse 4 1 3 4 0 0 0 8 5\n"))
		abort();
	a.ns = b.ns + 1000000000U;
	top_compare(&a, &b);
	tap(has(&a, 0, "      0.0       0.0         -          -") &&
	    has(&a, -1, "\"merged_percent\": null, \"sync_average_ms\": null}]}\n"),
	    "without_a_sync_there_is_no_average");
	top_free(&a);
	top_free(&b);
}

int main(void)
{
	reading();
	comparing();
	return tap_end();
}
