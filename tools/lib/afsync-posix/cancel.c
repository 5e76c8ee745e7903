// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * aio_cancel. Requests that have not begun can be cancelled; running ones continue. A cancelled
 * request has the status ECANCELED when the call returns.
 *
 * All requests of a descriptor are cancelled in one step: no request begins that was
 * queued behind a cancelled one. Requests that no ring has are cancelled
 * under one lock, and ended afterwards. Until they end they count as in flight, so that
 * the syncs behind them are not started either. Syncs that a ring has are cancelled one
 * by one, the youngest first: a sync that begins meanwhile is older than all cancelled
 * ones. (One command could cancel all syncs of the open file. But it would include those of
 * duplicates of the descriptor, and does not say which of them are running.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "posix.h"

/* How one request ended; of several, the last in this order is the answer for all. */
enum fate { DONE, CANCELLED, RUNS };

static int answer_of(enum fate fate)
{
	if (fate == RUNS)
		return AIO_NOTCANCELED;
	return fate == CANCELLED ? AIO_CANCELED : AIO_ALLDONE;
}

/*
 * Cancels an op if it has not begun and no ring has it. Returns the step that
 * remains to be done without the lock.
 */
static enum step __take_back(struct op *op)
{
	if (__atomic_load_n(&op->done, __ATOMIC_RELAXED))
		return STEP_NONE;
	switch (op->state) {
	case OP_WAITING:
		link_del(&op->link);
		break;
	case OP_QUEUED:
		__pool_del(op);
		break;
	case OP_HELD:
		if (!op->submitted)
			return STEP_RUNS;
		if (!op->ringless)
			return STEP_ASK;
		__stream_unhold(op);
		break;
	case OP_STARTED:
		return op->submitted && !op->ringless ? STEP_ASK : STEP_RUNS;
	case OP_ENDING:
		return STEP_AWAIT;
	default:
		/* A call that has not returned has promised nothing yet. */
		return STEP_RUNS;
	}
	op->state = OP_ENDING;
	return STEP_END;
}

/*
 * Asks the ring to cancel a sync; @fd is -1, or a descriptor whose open file must match.
 * Returns the step that remains to be done.
 */
static enum step ask(struct op *op, int fd)
{
	switch (ring_cancel(op, fd)) {
	case 0:
		/* The reaper will have its completion in a moment. */
		return STEP_AWAIT;
	case EALREADY:
	case ENODEV:
		/* With ENODEV it goes on without the ring, if it has not ended already. */
		return STEP_RUNS;
	default:
		/*
		 * It is done, cancelled already, or for another open file. In the first
		 * two cases its end is near, but may not be seen yet.
		 */
		if (fd < 0 || __atomic_load_n(&op->done, __ATOMIC_ACQUIRE))
			return STEP_AWAIT;
		return STEP_RUNS;
	}
}

static enum fate await_end(struct op *op)
{
	while (!__atomic_load_n(&op->done, __ATOMIC_ACQUIRE))
		futex_wait(&op->done, 0, NULL);
	return op->error == ECANCELED ? CANCELLED : DONE;
}

/* Does the step of one op, and drops the reference. */
static enum fate finish(struct victim *victim)
{
	enum fate fate = DONE;

	switch (victim->step) {
	case STEP_END:
		op_end(victim->op, ECANCELED, -1);
		fate = CANCELLED;
		break;
	case STEP_AWAIT:
		fate = await_end(victim->op);
		break;
	case STEP_RUNS:
		fate = RUNS;
		break;
	default:
		break;
	}
	op_put(victim->op);
	return fate;
}

static int younger_first(const void *a, const void *b)
{
	const struct op *x = ((const struct victim *)a)->op;
	const struct op *y = ((const struct victim *)b)->op;

	return x->call < y->call ? 1 : -1;
}

/* The rest of a cancel, when __take_back() has been done for all. Returns the answer. */
static int cancel(struct victim *victims, size_t nr, int fd)
{
	enum fate fate, worst = DONE;
	size_t i;

	qsort(victims, nr, sizeof(*victims), younger_first);
	for (i = 0; i < nr; i++)
		if (victims[i].step == STEP_ASK)
			victims[i].step = ask(victims[i].op, fd);
	/* None of them can begin any more: end them in the order of the calls. */
	while (nr--) {
		fate = finish(&victims[nr]);
		if (fate > worst)
			worst = fate;
	}
	return answer_of(worst);
}

int cancel_block(int fd, struct aiocb *block, int *answer)
{
	struct victim victim;

	if (fcntl(fd, F_GETFL) < 0)
		return EBADF;
	if (block->aio_fildes != fd)
		return EINVAL;
	lock();
	victim.op = __op_find(block);
	if (victim.op) {
		__atomic_add_fetch(&victim.op->refs, 1, __ATOMIC_RELAXED);
		victim.step = __take_back(victim.op);
	}
	unlock();
	*answer = victim.op ? cancel(&victim, 1, -1) : AIO_ALLDONE;
	return 0;
}

/* Is a request of this descriptor number for the file that has the number now? */
static bool is_for(const struct op *op, const struct identity *id)
{
	if (!op->id.mode)
		return true;		/* its ring will know */
	return op->id.dev == id->dev && op->id.ino == id->ino;
}

/* Cancels all requests for file @id in one step; NULL if there is no memory. */
static struct victim *take_back_all(int fd, const struct identity *id, size_t *nr)
{
	struct victim *victims = NULL, *more;
	size_t i, found, room = 0;
	struct op *op;

	lock();
	while (!victims || (found = __op_list(fd, NULL, 0)) > room) {
		room = victims ? found : 16;
		unlock();
		more = realloc(victims, room * sizeof(*victims));
		if (!more) {
			free(victims);
			return NULL;
		}
		victims = more;
		lock();
	}
	__op_list(fd, victims, room);
	for (i = 0; i < found; i++) {
		op = victims[i].op;
		victims[i].step = is_for(op, id) ? __take_back(op) : STEP_NONE;
	}
	unlock();
	*nr = found;
	return victims;
}

int cancel_fd(int fd, int *answer)
{
	struct victim *victims;
	struct identity id;
	size_t nr;

	if (fcntl(fd, F_GETFL) < 0 || identity_of(fd, &id))
		return EBADF;
	victims = take_back_all(fd, &id, &nr);
	/* Without memory: none has been cancelled, which the answer can express. */
	*answer = victims ? cancel(victims, nr, fd) : AIO_NOTCANCELED;
	free(victims);
	return 0;
}
