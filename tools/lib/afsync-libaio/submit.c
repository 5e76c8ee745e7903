// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * io_submit(). The iocbs are taken as the kernel takes them: one after the other, up to
 * the first that is refused. Other requests than syncs go to the kernel unchanged, in runs, with
 * no lock held, because the kernel may do the I/O at once. A run of syncs is queued
 * held on the device, its iocbs become writes that take the completions over, and when the
 * kernel has taken those, the iocbs are restored.
 *
 * A sync is started only after that, not with AFSYNC_ATTACH_START. So no thread sees its
 * event, and reuses its iocb, before the iocb is restored. And as the lock is held until the
 * syncs of the run are started, if possible by one call, no other thread starts a sync whose
 * completion is not taken over yet. The kernel neither runs I/O nor waits meanwhile. The
 * program's other threads must leave an iocb alone that is being submitted; kernel AIO would
 * only read it.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* On the stack of the caller's thread. */
struct batch {
	struct iocb *names[BATCH];	/* where the program has them */
	struct iocb iocbs[BATCH];	/* what was there */
	unsigned int nr;
};

/* Kernel AIO refuses these itself, with its own error. */
static bool is_sync(const struct iocb *iocb)
{
	if (iocb->aio_lio_opcode != IOCB_CMD_FSYNC &&
	    iocb->aio_lio_opcode != IOCB_CMD_FDSYNC)
		return false;
	return !iocb->aio_buf && !iocb->aio_nbytes && !iocb->aio_offset &&
	       !iocb->aio_rw_flags && !iocb->aio_reserved2;
}

/*
 * The length of the run that starts at first: all syncs, or none. An iocb that is in a
 * run of syncs twice begins the next one: it can become only one write at a time.
 */
static unsigned int run_length(const struct batch *b, unsigned int first)
{
	bool sync = is_sync(&b->iocbs[first]);
	unsigned int end, i;

	for (end = first + 1; end < b->nr; end++) {
		if (is_sync(&b->iocbs[end]) != sync)
			break;
		for (i = first; sync && i < end; i++)
			if (b->names[i] == b->names[end])
				return end - first;
	}
	return end - first;
}

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static long count(enum dropin_counter counter, long ret)
{
	if (ret > 0)
		dropin_count(counter, ret);
	return ret;
}

/* Returns what io_submit(2) does. */
static long submit_others(struct context *ctx, struct batch *b, unsigned int first,
			  unsigned int nr)
{
	struct lock_mask mask;
	unsigned int i;
	long ret;

	context_lock(ctx, &mask);
	events_look(ctx);
	if (ctx->dead) {
		context_unlock(ctx, &mask);
		return -EINVAL;
	}
	nr = min(nr, order_room(ctx));
	for (i = 0; i < nr; i++)
		order_add(ctx, &b->iocbs[first + i], b->names[first + i]);
	context_unlock(ctx, &mask);
	if (!nr)
		return -EAGAIN;

	ret = sys_io_submit(ctx->id, nr, &b->names[first]);
	if (ret >= (long)nr)
		return ret;

	context_lock(ctx, &mask);
	for (i = ret < 0 ? 0 : ret; i < nr && !ctx->dead; i++)
		order_drop(ctx, &b->iocbs[first + i], b->names[first + i]);
	context_unlock(ctx, &mask);
	return ret;
}

static struct afsync_sqe sqe_of(const struct iocb *iocb)
{
	struct afsync_sqe sqe = {
		.fd = iocb->aio_fildes,
		.op = iocb->aio_lio_opcode == IOCB_CMD_FSYNC ? AFSYNC_OP_FSYNC :
							       AFSYNC_OP_FDATASYNC,
		.flags = AFSYNC_SQE_HOLD,
	};

	if (iocb->aio_flags & IOCB_FLAG_IOPRIO)
		sqe.ioprio = (__u16)iocb->aio_reqprio;
	return sqe;
}

/*
 * The write that takes the completion over. If the program puts a file of its own in the
 * place of the ring at this very moment, that refuses the offset.
 */
static struct iocb attach_of(const struct iocb *iocb, const struct afsync_attach *attach,
			     const struct device_ring *ring)
{
	struct iocb write = *iocb;

	write.aio_lio_opcode = IOCB_CMD_PWRITE;
	write.aio_reqprio = 0;
	write.aio_fildes = ring->fd;
	write.aio_buf = (__u64)(unsigned long)attach;
	write.aio_nbytes = sizeof(*attach);
	write.aio_offset = AFSYNC_ATTACH_OFFSET;
	write.aio_flags &= IOCB_FLAG_RESFD;
	return write;
}

/* All but the key, which is the kernel's to write. */
static void restore(struct iocb *name, const struct iocb *iocb)
{
	name->aio_lio_opcode = iocb->aio_lio_opcode;
	name->aio_reqprio = iocb->aio_reqprio;
	name->aio_fildes = iocb->aio_fildes;
	name->aio_buf = iocb->aio_buf;
	name->aio_nbytes = iocb->aio_nbytes;
	name->aio_offset = iocb->aio_offset;
	name->aio_flags = iocb->aio_flags;
}

