// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engine: the command `sync FILE...`, as scripts make a tree durable. Only for a tree. It
 * is ./sync in the folder of the dynamic loader that BENCH_LOADER names, so that neither
 * is read from a disk while the clock runs.
 */
#include <errno.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

static void setup(struct worker *w)
{
	const struct plan *plan = w->plan;
	char **argv = alloc(plan->ops + 3, sizeof(char *));
	const char *loader = getenv("BENCH_LOADER");
	char path[512];
	uint64_t n;

	if (!loader || strlen(loader) >= sizeof(path))
		die("BENCH_LOADER", EINVAL);
	strcpy(path, loader);
	argv[0] = strdup(loader);
	argv[1] = malloc(strlen(loader) + sizeof("/sync"));
	sprintf(argv[1], "%s/sync", dirname(path));

	if (plan->workload != TREE)
		die("sync is for a tree", EINVAL);
	for (n = 0; n < plan->ops; n++) {
		tree_path(plan, n, path);
		argv[n + 2] = strdup(path);
	}
	w->private = argv;
}

static void run(struct worker *w, uint64_t nr)
{
	char **argv = w->private;
	int ret, status;
	pid_t pid;

	ret = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
	if (ret)
		die("sync", ret);
	if (waitpid(pid, &status, 0) != pid || status)
		die("sync", EIO);
	w->syncs = nr;
}

static void finish(struct worker *w)
{
	(void)w;
}

const struct engine engine_sync = {
	.name = "sync", .setup = setup, .run = run, .finish = finish,
};
