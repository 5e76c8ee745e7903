/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls that are made at random.
 */
#ifndef AFSYNC_FUZZ_CALLS_H
#define AFSYNC_FUZZ_CALLS_H

#include <stdbool.h>
#include <linux/types.h>

struct world;

/* Makes the call of that number; the seed, the thread and the number decide what it is. */
void calls_make(struct world *w);
const char *calls_name(unsigned int kind);
unsigned int calls_count(void);

/* call_submit.c */
void call_submit(struct world *w);
/* An array for one file, for children. Returns how many were accepted. */
unsigned int submit_plain(int fd, int file, struct afsync_sqe *sqes, unsigned int nr);

/* call_setup.c */
void call_info(struct world *w);
void call_setup(struct world *w);
void call_close(struct world *w);
void call_eventfd(struct world *w);
void call_foreign(struct world *w);

/* call_wait.c */
void call_reap(struct world *w);
void call_wait(struct world *w);
void call_poll(struct world *w);
void call_epoll(struct world *w);
void call_fdinfo(struct world *w);
/* Makes one signal pending, or removes it. */
void signal_raise(struct world *w);
void signal_clear(void);
/* A mask that lets only that signal in, or not even that; never those that end the program. */
__u64 signal_mask(bool in, __u64 others);

/* call_cancel.c */
void call_cancel(struct world *w);
void call_start(struct world *w);

/* call_raw.c */
void call_raw(struct world *w);
void call_garbage(struct world *w);
void call_scribble(struct world *w);

/* call_map.c */
void call_mmap(struct world *w);
void call_mremap(struct world *w);
void call_madvise(struct world *w);
void call_remap(struct world *w);

/* call_process.c */
void call_child(struct world *w);
void call_child_submits(struct world *w);
void call_pass(struct world *w);
void call_dup(struct world *w);

#endif /* AFSYNC_FUZZ_CALLS_H */
