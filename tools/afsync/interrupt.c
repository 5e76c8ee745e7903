// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGINT and SIGTERM. They are blocked except inside the waits, which
 * take interrupt_mask(); so a signal is never lost between a check and a wait.
 */
#include <string.h>

#include "afsync.h"

static const int signals[] = { SIGINT, SIGTERM };

static sigset_t original_mask;
static sigset_t ours;
static volatile sig_atomic_t caught;

static void handler(int signal)
{
	caught = signal;
}

void interrupt_init(void)
{
	struct sigaction old, act = { .sa_handler = handler };
	size_t i;

	sigemptyset(&ours);
	sigemptyset(&act.sa_mask);
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		/* Started with it ignored, as by nohup or a background job: stay so. */
		sigaction(signals[i], NULL, &old);
		if (old.sa_handler == SIG_IGN)
			continue;
		sigaction(signals[i], &act, NULL);
		sigaddset(&ours, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &ours, &original_mask);
}

/* The mask to wait with. */
const sigset_t *interrupt_mask(void)
{
	return &original_mask;
}

/* The signal that arrived, 0 for none. */
int interrupt_signal(void)
{
	sigset_t pending;
	size_t i;

	if (caught)
		return caught;
	sigpending(&pending);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigismember(&ours, signals[i]) && sigismember(&pending, signals[i]))
			return signals[i];
	return 0;
}
