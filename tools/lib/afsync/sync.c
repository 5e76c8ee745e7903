// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The work of a thread of the team: one sync for all requests that wait for an open file,
 * then it closes the file if no other request needs it, and only then do the completions
 * appear.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/ioprio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"
#include "ring.h"

#define NORMAL_IOPRIO	IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)

/* 0, or a negative errno. */
int afsync_sync_now(uint32_t op, int fd)
{
	int ret;

	switch (op) {
	case AFSYNC_OP_FDATASYNC:
		ret = fdatasync(fd);
		break;
	case AFSYNC_OP_SYNCFS:
		ret = syncfs(fd);
		break;
	default:
		ret = fsync(fd);
		break;
	}
	return ret ? -errno : 0;
}

/* Puts the completion into the ring. Its slot was reserved when the request was taken. */
void afsync_complete(struct afsync_ring *ring, uint64_t user_data, int res, uint32_t flags)
{
	uint32_t tail = load_relaxed(&ring->hdr->tail);

	ring->cqes[tail & ring->mask] = (struct afsync_cqe) {
		.user_data = user_data,
		.res = res,
		.flags = flags,
	};
	store_release(&ring->hdr->tail, tail + 1);
}

/* All of @batch end, the first of them with the sync of its own. */
static void complete_batch(struct link *batch, int res)
{
	uint32_t flags = 0;
	struct afsync_threads *threads;
	struct afsync_ring *ring;
	struct request *req;
	struct link rings;

	link_init(&rings);
	while (!link_empty(batch)) {
		req = element(batch->next, struct request, link);
		ring = req->ring;
		threads = ring->threads;
		link_del(&req->link);
		link_del(&req->age);
		afsync_complete(ring, req->user_data, res, flags);
		if (res != -ECANCELED)
			flags = AFSYNC_CQE_MERGED;
		req->state = REQUEST_FREE;
		link_add(&threads->free, &req->link);
		if (link_empty(&threads->notify))
			link_add(&rings, &threads->notify);
	}
	while (!link_empty(&rings)) {
		threads = element(rings.next, struct afsync_threads, notify);
		link_del(&threads->notify);
		afsync_notify(threads->ring, true);
	}
}

static void count_out(const struct link *batch)
{
	struct request *req;
	struct link *l;

	for (l = batch->next; l != batch; l = l->next) {
		req = element(l, struct request, link);
		req->file->refs--;
		req->ring->threads->in_flight--;
		afsync_team_unpin(req->ring);
	}
}

static void end_batch(struct link *batch, int res)
{
	count_out(batch);
	complete_batch(batch, res);
}

struct sum {
	uint32_t op;
	uint32_t ioprio;
	unsigned int nr;
};

/* A lower value is a higher priority; no priority counts as the default. */
static uint32_t higher_ioprio(uint32_t a, uint32_t b)
{
	uint32_t first = a ? a : NORMAL_IOPRIO, second = b ? b : NORMAL_IOPRIO;

	if (a == b)
		return a;
	return first < second ? first : second;
}

/* All requests that wait for the file are the batch. */
static struct sum take_batch(struct file *file, struct link *batch)
{
	struct request *req = element(file->waiting.next, struct request, link);
	struct sum sum = { .op = req->op, .ioprio = req->ioprio };
	struct link *l;

	for (l = file->waiting.next; l != &file->waiting; l = l->next) {
		req = element(l, struct request, link);
		req->state = REQUEST_RUNNING;
		if (req->op == AFSYNC_OP_FSYNC)
			sum.op = AFSYNC_OP_FSYNC;
		sum.ioprio = higher_ioprio(sum.ioprio, req->ioprio);
		sum.nr++;
	}
	link_move_all(batch, &file->waiting);
	return sum;
}

static void ioprio_set(uint32_t ioprio)
{
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, ioprio);
}

static int sync_file(const struct sum *sum, int fd)
{
	int res;

	/* It could not be received: the limit of open files was lowered. */
	if (fd < 0)
		return -EMFILE;
	if (sum->ioprio)
		ioprio_set(sum->ioprio);
	res = afsync_sync_now(sum->op, fd);
	if (sum->ioprio)
		ioprio_set(0);
	return res;
}

/* Without the lock: closing a file can wait for its filesystem. */
static void close_extras(const struct link *extras)
{
	struct link *l;

	for (l = extras->next; l != extras; l = l->next)
		afsync_table_close(element(l, struct file, link)->parcel.fd);
}

static void free_extras(struct team *team, struct link *extras)
{
	struct file *file;

	while (!link_empty(extras)) {
		file = element(extras->next, struct file, link);
		link_del(&file->link);
		team->kept--;
		afsync_file_undo(file);
	}
}

/*
 * The descriptor is closed if only the @nr requests that end now need it. A request for
 * the same open file that arrives while it is being closed has to wait: it is behind this one.
 */
static void let_go_of(struct file *file, unsigned int nr)
{
	struct link extras;

	link_init(&extras);
	do {
		link_move_all(&extras, &file->extras);
		file->closing = file->refs == nr;
		if (!file->closing && link_empty(&extras))
			return;
		afsync_let_go();
		close_extras(&extras);
		if (file->closing)
			afsync_table_close(file->parcel.fd);
		afsync_relock();
		free_extras(file->team, &extras);
	} while (!file->closing);
}

void afsync_sync_file(struct file *file)
{
	struct sum sum = { 0 };
	struct link batch;
	int res = 0;

	link_init(&batch);
	/* It may have been cancelled. */
	if (!link_empty(&file->waiting)) {
		sum = take_batch(file, &batch);
		afsync_let_go();
		res = sync_file(&sum, file->parcel.fd);
		afsync_relock();
	}
	let_go_of(file, sum.nr);
	end_batch(&batch, res);
	afsync_file_done(file);
}

/* Is this the only request left in the queue, so that its file has to be closed? */
static bool is_last(const struct request *req)
{
	return !req->file->running && req->file->refs == 1;
}

static void end_cancelled(struct request *req)
{
	struct file *file = req->file;
	struct link batch;

	link_init(&batch);
	link_add(&batch, &req->link);
	if (!is_last(req)) {
		end_batch(&batch, -ECANCELED);
		return;
	}
	afsync_file_claim(file);
	file->lane->cancelling++;
	let_go_of(file, 1);
	end_batch(&batch, -ECANCELED);
	file->lane->cancelling--;
	afsync_file_done(file);
}

/*
 * Not one whose descriptor is still being sent, which has to be closed, too; and no more
 * closes of one filesystem at once than syncs.
 */
static struct request *next_cancelled(const struct team *team)
{
	struct request *req;
	struct link *l;

	for (l = team->cancelled.next; l != &team->cancelled; l = l->next) {
		req = element(l, struct request, link);
		if (req->file->arrived &&
		    (!is_last(req) || req->file->lane->cancelling < THREADS_PER_FS))
			return req;
	}
	return NULL;
}

/* Posts the completions of cancelled requests. False: there were none. */
bool afsync_sync_cancelled(struct team *team)
{
	struct request *req;
	bool done = false;

	if (next_cancelled(team))
		(void)afsync_team_call(team);
	while ((req = next_cancelled(team))) {
		link_del(&req->link);
		end_cancelled(req);
		done = true;
	}
	return done;
}
