// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the results of the requests and keeps their latencies. All files use its clock,
 * clock_ns(): CLOCK_MONOTONIC.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <errno.h>

#include "afsync.h"

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void stats_init(struct stats *st, bool keep_latencies)
{
	*st = (struct stats){ .start_ns = clock_ns(), .keep = keep_latencies };
}

void stats_free(struct stats *st)
{
	free(st->latency);
	st->latency = NULL;
}

/* Out of memory is no reason to stop syncing: only the percentiles are lost. */
static void keep_latency(struct stats *st, uint64_t ns)
{
	if (st->nr_latency == st->max_latency) {
		size_t max = st->max_latency ? 2 * st->max_latency : 1024;
		uint64_t *bigger = reallocarray(st->latency, max, sizeof(*bigger));

		if (!bigger) {
			complain("no memory for the latencies of more than %zu files",
				 st->nr_latency);
			st->keep = false;
			return;
		}
		st->latency = bigger;
		st->max_latency = max;
	}
	st->latency[st->nr_latency++] = ns;
}

void stats_complete(struct stats *st, int res, bool merged, uint64_t ns)
{
	st->completed++;
	if (res == -ECANCELED) {
		st->cancelled++;
		return;
	}
	if (merged)
		st->merged++;
	else
		st->run++;
	if (res < 0)
		st->failed++;
	if (st->keep)
		keep_latency(st, ns);
}

/*
 * Nearest rank: the smallest value that at least @percent of a hundred values do
 * not exceed. Always one of the values, so p99 of ten values is the largest.
 */
uint64_t percentile(const uint64_t *sorted, size_t nr, unsigned int percent)
{
	size_t rank;

	if (!nr)
		return 0;
	/* In two parts, so that nr * percent cannot overflow. */
	rank = nr / 100 * percent + (nr % 100 * percent + 99) / 100;
	if (rank == 0)
		rank = 1;
	return sorted[rank - 1];
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void print_ms(FILE *out, const char *label, uint64_t ns)
{
	fprintf(out, "%-18s%8" PRIu64 ".%03u ms\n", label, ns / 1000000,
		(unsigned int)(ns / 1000 % 1000));
}

void stats_print(struct stats *st, FILE *out)
{
	uint64_t elapsed = clock_ns() - st->start_ns;

	fprintf(out, "%-18s%8" PRIu64 "\n", "syncs asked for:", st->asked);
	fprintf(out, "%-18s%8" PRIu64 "\n", "syncs run:", st->run);
	fprintf(out, "%-18s%8" PRIu64 "\n", "merged:", st->merged);
	fprintf(out, "%-18s%8" PRIu64 "\n", "failed:", st->failed);
	fprintf(out, "%-18s%8" PRIu64 "\n", "cancelled:", st->cancelled);
	if (st->keep && st->nr_latency) {
		const uint64_t *v = st->latency;
		size_t nr = st->nr_latency;

		qsort(st->latency, nr, sizeof(*v), compare);
		print_ms(out, "latency p50:", percentile(v, nr, 50));
		print_ms(out, "latency p90:", percentile(v, nr, 90));
		print_ms(out, "latency p99:", percentile(v, nr, 99));
		print_ms(out, "latency max:", percentile(v, nr, 100));
	}
	print_ms(out, "elapsed:", elapsed);
}
