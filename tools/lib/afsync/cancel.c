// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Cancels requests. Matching requests get their completion from a thread of the team, which
 * drops the file first.
 *
 * Only the team, which has the files, can find the requests for the open file of a
 * descriptor: the descriptor is sent there, as a question.
 */
#include <errno.h>
#include <unistd.h>

#include "threads.h"

#define MATCHES	(AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD)

/* On the stack of the caller, which waits. */
struct question {
	struct parcel parcel;
	struct link link;		/* of team->questions */
	struct afsync_ring *ring;
	struct afsync_cancel *arg;
	struct file_id id;
	int ret;
	bool done;
	pthread_cond_t answered;
};

struct counts {
	unsigned int cancelled;
	unsigned int running;
};

static bool matches(const struct request *req, const struct afsync_cancel *arg,
		    const struct file *file)
{
	if (arg->match & AFSYNC_CANCEL_USER_DATA && req->user_data != arg->user_data)
		return false;
	return !file || req->file == file;
}

/* Of those of @file, or all if that is NULL. */
static void cancel_matching(struct afsync_ring *ring, const struct afsync_cancel *arg,
			    const struct file *file, struct counts *counts)
{
	struct afsync_threads *threads = ring->threads;
	struct request *req;
	struct link *l;

	for (l = threads->by_age.next; l != &threads->by_age; l = l->next) {
		req = element(l, struct request, age);
		if (req->state == REQUEST_CANCELLED || !matches(req, arg, file))
			continue;
		if (req->state == REQUEST_RUNNING) {
			counts->running++;
			continue;
		}
		link_del(&req->link);
		req->state = REQUEST_CANCELLED;
		link_add(&threads->team->cancelled, &req->link);
		counts->cancelled++;
	}
	if (counts->cancelled)
		afsync_team_wake(threads->team);
}

static int result(const struct counts *counts, struct afsync_cancel *arg)
{
	if (!counts->cancelled && !counts->running)
		return -ENOENT;
	arg->running = counts->running;
	return counts->cancelled ? (int)counts->cancelled : -EALREADY;
}

/* In a thread of the team: looks for the queues of the open file. */
static int answer(const struct team *team, struct question *q)
{
	struct link *bucket = afsync_file_bucket((struct team *)team, &q->id), *l;
	struct counts counts = { 0 };
	struct file *file;
	int same;

	if (q->parcel.fd < 0)
		return -EAGAIN;
	for (l = bucket->next; l != bucket; l = l->next) {
		file = element(l, struct file, link);
		if (file->closing || !same_inode(&file->id, &q->id))
			continue;
		same = afsync_table_same(file->parcel.fd, q->parcel.fd);
		if (same < 0)
			return -EOPNOTSUPP;
		if (same)
			cancel_matching(q->ring, q->arg, file, &counts);
	}
	return result(&counts, q->arg);
}

static void arrived(struct parcel *parcel)
{
	struct question *q = element(parcel, struct question, parcel);

	link_add(&q->ring->threads->team->questions, &q->link);
}

/* Answers one question. */
void afsync_cancel_answer(struct team *team)
{
	struct question *q = element(team->questions.next, struct question, link);

	link_del(&q->link);
	q->ret = answer(team, q);
	(void)afsync_team_call(team);
	afsync_let_go();
	afsync_table_close(q->parcel.fd);
	afsync_relock();
	team->kept--;
	q->done = true;
	pthread_cond_signal(&q->answered);
}

static int ask(struct afsync_ring *ring, struct afsync_cancel *arg,
	       const struct file_id *id)
{
	struct question q = {
		.parcel.arrived = arrived,
		.ring = ring,
		.arg = arg,
		.id = *id,
	};
	struct parcel *parcel = &q.parcel;
	struct team *team = ring->threads->team;
	int ret;

	link_init(&q.link);
	link_init(&q.parcel.sent);
	ret = afsync_parcel_send(team, &parcel, &arg->fd, 1);
	if (ret)
		return ret == -ENOBUFS ? -EAGAIN : ret;
	/* Its team must stay until there is an answer. */
	afsync_team_pin(ring, team);
	pthread_cond_init(&q.answered, NULL);
	afsync_team_wake(team);
	while (!q.done)
		afsync_wait_for(&q.answered);
	pthread_cond_destroy(&q.answered);
	afsync_team_unpin(ring);
	return q.ret;
}

int afsync_cancel_requests(struct afsync_ring *ring, struct afsync_cancel *arg)
{
	struct counts counts = { 0 };
	struct file_id id;
	int ret;

	arg->running = 0;
	if (!arg->match || (arg->match != AFSYNC_CANCEL_ALL && arg->match & ~MATCHES))
		return -EINVAL;
	if (arg->match & AFSYNC_CANCEL_FD) {
		ret = afsync_check_fd(arg->fd, 0, &id);
		if (ret == -EBADF)
			return ret;
		/* Nothing is ever queued for what cannot be synced. */
		if (ret || !ring->threads->team)
			return -ENOENT;
		return ask(ring, arg, &id);
	}
	cancel_matching(ring, arg, NULL, &counts);
	return result(&counts, arg);
}
