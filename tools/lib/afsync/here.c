// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Syncs in the thread that submits: for AFSYNC_INIT_INLINE, and where there can be no team,
 * because the kernel (before Linux 5.9) or a filter of system calls lets no thread have a
 * table of its own. That is as correct as the team, and takes the time of the caller.
 */
#include <errno.h>

#include "threads.h"

static const struct afsync_sqe *sqe_at(const struct afsync_submit *arg, unsigned int i)
{
	return (const struct afsync_sqe *)(uintptr_t)arg->sqes + i;
}

/* Has the team no request of this ring or of any other? Under the lock. */
static bool quiet(const struct afsync_ring *ring)
{
	const struct afsync_threads *threads = ring->threads;

	return !threads->in_flight && !threads->team && !afsync_threads_unread(ring) &&
	       !afsync_team_busy();
}

/* May the thread run the sync that it is about to wait for? See AFSYNC_SETUP_INLINE. */
bool afsync_here_wanted(const struct afsync_ring *ring, const struct afsync_submit *arg)
{
	const struct afsync_sqe *first, *sqe;
	bool syncfs;
	unsigned int i;

	if (!ring->threads->run_inline || !arg->nr || !(arg->flags & AFSYNC_SUBMIT_WAIT) ||
	    arg->wait_flags)
		return false;
	first = sqe_at(arg, 0);
	syncfs = first->op == AFSYNC_OP_SYNCFS;
	for (i = 0; i < arg->nr; i++) {
		sqe = sqe_at(arg, i);
		if (sqe->fd != first->fd || sqe->flags & AFSYNC_SQE_HOLD || sqe->ioprio)
			return false;
		if (sqe->op != first->op && (syncfs || sqe->op == AFSYNC_OP_SYNCFS))
			return false;
	}
	return true;
}

/* Does a sync of @op serve a request of @wanted, too? */
static bool serves(uint32_t op, uint32_t wanted)
{
	return op == wanted || (op == AFSYNC_OP_FSYNC && wanted == AFSYNC_OP_FDATASYNC);
}

/* The strongest operation of the first request and those of the same file behind it. */
static uint32_t strongest(const struct afsync_submit *arg, unsigned int i, unsigned int nr)
{
	const struct afsync_sqe *first = sqe_at(arg, i), *sqe;

	for (; i < nr; i++) {
		sqe = sqe_at(arg, i);
		if (sqe->fd != first->fd || sqe->op == AFSYNC_OP_SYNCFS)
			break;
		if (sqe->op == AFSYNC_OP_FSYNC && first->op == AFSYNC_OP_FDATASYNC)
			return AFSYNC_OP_FSYNC;
	}
	return first->op;
}

/*
 * How many can be taken; *errorp is that of the next one. -EBUSY if @alone, and another
 * request is in flight.
 */
static unsigned int check(struct afsync_ring *ring, const struct afsync_submit *arg,
			  bool alone, int *errorp)
{
	struct file_id id;
	unsigned int i, room;
	struct unlocked saved;

	afsync_lock(&saved);
	if (alone && !quiet(ring)) {
		afsync_unlock(&saved);
		*errorp = -EBUSY;
		return 0;
	}
	room = ring->entries - afsync_threads_unread(ring);
	/* Taken until they are in the ring, so that no other thread takes the slots. */
	for (i = 0; i < arg->nr; i++) {
		*errorp = afsync_check_sqe(sqe_at(arg, i), &id);
		/* It cannot keep the file. */
		if (!*errorp && sqe_at(arg, i)->flags & AFSYNC_SQE_HOLD)
			*errorp = -EOPNOTSUPP;
		if (!*errorp && i + ring->threads->in_flight >= room)
			*errorp = -EAGAIN;
		if (*errorp)
			break;
	}
	ring->threads->in_flight += i;
	afsync_unlock(&saved);
	return i;
}

static int submit_here(struct afsync_ring *ring, const struct afsync_submit *arg, bool alone)
{
	const struct afsync_sqe *sqe, *last = NULL;
	unsigned int i, nr;
	int error, res = 0;
	uint32_t op = 0;
	struct unlocked saved;
	bool merged;

	nr = check(ring, arg, alone, &error);
	for (i = 0; i < nr; i++) {
		sqe = sqe_at(arg, i);
		merged = last && last->fd == sqe->fd && serves(op, sqe->op);
		if (!merged) {
			op = strongest(arg, i, nr);
			res = afsync_sync_now(op, sqe->fd);
		}
		last = sqe;
		afsync_lock(&saved);
		ring->threads->in_flight--;
		afsync_complete(ring, sqe->user_data, res, merged ? AFSYNC_CQE_MERGED : 0);
		afsync_notify(ring, false);
		afsync_unlock(&saved);
	}
	return nr ? (int)nr : error;
}

/*
 * As AFSYNC_IOC_SUBMIT, without the wait; nor is it a point at which a thread is cancelled.
 * -EBUSY if @alone, and something else is going on; nothing was done then.
 */
int afsync_here_submit(struct afsync_ring *ring, const struct afsync_submit *arg, bool alone)
{
	int cancel, ret;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	ret = submit_here(ring, arg, alone);
	pthread_setcancelstate(cancel, NULL);
	return ret;
}
