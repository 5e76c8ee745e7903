// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The submitter's side: the array of prepared requests, submitting it,
 * cancelling, and starting what is held. Never touches the completions.
 *
 * The first nr_sqes elements of the array are prepared. A submit queues from the
 * front; what is left is moved to the front. So the kernel gets one plain array,
 * and the order of afsync_get_sqe() is kept whatever is refused.
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

AFSYNC_API int afsync_sq_drop(struct afsync_ring *ring, struct afsync_sqe *sqe)
{
	if (!ring->nr_sqes)
		return -ENOENT;
	if (sqe)
		*sqe = ring->sqes[0];
	sq_remove(ring, 1);
	return 0;
}

/*
 * How the wait ended is not looked at: the requests are queued, and that is what the
 * caller has to know. afsync_cq_ready() tells the rest.
 */
static int submit(struct afsync_ring *ring, const struct afsync_wait *wait)
{
	struct afsync_submit arg = {
		.sqes = (uintptr_t)ring->sqes,
		.nr = ring->nr_sqes,
		.sqe_size = sizeof(*ring->sqes),
	};
	int ret;

	if (wait->min_complete) {
		arg.flags = AFSYNC_SUBMIT_WAIT;
		arg.min_complete = wait->min_complete;
		arg.wait_flags = wait->flags;
		arg.timeout_ns = wait->timeout_ns;
		arg.sigmask = wait->sigmask;
	}
	ret = afsync_sys_ioctl(ring->fd, AFSYNC_IOC_SUBMIT, &arg);
	if (ret > 0)
		sq_remove(ring, ret);
	return ret;
}

static int submit_and_wait(struct afsync_ring *ring, unsigned int wait_nr,
			   const struct timespec *ts, const sigset_t *sigmask)
{
	struct afsync_wait wait;
	int ret;

	if (wait_nr > ring->entries)
		return -EINVAL;
	ret = afsync_wait_args(&wait, wait_nr, ts, sigmask);
	if (ret)
		return ret;
	if (ring->nr_sqes)
		return submit(ring, &wait);
	return afsync_ring_wait(ring, &wait);
}

AFSYNC_API int afsync_submit(struct afsync_ring *ring)
{
	return submit_and_wait(ring, 0, NULL, NULL);
}

AFSYNC_API int afsync_submit_and_wait(struct afsync_ring *ring,
				      unsigned int wait_nr)
{
	return submit_and_wait(ring, wait_nr, NULL, NULL);
}

AFSYNC_API int afsync_submit_and_wait_timeout(struct afsync_ring *ring,
					      struct afsync_cqe **cqe_ptr,
					      unsigned int wait_nr,
					      const struct timespec *ts,
					      const sigset_t *sigmask)
{
	int ret = submit_and_wait(ring, wait_nr, ts, sigmask);

	/* Also on failure: completions of earlier requests may be there. */
	if (cqe_ptr)
		(void)afsync_peek_cqe(ring, cqe_ptr);
	return ret;
}

static int cancel(struct afsync_ring *ring, struct afsync_cancel arg)
{
	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_CANCEL, &arg);
}

AFSYNC_API int afsync_cancel(struct afsync_ring *ring, uint64_t user_data)
{
	return cancel(ring, (struct afsync_cancel) {
		.match = AFSYNC_CANCEL_USER_DATA,
		.user_data = user_data,
	});
}

AFSYNC_API int afsync_cancel_fd(struct afsync_ring *ring, int fd)
{
	return cancel(ring, (struct afsync_cancel) {
		.match = AFSYNC_CANCEL_FD,
		.fd = fd,
	});
}

AFSYNC_API int afsync_cancel_all(struct afsync_ring *ring)
{
	return cancel(ring, (struct afsync_cancel) {
		.match = AFSYNC_CANCEL_ALL,
	});
}

AFSYNC_API int afsync_start(struct afsync_ring *ring, uint64_t user_data)
{
	struct afsync_start arg = { .user_data = user_data };

	return afsync_sys_ioctl(ring->fd, AFSYNC_IOC_START, &arg);
}
