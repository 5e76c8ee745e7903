// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters of each filesystem, a line each in afsync/filesystems of debugfs. Counted on
 * each CPU without a lock and added up when read.
 *
 * A filesystem is a device number and a type, which are copied: the counters neither hold
 * nor follow a superblock. A filesystem has its counters as long as it has a lane, of
 * any user, so there are no more than lanes; the submitters of requests are charged for them.
 * Of the others the last FS_IDLE are kept, so that counters continue when requests come and go.
 * Without memory a filesystem shares the counters of @other.
 */
#include <linux/debugfs.h>
#include <linux/hashtable.h>
#include <linux/kdev_t.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "afsync.h"
#include "fileq.h"
#include "fs_stats.h"

#define FS_HASH_BITS	10
#define FS_IDLE		64
static DEFINE_HASHTABLE(filesystems, FS_HASH_BITS);
static LIST_HEAD(idle);
static unsigned int nr_idle;

/* Taken when a lane comes or goes, under no other lock, and to read a bucket of the table. */
static DEFINE_SPINLOCK(fs_lock);

static struct afsync_fs other = { .type = "other" };
static struct dentry *debugfs_dir;

/* The filesystem of @key, with a reference, or NULL. */
static struct afsync_fs *find_and_get(const struct afsync_key *key)
{
	struct afsync_fs *fs;

	lockdep_assert_held(&fs_lock);

	hash_for_each_possible(filesystems, fs, node, key->dev) {
		if (fs->dev != key->dev || strncmp(fs->type, key->type, AFSYNC_FS_TYPE - 1))
			continue;
		if (!fs->refs++) {
			list_del(&fs->idle_link);
			nr_idle--;
		}
		return fs;
	}
	return NULL;
}

static void fs_free(struct afsync_fs *fs)
{
	if (!fs)
		return;
	free_percpu(fs->stats);
	kfree(fs);
}

static struct afsync_fs *fs_alloc(const struct afsync_key *key)
{
	struct afsync_fs *fs;

	fs = kzalloc(sizeof(*fs), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!fs)
		return NULL;
	fs->stats = alloc_percpu_gfp(struct afsync_fs_stats, AFSYNC_GFP | __GFP_ACCOUNT);
	if (!fs->stats) {
		kfree(fs);
		return NULL;
	}
	fs->refs = 1;
	fs->dev = key->dev;
	strscpy(fs->type, key->type, sizeof(fs->type));
	return fs;
}

/* For a lane, with a reference. Never fails. */
struct afsync_fs *afsync_fs_get(const struct afsync_key *key)
{
	struct afsync_fs *fs, *new;

	spin_lock(&fs_lock);
	fs = find_and_get(key);
	spin_unlock(&fs_lock);
	if (fs)
		return fs;

	new = fs_alloc(key);
	if (!new)
		return &other;

	/* Another thread may have made it meanwhile. */
	spin_lock(&fs_lock);
	fs = find_and_get(key);
	if (!fs)
		hash_add(filesystems, &new->node, new->dev);
	spin_unlock(&fs_lock);

	if (!fs)
		return new;
	fs_free(new);
	return fs;
}

/* For callers that hold no lock, but may not sleep. */
void afsync_fs_put(struct afsync_fs *fs)
{
	struct afsync_fs *surplus = NULL;

	if (fs == &other)
		return;
	spin_lock(&fs_lock);
	if (!--fs->refs) {
		list_add_tail(&fs->idle_link, &idle);
		if (++nr_idle > FS_IDLE) {
			surplus = list_first_entry(&idle, struct afsync_fs, idle_link);
			list_del(&surplus->idle_link);
			hash_del(&surplus->node);
			nr_idle--;
		}
	}
	spin_unlock(&fs_lock);

	fs_free(surplus);
}

/* A sync has returned, after @ns nanoseconds. */
void afsync_fs_synced(const struct afsync_fs *fs, u64 ns)
{
	struct afsync_fs_stats *stats = get_cpu_ptr(fs->stats);

	stats->syncs++;
	stats->sync_ns += ns;
	stats->sync_max_ns = max(stats->sync_max_ns, ns);
	put_cpu_ptr(fs->stats);
}

