// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The submitter's side: the array of prepared requests, submitting it,
 * cancelling, and starting held requests. Never touches the completions.
 *
 * The first nr_sqes elements of the array are prepared. A submit queues from the
 * front; the rest is moved to the front. So the kernel gets one plain array,
 * and the order of afsync_get_sqe() is kept even if requests are refused.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

AFSYNC_API struct afsync_sqe *afsync_get_sqe(struct afsync_ring *ring)
{
	struct afsync_sqe *sqe;

	if (ring->nr_sqes == ring->entries)
		return NULL;
	sqe = &ring->sqes[ring->nr_sqes++];
	memset(sqe, 0, sizeof(*sqe));
	sqe->fd = -1;
	return sqe;
}

static void prep(struct afsync_sqe *sqe, enum afsync_op op, int fd,
		 uint64_t offset, uint64_t length)
{
	sqe->op = op;
	sqe->fd = fd;
	sqe->offset = offset;
	sqe->length = length;
}

AFSYNC_API void afsync_prep_fsync(struct afsync_sqe *sqe, int fd)
{
	prep(sqe, AFSYNC_OP_FSYNC, fd, 0, 0);
}

AFSYNC_API void afsync_prep_fdatasync(struct afsync_sqe *sqe, int fd)
{
	prep(sqe, AFSYNC_OP_FDATASYNC, fd, 0, 0);
}

AFSYNC_API void afsync_prep_fsync_range(struct afsync_sqe *sqe, int fd,
					uint64_t offset, uint64_t length)
{
	prep(sqe, AFSYNC_OP_FSYNC, fd, offset, length);
}

AFSYNC_API void afsync_prep_fdatasync_range(struct afsync_sqe *sqe, int fd,
					    uint64_t offset, uint64_t length)
{
	prep(sqe, AFSYNC_OP_FDATASYNC, fd, offset, length);
}

AFSYNC_API void afsync_prep_syncfs(struct afsync_sqe *sqe, int fd)
{
	prep(sqe, AFSYNC_OP_SYNCFS, fd, 0, 0);
}

AFSYNC_API void afsync_sqe_set_data64(struct afsync_sqe *sqe, uint64_t data)
{
	sqe->user_data = data;
}

AFSYNC_API void afsync_sqe_set_data(struct afsync_sqe *sqe, void *data)
{
	sqe->user_data = (uintptr_t)data;
}

AFSYNC_API void afsync_sqe_set_flags(struct afsync_sqe *sqe, unsigned int flags)
{
	sqe->flags = flags;
}

AFSYNC_API void afsync_sqe_set_ioprio(struct afsync_sqe *sqe,
				      unsigned int ioprio)
{
	sqe->ioprio = ioprio;
}

/* Take @nr prepared requests out at the front. */
static void sq_remove(struct afsync_ring *ring, uint32_t nr)
{
	ring->nr_sqes -= nr;
	memmove(ring->sqes, ring->sqes + nr,
		ring->nr_sqes * sizeof(*ring->sqes));
}

AFSYNC_API unsigned int afsync_sq_ready(const struct afsync_ring *ring)
{
	return ring->nr_sqes;
}

AFSYNC_API int afsync_sq_drop(struct afsync_ring *ring, struct afsync_sqe *sqe,
			      size_t size)
{
	if (!ring->nr_sqes)
		return -ENOENT;
	if (sqe)
		afsync_copy_out(sqe, size, &ring->sqes[0], sizeof(ring->sqes[0]));
	sq_remove(ring, 1);
	return 0;
}

/*
 * How the wait ended is not returned: the caller first has to know that the requests
 * are queued.
 */
static int submit(struct afsync_ring *ring, const struct afsync_wait *wait)
{
	struct afsync_submit arg = {
		.sqes = (uintptr_t)ring->sqes,
		.nr = ring->nr_sqes,
		.sqe_size = sizeof(*ring->sqes),
		.ring = ring->id,
	};
	int ret;

	if (wait->min_complete) {
		arg.flags = AFSYNC_SUBMIT_WAIT;
		arg.min_complete = wait->min_complete;
		arg.wait_flags = wait->flags;
		arg.timeout_ns = wait->timeout_ns;
		arg.sigmask = wait->sigmask;
	}
	ret = ring->backend->submit(ring, &arg);
	if (ret > 0) {
		sq_remove(ring, ret);
		ring->wait_result = arg.wait_result;
	}
	return ret;
}

