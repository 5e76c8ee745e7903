/* SPDX-License-Identifier: GPL-2.0-only */
/* Between a program or library of 'make coverage' and exit.c. */
#ifndef _AFSYNC_COVERAGE_H
#define _AFSYNC_COVERAGE_H

/* @dump writes the counts of the caller. */
void coverage_register(void (*dump)(void));

#endif /* _AFSYNC_COVERAGE_H */
