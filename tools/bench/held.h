/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Held requests of the device, for the programs beside afsync-bench that measure many at once. Each
 * function ends the program with a message if it fails.
 */
#ifndef AFSYNC_BENCH_HELD_H
#define AFSYNC_BENCH_HELD_H

#include <stdint.h>

#include <libafsync.h>

/* @error: a positive errno. */
_Noreturn void die(const char *what, int error);
/* @ret: a count or a negative errno. */
void expect(const char *what, int ret, int expected);
struct afsync_ring *held_ring(unsigned int entries);
void held_prepare(struct afsync_ring *ring, int fd, uint64_t user_data);
/* @count: of the prepared requests. */
void held_submit(struct afsync_ring *ring, int count);
/* Of the clock, in microseconds. */
double now_us(void);
/* Waits for as many completions, and takes them. */
void reap(struct afsync_ring *ring, int count);

#endif /* AFSYNC_BENCH_HELD_H */
