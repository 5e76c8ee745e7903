// SPDX-License-Identifier: GPL-2.0-only
/* Percentiles and counts of the command, without syncing anything. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "afsync.h"
#include "tap.h"

/* 1, 2, ... @nr: so the value is the rank. */
static uint64_t of_first(size_t nr, unsigned int percent)
{
	uint64_t *values = calloc(nr, sizeof(*values));
	uint64_t result;
	size_t i;

	if (!values)
		abort();
	for (i = 0; i < nr; i++)
		values[i] = i + 1;
	result = percentile(values, nr, percent);
	free(values);
	return result;
}

/* The definition, counted out: the smallest rank with 100 * rank >= percent * nr. */
static bool definition_holds(size_t max)
{
	unsigned int percent;
	size_t nr, rank;

	for (nr = 1; nr <= max; nr++) {
		for (percent = 0; percent <= 100; percent++) {
			rank = 1;
			while (100 * rank < percent * nr)
				rank++;
			if (of_first(nr, percent) != rank)
				return false;
		}
	}
	return true;
}

static void percentiles(void)
{
	uint64_t one = 7;

	tap(percentile(NULL, 0, 50) == 0, "percentile_of_nothing_is_0");
	tap(percentile(&one, 1, 50) == 7 && percentile(&one, 1, 100) == 7,
	    "every_percentile_of_one_value_is_that_value");
	tap(of_first(100, 50) == 50 && of_first(100, 99) == 99 && of_first(100, 100) == 100,
	    "percentile_n_of_1_to_100_is_n");
	tap(of_first(10, 90) == 9 && of_first(10, 91) == 10 && of_first(10, 99) == 10,
	    "rank_is_rounded_up");
	tap(of_first(1000001, 50) == 500001, "median_of_an_odd_number_is_the_middle");
	tap(definition_holds(250), "nearest_rank_holds_for_1_to_250_values_and_all_percents");
}

static void counts(void)
{
	struct stats st;
	unsigned int i;

	stats_init(&st, true);
	for (i = 0; i < 5000; i++)
		stats_complete(&st, 0, i % 5 != 0, i);
	stats_complete(&st, -EIO, false, 1);
	stats_complete(&st, -EIO, true, 1);
	stats_complete(&st, -ECANCELED, false, 1);
	tap(st.completed == 5003, "every_completion_is_counted");
	tap(st.run == 1001 && st.merged == 4001, "run_and_merged_are_told_apart");
	tap(st.failed == 2 && st.cancelled == 1, "a_cancelled_request_is_no_failure");
	tap(st.nr_latency == 5002, "a_cancelled_request_has_no_latency");
	stats_free(&st);

	stats_init(&st, false);
	stats_complete(&st, 0, false, 1);
	tap(st.nr_latency == 0 && st.run == 1, "latencies_are_kept_on_demand_only");
	stats_free(&st);
}

static void printing(void)
{
	struct stats st;
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	stats_init(&st, true);
	st.asked = 3;
	stats_complete(&st, 0, false, 3000000);
	stats_complete(&st, 0, true, 1000000);
	stats_complete(&st, 0, true, 2500999);
	stats_print(&st, out);
	fclose(out);
	tap(strstr(text, "syncs asked for:         3\n") &&
	    strstr(text, "syncs run:               1\n") &&
	    strstr(text, "merged:                  2\n"), "counts_are_printed");
	tap(strstr(text, "latency p50:             2.500 ms\n") &&
	    strstr(text, "latency max:             3.000 ms\n"),
	    "latencies_are_sorted_and_printed_in_ms");
	free(text);
	stats_free(&st);
}

int main(void)
{
	percentiles();
	counts();
	printing();
	return tap_end();
}
