// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Queues the requests that a ring submits. They join the queue of their open file. If there is
 * none, or that is unknown, the descriptor is sent to the team with a queue of its own,
 * which becomes that of the open file when it arrives, or a part of it (file.c).
 */
#include <errno.h>

#include "threads.h"

/* Requests that are checked, and sent, at a time. */
#define CHUNK		64

/* Some requests of one submit, and the queues that they go to. */
struct chunk {
	const struct afsync_sqe *sqes;
	unsigned int nr;
	struct file_id ids[CHUNK];
	struct file *files[CHUNK];	/* of each request */
	struct parcel *parcels[CHUNK];	/* of each descriptor */
	int fds[CHUNK];
	unsigned int nr_fds;
};

/* Looks at up to CHUNK requests. The error of the one that is refused, or 0. */
static int chunk_check(struct chunk *chunk, const struct afsync_sqe *sqes, unsigned int nr)
{
	int ret = 0;

	chunk->sqes = sqes;
	chunk->nr_fds = 0;
	for (chunk->nr = 0; !ret && chunk->nr < nr && chunk->nr < CHUNK; chunk->nr++)
		ret = afsync_check_sqe(&sqes[chunk->nr], &chunk->ids[chunk->nr]);
	if (ret)
		chunk->nr--;
	return ret;
}

/*
 * The queue of an earlier request of the chunk that is for the same descriptor. Not across one
 * for another descriptor of what may be the same open file: the order would be lost.
 */
static struct file *chunk_find(const struct chunk *chunk, unsigned int i)
{
	const struct afsync_sqe *sqes = chunk->sqes;
	bool syncfs = sqes[i].op == AFSYNC_OP_SYNCFS;
	unsigned int j;

	for (j = i; j-- > 0; ) {
		if (!same_inode(&chunk->ids[j], &chunk->ids[i]) ||
		    chunk->files[j]->syncfs != syncfs)
			continue;
		return sqes[j].fd == sqes[i].fd ? chunk->files[j] : NULL;
	}
	return NULL;
}

/* A new queue, whose descriptor is to be sent; NULL if there is no room. */
static struct file *chunk_add(struct chunk *chunk, unsigned int i, struct team *team,
			      unsigned int room)
{
	bool syncfs = chunk->sqes[i].op == AFSYNC_OP_SYNCFS;
	struct file *file = afsync_file_new(team, &chunk->ids[i], syncfs);

	if (file && !afsync_file_has_room(file, room)) {
		afsync_file_undo(file);
		file = NULL;
	}
	if (!file)
		return NULL;
	chunk->parcels[chunk->nr_fds] = &file->parcel;
	chunk->fds[chunk->nr_fds++] = chunk->sqes[i].fd;
	return file;
}

/* A queue for each request. Requests without room are cut off. */
static void chunk_find_files(struct chunk *chunk, struct team *team)
{
	const struct afsync_sqe *sqes = chunk->sqes;
	unsigned int room = 0, i;
	struct file *file;

	for (i = 0; i < chunk->nr; i++) {
		file = chunk_find(chunk, i);
		if (!file)
			file = afsync_file_find(team, &chunk->ids[i],
						sqes[i].op == AFSYNC_OP_SYNCFS, sqes[i].fd);
		/* A system call, which no request needs whose file has a queue already. */
		if (!file && !chunk->nr_fds)
			room = afsync_parcel_room(team);
		if (!file && room > chunk->nr_fds)
			file = chunk_add(chunk, i, team, room - chunk->nr_fds);
		if (!file)
			break;
		chunk->files[i] = file;
	}
	chunk->nr = i;
}

static void queue_one(struct afsync_ring *ring, const struct afsync_sqe *sqe,
		      struct file *file)
{
	struct afsync_threads *threads = ring->threads;
	struct request *req = element(threads->free.next, struct request, link);
	bool held = sqe->flags & AFSYNC_SQE_HOLD;

	link_del(&req->link);
	link_add(&threads->by_age, &req->age);
	req->ring = ring;
	req->file = file;
	req->user_data = sqe->user_data;
	req->op = sqe->op;
	req->ioprio = sqe->ioprio;
	req->state = held ? REQUEST_HELD : REQUEST_WAITING;
	link_add(held ? &file->held : &file->waiting, &req->link);
	file->refs++;
	threads->in_flight++;
	afsync_team_pin(ring, file->team);
	if (!held)
		afsync_file_ready(file);
}

