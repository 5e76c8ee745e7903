// SPDX-License-Identifier: GPL-2.0-only
/*
 * A library for the tests of 'make coverage': a process that ends by _exit(), as each test of the
 * harness does, writes the counts of the lines that ran, too. One that a signal ends does not.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coverage.h"

#define MAX_DUMPS	8

static void (*dumps[MAX_DUMPS])(void);
static unsigned int dumps_len;

void coverage_register(void (*dump)(void))
{
	if (dumps_len == MAX_DUMPS)
		abort();
	dumps[dumps_len++] = dump;
}

void _exit(int status)
{
	const struct rlimit files = { 4096, 4096 };

	/* The test may have left no descriptor for the counts. */
	setrlimit(RLIMIT_NOFILE, &files);
	while (dumps_len)
		dumps[--dumps_len]();
	for (;;)
		syscall(SYS_exit_group, status);
}