/* Has the kernel take over the completions of held syncs; returns what io_submit(2) does. */
static long attach_all(struct context *ctx, struct batch *b, unsigned int first, long nr,
		       const struct device_ring *ring)
{
	struct batch_room *room = order_batch_room(ctx);
	long i, ret;

	for (i = 0; i < nr; i++) {
		room->attach[i] = (struct afsync_attach){
			.user_data = room->sqes[i].user_data,
			.ring = ring->id,
		};
		room->writes[i] = attach_of(&b->iocbs[first + i], &room->attach[i], ring);
	}
	nr = memory_write((void *const *)&b->names[first], room->writes,
			  sizeof(room->writes[0]), nr);
	/* One in memory that cannot be written, which kernel AIO refuses like this. */
	if (!nr)
		return -EFAULT;
	ret = sys_io_submit(ctx->id, nr, &b->names[first]);
	for (i = 0; i < nr; i++)
		restore(b->names[first + i], &b->iocbs[first + i]);
	return ret;
}

/* Under context.lock. Returns what io_submit(2) does. */
static long queue_syncs(struct context *ctx, struct batch *b, unsigned int first,
			unsigned int nr)
{
	struct afsync_sqe *sqes = order_batch_room(ctx)->sqes;
	struct device_ring ring;
	long ret, held, i;

	do {
		held = device_hold(sqes, nr, &ring);
		/* Kernel AIO has no use for the priority of a sync, and refuses none. */
		if ((held == -EINVAL || held == -EPERM) && sqes[0].ioprio) {
			sqes[0].ioprio = 0;
			held = device_hold(sqes, 1, &ring);
		}
		if (held <= 0)
			return held;
		ret = attach_all(ctx, b, first, held, &ring);
		/* Else something is wrong with an iocb. */
	} while ((ret == -EINVAL || ret == -EBADF) && device_lost(&ring));
	for (i = 0; i < ret; i++) {
		order_add_sync(ctx, &b->iocbs[first + i], b->names[first + i],
			       sqes[i].user_data);
		dropin_count(sqes[i].op == AFSYNC_OP_FSYNC ? DROPIN_LIBAIO_FSYNC :
							     DROPIN_LIBAIO_FDSYNC, 1);
	}
	for (i = ret < 0 ? 0 : ret; i < held; i++)
		device_cancel(sqes[i].user_data);
	return ret;
}

/* Under context.lock. As queue_syncs(), with a watcher for those that wait. */
static long queue_watched(struct context *ctx, struct batch *b, unsigned int first,
			  unsigned int nr)
{
	struct afsync_sqe *sqes = order_batch_room(ctx)->sqes;
	bool waits = false;
	unsigned int i;
	long ret;

	for (i = 0; i < nr; i++) {
		sqes[i] = sqe_of(&b->iocbs[first + i]);
		waits |= order_waits(ctx, sqes[i].fd);
	}
	if (waits && watch_start())
		return -EAGAIN;
	ret = queue_syncs(ctx, b, first, nr);
	if (waits)
		watch_started();
	return ret;
}

static long submit_syncs(struct context *ctx, struct batch *b, unsigned int first,
			 unsigned int nr)
{
	struct lock_mask mask;
	bool idle;
	long ret;

	context_lock(ctx, &mask);
	events_look(ctx);
	/* Those that are ready must not wait until the new ones are. */
	order_start(ctx);
	nr = min(nr, order_room(ctx));
	idle = order_idle(ctx);
	if (ctx->dead)
		ret = -EINVAL;
	else if (!nr)
		ret = -EAGAIN;
	else
		ret = queue_watched(ctx, b, first, nr);
	context_unlock(ctx, &mask);

	if (ret == -EAGAIN && idle)
		nr = 1;
	else if (ret != -ENODEV)
		return ret;
	/*
	 * There is no ring any more, or others have used up all that the device allows, and
	 * no event of this context will ever say that it has room again: the kernel's own.
	 */
	return count(DROPIN_ELSEWHERE, submit_others(ctx, b, first, nr));
}

/* Takes the next iocbs from the program; none if the first cannot be read. */
static void batch_read(struct batch *b, struct iocb **iocbs, long nr)
{
	void *from[BATCH];
	long i;

	nr = nr < BATCH ? nr : BATCH;
	for (i = 0; i < nr; i++)
		from[i] = iocbs + i;
	nr = memory_read(b->names, from, sizeof(b->names[0]), nr);
	b->nr = memory_read(b->iocbs, (void *const *)b->names, sizeof(b->iocbs[0]), nr);
}

/* Returns how many of the batch were submitted, or -errno. */
static long batch_submit(struct context *ctx, struct batch *b)
{
	unsigned int done = 0, nr;
	long ret;

	while (done < b->nr) {
		nr = run_length(b, done);
		if (is_sync(&b->iocbs[done]))
			ret = submit_syncs(ctx, b, done, nr);
		else
			ret = count(DROPIN_LIBAIO_OTHER, submit_others(ctx, b, done, nr));
		if (ret <= 0)
			return done ? (long)done : ret;
		done += ret;
	}
	return done;
}

long context_submit(struct context *ctx, long nr, struct iocb **iocbs)
{
	struct batch b;
	long done = 0, ret;

	if (!ring_there(ctx)) {
		context_drop(ctx);
		return -EINVAL;
	}
	/* As the kernel does. */
	if (nr > (long)ctx->nr)
		nr = ctx->nr;
	while (done < nr) {
		batch_read(&b, iocbs + done, nr - done);
		/* It cannot be read: the kernel finds the error. */
		if (!b.nr)
			ret = sys_io_submit(ctx->id, 1, iocbs + done);
		else
			ret = batch_submit(ctx, &b);
		if (ret <= 0)
			return done ? done : ret;
		done += ret;
		/* What is left of the batch begins with one that was refused. */
		if (ret < (long)b.nr)
			return done;
	}
	return done;
}
