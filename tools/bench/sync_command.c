// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engine: the command `sync FILE...`, as scripts make a tree durable. Only for a tree.
 */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

static void setup(struct worker *w)
{
	const struct plan *plan = w->plan;
	char **argv = alloc(plan->ops + 2, sizeof(char *));
	char path[512];
	uint64_t n;

	if (plan->workload != TREE)
		die("sync is for a tree", EINVAL);
	argv[0] = "sync";
	for (n = 0; n < plan->ops; n++) {
		tree_path(plan, n, path);
		argv[n + 1] = strdup(path);
	}
	w->private = argv;
}

static void run(struct worker *w, uint64_t nr)
{
	int ret, status;
	pid_t pid;

	ret = posix_spawnp(&pid, "sync", NULL, NULL, w->private, environ);
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
