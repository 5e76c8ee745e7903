// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into each program and library that counts the lines that run: gives exit.c its function
 * that writes the counts, which others do not see.
 */
#include "coverage.h"

void __gcov_dump(void);

static void __attribute__((constructor)) tell_exit(void)
{
	coverage_register(__gcov_dump);
}
