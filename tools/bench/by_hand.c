// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engines: batches by hand. Write as many records as may be outstanding, then sync each
 * file that was written once, or the whole filesystem (syncfs). For one file no interface
 * can be faster than the first. A tree is for syncfs only, which makes it durable at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bench.h"

static void setup(struct worker *w)
{
	struct slot *slots = alloc(w->plan->depth, sizeof(*slots));
	unsigned int i;

	for (i = 0; i < w->plan->depth; i++)
		slots[i].index = i;
	w->private = slots;
}

static int sync_batch(struct worker *w, const struct slot *slots, unsigned int nr)
{
	/* The operations go round the files, so the first ones cover all files. */
	unsigned int i, files = w->plan->processes > 1 ? 1 : w->plan->files;
	int ret = 0;

	if (w->plan->engine == &engine_syncfs) {
		w->syncs++;
		return syncfs(slots[0].fd) ? -errno : 0;
	}
	for (i = 0; i < nr && i < files && !ret; i++)
		ret = op_sync(w->plan, slots[i].fd);
	w->syncs += i;
	return ret;
}

static void sync_tree(struct worker *w)
{
	int fd = open(w->plan->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd))
		die("syncfs", errno);
	close(fd);
	w->latency = NULL;
	w->syncs = 1;
}

static void run(struct worker *w, uint64_t nr)
{
	struct slot *slots = w->private;
	uint64_t op = 0, end_ns;
	unsigned int i, batch;
	int ret;

	/* In this case the plan has a file for each operation; all of them are written already. */
	if (w->plan->workload == TREE) {
		sync_tree(w);
		return;
	}
	while (op < nr) {
		batch = nr - op < w->plan->depth ? nr - op : w->plan->depth;
		for (i = 0; i < batch; i++)
			op_begin(w, &slots[i], op++);
		ret = sync_batch(w, slots, batch);
		end_ns = op_time(w);
		for (i = 0; i < batch; i++)
			op_end(w, &slots[i], ret, end_ns);
	}
}

static void finish(struct worker *w)
{
	(void)w;
}

const struct engine engine_by_hand = {
	.name = "by_hand", .setup = setup, .run = run, .finish = finish,
};

const struct engine engine_syncfs = {
	.name = "syncfs", .setup = setup, .run = run, .finish = finish,
};
