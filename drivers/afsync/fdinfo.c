// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lines of a ring in /proc/PID/fdinfo. They are collected under the lock and printed
 * after it: printing a path can take long, and the user who made its directories decides how long.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/path.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "afsync.h"
#include "fileq.h"
#include "lane.h"
#include "slot.h"

/* Listed requests; the others are only counted. */
#define FDINFO_REQUESTS	64

/**
 * struct fdinfo - the values shown for a ring
 * @in_flight: requests accepted and not yet posted
 * @unread: entries that the program has not read
 * @eventfd: whether one is registered
 * @count: elements of @pending
 * @more: requests that are not in @pending, because it is full
 * @page: buffer for a path
 * @pending: the oldest requests, except those that are about to be posted
 */
struct fdinfo {
	u32 in_flight;
	u32 unread;
	bool eventfd;
	unsigned int count;
	u32 more;
	char page[PATH_MAX];
	struct afsync_look pending[FDINFO_REQUESTS];
};

static void look(struct afsync_ring *ring, struct fdinfo *info)
{
	unsigned int looked = 0, marks = 0;
	struct afsync_req *req;

	spin_lock(&ring->lock);
	info->in_flight = ring->in_flight;
	info->unread = afsync_slots_unread(ring);
	info->eventfd = ring->eventfd;
	list_for_each_entry(req, &ring->requests, ring_link) {
		if (looked == FDINFO_REQUESTS || marks == FDINFO_REQUESTS) {
			info->more = ring->in_flight - looked;
			break;
		}
		if (!req->ring) {
			marks++;
			continue;
		}
		looked++;
		info->count += afsync_fileq_look(req, &info->pending[info->count]);
	}
	spin_unlock(&ring->lock);
}

/* A path that is too long for Linux is not printed: it could not be opened. */
static void show_pending(struct seq_file *m, const struct afsync_look *pending, char *page)
{
	static const char * const ops[] = {
		[AFSYNC_OP_FSYNC]	= "fsync",
		[AFSYNC_OP_FDATASYNC]	= "fdatasync",
		[AFSYNC_OP_SYNCFS]	= "syncfs",
	};
	static const char * const states[] = {
		[AFSYNC_HELD]		= "held",
		[AFSYNC_QUEUED]		= "queued",
		[AFSYNC_RUNNING]	= "running",
	};
	const char *path = d_path(&pending->path, page, PATH_MAX);

	seq_printf(m, "pending:\t%s %s ", states[pending->state], ops[pending->op]);
	if (IS_ERR(path))
		seq_puts(m, "(path too long)");
	else
		seq_escape(m, path, " \t\n\\");
	seq_putc(m, '\n');
}

void afsync_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct afsync_ring *ring = afsync_file_ring(file);
	struct fdinfo *info;
	unsigned int i;

	if (!ring)
		return;
	info = kzalloc(sizeof(*info), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!info) {
		seq_puts(m, "pending:\t(no memory)\n");
		return;
	}
	look(ring, info);

	seq_printf(m, "entries:\t%u\n", ring->entries);
	seq_printf(m, "in_flight:\t%u\n", info->in_flight);
	seq_printf(m, "unread:\t%u\n", info->unread);
	seq_printf(m, "eventfd:\t%d\n", info->eventfd);
	afsync_pool_show(m, afsync_user_pool(ring->user));
	for (i = 0; i < info->count; i++) {
		show_pending(m, &info->pending[i], info->page);
		path_put(&info->pending[i].path);
		cond_resched();
	}
	if (info->more)
		seq_printf(m, "more:\t%u\n", info->more);
	kfree(info);
}
