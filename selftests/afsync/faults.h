/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Steps of a command that fail: the allocations and copies of this thread, one by one, on a
 * kernel with fault injection (CONFIG_FAILSLAB, FAIL_PAGE_ALLOC, FAULT_INJECTION_USERCOPY).
 */
#ifndef _AFSYNC_SELFTEST_FAULTS_H
#define _AFSYNC_SELFTEST_FAULTS_H

#include "common.h"

#define FAULTS	"/sys/kernel/debug/"

/*
 * /proc/thread-self/fail-nth, opened beforehand: while it is set to n, the nth allocation
 * or copy of this thread fails, even one that would open or write this very file.
 */
static int fail_nth_fd = -1;

/* Opens it and makes allocations that may sleep fail, too; false: no such kernel. */
static inline bool faults_ready(void)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	char path[128];
	unsigned int i;

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth_fd < 0 || text_write(FAULTS "failslab/ignore-gfp-wait", "N"))
		return false;
	text_write(FAULTS "fail_page_alloc/ignore-gfp-wait", "N");
	/* Each that fails would print a trace. */
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), FAULTS "%s/verbose", kinds[i]);
		text_write(path, "0");
	}
	return true;
}

static inline void fault_set(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	/* While one is set, it may be this copy that fails. */
	while (pwrite(fail_nth_fd, text, strlen(text), 0) < 0)
		;
}

/* Turns it off; false if it has not failed anything before. */
static inline bool fault_happened(void)
{
	char text[16] = "";
	bool happened;

	happened = pread(fail_nth_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	fault_set(0);
	return happened;
}

/* The errors that a command may report for a failing step of its own. */
static inline bool is_fault(int ret, int expected)
{
	return ret == expected || ret == -EFAULT;
}

#endif /* _AFSYNC_SELFTEST_FAULTS_H */
