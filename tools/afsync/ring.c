// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine: a ring of libafsync, on the device or with threads of the library.
 * Descriptors are collected, submitted together and closed at once: the ring keeps the files
 * from then on. So the number of open descriptors is bounded by the batch, the number of
 * syncs in flight by the ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "afsync.h"
#include "libafsync.h"

#define ENTRIES		4096
#define BATCH		256
/* Left for the walk, the list of names and the C library. */
#define SPARE_FDS	8

/* One for each entry of the ring; its index is the user data. */
struct request {
	char *shown;
	int fd;			/* until it is submitted */
	bool below;		/* as in struct name */
	uint64_t start_ns;	/* when it was submitted */
	unsigned int next;	/* in the list of free ones or of the batch */
};

struct ring_engine {
	struct engine engine;
	struct afsync_ring *ring;
	struct request *requests;
	unsigned int entries;
	unsigned int free;	/* first free request, entries = none */
	unsigned int *batch;	/* prepared requests, in order */
	unsigned int in_batch;
	unsigned int max_batch;
	unsigned int in_flight;
	bool cancelled;
};

static struct ring_engine *to_ring(struct engine *engine)
{
	return (struct ring_engine *)engine;
}

/* Gives the request and its name back. */
static void drop_request(struct ring_engine *r, unsigned int i)
{
	free(r->requests[i].shown);
	r->requests[i].shown = NULL;
	r->requests[i].next = r->free;
	r->free = i;
}

/* Takes the completions that are in the ring. No system call. */
static void reap(struct ring_engine *r)
{
	struct afsync_cqe *cqe;
	struct request *req;
	uint64_t now;
	unsigned int i;

	if (afsync_peek_cqe(r->ring, &cqe))
		return;
	now = clock_ns();
	do {
		i = (unsigned int)afsync_cqe_get_data64(cqe);
		req = &r->requests[i];
		session_complete(r->engine.session, req->shown, cqe->res,
				 cqe->flags & AFSYNC_CQE_MERGED, now - req->start_ns);
		drop_request(r, i);
		r->in_flight--;
		afsync_cqe_seen(r->ring, cqe);
	} while (!afsync_peek_cqe(r->ring, &cqe));
}

/* Queued requests complete with -ECANCELED; running ones are waited for. */
static void cancel_once(struct ring_engine *r)
{
	if (r->cancelled || !interrupt_signal())
		return;
	r->cancelled = true;
	afsync_cancel_all(r->ring);
}

/*
 * Waits for at most @nr completions, fewer if it is time for the progress bar or a
 * signal arrived. For latencies it returns after each completion.
 */
static void wait_some(struct ring_engine *r, unsigned int nr)
{
	struct session *s = r->engine.session;
	int ms = progress_timeout_ms(&s->progress);
	struct __kernel_timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	struct afsync_cqe *cqe;

	if (s->opt->stats || nr == 0)
		nr = 1;
	afsync_wait_cqes(r->ring, &cqe, nr, ms < 0 ? NULL : &ts, interrupt_mask());
	cancel_once(r);
	reap(r);
	session_progress(s);
}

/* Removes the first prepared request, which is number @at of the batch. */
static void forget(struct ring_engine *r, unsigned int at)
{
	afsync_sq_drop(r->ring, NULL, 0);
	close(r->requests[r->batch[at]].fd);
	drop_request(r, r->batch[at]);
}

/* Syncs a file with a system call, and counts it. */
static void count_here(struct ring_engine *r, const char *shown, bool below, int res,
		       bool unsupported, uint64_t start)
{
	struct session *s = r->engine.session;

	if (unsupported && session_pass_over(s, below, EINVAL))
		return;
	s->stats.asked++;
	session_complete(s, shown, res, false, clock_ns() - start);
}

/*
 * The first prepared request was refused. Without room it is tried again when
 * one of our requests has ended; if none of ours is in flight, others have
 * used up the limit, and this file is synced with a system call. So is one that a walk found
 * and that cannot be synced, to be sure of that.
 */
static void refused(struct ring_engine *r, unsigned int *at, int error)
{
	struct session *s = r->engine.session;
	struct request *req = &r->requests[r->batch[*at]];
	bool unsupported;
	uint64_t start;
	int res;

	if (error == EAGAIN && r->in_flight) {
		wait_some(r, 1);
		return;
	}
	if (error == EAGAIN || (error == EINVAL && req->below)) {
		start = clock_ns();
		res = sync_plainly(s->opt->op, req->fd, &unsupported);
		count_here(r, req->shown, req->below, res, unsupported, start);
	} else {
		session_complain(s, req->shown, error);
	}
	forget(r, (*at)++);
}

