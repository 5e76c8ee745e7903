// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's counters, one file each in /sys/class/misc/afsync/stats. Counted on each
 * CPU without a lock and added up when read, so values that are read while requests come and
 * go may be a few behind; when nothing is in flight they are exact.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "afsync.h"
#include "stats.h"

DEFINE_PER_CPU(struct afsync_stats, afsync_stats);

static u64 stat_sum(size_t offset)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		void *stats = per_cpu_ptr(&afsync_stats, cpu);

		sum += READ_ONCE(*(u64 *)(stats + offset));
	}
	return sum;
}

#define STAT_ATTR(_name)							\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	return sysfs_emit(buf, "%llu\n",					\
			  stat_sum(offsetof(struct afsync_stats, _name)));	\
}										\
static DEVICE_ATTR_RO(_name)

STAT_ATTR(submitted);
STAT_ATTR(merged);
STAT_ATTR(syncs);
STAT_ATTR(completed);
STAT_ATTR(cancelled);
STAT_ATTR(failed);

/* The completed first: requests submitted in between must not make it negative. */
static ssize_t in_flight_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u64 completed, submitted;

	completed = stat_sum(offsetof(struct afsync_stats, completed));
	/* A thread that counts a completion saw its request counted, through a lock. */
	smp_rmb();
	submitted = stat_sum(offsetof(struct afsync_stats, submitted));

	return sysfs_emit(buf, "%llu\n", submitted - completed);
}
static DEVICE_ATTR_RO(in_flight);

static struct attribute *stats_attrs[] = {
	&dev_attr_submitted.attr,
	&dev_attr_merged.attr,
	&dev_attr_syncs.attr,
	&dev_attr_completed.attr,
	&dev_attr_cancelled.attr,
	&dev_attr_failed.attr,
	&dev_attr_in_flight.attr,
	NULL,
};

static const struct attribute_group stats_group = {
	.name	= "stats",
	.attrs	= stats_attrs,
};

const struct attribute_group *afsync_stats_groups[] = {
	&stats_group,
	NULL,
};
