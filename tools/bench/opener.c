// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync-bench-opener - what it costs that another opener of the file queues very many syncs
 *
 *	afsync-bench-opener DIR
 *
 * A process writes blocks of a file, each followed by an fdatasync request, one after the other,
 * and takes the median time. Then another process opens the file, only to read it, and keeps two
 * batches of 8,192 requests queued for it meanwhile: first as the same user, whose requests are
 * merged with ours, then as another user. To be run as root. Prints one JSON object; times are of
 * the clock, in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../stdopen.h"
#include "held.h"

#define BATCH		8192
#define OPERATIONS	129
#define BLOCKS		64
#define BLOCK		4096
#define OTHER_USER	65534

static const char *path;

static void submit_batch(struct afsync_ring *ring, int fd)
{
	int i;

	for (i = 0; i < BATCH; i++)
		afsync_prep_fdatasync(afsync_get_sqe(ring), fd);
	expect("afsync_submit", afsync_submit(ring), BATCH);
}

/* The other opener: writes a byte to @ready once its queue is full, and runs until it is killed. */
static _Noreturn void keep_queued(uid_t user, int ready)
{
	struct afsync_ring *ring;
	int fd;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || (user && setuid(user)))
		die("setuid", errno);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path, errno);
	ring = held_ring(2 * BATCH);
	submit_batch(ring, fd);
	submit_batch(ring, fd);
	if (write(ready, "", 1) != 1)
		die("write", errno);
	for (;;) {
		reap(ring, BATCH);
		submit_batch(ring, fd);
	}
}

static pid_t start_other(uid_t user)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready))
		die("pipe", errno);
	pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (!pid)
		keep_queued(user, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("the other opener", EPIPE);
	close(ready[0]);
	return pid;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_us(struct afsync_ring *ring, int fd)
{
	static const char block[BLOCK];
	double us[OPERATIONS];
	int i;

	for (i = 0; i < OPERATIONS; i++) {
		us[i] = -now_us();
		if (pwrite(fd, block, BLOCK, i % BLOCKS * BLOCK) != BLOCK)
			die(path, errno);
		afsync_prep_fdatasync(afsync_get_sqe(ring), fd);
		expect("afsync_submit", afsync_submit(ring), 1);
		reap(ring, 1);
		us[i] += now_us();
	}
	qsort(us, OPERATIONS, sizeof(us[0]), compare);
	return us[OPERATIONS / 2];
}

/* Beside a queue of this user. */
static double beside_us(struct afsync_ring *ring, int fd, uid_t user)
{
	pid_t other = start_other(user);
	double us = median_us(ring, fd);

	if (waitpid(other, NULL, WNOHANG))
		die("the other opener", ESRCH);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return us;
}

int main(int argc, char **argv)
{
	double alone_us, same_us, other_us;
	struct afsync_ring *ring;
	int fd;

	stdopen();
	if (argc != 2) {
		fprintf(stderr, "usage: afsync-bench-opener DIR\n");
		return 1;
	}
	if (chdir(argv[1]))
		die(argv[1], errno);
	path = "file";
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path, errno);
	expect("afsync_queue_init",
	       afsync_queue_init(1, &ring, AFSYNC_INIT_DEVICE | AFSYNC_INIT_INLINE), 0);
	/* Allocates the blocks. */
	median_us(ring, fd);
	alone_us = median_us(ring, fd);
	same_us = beside_us(ring, fd, 0);
	other_us = beside_us(ring, fd, OTHER_USER);
	printf("{\"opener\": {\"alone_us\": %.1f, \"same_user_us\": %.1f, ", alone_us, same_us);
	printf("\"other_user_us\": %.1f}}\n", other_us);
	return close_stdout("afsync-bench-opener") ? 1 : 0;
}
