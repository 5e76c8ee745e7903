/* SPDX-License-Identifier: GPL-2.0-only */
/* TAP for the unit tests of the command: a plan is printed at the end. */
#ifndef AFSYNC_TAP_H
#define AFSYNC_TAP_H

#include <stdbool.h>
#include <stdio.h>

static unsigned int tap_tests;
static unsigned int tap_failed;

static inline void tap(bool ok, const char *claim)
{
	tap_failed += !ok;
	printf("%sok %u %s\n", ok ? "" : "not ", ++tap_tests, claim);
}

static inline int tap_end(void)
{
	printf("1..%u\n", tap_tests);
	return tap_failed != 0;
}

#endif /* AFSYNC_TAP_H */
