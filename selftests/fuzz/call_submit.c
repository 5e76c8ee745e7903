// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submitting, and the possible results. plan.c chooses the submit.
 */
#include "plan.h"
#include "calls.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* The array of its requests, byte by byte. */
static void write_array(struct plan *plan)
{
	size_t stride = plan->args.sqe_size, at, size;
	unsigned int i;

	if (!plan->array.local || stride < sizeof(*plan->sqes) || stride > MAX_STRIDE)
		return;
	memset(plan->array.local, 0, plan->array.readable);
	for (i = 0; i < plan->drawn; i++) {
		at = i * stride;
		if (at >= plan->array.readable)
			break;
		size = plan->array.readable - at;
		memcpy(plan->array.local + at, &plan->sqes[i],
		       size < sizeof(*plan->sqes) ? size : sizeof(*plan->sqes));
	}
	if (plan->array.dirty)
		plan->array.local[plan->drawn / 2 * stride + stride - 1] = 1;
}

/* The first request that is refused, regardless of free slots, and the reason. */
static unsigned int first_bad(const struct plan *plan, int *error)
{
	unsigned int i;

	for (i = 0; i < plan->args.nr; i++) {
		*error = plan->errors[i];
		if (plan->array.dirty && i == plan->drawn / 2)
			*error = E2BIG;
		if ((i + 1) * (size_t)plan->args.sqe_size > plan->array.readable)
			*error = EFAULT;
		if (*error)
			return i;
	}
	*error = 0;
	return i;
}

/* Puts the requests into the book, with their user data. */
static void ask(struct plan *plan, struct ring *ring, const struct world *w)
{
	const struct file *file;
	struct want *want;
	unsigned int i;

	if (plan->args.nr > book_room(&ring->book))
		plan->args.nr = book_room(&ring->book);
	plan->asked = plan->args.nr;
	for (i = 0; i < plan->args.nr; i++) {
		want = book_ask(&ring->book);
		plan->wants[i] = want;
		for (file = w->files; file < w->files + NR_FILES; file++) {
			if (file->fd != plan->sqes[i].fd)
				continue;
			want->open_id = file->open_id;
			want->may_fail = file->may_fail;
		}
		if (plan->group)
			want->user_data = BOOK_SHARED | want->open_id;
		plan->sqes[i].user_data = want->user_data;
	}
}

/* For a ring without a book. */
static void group_scribbled(struct plan *plan)
{
	unsigned int i;

	plan->asked = plan->args.nr;
	for (i = 0; i < plan->args.nr; i++)
		plan->sqes[i].user_data = i % SCRIBBLED_GROUPS;
}

static void answer(struct world *w, struct plan *plan, struct ring *ring, long accepted)
{
	const char *wrong = NULL;
	unsigned int i;

	if (accepted > (long)plan->asked)
		fail(w, "%ld requests were accepted and %u asked", accepted, plan->asked);
	for (i = 0; i < plan->asked && !wrong; i++) {
		if (i < accepted) {
			plan->wants[i]->held = plan->sqes[i].flags & AFSYNC_SQE_HOLD;
			wrong = book_accept(&ring->book, plan->wants[i]);
		} else {
			wrong = book_refuse(&ring->book, plan->wants[i]);
		}
	}
	if (wrong)
		fail(w, "%s", wrong);
	w->tally->accepted += accepted > 0 ? accepted : 0;
}

/* A wait that nothing would end has a time limit. */
static void limit_wait(struct plan *plan, const struct ring *ring)
{
	struct afsync_submit *args = &plan->args;
	unsigned int i, sure = 0;

	if (!(args->flags & AFSYNC_SUBMIT_WAIT) || args->wait_flags & AFSYNC_WAIT_TIMEOUT)
		return;
	if (ring->trust == RING_OWN) {
		sure = book_sure(&ring->book);
		for (i = 0; i < plan->args.nr; i++)
			sure += !(plan->sqes[i].flags & AFSYNC_SQE_HOLD);
	}
	if (args->min_complete <= sure)
		return;
	args->wait_flags |= AFSYNC_WAIT_TIMEOUT;
	args->timeout_ns = 50000;
}

/* How many of the array may be accepted; 0 is returned as an errno. */
static struct may may_accept(const struct plan *plan, const struct ring *ring, unsigned int used,
			     unsigned int good, int error)
{
	unsigned int least = 0, most = plan->args.nr;
	struct may may;

	if (ring->trust == RING_OWN)
		ring_free_slots(ring, used, &least, &most);
	may = may_return(least < good ? least : good, most < good ? most : good);
	if (may.low == 0) {
		may.low = 1;
		may.errors = good ? ERRNO(EAGAIN) : ERRNO(error);
	}
	return may;
}

