// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processes of a run: started, set up and warm before the clock starts. The last
 * one to finish stops it.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void child(const struct plan *plan, struct shared *shared, unsigned int process)
{
	uint64_t nr = plan->ops / plan->processes;
	struct worker w = { .plan = plan, .process = process };

	plan->engine->setup(&w);
	if (plan->warm)
		plan->engine->run(&w, plan->warm);
	w.syncs = 0;
	w.offset = plan->warm;
	if (plan->latency)
		w.latency = shared->latency + process * nr;
	atomic_fetch_add(&shared->ready, 1);
	futex_wake(&shared->ready);
	while (!atomic_load(&shared->go))
		futex_wait(&shared->go, 0);

	plan->engine->run(&w, nr);

	atomic_fetch_add(&shared->syncs, w.syncs);
	if (atomic_fetch_sub(&shared->running, 1) == 1) {
		clock_stop(plan, &shared->figures);
		atomic_store(&shared->done, 1);
		futex_wake(&shared->done);
	}
	/* Nothing is taken down while others run. */
	while (!atomic_load(&shared->done))
		futex_wait(&shared->done, 0);
	plan->engine->finish(&w);
}

/* A child that fails says why itself; the others would wait for it for ever. */
static void check_children(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (status)
			exit(1);
}

void run_children(const struct plan *plan, struct shared *shared)
{
	unsigned int n;
	uint32_t ready;
	int status;

	atomic_store(&shared->running, plan->processes);
	for (n = 0; n < plan->processes; n++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork", errno);
		if (!pid) {
			child(plan, shared, n);
			exit(0);
		}
	}
	while ((ready = atomic_load(&shared->ready)) < plan->processes) {
		check_children();
		futex_wait(&shared->ready, ready);
	}
	/* What the warming up has left is no part of the run. */
	if (plan->workload != TREE)
		sync();
	clock_start(plan, &shared->figures);
	atomic_store(&shared->go, 1);
	futex_wake(&shared->go);
	for (n = 0; n < plan->processes; n++) {
		if (wait(&status) < 0 || status)
			exit(1);
	}
}
