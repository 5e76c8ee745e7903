/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by all tests of this folder: the number of rounds, and the kinds of steps that
 * fail.
 */
#ifndef _AFSYNC_SELFTEST_ROUNDS_H
#define _AFSYNC_SELFTEST_ROUNDS_H

#include "faults.h"

/* ROUNDS=N in the environment: N times. */
static inline unsigned int rounds_wanted(void)
{
	const char *text = getenv("ROUNDS");

	return text && *text ? atoi(text) : 1;
}

/* All kinds of failures, those of single pages, too; false: no such kernel. */
static inline bool faults_of_all_kinds_ready(void)
{
	return faults_ready() && !text_write(FAULTS "fail_page_alloc/min-order", "0") &&
	       !text_write(FAULTS "fail_page_alloc/ignore-gfp-highmem", "N");
}

#endif /* _AFSYNC_SELFTEST_ROUNDS_H */
