// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo-wal: a write-ahead log with many producers, each of which continues when its
 * record is on the disk.
 *
 *	demo-wal afsync LOG PRODUCERS RECORDS	queue a sync for each record; an event
 *						loop acknowledges records as the
 *						completions arrive
 *	demo-wal fdatasync LOG PRODUCERS RECORDS	each producer calls fdatasync()
 *	demo-wal serial LOG PRODUCERS RECORDS	the same, one producer at a time
 *	demo-wal verify LOG PRODUCERS RECORDS	read the log back
 *
 * The writers print "records asked run merged nanoseconds": records acknowledged,
 * syncs asked for, syncs run for them and merged, and the time that it took. In
 * every method a record is appended under a lock: a log whose acknowledged records can
 * be behind a hole could not be read back after a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../../stdopen.h"
#include "libafsync.h"
#include "wal.h"

struct wal;

struct producer {
	struct wal *wal;
	pthread_t thread;
	uint32_t number;
	uint32_t acknowledged;	/* by this producer's thread */
	int res;		/* by the event loop, before it posts @durable */
	sem_t durable;
};

struct wal {
	int fd;
	uint32_t producers;
	uint32_t records;
	/* Makes a record of the producer that is in @record durable. 0 or -errno. */
	int (*append)(struct producer *p, const struct wal_record *record, size_t size);
	pthread_mutex_t lock;	/* order of the log, and submitting to @ring */
	struct afsync_ring *ring;
	int ring_event;		/* completions have arrived */
	int stop_event;		/* all producers are done */
	uint64_t asked;		/* under @lock */
	uint64_t run;		/* event loop only, and after it */
	uint64_t merged;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "demo-wal: %s: %s\n", what, strerror(error));
	exit(1);
}

static int write_record(struct wal *w, const struct wal_record *record, size_t size)
{
	ssize_t n = write(w->fd, record, size);

	if (n == -1)
		return -errno;
	/* A regular file takes all or has no room. */
	return (size_t)n == size ? 0 : -ENOSPC;
}

/* The lock is dropped before the wait: others append, and share the next sync. */
static int append_afsync(struct producer *p, const struct wal_record *record, size_t size)
{
	struct wal *w = p->wal;
	struct afsync_sqe *sqe;
	int ret;

	pthread_mutex_lock(&w->lock);
	ret = write_record(w, record, size);
	if (ret == 0) {
		sqe = afsync_get_sqe(w->ring);
		afsync_prep_fdatasync(sqe, w->fd);
		afsync_sqe_set_data(sqe, p);
		ret = afsync_submit(w->ring);
		if (ret == 1)
			w->asked++;
	}
	pthread_mutex_unlock(&w->lock);
	if (ret < 0)
		return ret;
	sem_wait(&p->durable);
	return p->res;
}

static int append_fdatasync(struct producer *p, const struct wal_record *record, size_t size)
{
	struct wal *w = p->wal;
	int ret;

	pthread_mutex_lock(&w->lock);
	ret = write_record(w, record, size);
	w->asked++;
	w->run++;
	pthread_mutex_unlock(&w->lock);
	if (ret == 0 && fdatasync(w->fd))
		ret = -errno;
	return ret;
}

static int append_serial(struct producer *p, const struct wal_record *record, size_t size)
{
	struct wal *w = p->wal;
	int ret;

	pthread_mutex_lock(&w->lock);
	ret = write_record(w, record, size);
	w->asked++;
	w->run++;
	if (ret == 0 && fdatasync(w->fd))
		ret = -errno;
	pthread_mutex_unlock(&w->lock);
	return ret;
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	struct wal_record record;
	uint32_t i;
	size_t size;
	int ret;

	for (i = 0; i < p->wal->records; i++) {
		size = wal_make_record(&record, p->number, i);
		ret = p->wal->append(p, &record, size);
		if (ret)
			die("a record was not made durable", -ret);
		p->acknowledged++;
	}
	return NULL;
}

/* Gives each producer the result of its sync. */
static void acknowledge(struct wal *w)
{
	struct afsync_cqe *cqe;
	struct producer *p;

	while (!afsync_peek_cqe(w->ring, &cqe)) {
		p = afsync_cqe_get_data(cqe);
		p->res = cqe->res;
		if (cqe->flags & AFSYNC_CQE_MERGED)
			w->merged++;
		else
			w->run++;
		/* The place in the ring first: the producer comes back at once. */
		afsync_cqe_seen(w->ring, cqe);
		sem_post(&p->durable);
	}
}

