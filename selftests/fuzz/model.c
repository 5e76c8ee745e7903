// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: the documented errors, as code. Makes no call.
 */
#include "model.h"
#include "files.h"
#include "ring.h"

#include <errno.h>
#include <limits.h>

const errnos documented = ERRNO(EFAULT) | ERRNO(EINVAL) | ERRNO(E2BIG) | ERRNO(ENOTTY) |
	ERRNO(ENXIO) | ERRNO(EBUSY) | ERRNO(EPERM) | ERRNO(EBADF) | ERRNO(EOPNOTSUPP) |
	ERRNO(EAGAIN) | ERRNO(ESTALE) | ERRNO(ETIME) | ERRNO(EALREADY) | ERRNO(ENOENT);

#define SQE_FLAGS	(AFSYNC_SQE_DRAIN | AFSYNC_SQE_WRITABLE | AFSYNC_SQE_HOLD)
#define WAIT_FLAGS	(AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME | AFSYNC_WAIT_SIGMASK)
#define CANCEL_FLAGS	(AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD | AFSYNC_CANCEL_ALL)
#define MAX_SQE_SIZE	4096

static errnos is_other(const struct ring *ring, __u32 id)
{
	return id && id != ring->id ? ERRNO(ESTALE) : 0;
}

static errnos invalid(bool wrong)
{
	return wrong ? ERRNO(EINVAL) : 0;
}

errnos model_setup(const struct afsync_setup *setup, bool is_set_up, __u32 max_entries)
{
	return invalid(setup->flags & ~AFSYNC_SETUP_INLINE) |
	       invalid(!setup->entries || setup->entries > max_entries) |
	       (is_set_up ? ERRNO(EBUSY) : 0);
}

errnos model_wait_fields(const struct ring *ring, const struct afsync_wait *wait)
{
	bool timed = wait->flags & AFSYNC_WAIT_TIMEOUT;

	return invalid(wait->flags & ~WAIT_FLAGS) |
	       invalid(wait->flags & AFSYNC_WAIT_ABSTIME && !timed) |
	       invalid(wait->timeout_ns && !timed) |
	       invalid(wait->sigmask && !(wait->flags & AFSYNC_WAIT_SIGMASK)) |
	       invalid(wait->min_complete > ring->entries) | invalid(wait->reserved) |
	       is_other(ring, wait->ring);
}

errnos model_submit_fields(const struct ring *ring, const struct afsync_submit *submit)
{
	struct afsync_wait wait = {
		.min_complete = submit->min_complete,
		.flags = submit->wait_flags,
		.timeout_ns = submit->timeout_ns,
		.sigmask = submit->sigmask,
	};
	errnos wrong = invalid(submit->flags & ~AFSYNC_SUBMIT_WAIT) |
		       is_other(ring, submit->ring);

	if (submit->nr && submit->sqe_size < sizeof(struct afsync_sqe))
		wrong |= ERRNO(EINVAL);
	if (submit->nr && submit->sqe_size > MAX_SQE_SIZE)
		wrong |= ERRNO(E2BIG);
	if (submit->flags & AFSYNC_SUBMIT_WAIT)
		return wrong | model_wait_fields(ring, &wait);
	return wrong | invalid(wait.min_complete || wait.flags || wait.timeout_ns || wait.sigmask);
}

errnos model_cancel_fields(const struct ring *ring, const struct afsync_cancel *cancel)
{
	__u32 match = cancel->match;

	return invalid(!match || match & ~CANCEL_FLAGS) |
	       invalid(match & AFSYNC_CANCEL_ALL && match != AFSYNC_CANCEL_ALL) |
	       invalid(!(match & AFSYNC_CANCEL_USER_DATA) && cancel->user_data) |
	       invalid(!(match & AFSYNC_CANCEL_FD) && cancel->fd) |
	       is_other(ring, cancel->ring);
}

errnos model_eventfd(const struct ring *ring, const struct afsync_eventfd *args,
		     const struct file *file)
{
	errnos wrong = invalid(args->flags) | is_other(ring, args->ring);

	if (args->fd == -1)
		return wrong | (ring->has_eventfd ? 0 : ERRNO(ENXIO));
	if (!file || file->path_only)
		return wrong | ERRNO(EBADF);
	if (!file->eventfd)
		return wrong | ERRNO(EINVAL);
	return wrong | (ring->has_eventfd ? ERRNO(EBUSY) : 0);
}

errnos model_start_fields(const struct ring *ring, const struct afsync_start *start)
{
	return invalid(start->flags || (start->last && start->last < start->user_data)) |
	       is_other(ring, start->ring);
}

static int check_ioprio(__u32 ioprio, bool root)
{
	unsigned int class = ioprio >> 13, level = ioprio & 0x1fff;

	if (ioprio > USHRT_MAX || class > 3)
		return EINVAL;
	if (class == 0)
		return level ? EINVAL : 0;
	if (class != 3 && level > 7)
		return EINVAL;
	return class == 1 && !root ? EPERM : 0;
}

/* The order that the documentation promises. */
int model_sqe(const struct afsync_sqe *sqe, const struct file *file, bool root)
{
	const __u64 end = 1ULL << 63;
	int ret;

	if (sqe->op > AFSYNC_OP_SYNCFS || sqe->flags & ~SQE_FLAGS)
		return EINVAL;
	if (sqe->op == AFSYNC_OP_SYNCFS &&
	    (sqe->flags & AFSYNC_SQE_DRAIN || sqe->offset || sqe->length))
		return EINVAL;
	if (sqe->offset >= end || sqe->length > end - sqe->offset)
		return EINVAL;
	ret = check_ioprio(sqe->ioprio, root);
	if (ret)
		return ret;
	if (!file || file->path_only)
		return EBADF;
	if (!file->can_sync)
		return EINVAL;
	if (sqe->flags & AFSYNC_SQE_WRITABLE && !file->writable)
		return EBADF;
	if (sqe->flags & AFSYNC_SQE_DRAIN && !file->can_drain)
		return EOPNOTSUPP;
	return 0;
}

struct may model_wait(const struct ring *ring, const struct afsync_wait *wait, bool signal)
{
	struct may may = may_return(wait->min_complete, ring->entries);
	bool timed = wait->flags & AFSYNC_WAIT_TIMEOUT;
	unsigned int sure;

	if (ring->trust == RING_OWN) {
		sure = book_sure(&ring->book);
		may.high = sure;
		/* Nothing to wait for: the unread entries are enough. */
		if (!wait->min_complete)
			return may;
	} else if (ring->trust == RING_SCRIBBLED) {
		may.low = 0;
	}
	if (signal)
		may.errors |= ERRNO(EINTR);
	if (timed && !signal)
		may.errors |= ERRNO(ETIME);
	return may;
}
