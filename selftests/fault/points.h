/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the points that a program has made fail, one by one, over all of its tests,
 * which are processes of their own.
 */
#ifndef _AFSYNC_SELFTEST_POINTS_H
#define _AFSYNC_SELFTEST_POINTS_H

#include "rounds.h"

static struct walked {
	pid_t program;
	unsigned int calls;
	unsigned int points;
} *walked;

static void __attribute__((constructor)) walked_init(void)
{
	walked = mmap(NULL, sizeof(*walked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	need(walked != MAP_FAILED);
	walked->program = getpid();
}

/* The stage "fault" of scripts/check.sh adds these up. */
static void __attribute__((destructor)) walked_tell(void)
{
	/* Not in the process of a skipped test, which exits normally. */
	if (getpid() != walked->program)
		return;
	printf("# total: %u points over %u calls\n", walked->points, walked->calls);
}

static inline void walked_add(unsigned int points)
{
	walked->calls++;
	walked->points += points;
}

#endif /* _AFSYNC_SELFTEST_POINTS_H */
