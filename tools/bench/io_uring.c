// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engine: io_uring, through liburing. One system call submits as many requests as
 * possible and waits for at least one completion; all available ones are reaped.
 *
 * The ring is set up as io_uring_setup(2) and io_uring_register(2) advise for one thread that
 * syncs: as many workers as requests can be outstanding, registered files, SINGLE_ISSUER and
 * DEFER_TASKRUN. Variants of it: io_uring_default sets none of these, like most programs, and
 * gets four workers for each CPU; io_uring_all waits for all outstanding requests before it
 * submits more.
 *
 * Tried with a ring as io_uring_default has it, ext4 on a disk of 1 ms, with 1, 64 and 256
 * files and requests: waiting for half of the outstanding requests makes it 30 % faster,
 * then 13 % slower, waiting for all 23 %, 10 % and 9 % faster, but then a writer waits for
 * all others, which is a different program.
 */
#include <errno.h>
#include <liburing.h>

#include "window.h"

struct uring {
	struct window win;
	struct io_uring ring;
	bool registered;	/* the files of the plan, in its order */
	bool all;
};

static struct uring *setup_ring(struct worker *w, unsigned int flags)
{
	struct uring *u = alloc(1, sizeof(*u));
	int ret;

	w->private = u;
	window_init(&u->win, w->plan->depth);
	ret = io_uring_queue_init(w->plan->depth, &u->ring, flags);
	if (ret)
		die("io_uring_queue_init", -ret);
	return u;
}

static void setup_default(struct worker *w)
{
	setup_ring(w, 0);
}

static void setup(struct worker *w)
{
	unsigned int workers[2] = { w->plan->depth, w->plan->depth };
	struct uring *u = setup_ring(w, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	int ret;

	ret = io_uring_register_iowq_max_workers(&u->ring, workers);
	if (ret)
		die("io_uring_register_iowq_max_workers", -ret);
	/* Each file of a tree is opened for its one sync. */
	if (w->plan->workload == TREE)
		return;
	ret = io_uring_register_files(&u->ring, w->plan->fds, w->plan->files);
	if (ret)
		die("io_uring_register_files", -ret);
	u->registered = true;
}

static void setup_all(struct worker *w)
{
	struct uring *u;

	setup(w);
	u = w->private;
	u->all = true;
}

static void prepare(struct worker *w, struct uring *u, uint64_t op)
{
	unsigned int flags = w->plan->datasync ? IORING_FSYNC_DATASYNC : 0;
	unsigned int index = window_take(&u->win);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	struct slot *slot = &u->win.slots[index];

	op_begin(w, slot, op);
	io_uring_prep_fsync(sqe, u->registered ? (int)slot->file : slot->fd, flags);
	if (u->registered)
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data64(sqe, index);
}

static unsigned int reap(struct worker *w, struct uring *u)
{
	uint64_t end_ns = op_time(w);
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe) {
		op_end(w, &u->win.slots[cqe->user_data], cqe->res, end_ns);
		window_give(&u->win, cqe->user_data);
		nr++;
	}
	io_uring_cq_advance(&u->ring, nr);
	return nr;
}

static void run(struct worker *w, uint64_t nr)
{
	struct uring *u = w->private;
	uint64_t next = 0, done = 0;
	int ret;

	while (done < nr) {
		while (next < nr && u->win.nr_free)
			prepare(w, u, next++);
		ret = io_uring_submit_and_wait(&u->ring, u->all ? next - done : 1);
		if (ret < 0 && ret != -EINTR)
			die("io_uring_submit_and_wait", -ret);
		done += reap(w, u);
	}
	w->syncs += nr;
}

static void finish(struct worker *w)
{
	struct uring *u = w->private;

	io_uring_queue_exit(&u->ring);
}

const struct engine engine_io_uring = {
	.name = "io_uring", .setup = setup, .run = run, .finish = finish,
};

const struct engine engine_io_uring_default = {
	.name = "io_uring_default", .setup = setup_default, .run = run, .finish = finish,
};

const struct engine engine_io_uring_all = {
	.name = "io_uring_all", .setup = setup_all, .run = run, .finish = finish,
};
