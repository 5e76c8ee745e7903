// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancelling requests, and starting held ones.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>

/* User data of some request, of a group, or of none. */
static __u64 some_user_data(struct world *w, const struct ring *ring)
{
	unsigned int dice = below(w, 8), which = below(w, BOOK_ROOM);
	const struct book *book = &ring->book;
	__u64 odd = rng_odd(&w->rng);

	if (dice == 0)
		return odd;
	if (dice == 1 || !book->top)
		return which % SCRIBBLED_GROUPS;
	return book->wants[which % book->top].user_data;
}

static bool matches(const struct want *want, const struct afsync_cancel *args, __u64 open_id)
{
	if (want->state == WANT_FREE)
		return false;
	if (args->match & AFSYNC_CANCEL_USER_DATA && want->user_data != args->user_data)
		return false;
	return !(args->match & AFSYNC_CANCEL_FD) || want->open_id == open_id;
}

/* Marks the requests that it may cancel; returns how many, and how many it must cancel in @held. */
static unsigned int mark(struct ring *ring, const struct afsync_cancel *args, __u64 open_id,
			 unsigned int *held)
{
	unsigned int i, count = 0;
	struct want *want;

	for (i = 0; i < ring->book.top; i++) {
		want = &ring->book.wants[i];
		if (!matches(want, args, open_id))
			continue;
		count++;
		want->may_cancel = true;
		if (!want->held)
			continue;
		want->must_cancel = true;
		want->held = false;
		++*held;
	}
	return count;
}

static struct may plan_cancel(struct ring *ring, const struct afsync_cancel *args,
			      const struct arg *arg, const struct file *file, unsigned int *count)
{
	int first = arg_errno(arg, sizeof(*args), true, true);
	unsigned int held = 0;
	errnos wrong;

	if (ring->fd < 0)
		return may_fail(ERRNO(EBADF));
	if (first)
		return may_fail(ERRNO(first));
	if (!ring->is_set_up)
		return may_fail(ERRNO(ENXIO));
	wrong = model_cancel_fields(ring, args);
	if (!wrong && args->match & AFSYNC_CANCEL_FD && (!file || file->path_only))
		wrong = ERRNO(EBADF);
	if (wrong)
		return may_fail(wrong);

	*count = mark(ring, args, file ? file->open_id : 0, &held);
	if (ring->trust != RING_OWN)
		return (struct may) { 1, ring->entries, ERRNO(EALREADY) | ERRNO(ENOENT) };
	if (!*count)
		return may_fail(ERRNO(ENOENT));
	if (held)
		return may_return(held, *count);
	return (struct may) { 1, *count, ERRNO(EALREADY) | ERRNO(ENOENT) };
}

static void draw_cancel(struct world *w, struct afsync_cancel *args, struct ring *ring,
			const struct file **file)
{
	unsigned int dice = below(w, 64), bit = below(w, 29);
	__u64 user_data;
	int fd;

	user_data = some_user_data(w, ring);
	*file = files_pick(w, &fd);
	*args = (struct afsync_cancel) { .ring = ring_name(w, ring) };
	args->match = dice < 28 ? AFSYNC_CANCEL_USER_DATA : dice < 42 ? AFSYNC_CANCEL_FD :
		      dice < 50 ? AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD : AFSYNC_CANCEL_ALL;
	if (args->match & AFSYNC_CANCEL_USER_DATA)
		args->user_data = user_data;
	if (args->match & AFSYNC_CANCEL_FD)
		args->fd = fd;
	if (dice == 0)
		args->match |= 8U << bit;
	if (dice == 63)
		args->match |= 1 + bit % 2;
	if (dice == 62)
		args->match = 0;
	if (dice == 61)
		args->user_data = 1;
	if (dice == 60)
		args->fd = 1;
	/* Copied in and out. */
	args->running = rng_next(&w->rng);
}

void call_cancel(struct world *w)
{
	struct ring *ring = ring_pick(w);
	struct afsync_cancel args;
	const struct file *file;
	unsigned int count = 0;
	struct arg arg;
	struct may may;
	long ret;

	draw_cancel(w, &args, ring, &file);
	arg_choose(w, &arg, sizeof(args), sizeof(args));
	pthread_mutex_lock(&ring->lock);
	may = plan_cancel(ring, &args, &arg, file, &count);
	pthread_mutex_unlock(&ring->lock);

	w->note.ring = ring;
	ret = arg_ioctl(w, ring->fd, AFSYNC_IOC_CANCEL, &arg, &args, sizeof(args));
	expect(w, CMD_CANCEL, ret, may);
	if (ret > 0)
		__atomic_add_fetch(&ring->book.cancelled_said, ret, __ATOMIC_RELAXED);
	if (ring->trust != RING_OWN || (ret < 0 && ret != -EALREADY && ret != -ENOENT) || !count)
		return;
	ret = ret < 0 ? 0 : ret;
	if (args.running > count - ret)
		fail(w, "of %u requests %ld were cancelled and %u run", count, ret, args.running);
}

void call_start(struct world *w)
{
	struct ring *ring = ring_pick(w);
	unsigned int dice = below(w, 64), bit = below(w, 32), which = below(w, BOOK_ROOM), count;
	struct afsync_start args = { .ring = ring_name(w, ring) };
	struct want *held[BOOK_ROOM];
	struct arg arg;
	struct may may;
	int first;
	__u64 some, last = some_user_data(w, ring);

	args.user_data = some_user_data(w, ring);
	arg_choose(w, &arg, sizeof(args), 16);
	if (dice == 0)
		args.flags = 1U << bit;
	pthread_mutex_lock(&ring->lock);
	some = book_some_held(&ring->book, which);
	if (dice > 24 && some)
		args.user_data = some;
	/* A range, now and then one that ends before it begins. */
	if (dice % 4 == 1)
		args.last = last;
	if (arg.size < sizeof(args))
		args.last &= (1ULL << (arg.size > 16 ? arg.size - 16 : 0) * 8) - 1;
	first = arg_errno(&arg, 16, true, false);
	if (ring->fd < 0)
		may = may_fail(ERRNO(EBADF));
	else if (first)
		may = may_fail(ERRNO(first));
	else if (!ring->is_set_up)
		may = may_fail(ERRNO(ENXIO));
	else
		may = may_fail(model_start_fields(ring, &args));
	if (!may.errors) {
		count = book_held(&ring->book, args.user_data,
				  args.last ? args.last : args.user_data, true, held, BOOK_ROOM);
		may = count ? may_return(count, count) : may_fail(ERRNO(ENOENT));
		while (count--)
			held[count]->held = false;
		if (ring->trust != RING_OWN)
			may = (struct may) { 1, ring->entries, ERRNO(ENOENT) };
	}
	pthread_mutex_unlock(&ring->lock);

	w->note.ring = ring;
	expect(w, CMD_START, arg_ioctl(w, ring->fd, AFSYNC_IOC_START, &arg, &args, sizeof(args)),
	       may);
}
