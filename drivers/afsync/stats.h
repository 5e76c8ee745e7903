/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counters of the module.
 */
#ifndef _AFSYNC_STATS_H
#define _AFSYNC_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

struct attribute_group;

/* One counter each CPU; see Documentation/ABI/testing/sysfs-class-misc-afsync. */
struct afsync_stats {
	u64 submitted;
	u64 merged;
	u64 syncs;
	u64 completed;
	u64 cancelled;
	u64 failed;
};

DECLARE_PER_CPU(struct afsync_stats, afsync_stats);

#define afsync_stat_inc(counter)	this_cpu_inc(afsync_stats.counter)
#define afsync_stat_add(counter, count)	this_cpu_add(afsync_stats.counter, count)

extern const struct attribute_group *afsync_stats_groups[];

#endif /* _AFSYNC_STATS_H */
