// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processes of a run: started, set up and warm before the clock starts, unless they are
 * brief. The last one to finish stops it. If one fails, the others are killed, because they
 * would wait for it for ever.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
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

/*
 * Peers need many rounds until the order of their requests has settled. A single process
 * continues until two rounds in succession take the same time, within 2 %, or until it has
 * run MOST_ROUNDS. Several cannot agree on that, and run two rounds each.
 */
#define MOST_ROUNDS	10

static void warm_up(struct worker *w)
{
	uint64_t start, took, before = 0, apart;
	unsigned int rounds;

	for (rounds = 0; w->plan->warm && rounds < MOST_ROUNDS; rounds++) {
		start = now_ns();
		w->plan->engine->run(w, w->plan->warm);
		took = now_ns() - start;
		w->offset += w->plan->warm;
		apart = took > before ? took - before : before - took;
		if (rounds && (w->plan->processes > 1 || apart * 50 <= took))
			break;
		before = took;
	}
	w->syncs = 0;
}

static void child(const struct plan *plan, struct shared *shared, unsigned int process)
{
	uint64_t nr = plan->ops / plan->processes;
	struct worker w = { .plan = plan, .process = process };

	if (!plan->brief) {
		plan->engine->setup(&w);
		warm_up(&w);
	}
	if (plan->latency)
		w.latency = shared->latency + process * nr;
	atomic_fetch_add(&shared->ready, 1);
	futex_wake(&shared->ready);
	while (!atomic_load(&shared->go))
		futex_wait(&shared->go, 0);

	if (plan->brief)
		plan->engine->setup(&w);
	plan->engine->run(&w, nr);
	if (plan->brief)
		plan->engine->finish(&w);

	atomic_fetch_add(&shared->syncs, w.syncs);
	if (atomic_fetch_sub(&shared->running, 1) == 1) {
		clock_stop(plan, &shared->figures);
		atomic_store(&shared->done, 1);
		futex_wake(&shared->done);
	}
	/* No process takes anything down while others run. */
	while (!atomic_load(&shared->done))
		futex_wait(&shared->done, 0);
	if (!plan->brief)
		plan->engine->finish(&w);
}

/* The word that the parent waits on, for the handler. */
static _Atomic uint32_t *parent_waits;

/* A child that ends before the start has failed. The parent wakes up, or does not sleep. */
static void child_ended(int sig)
{
	(void)sig;
	atomic_fetch_or(parent_waits, 1U << 31);
}

static void catch_children(struct shared *shared)
{
	struct sigaction action = { .sa_handler = child_ended, .sa_flags = SA_RESTART };

	parent_waits = &shared->ready;
	if (sigaction(SIGCHLD, &action, NULL))
		die("sigaction", errno);
}

/* The process that failed has printed the reason. */
static _Noreturn void end_all(const pid_t *pids, unsigned int nr)
{
	unsigned int n;

	for (n = 0; n < nr; n++)
		kill(pids[n], SIGKILL);
	while (wait(NULL) > 0)
		;
	exit(1);
}

static void wait_until_ready(const struct plan *plan, struct shared *shared, const pid_t *pids)
{
	uint32_t ready;

	while ((ready = atomic_load(&shared->ready)) != plan->processes) {
		if (ready > plan->processes)
			end_all(pids, plan->processes);
		futex_wait(&shared->ready, ready);
	}
}

void run_children(const struct plan *plan, struct shared *shared)
{
	pid_t *pids = alloc(plan->processes, sizeof(*pids));
	unsigned int n;
	int status;

	catch_children(shared);
	atomic_store(&shared->running, plan->processes);
	for (n = 0; n < plan->processes; n++) {
		pids[n] = fork();
		if (pids[n] < 0)
			die("fork", errno);
		if (!pids[n]) {
			signal(SIGCHLD, SIG_DFL);
			child(plan, shared, n);
			exit(0);
		}
	}
	wait_until_ready(plan, shared, pids);
	/* Work left over from warming up is not part of the run. */
	if (plan->workload != TREE)
		sync();
	clock_start(plan, &shared->figures);
	atomic_store(&shared->go, 1);
	futex_wake(&shared->go);
	for (n = 0; n < plan->processes; n++) {
		if (wait(&status) < 0 || status)
			end_all(pids, plan->processes);
	}
	free(pids);
}
