/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counters of each filesystem.
 */
#ifndef _AFSYNC_FS_STATS_H
#define _AFSYNC_FS_STATS_H

#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>

#define AFSYNC_FS_TYPE	32

struct afsync_key;

/* One counter each CPU; see Documentation/ABI/testing/debugfs-afsync. */
struct afsync_fs_stats {
	u64 requests;
	u64 merged;
	u64 syncs;
	u64 completed;
	u64 cancelled;
	u64 failed;
	u64 sync_ns;
	u64 sync_max_ns;
};

/**
 * struct afsync_fs - a filesystem, or a block device that is synced directly
 * @node: in the table of filesystems
 * @idle_link: in the list of idle ones while @refs is 0
 * @refs: lanes
 * @dev: device number; set once
 * @stats: the counters; set once
 * @type: type of filesystem; set once
 */
struct afsync_fs {
	struct hlist_node node;		/* down to @refs: under fs_lock */
	struct list_head idle_link;
	unsigned int refs;
	dev_t dev;
	struct afsync_fs_stats __percpu *stats;
	char type[AFSYNC_FS_TYPE];
};

int afsync_fs_init(void);
void afsync_fs_exit(void);
struct afsync_fs *afsync_fs_get(const struct afsync_key *key);
void afsync_fs_put(struct afsync_fs *fs);
void afsync_fs_synced(const struct afsync_fs *fs, u64 ns);

#endif /* _AFSYNC_FS_STATS_H */
