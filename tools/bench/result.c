// SPDX-License-Identifier: GPL-2.0-only
/*
 * The result of a run: one JSON object on one line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

/* Eight buckets for each doubling of the time. */
#define PER_DOUBLING	8
#define BUCKETS		(32 * PER_DOUBLING)

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The smallest time that at least that share of the operations did not exceed. */
static uint32_t percentile(const uint32_t *sorted, uint64_t nr, unsigned int percent)
{
	uint64_t rank = (nr * percent + 99) / 100;

	return sorted[rank ? rank - 1 : 0];
}

static void print_histogram(const uint32_t *sorted, uint64_t nr)
{
	uint64_t n = 0, count, low = 1, high;
	const char *comma = "";
	unsigned int i;

	printf(", \"histogram\": [");
	for (i = 0; n < nr && i < BUCKETS; i++) {
		high = i % PER_DOUBLING == PER_DOUBLING - 1 ?
			1ULL << (i / PER_DOUBLING + 1) :
			(1ULL << (i / PER_DOUBLING)) * (i % PER_DOUBLING + 1 + PER_DOUBLING) /
			PER_DOUBLING;
		for (count = 0; n < nr && sorted[n] < high; n++)
			count++;
		if (count) {
			printf("%s[%llu, %llu, %llu]", comma, (unsigned long long)low,
			       (unsigned long long)high, (unsigned long long)count);
			comma = ", ";
		}
		low = high;
	}
	printf("]");
}

static void print_or_null(const char *name, double value, bool applies)
{
	if (applies)
		printf(", \"%s\": %.6g", name, value);
	else
		printf(", \"%s\": null", name);
}

void print_result(const struct plan *plan, struct shared *shared)
{
	const struct figures *f = &shared->figures;
	uint64_t nr = plan->ops / plan->processes * plan->processes;
	uint64_t elapsed = f->end_ns - f->start_ns;
	long cpus = atol(getenv("BENCH_CPUS") ?: "1");
	double busy = (double)elapsed * cpus - f->idle_ns;
	uint64_t syncs = f->afsync_syncs ?: shared->syncs;
	bool times;

	if (plan->latency)
		qsort(shared->latency, nr, sizeof(shared->latency[0]), compare);
	/* An engine that syncs the whole tree at once has no times of operations. */
	times = plan->latency && shared->latency[nr - 1];
	printf("{\"workload\": \"%s\", \"filesystem\": \"%s\", \"device\": \"%s\"",
	       plan->workload_name, plan->filesystem, plan->device);
	printf(", \"engine\": \"%s\", \"files\": %u, \"depth\": %u, \"processes\": %u",
	       plan->label, plan->files, plan->depth, plan->processes);
	printf(", \"ops\": %llu", (unsigned long long)nr);
	print_or_null("ops_per_s", nr * 1e9 / elapsed, true);
	print_or_null("ns_per_op", (double)elapsed / nr, true);
	print_or_null("cpu_ns_per_op", busy / nr, true);
	print_or_null("syncs_per_op", (double)syncs / nr, syncs);
	print_or_null("flushes_per_op", (double)f->flushes / nr, plan->disk);
	print_or_null("switches_per_op", (double)f->switches / nr, true);
	print_or_null("p50_ns", times ? percentile(shared->latency, nr, 50) : 0, times);
	print_or_null("p99_ns", times ? percentile(shared->latency, nr, 99) : 0, times);
	if (plan->histogram && times)
		print_histogram(shared->latency, nr);
	printf("}\n");
}
