// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plans a submit: arrays of all lengths, good ones and bad ones, with a wait or without.
 */
#include "plan.h"
#include "calls.h"

#include <string.h>

/* A correct request. */
static struct afsync_sqe draw_good(struct world *w)
{
	unsigned int dice = below(w, 64), op = below(w, 32), flags = below(w, 32);
	struct afsync_sqe sqe = { .op = op % 9 ? op % 2 : 2 };

	if (dice < 8 && sqe.op != AFSYNC_OP_SYNCFS) {
		sqe.offset = rng_odd(&w->rng) % 65536;
		sqe.length = rng_odd(&w->rng) % 65536;
	}
	if (flags < 6)
		sqe.flags |= AFSYNC_SQE_HOLD;
	if (dice == 63)
		sqe.ioprio = 2 << 13 | op % 8;
	return sqe;
}

/* Makes a request invalid, for some files only or always. */
static void spoil(struct world *w, struct afsync_sqe *sqe)
{
	unsigned int dice = below(w, 8), more = below(w, 32);
	__u64 odd = rng_odd(&w->rng);

	switch (dice) {
	case 0:
		sqe->flags |= AFSYNC_SQE_WRITABLE;
		break;
	case 1:
		sqe->flags |= AFSYNC_SQE_DRAIN;
		break;
	case 2:
		sqe->flags |= 8U << more % 29;
		break;
	case 3:
		sqe->op = 3 + more;
		break;
	case 4:
		sqe->ioprio = (more % 4) << 13 | more % 8;
		break;
	case 5:
		sqe->ioprio = more << 11;
		break;
	case 6:
		sqe->offset = odd;
		break;
	default:
		sqe->length = odd;
		break;
	}
}

/* Most arrays are correct, some of them for one file; in the others a few requests are not. */
static void draw_requests(struct world *w, struct plan *plan)
{
	bool good = !one_in(w, 3), same = one_in(w, 3), bad;
	const struct file *file = NULL;
	unsigned int i;
	int fd = -1;

	for (i = 0; i < plan->drawn; i++) {
		bad = one_in(w, 8) && !good;
		plan->sqes[i] = draw_good(w);
		if (bad)
			spoil(w, &plan->sqes[i]);
		if (!i || !same)
			file = good ? files_pick_good(w, &fd) : files_pick(w, &fd);
		plan->sqes[i].fd = fd;
		plan->errors[i] = model_sqe(&plan->sqes[i], file, options.root);
	}
}

static void draw_array(struct world *w, struct plan *plan)
{
	unsigned int dice = below(w, 64), stride = below(w, 256);

	plan->drawn = dice < 40 ? 1 + dice % 4 : dice < 60 ? dice % 24 : MAX_ARRAY - dice % 32;
	plan->args.sqe_size = sizeof(struct afsync_sqe);
	if (stride < 12)
		plan->args.sqe_size += 8 * stride + stride % 3;
	else if (stride < 14)
		plan->args.sqe_size = MAX_STRIDE;
	else if (stride == 14)
		plan->args.sqe_size = MAX_STRIDE + 1;
	else if (stride == 15)
		plan->args.sqe_size = dice % 40;
	if (plan->args.sqe_size > 256 && plan->drawn > 8)
		plan->drawn = 8;
	draw_requests(w, plan);
	arg_place(w, &w->array, &plan->array,
		  plan->args.sqe_size > MAX_STRIDE || plan->args.sqe_size < sizeof(*plan->sqes) ?
		  0 : (size_t)plan->args.sqe_size * plan->drawn, !one_in(w, 32));
	plan->array.dirty = one_in(w, 32) && plan->array.readable &&
			    plan->array.place < PLACE_ACROSS &&
			    plan->args.sqe_size > sizeof(*plan->sqes);
}

static void draw_wait(struct world *w, struct plan *plan, const struct ring *ring)
{
	unsigned int min = below(w, 8), flags = below(w, 16), dice = below(w, 64);
	__u64 odd = rng_odd(&w->rng), timeout = below(w, 200000);
	struct afsync_submit *args = &plan->args;

	args->flags = AFSYNC_SUBMIT_WAIT;
	args->min_complete = min;
	if (min == 7)
		args->min_complete = odd % (ring->entries + 2);
	if (flags & 1)
		args->wait_flags |= AFSYNC_WAIT_TIMEOUT;
	if (flags & 1 && flags & 8)
		args->wait_flags |= AFSYNC_WAIT_ABSTIME;
	if ((flags & 6) == 6)
		args->wait_flags |= AFSYNC_WAIT_SIGMASK;
	args->timeout_ns = flags & 1 ? timeout : 0;
	plan->signal = args->wait_flags & AFSYNC_WAIT_SIGMASK && dice < 32;
	if (args->wait_flags & AFSYNC_WAIT_SIGMASK)
		args->sigmask = signal_mask(plan->signal, odd);
	if (dice == 63)
		args->wait_flags |= 8U << odd % 29;
}

void plan_draw(struct world *w, struct plan *plan, const struct ring *ring)
{
	unsigned int dice = below(w, 256), flag = below(w, 31);
	bool waits = one_in(w, 4), none = one_in(w, 32);

	memset(plan, 0, offsetof(struct plan, sqes));
	plan->group = one_in(w, 8);
	plan->args.ring = ring_name(w, ring);
	draw_array(w, plan);
	arg_choose(w, &plan->arg, sizeof(plan->args), sizeof(plan->args));
	if (waits)
		draw_wait(w, plan, ring);
	plan->args.nr = none ? 0 : plan->drawn;
	plan->args.sqes = (uintptr_t)plan->array.at;
	if (dice == 0)
		plan->args.flags |= 2U << flag;
	if (dice == 1)
		plan->args.timeout_ns = 1 + dice;
}