static void *event_loop(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct wal *w = arg;
	eventfd_t count;
	int epoll;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll == -1)
		die("epoll_create1", errno);
	event.data.fd = w->ring_event;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, w->ring_event, &event))
		die("epoll_ctl", errno);
	event.data.fd = w->stop_event;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, w->stop_event, &event))
		die("epoll_ctl", errno);
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) == -1) {
			if (errno == EINTR)
				continue;
			die("epoll_wait", errno);
		}
		if (event.data.fd == w->stop_event)
			break;
		eventfd_read(w->ring_event, &count);
		acknowledge(w);
	}
	close(epoll);
	return NULL;
}

static void ring_start(struct wal *w, pthread_t *loop)
{
	int ret = afsync_queue_init(w->producers, &w->ring, 0);

	if (ret)
		die("/dev/afsync", -ret);
	w->ring_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ring_event == -1 || w->stop_event == -1)
		die("eventfd", errno);
	ret = afsync_register_eventfd(w->ring, w->ring_event);
	if (ret)
		die("afsync_register_eventfd", -ret);
	ret = pthread_create(loop, NULL, event_loop, w);
	if (ret)
		die("pthread_create", ret);
}

static void ring_stop(struct wal *w, pthread_t loop)
{
	eventfd_write(w->stop_event, 1);
	pthread_join(loop, NULL);
	afsync_queue_exit(w->ring);
	close(w->ring_event);
	close(w->stop_event);
}

/* Runs all producers to their ends; returns how many records were acknowledged. */
static uint64_t run_producers(struct wal *w, struct producer *producers)
{
	uint64_t acknowledged = 0;
	uint32_t i;
	int ret;

	for (i = 0; i < w->producers; i++) {
		producers[i].wal = w;
		producers[i].number = i;
		sem_init(&producers[i].durable, 0, 0);
		ret = pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
		if (ret)
			die("pthread_create", ret);
	}
	for (i = 0; i < w->producers; i++) {
		pthread_join(producers[i].thread, NULL);
		acknowledged += producers[i].acknowledged;
		sem_destroy(&producers[i].durable);
	}
	return acknowledged;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* A record cannot be found in a log whose name is lost. */
static void sync_folder_of(const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		die(path, ENOMEM);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd))
		die(path, errno);
	close(fd);
	free(copy);
}

static void write_log(struct wal *w, const char *path)
{
	struct producer *producers = calloc(w->producers, sizeof(*producers));
	uint64_t acknowledged, start;
	pthread_t loop;

	if (!producers)
		die("producers", ENOMEM);
	w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	if (w->fd == -1)
		die(path, errno);
	sync_folder_of(path);
	pthread_mutex_init(&w->lock, NULL);
	if (w->append == append_afsync)
		ring_start(w, &loop);
	start = now_ns();
	acknowledged = run_producers(w, producers);
	start = now_ns() - start;
	if (w->append == append_afsync)
		ring_stop(w, loop);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", acknowledged,
	       w->asked, w->run, w->merged, start);
	close(w->fd);
	free(producers);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value == 0 || value > 1000000)
		die(text, EINVAL);
	return (uint32_t)value;
}

int main(int argc, char **argv)
{
	struct wal w = { .fd = -1 };
	int ret = 0;

	stdopen();
	if (argc != 5) {
		fputs("Usage: demo-wal afsync|fdatasync|serial|verify LOG PRODUCERS RECORDS\n",
		      stderr);
		return 2;
	}
	w.producers = number(argv[3]);
	w.records = number(argv[4]);
	if (!strcmp(argv[1], "verify"))
		ret = wal_verify(argv[2], w.producers, w.records);
	else if (!strcmp(argv[1], "afsync"))
		w.append = append_afsync;
	else if (!strcmp(argv[1], "fdatasync"))
		w.append = append_fdatasync;
	else if (!strcmp(argv[1], "serial"))
		w.append = append_serial;
	else
		die(argv[1], EINVAL);
	if (w.append)
		write_log(&w, argv[2]);
	return close_stdout("demo-wal") || ret ? 1 : 0;
}
