// SPDX-License-Identifier: MIT
/*
 * Example of libafsync: group commit of a log, without a commit thread and a timer. Many
 * threads append records and wait for them; one sync serves all records that wait for it.
 *
 * Usage: group_commit LOG
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libafsync.h>

#define WRITERS	16
#define RECORDS	100	/* of each writer */

static struct afsync_ring *ring;
static pthread_mutex_t submit_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd;

static void die(const char *what, int error)
{
	fprintf(stderr, "group_commit: %s: %s\n", what, strerror(error));
	exit(1);
}

/* Each writer has one request at a time, and the ring an entry for each writer. */
static void commit(void)
{
	struct afsync_sqe *sqe;
	sem_t durable;
	int ret;

	sem_init(&durable, 0, 0);
	pthread_mutex_lock(&submit_lock);
	sqe = afsync_get_sqe(ring);
	afsync_prep_fdatasync(sqe, log_fd);
	afsync_sqe_set_data(sqe, &durable);
	ret = afsync_submit(ring);
	pthread_mutex_unlock(&submit_lock);
	if (ret < 0)
		die("afsync_submit", -ret);
	sem_wait(&durable);
	sem_destroy(&durable);
}

static void *writer(void *arg)
{
	char line[64];
	int i, len;

	for (i = 0; i < RECORDS; i++) {
		len = snprintf(line, sizeof(line), "record %ld.%d\n", (long)arg, i);
		if (write(log_fd, line, len) != len)
			die("write", errno);
		commit();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct afsync_cqe *cqe;
	pthread_t thread;
	sem_t *durable;
	long i, left, syncs = 0;
	int ret;

	log_fd = open(argc == 2 ? argv[1] : "", O_WRONLY | O_CREAT | O_APPEND, 0666);
	/* Where a standard descriptor is closed: messages must not go into the log. */
	if (log_fd >= 0 && log_fd <= STDERR_FILENO)
		return 1;
	if (log_fd < 0)
		die("LOG", errno);
	ret = afsync_queue_init(WRITERS, &ring, 0);
	if (ret)
		die("afsync_queue_init", -ret);
	for (i = 0; i < WRITERS; i++)
		if (pthread_create(&thread, NULL, writer, (void *)i))
			die("pthread_create", EAGAIN);

	/* The main thread is the reader: it wakes the writer of each record. */
	for (left = WRITERS * RECORDS; left; left--) {
		ret = afsync_wait_cqe(ring, &cqe);
		if (ret || cqe->res)
			die("commit", -(ret ? ret : cqe->res));
		syncs += !(cqe->flags & AFSYNC_CQE_MERGED);
		durable = afsync_cqe_get_data(cqe);
		/* Before the writer wakes: its next request needs the entry. */
		afsync_cqe_seen(ring, cqe);
		sem_post(durable);
	}
	printf("%d records durable with %ld syncs\n", WRITERS * RECORDS, syncs);
	return 0;
}