static void ring_flush(struct engine *engine)
{
	struct ring_engine *r = to_ring(engine);
	unsigned int at = 0, end;
	uint64_t now;
	int ret;

	while (at < r->in_batch) {
		if (interrupt_signal()) {
			engine->session->interrupted = true;
			forget(r, at++);
			continue;
		}
		now = clock_ns();
		ret = afsync_submit(r->ring);
		if (ret <= 0) {
			refused(r, &at, -ret);
			continue;
		}
		engine->session->stats.asked += (unsigned int)ret;
		r->in_flight += (unsigned int)ret;
		for (end = at + (unsigned int)ret; at < end; at++) {
			close(r->requests[r->batch[at]].fd);
			r->requests[r->batch[at]].start_ns = now;
		}
	}
	r->in_batch = 0;
	reap(r);
}

/* True if the file is finished; see probe.c. */
static bool probed(struct ring_engine *r, int fd, const char *shown, bool below)
{
	uint64_t start = clock_ns();
	bool unsupported;
	int res;

	if (!below || afsync_ring_engine(r->ring) == AFSYNC_ENGINE_DEVICE ||
	    !probe_done(r->engine.session->opt->op, fd, &res, &unsupported))
		return false;
	count_here(r, shown, below, res, unsupported, start);
	close(fd);
	return true;
}

static void ring_add(struct engine *engine, int fd, const char *shown, bool below)
{
	struct ring_engine *r = to_ring(engine);
	struct afsync_sqe *sqe;
	struct request *req;
	unsigned int i;

	if (probed(r, fd, shown, below))
		return;
	if (r->free == r->entries)
		ring_flush(engine);
	while (r->free == r->entries)
		wait_some(r, r->entries / 4);

	i = r->free;
	req = &r->requests[i];
	req->shown = strdup(shown);
	if (!req->shown) {
		session_complain(engine->session, shown, ENOMEM);
		close(fd);
		return;
	}
	r->free = req->next;
	req->fd = fd;
	req->below = below;
	/* Cannot be NULL: no more requests than the ring has entries. */
	sqe = afsync_get_sqe(r->ring);
	switch (engine->session->opt->op) {
	case AFSYNC_OP_FDATASYNC:
		afsync_prep_fdatasync(sqe, fd);
		break;
	case AFSYNC_OP_SYNCFS:
		afsync_prep_syncfs(sqe, fd);
		break;
	default:
		afsync_prep_fsync(sqe, fd);
		break;
	}
	afsync_sqe_set_data64(sqe, i);
	r->batch[r->in_batch++] = i;
	if (r->in_batch == r->max_batch)
		ring_flush(engine);
}

static void ring_wait(struct engine *engine, int fd)
{
	struct ring_engine *r = to_ring(engine);
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = afsync_ring_fd(r->ring), .events = POLLIN },
	};
	int ms = progress_timeout_ms(&engine->session->progress);
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	ppoll(fds, 2, ms < 0 ? NULL : &ts, interrupt_mask());
	reap(r);
}

static void ring_finish(struct engine *engine)
{
	struct ring_engine *r = to_ring(engine);
	struct session *s = engine->session;

	ring_flush(engine);
	cancel_once(r);
	while (r->in_flight)
		wait_some(r, r->in_flight);
	if (s->stats.cancelled)
		s->interrupted = true;
}

static void ring_destroy(struct engine *engine)
{
	struct ring_engine *r = to_ring(engine);

	afsync_queue_exit(r->ring);
	probe_forget();
	free(r->requests);
	free(r->batch);
	free(r);
}

/* How many descriptors can be open at once and leave enough for other uses. */
static unsigned int batch_size(unsigned int entries)
{
	unsigned int max = entries < BATCH ? entries : BATCH;
	int lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	struct rlimit limit;
	rlim_t used;

	if (lowest == -1 || getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 1;
	close(lowest);
	used = (rlim_t)lowest + SPARE_FDS;
	if (limit.rlim_cur <= used)
		return 1;
	return limit.rlim_cur - used < max ? (unsigned int)(limit.rlim_cur - used) : max;
}

/* NULL with *error, for example if there is no memory. */
struct engine *ring_engine(struct session *s, int *error)
{
	struct ring_engine *r = calloc(1, sizeof(*r));
	unsigned int i;
	int ret;

	if (!r) {
		*error = ENOMEM;
		return NULL;
	}
	ret = afsync_queue_init(ENTRIES, &r->ring, AFSYNC_INIT_CLAMP);
	if (ret) {
		free(r);
		*error = -ret;
		return NULL;
	}
	r->entries = afsync_ring_entries(r->ring);
	r->max_batch = batch_size(r->entries);
	r->requests = calloc(r->entries, sizeof(*r->requests));
	r->batch = calloc(r->max_batch, sizeof(*r->batch));
	r->engine = (struct engine){
		.add = ring_add,
		.flush = ring_flush,
		.wait = ring_wait,
		.finish = ring_finish,
		.destroy = ring_destroy,
		.session = s,
	};
	if (!r->requests || !r->batch) {
		ring_destroy(&r->engine);
		*error = ENOMEM;
		return NULL;
	}
	for (i = 0; i < r->entries; i++)
		r->requests[i].next = i + 1;
	return &r->engine;
}
