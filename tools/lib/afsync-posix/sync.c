// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * aio_fsync: to a ring, in the calling thread, so that the file is the one of the
 * call and all errors are those of the call. Behind reads and writes in flight the
 * ring holds the sync until stream.c has it started.
 *
 * The ring is one of the device or, where that cannot be opened, of libafsync's threads
 * (rings.c). Where there can be no such threads, or not now, a thread of a pool syncs
 * (divert.c). No sync is refused for a reason that fsync(2) does not have.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix.h"

/* Of linux/ioprio.h, which older headers do not have. */
#define IOPRIO_CLASS(prio)	((prio) >> 13 & 7)
#define IOPRIO_LEVEL(prio)	((prio) & 7)
#define IOPRIO_VALUE(class, level) ((class) << 13 | (level))
#define IOPRIO_NONE		0
#define IOPRIO_BEST_EFFORT	2
#define IOPRIO_LOWEST		7
#define IOPRIO_WHO_PROCESS	1

/*
 * The priority of the calling thread, lowered by @delta levels as far as there are any; 0
 * if it has none to be lowered. A delta outside the limits is ignored, as are all members
 * that a sync does not use.
 */
static unsigned int ioprio_lowered(int delta)
{
	int prio, class, level;

	if (delta < 0 || delta > PRIO_DELTA_MAX)
		delta = 0;
	prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	if (prio < 0)
		return 0;
	class = IOPRIO_CLASS(prio);
	level = IOPRIO_LEVEL(prio);
	if (class == IOPRIO_NONE && !delta)
		return 0;
	if (class == IOPRIO_NONE) {
		class = IOPRIO_BEST_EFFORT;
		level = (getpriority(PRIO_PROCESS, 0) + 20) / 5;
	}
	level += delta;
	if (level > IOPRIO_LOWEST)
		level = IOPRIO_LOWEST;
	return IOPRIO_VALUE(class, level);
}

/*
 * The manuals require a descriptor that is open for writing. glibc accepts any, and so does this
 * library where it is preloaded. A directory, which cannot be opened for writing, is
 * always accepted: syncing it makes a rename durable.
 */
static bool wants_writable(int fd)
{
	struct stat st;

	return program_links_us() && !(!fstat(fd, &st) && S_ISDIR(st.st_mode));
}

/* Hands an op that is in the table over. @held: it is in an epoch. */
static int sync_submit(struct op *op, unsigned int ioprio, bool held)
{
	int ret;

	ret = ring_submit(op, ioprio, held);
	/* Only a privileged caller may name that class; the sync must still run. */
	if (ret == EPERM)
		ret = ring_submit(op, 0, held);
	if (ret == ENODEV)
		ret = sync_divert(op);
	/* Of two errors, the one that the manuals name first. */
	if (ret == EINVAL && !sync_acceptable(op))
		ret = EBADF;
	return ret;
}

static int sync_add(struct op *op, bool known, bool *held)
{
	int ret;

	ret = __op_add(op);
	if (ret)
		return ret;
	if (known) {
		ret = __stream_hold(op);
		if (ret)
			__op_refuse(op);
	}
	*held = op->state == OP_HELD;
	return ret;
}

int sync_queue(int operation, struct aiocb *block)
{
	bool known = false, start, held = false;
	unsigned int ioprio;
	struct op *op;
	int ret;

	if (operation != O_SYNC && operation != O_DSYNC)
		return EINVAL;
	/* Nothing to notify, and no descriptor that names a file to sync. */
	if (!block)
		return 0;
	ret = op_alloc(block, operation == O_SYNC ? OP_FSYNC : OP_FDATASYNC, &op);
	if (ret)
		return ret;
	op->writable = wants_writable(op->fd);
	ioprio = ioprio_lowered(op->prio);
	/* A bad descriptor is in no stream; the ring reports its error. */
	if (stream_any() || ring_wants_identity()) {
		ret = identity_of(op->fd, &op->id);
		if (ret && ret != EBADF)
			goto put_op;
		known = !ret;
	}

	lock();
	ret = sync_add(op, known, &held);
	unlock();
	if (ret)
		goto put_op;

	/* From the submit on it may end at any time. */
	__atomic_add_fetch(&op->refs, 1, __ATOMIC_RELAXED);
	ret = sync_submit(op, ioprio, held);
	lock();
	if (ret) {
		__op_refuse(op);
		if (op->state == OP_HELD)
			__stream_unhold(op);
		unlock();
		op_put(op);
		goto put_op;
	}
	op->submitted = true;
	start = op->ready || (op->ringless && !held);
	unlock();
	dropin_count(operation == O_SYNC ? DROPIN_POSIX_FSYNC : DROPIN_POSIX_FDATASYNC, 1);
	if (start && sync_start(op))
		op_end(op, EAGAIN, -1);

put_op:
	op_put(op);
	return ret;
}
