// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engine: io_uring, through liburing. One system call submits all that can be
 * submitted and waits for at least one completion; all that are there are reaped.
 *
 * The kernel runs the syncs in a pool of workers, four for each CPU unless the program
 * asks for more. Programs do not, as a rule, and the engine does not. Variants of it:
 * io_uring_workers asks for as many as requests can be outstanding; io_uring_all waits for
 * all that is outstanding before it submits more.
 *
 * Tried, ext4 on a disk of 1 ms, with 1, 64 and 256 files and requests: to wait for half of
 * what is outstanding makes it 30 % faster, then 13 % slower, to wait for all 23 %, 10 % and
 * 9 % faster, but then a writer waits for all others, which is another program.
 * IORING_SETUP_SINGLE_ISSUER with COOP_TASKRUN or DEFER_TASKRUN changes less than 4 %.
 */
#include <errno.h>
#include <liburing.h>

#include "window.h"

struct uring {
	struct window win;
	struct io_uring ring;
	bool all;
};

static void setup(struct worker *w)
{
	struct uring *u = alloc(1, sizeof(*u));
	int ret;

	w->private = u;
	window_init(&u->win, w->plan->depth);
	ret = io_uring_queue_init(w->plan->depth, &u->ring, 0);
	if (ret)
		die("io_uring_queue_init", -ret);
}

static void setup_workers(struct worker *w)
{
	unsigned int workers[2] = { w->plan->depth, w->plan->depth };
	struct uring *u;
	int ret;

	setup(w);
	u = w->private;
	ret = io_uring_register_iowq_max_workers(&u->ring, workers);
	if (ret)
		die("io_uring_register_iowq_max_workers", -ret);
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

	op_begin(w, &u->win.slots[index], op);
	io_uring_prep_fsync(sqe, u->win.slots[index].fd, flags);
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

const struct engine engine_io_uring_workers = {
	.name = "io_uring_workers", .setup = setup_workers, .run = run, .finish = finish,
};

const struct engine engine_io_uring_all = {
	.name = "io_uring_all", .setup = setup_all, .run = run, .finish = finish,
};