/* The completed before the requests, as in_flight_show() does. */
static struct afsync_fs_stats fs_sum(const struct afsync_fs *fs)
{
	struct afsync_fs_stats sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct afsync_fs_stats *stats = per_cpu_ptr(fs->stats, cpu);

		sum.merged += READ_ONCE(stats->merged);
		sum.syncs += READ_ONCE(stats->syncs);
		sum.completed += READ_ONCE(stats->completed);
		sum.cancelled += READ_ONCE(stats->cancelled);
		sum.failed += READ_ONCE(stats->failed);
		sum.sync_ns += READ_ONCE(stats->sync_ns);
		sum.sync_max_ns = max(sum.sync_max_ns, READ_ONCE(stats->sync_max_ns));
	}
	/* A thread that counts a completion saw its request counted, through a lock. */
	smp_rmb();
	for_each_possible_cpu(cpu)
		sum.requests += READ_ONCE(per_cpu_ptr(fs->stats, cpu)->requests);
	return sum;
}

static void fs_show(struct seq_file *m, const struct afsync_fs *fs)
{
	struct afsync_fs_stats sum = fs_sum(fs);

	seq_printf(m, "%u:%u ", MAJOR(fs->dev), MINOR(fs->dev));
	seq_escape(m, fs->type, " \t\n\\");
	seq_printf(m, " %llu %llu %llu %llu %llu %llu %llu %llu %llu\n", sum.requests,
		   sum.merged, sum.syncs, sum.completed, sum.cancelled, sum.failed,
		   sum.requests - sum.completed, sum.sync_ns, sum.sync_max_ns);
}

/*
 * Position 0 is the heading, and the line of @other behind it if there is one; then the
 * buckets of the table. No lock is held between them.
 */
static void *filesystems_start(struct seq_file *m, loff_t *pos)
{
	return *pos <= HASH_SIZE(filesystems) ? pos : NULL;
}

static void *filesystems_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return filesystems_start(m, pos);
}

static void filesystems_stop(struct seq_file *m, void *v)
{
}

static int filesystems_show(struct seq_file *m, void *v)
{
	size_t pos = *(loff_t *)v;
	const struct afsync_fs *fs;

	if (!pos) {
		seq_puts(m, "device type requests merged syncs completed cancelled failed in_flight sync_ns sync_max_ns\n");
		if (fs_sum(&other).requests)
			fs_show(m, &other);
		return 0;
	}
	spin_lock(&fs_lock);
	hlist_for_each_entry(fs, &filesystems[pos - 1], node)
		fs_show(m, fs);
	spin_unlock(&fs_lock);
	return 0;
}

static const struct seq_operations filesystems_sops = {
	.start	= filesystems_start,
	.next	= filesystems_next,
	.stop	= filesystems_stop,
	.show	= filesystems_show,
};
DEFINE_SEQ_ATTRIBUTE(filesystems);

/*
 * Not in sysfs, which has one value in a file. For root alone: if only one user uses a
 * filesystem, its counters show when that user writes; nor should a container
 * see the filesystems of the host. A locked-down kernel (Secure Boot) allows reading files of
 * debugfs that are not writable.
 */
int afsync_fs_init(void)
{
	other.stats = alloc_percpu(struct afsync_fs_stats);
	if (!other.stats)
		return -ENOMEM;
	debugfs_dir = debugfs_create_dir("afsync", NULL);
	debugfs_create_file("filesystems", 0400, debugfs_dir, NULL, &filesystems_fops);
	return 0;
}

/* No lane exists any more. Waits for readers. */
void afsync_fs_exit(void)
{
	struct afsync_fs *fs, *next;

	debugfs_remove(debugfs_dir);
	list_for_each_entry_safe(fs, next, &idle, idle_link)
		fs_free(fs);
	free_percpu(other.stats);
}