static struct may plan_answer(const struct plan *plan, const struct ring *ring, unsigned int used,
			      unsigned int *good, int *error)
{
	const struct afsync_submit *args = &plan->args;
	int first = arg_errno(&plan->arg, sizeof(*args), true, true);
	struct afsync_wait wait = {
		.min_complete = args->min_complete, .flags = args->wait_flags,
	};
	errnos wrong;

	if (ring->fd < 0)
		return may_fail(ERRNO(EBADF));
	if (first)
		return may_fail(ERRNO(first));
	if (!ring->is_set_up)
		return may_fail(ERRNO(ENXIO));
	wrong = model_submit_fields(ring, args);
	if (wrong)
		return may_fail(wrong);
	if (!args->nr && args->flags & AFSYNC_SUBMIT_WAIT)
		return model_wait(ring, &wait, plan->signal);
	if (!args->nr)
		return may_return(0, 0);
	*good = first_bad(plan, error);
	return may_accept(plan, ring, used, *good, *error);
}

/* The output fields. */
static void check_out(struct world *w, const struct plan *plan, const struct ring *ring,
		      const struct afsync_submit *before, long ret, unsigned int good, int error)
{
	const struct afsync_submit *args = &plan->args;
	unsigned int done = ret > 0 ? ret : 0;
	struct afsync_wait wait = {
		.min_complete = args->min_complete, .flags = args->wait_flags,
	};
	struct may may = may_return(0, 0);
	int expected = 0;

	if (done < args->nr)
		expected = done < good ? EAGAIN : error;
	if (args->error != -expected)
		fail(w, "of %u requests %u were accepted, %u are good, and error is %d, not %d",
		     args->nr, done, good, args->error, -expected);
	if (expected)
		expect(w, CMD_REQUEST, -expected, may_fail(~(errnos)0));
	if (args->flags & AFSYNC_SUBMIT_WAIT && done == args->nr) {
		may.errors = model_wait(ring, &wait, plan->signal).errors;
		if (ring->trust == RING_OWN && args->min_complete > book_sure(&ring->book))
			may = may_fail(may.errors);
	}
	expect(w, CMD_WAIT, args->wait_result, may);
	if (args->sqes != before->sqes || args->nr != before->nr ||
	    args->flags != before->flags || args->min_complete != before->min_complete ||
	    args->sigmask != before->sigmask || args->ring != before->ring ||
	    args->timeout_ns > before->timeout_ns)
		fail(w, "a submit has changed fields that only go in");
}

static void submit(struct world *w, struct plan *plan, struct ring *ring)
{
	unsigned int used, good = 0;
	struct afsync_submit before;
	struct may may;
	int error = 0;
	long ret;

	pthread_mutex_lock(&ring->lock);
	used = ring->book.used;
	if (ring->trust != RING_SCRIBBLED)
		ask(plan, ring, w);
	else
		group_scribbled(plan);
	limit_wait(plan, ring);
	write_array(plan);
	may = plan_answer(plan, ring, used, &good, &error);
	pthread_mutex_unlock(&ring->lock);

	w->note.ring = ring;
	w->note.sqes = plan->sqes;
	w->note.nr = plan->args.nr;
	w->note.stride = plan->args.sqe_size;
	before = plan->args;
	if (plan->signal)
		signal_raise(w);
	ret = arg_ioctl(w, ring->fd, AFSYNC_IOC_SUBMIT, &plan->arg, &plan->args,
			sizeof(plan->args));
	if (plan->signal)
		signal_clear();
	expect(w, CMD_SUBMIT, ret, may);

	pthread_mutex_lock(&ring->lock);
	if (ring->trust != RING_SCRIBBLED)
		answer(w, plan, ring, plan->args.nr ? ret : 0);
	else if (ret > 0 && plan->args.nr)
		w->tally->unbooked += ret;
	if (plan->args.nr && (good || error))
		check_out(w, plan, ring, &before, ret, good, error);
	pthread_mutex_unlock(&ring->lock);
}

void call_submit(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct plan plan;

	plan_draw(w, &plan, ring);
	submit(w, &plan, ring);
}

unsigned int submit_plain(int fd, int file, struct afsync_sqe *sqes, unsigned int nr)
{
	struct afsync_submit args = {
		.sqes = (uintptr_t)sqes, .nr = nr, .sqe_size = sizeof(*sqes),
	};
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++)
		sqes[i].fd = file;
	ret = ioctl(fd, AFSYNC_IOC_SUBMIT, &args);
	return ret > 0 ? ret : 0;
}
