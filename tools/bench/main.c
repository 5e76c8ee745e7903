// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync-bench - one run of one engine: the speed and the cost of durable writes
 *
 *	afsync-bench --engine E --workload W --dir DIR [--files N] [--depth N]
 *		[--processes N] [--ops N] [--warm N] [--blocks N] [--same-blocks]
 *		[--disk NAME] [--filesystem NAME] [--device NAME] [--label NAME]
 *		[--no-latency] [--histogram]
 *
 * Workloads are in bench.h; "brief" means overwriting in processes that live briefly, whose
 * set-up and end the clock includes. DIR is made, on the filesystem to measure, and removed at
 * the end. --depth is the number of operations outstanding in each process, --warm that of a
 * round of warming up, --blocks the size of a file that is overwritten. Prints one JSON
 * object, which contains the NAMEs. scripts/bench.sh calls it for all the cells of the matrix.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../stdopen.h"
#include "bench.h"

static const struct engine *const engines[] = {
	&engine_fdatasync, &engine_by_hand, &engine_threads, &engine_io_uring,
	&engine_io_uring_default, &engine_io_uring_all, &engine_libaio, &engine_glibc,
	&engine_afsync, &engine_afsync_queued, &engine_afsync_threads, &engine_sync,
	&engine_syncfs,
};

static const char *const workloads[] = {
	[OVERWRITE] = "overwrite",
	[APPEND] = "append",
	[LOG] = "log",
	[TREE] = "tree",
};

void die(const char *what, int error)
{
	fprintf(stderr, "afsync-bench: %s: %s\n", what, strerror(error));
	exit(1);
}

void *alloc(size_t nr, size_t size)
{
	void *memory = calloc(nr, size);

	if (!memory)
		die("memory", ENOMEM);
	/* Its pages are allocated before the clock starts. */
	memset(memory, 1, nr * size);
	memset(memory, 0, nr * size);
	return memory;
}

static const struct engine *engine_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	die(name, EINVAL);
}

static enum workload workload_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (!strcmp(workloads[i], name))
			return i;
	die(name, EINVAL);
}

static unsigned long number(const char *text)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end)
		die(text, EINVAL);
	return value;
}

static const struct option options[] = {
	{ "engine", required_argument, NULL, 'e' },
	{ "workload", required_argument, NULL, 'w' },
	{ "dir", required_argument, NULL, 'C' },
	{ "files", required_argument, NULL, 'f' },
	{ "depth", required_argument, NULL, 'd' },
	{ "processes", required_argument, NULL, 'p' },
	{ "ops", required_argument, NULL, 'n' },
	{ "blocks", required_argument, NULL, 'b' },
	{ "warm", required_argument, NULL, 'W' },
	{ "disk", required_argument, NULL, 'D' },
	{ "filesystem", required_argument, NULL, 'F' },
	{ "device", required_argument, NULL, 'N' },
	{ "same-blocks", no_argument, NULL, 'S' },
	{ "label", required_argument, NULL, 'l' },
	{ "no-latency", no_argument, NULL, 'L' },
	{ "histogram", no_argument, NULL, 'H' },
	{ }
};

static void parse(struct plan *plan, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			plan->engine = engine_by_name(optarg);
			break;
		case 'w':
			plan->workload_name = optarg;
			break;
		case 'C':
			plan->dir = optarg;
			break;
		case 'f':
			plan->files = number(optarg);
			break;
		case 'd':
			plan->depth = number(optarg);
			break;
		case 'p':
			plan->processes = number(optarg);
			break;
		case 'n':
			plan->ops = number(optarg);
			break;
		case 'b':
			plan->blocks = number(optarg);
			break;
		case 'W':
			plan->warm = number(optarg);
			break;
		case 'D':
			plan->disk = optarg;
			break;
		case 'F':
			plan->filesystem = optarg;
			break;
		case 'N':
			plan->device = optarg;
			break;
		case 'S':
			plan->same_blocks = true;
			break;
		case 'l':
			plan->label = optarg;
			break;
		case 'L':
			plan->latency = false;
			break;
		case 'H':
			plan->histogram = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc || !plan->engine || !plan->dir || !plan->files ||
	    !plan->depth || !plan->processes || plan->ops < plan->processes) {
		fprintf(stderr, "afsync-bench: its options are in the head of its source\n");
		exit(2);
	}
	plan->brief = !strcmp(plan->workload_name, "brief");
	plan->workload = plan->brief ? OVERWRITE : workload_by_name(plan->workload_name);
	if (!plan->label)
		plan->label = plan->engine->name;
	plan->datasync = plan->workload == OVERWRITE || plan->workload == LOG;
	plan->record = plan->workload == LOG ? 256 : 4096;
}

int main(int argc, char **argv)
{
	struct plan plan = {
		.workload_name = "overwrite", .filesystem = "", .device = "",
		.files = 1, .depth = 1, .processes = 1, .ops = 1000, .blocks = 64, .latency = true,
	};
	struct rlimit limit = { 65536, 65536 };
	struct shared *shared;
	size_t size;

	stdopen();
	parse(&plan, argc, argv);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE", errno);
	size = sizeof(*shared) + plan.ops * sizeof(shared->latency[0]);
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap", errno);
	make_files(&plan);
	run_children(&plan, shared);
	print_result(&plan, shared);
	remove_files(&plan);
	return close_stdout("afsync-bench") ? 1 : 0;
}
