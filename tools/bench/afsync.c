// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engines: afsync, through libafsync, on the device and with threads of the library. One
 * call submits as many requests as possible and waits for at least one completion; all
 * available ones are reaped. The ring has INLINE; that of afsync_queued has not.
 */
#include <errno.h>
#include <libafsync.h>

#include "window.h"

struct async {
	struct window win;
	struct afsync_ring *ring;
};

static void setup(struct worker *w, unsigned int flags)
{
	struct async *a = alloc(1, sizeof(*a));
	int ret;

	w->private = a;
	window_init(&a->win, w->plan->depth);
	ret = afsync_queue_init(w->plan->depth, &a->ring, flags);
	if (ret)
		die("afsync_queue_init", -ret);
}

static void setup_device(struct worker *w)
{
	setup(w, AFSYNC_INIT_DEVICE | AFSYNC_INIT_INLINE);
}

static void setup_queued(struct worker *w)
{
	setup(w, AFSYNC_INIT_DEVICE);
}

static void setup_threads(struct worker *w)
{
	setup(w, AFSYNC_INIT_THREADS | AFSYNC_INIT_INLINE);
}

static void prepare(struct worker *w, struct async *a, uint64_t op)
{
	unsigned int index = window_take(&a->win);
	struct afsync_sqe *sqe = afsync_get_sqe(a->ring);

	op_begin(w, &a->win.slots[index], op);
	if (w->plan->datasync)
		afsync_prep_fdatasync(sqe, a->win.slots[index].fd);
	else
		afsync_prep_fsync(sqe, a->win.slots[index].fd);
	afsync_sqe_set_data64(sqe, index);
}

static unsigned int reap(struct worker *w, struct async *a)
{
	uint64_t end_ns = op_time(w);
	struct afsync_cqe *cqe;
	unsigned int head, nr = 0;

	afsync_for_each_cqe(a->ring, head, cqe) {
		op_end(w, &a->win.slots[cqe->user_data], cqe->res, end_ns);
		window_give(&a->win, cqe->user_data);
		w->syncs += !(cqe->flags & AFSYNC_CQE_MERGED);
		nr++;
	}
	afsync_cq_advance(a->ring, nr);
	return nr;
}

static void run(struct worker *w, uint64_t nr)
{
	struct async *a = w->private;
	uint64_t next = 0, done = 0;
	int ret;

	while (done < nr) {
		while (next < nr && a->win.nr_free)
			prepare(w, a, next++);
		ret = afsync_submit_and_wait(a->ring, 1);
		if (ret < 0 && ret != -EINTR)
			die("afsync_submit_and_wait", -ret);
		done += reap(w, a);
	}
}

static void finish(struct worker *w)
{
	struct async *a = w->private;

	afsync_queue_exit(a->ring);
}

const struct engine engine_afsync = {
	.name = "afsync", .setup = setup_device, .run = run, .finish = finish,
};

const struct engine engine_afsync_queued = {
	.name = "afsync_queued", .setup = setup_queued, .run = run, .finish = finish,
};

const struct engine engine_afsync_threads = {
	.name = "afsync_threads", .setup = setup_threads, .run = run, .finish = finish,
};
