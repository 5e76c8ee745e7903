/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private header of `afsync top`, for top.c, top_read.c, top_show.c and top_screen.c.
 */
#ifndef AFSYNC_TOP_H
#define AFSYNC_TOP_H

#include "afsync.h"

#define FILESYSTEMS	"/sys/kernel/debug/afsync/filesystems"

/* See Documentation/ABI/testing/debugfs-afsync. */
struct top_counts {
	uint64_t requests;
	uint64_t merged;
	uint64_t syncs;
	uint64_t completed;
	uint64_t cancelled;
	uint64_t failed;
	uint64_t in_flight;
	uint64_t sync_ns;
	uint64_t sync_max_ns;
};

struct top_fs {
	char *device;		/* MAJOR:MINOR */
	char *type;
	char *name;		/* where it is mounted, or the device; escaped */
	struct top_counts now;	/* as read */
	struct top_counts more;	/* the increase since the sample before */
};

struct top_sample {
	uint64_t ns;
	uint64_t interval_ns;	/* since the sample before; 0: there is none */
	struct top_fs *fs;
	size_t nr;
};

/* top_read.c */
int top_read(struct top_sample *sample, FILE *counters, FILE *mounts);
void top_compare(struct top_sample *now, const struct top_sample *before);
void top_free(struct top_sample *sample);

/* top_show.c */
void top_table(FILE *out, const struct top_sample *sample, size_t lines);
void top_json(FILE *out, const struct top_sample *sample, double time);

/* top_screen.c */
void screen_open(void);
void screen_close(void);
void screen_draw(const struct top_sample *sample);
bool screen_wait(uint64_t until_ns, const struct top_sample *sample);

/* top.c */
int top_main(int argc, char **argv);

#endif /* AFSYNC_TOP_H */