/* Queues the chunk, or the front of it. A negative errno: nothing of it was queued. */
static int chunk_queue(struct afsync_ring *ring, struct chunk *chunk, struct team *team)
{
	unsigned int used = ring->threads->in_flight + afsync_threads_unread(ring);
	/* More than there are, if the program has written over the header. */
	unsigned int room = used < ring->entries ? ring->entries - used : 0;
	unsigned int i;
	int ret;

	if (chunk->nr > room)
		chunk->nr = room;
	chunk_find_files(chunk, team);
	if (!chunk->nr)
		return -EAGAIN;
	ret = 0;
	if (chunk->nr_fds)
		ret = afsync_parcel_send(team, chunk->parcels, chunk->fds, chunk->nr_fds);
	else if (!afsync_team_reachable(team))
		ret = -EBADF;
	if (ret) {
		for (i = 0; i < chunk->nr_fds; i++)
			afsync_file_undo(element(chunk->parcels[i], struct file, parcel));
		return ret;
	}
	for (i = 0; i < chunk->nr; i++)
		queue_one(ring, &chunk->sqes[i], chunk->files[i]);
	return (int)chunk->nr;
}

static int requests_alloc(struct afsync_ring *ring)
{
	struct afsync_threads *threads = ring->threads;
	uint32_t i;

	if (threads->requests)
		return 0;
	threads->requests = afsync_map(ring->entries * sizeof(*threads->requests));
	if (!threads->requests)
		return -EAGAIN;
	for (i = 0; i < ring->entries; i++) {
		link_init(&threads->requests[i].age);
		link_add(&threads->free, &threads->requests[i].link);
	}
	return 0;
}

/*
 * After @error of chunk_queue(): may the same succeed now? If descriptors fill the socket,
 * waits until the team has received them. One of its threads is about to do so,
 * unless there is only one.
 */
static bool await_room(struct afsync_ring *ring, struct team *team, int error)
{
	if (error != -ENOBUFS || link_empty(&team->sent) || team->threads < 2)
		return false;
	/* Its team must stay meanwhile. */
	afsync_team_pin(ring, team);
	afsync_team_wake(team);
	afsync_wait_for(&team->received);
	afsync_team_unpin(ring);
	return true;
}

/*
 * Queues all, or those before the first that is refused, whose error is in arg->error.
 * Returns their number; -ENOSYS if there can be no team.
 */
int afsync_queue_all(struct afsync_ring *ring, struct afsync_submit *arg)
{
	const struct afsync_sqe *sqes = (const void *)(uintptr_t)arg->sqes;
	struct team *team = NULL;
	struct chunk chunk;
	unsigned int done = 0;
	struct unlocked saved;
	int ret = 0, refused = 0;

	/* In one step, so that one sync serves all requests for one file. */
	afsync_lock(&saved);
	while (done < arg->nr && !refused && ret >= 0) {
		refused = chunk_check(&chunk, sqes + done, arg->nr - done);
		if (!chunk.nr)
			break;
		ret = afsync_team_of(ring, &team);
		ret = !ret && team ? requests_alloc(ring) : -ENOSYS;
		if (!ret)
			ret = chunk_queue(ring, &chunk, team);
		if (ret > 0) {
			done += (unsigned int)ret;
		} else if (await_room(ring, team, ret)) {
			refused = 0;
			ret = 0;
		}
	}
	if (done)
		afsync_team_wake(team);
	afsync_unlock(&saved);
	if (ret < 0)
		refused = ret == -ENOBUFS ? -EAGAIN : ret;
	if (ret == -ENOSYS && !done)
		return ret;
	arg->error = refused;
	return (int)done;
}

static void wait_from_now_on(struct request *req)
{
	link_add(&req->file->waiting, &req->link);
	afsync_file_ready(req->file);
}

/*
 * The held requests with user data from @first to @last wait from now on. Their number, or
 * -ENOENT.
 */
int afsync_queue_held(struct afsync_ring *ring, uint64_t first, uint64_t last)
{
	struct afsync_threads *threads = ring->threads;
	struct team *team = threads->team;
	struct request *req;
	int started = 0;
	struct link *l;

	for (l = threads->by_age.next; l != &threads->by_age; l = l->next) {
		req = element(l, struct request, age);
		if (req->state != REQUEST_HELD || req->user_data < first || req->user_data > last)
			continue;
		link_del(&req->link);
		req->state = REQUEST_WAITING;
		started++;
		if (link_empty(&team->sent)) {
			wait_from_now_on(req);
			continue;
		}
		/* Not before the requests for its file whose descriptors are being sent. */
		req->after = element(team->sent.prev, struct parcel, sent);
		link_add(&team->started, &req->link);
	}
	if (started)
		afsync_team_wake(team);
	return started ? started : -ENOENT;
}

/* @parcel, which has arrived, was the last one before these. */
void afsync_queue_started(struct team *team, const struct parcel *parcel)
{
	struct request *req;

	while (!link_empty(&team->started)) {
		req = element(team->started.next, struct request, link);
		if (req->after != parcel)
			return;
		link_del(&req->link);
		wait_from_now_on(req);
	}
}