static int submit_and_wait(struct afsync_ring *ring, unsigned int wait_nr,
			   const struct __kernel_timespec *ts,
			   unsigned int ts_flags, const sigset_t *sigmask)
{
	struct afsync_wait wait;
	int ret;

	ring->wait_result = 0;
	if (wait_nr > ring->entries)
		return -EINVAL;
	ret = afsync_wait_args(&wait, wait_nr, ts, ts_flags, sigmask);
	if (ret)
		return ret;
	if (ring->nr_sqes)
		return submit(ring, &wait);
	ret = afsync_ring_wait(ring, &wait);
	ring->wait_result = ret;
	return ret;
}

AFSYNC_API int afsync_submit(struct afsync_ring *ring)
{
	return submit_and_wait(ring, 0, NULL, 0, NULL);
}

AFSYNC_API int afsync_submit_and_wait(struct afsync_ring *ring,
				      unsigned int wait_nr)
{
	return submit_and_wait(ring, wait_nr, NULL, 0, NULL);
}

static int submit_and_peek(struct afsync_ring *ring, struct afsync_cqe **cqe_ptr,
			   unsigned int wait_nr,
			   const struct __kernel_timespec *ts,
			   unsigned int ts_flags, const sigset_t *sigmask)
{
	int ret = submit_and_wait(ring, wait_nr, ts, ts_flags, sigmask);

	/* Also on failure: completions of earlier requests may be there. */
	if (cqe_ptr)
		(void)afsync_peek_cqe(ring, cqe_ptr);
	return ret;
}

AFSYNC_API int afsync_submit_and_wait_timeout(struct afsync_ring *ring,
					      struct afsync_cqe **cqe_ptr,
					      unsigned int wait_nr,
					      const struct __kernel_timespec *ts,
					      const sigset_t *sigmask)
{
	return submit_and_peek(ring, cqe_ptr, wait_nr, ts, 0, sigmask);
}

AFSYNC_API int afsync_submit_and_wait_until(struct afsync_ring *ring,
					    struct afsync_cqe **cqe_ptr,
					    unsigned int wait_nr,
					    const struct __kernel_timespec *until,
					    const sigset_t *sigmask)
{
	return submit_and_peek(ring, cqe_ptr, wait_nr, until,
			       AFSYNC_WAIT_ABSTIME, sigmask);
}

AFSYNC_API int afsync_sq_wait_result(const struct afsync_ring *ring)
{
	return ring->wait_result;
}

AFSYNC_API int afsync_cancel_match(struct afsync_ring *ring, unsigned int match,
				   uint64_t user_data, int fd,
				   unsigned int *running)
{
	struct afsync_cancel arg = { .match = match, .ring = ring->id };
	int ret;

	/* The kernel refuses a value that nothing is compared with. */
	if (match & AFSYNC_CANCEL_USER_DATA)
		arg.user_data = user_data;
	if (match & AFSYNC_CANCEL_FD)
		arg.fd = fd;
	ret = ring->backend->cancel(ring, &arg);
	if (running)
		*running = arg.running;
	return ret;
}

AFSYNC_API int afsync_cancel(struct afsync_ring *ring, uint64_t user_data)
{
	return afsync_cancel_match(ring, AFSYNC_CANCEL_USER_DATA, user_data, 0,
				   NULL);
}

AFSYNC_API int afsync_cancel_fd(struct afsync_ring *ring, int fd)
{
	return afsync_cancel_match(ring, AFSYNC_CANCEL_FD, 0, fd, NULL);
}

AFSYNC_API int afsync_cancel_all(struct afsync_ring *ring)
{
	return afsync_cancel_match(ring, AFSYNC_CANCEL_ALL, 0, 0, NULL);
}

AFSYNC_API int afsync_start(struct afsync_ring *ring, uint64_t user_data)
{
	return afsync_start_range(ring, user_data, user_data);
}

AFSYNC_API int afsync_start_range(struct afsync_ring *ring, uint64_t first, uint64_t last)
{
	struct afsync_start arg = { .user_data = first, .ring = ring->id };
	int ret;

	if (first > last)
		return -EINVAL;
	/* An older module reads zeroes only. */
	if (first < last)
		arg.last = last;
	ret = ring->backend->start(ring, &arg);
	return ret == -E2BIG ? -ENOTTY : ret;
}
