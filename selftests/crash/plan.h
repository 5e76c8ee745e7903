/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decides which changes a process makes, and which of them it syncs.
 */
#ifndef AFSYNC_CRASH_PLAN_H
#define AFSYNC_CRASH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* random.c: many changes and syncs at random; @folder is the working folder. */
void plan_random(int folder, uint32_t steps, uint64_t seed);
/* pairs.c: each change, and each two of them, on durable files; then a sync. */
void plan_pairs(int folder);

#endif
