// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync-bench-preemption - how long the device keeps a CPU from another thread
 *
 *	afsync-bench-preemption DIR
 *
 * A thread of the highest priority wakes up on CPU 0 all the time and measures its delay.
 * Meanwhile another thread runs there the longest operations of the device: everything with
 * 32,768 requests at once, and a look at fdinfo with 64 files below very many folders. Prints
 * a line for each: the longest delay in microseconds, and how often the thread woke up. To be
 * run as root, where the clock counts instructions (vm.sh --icount). DIR is on a tmpfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <linux/afsync.h>
#include "../stdopen.h"
#include "held.h"

#define REQUESTS	32768
#define FOLDERS		30000
#define TICK_NS		20000

/* --- the thread that is delayed --- */

static int64_t worst_ns;
static uint64_t wakes;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *watch(void *unused)
{
	int64_t late, due;
	struct timespec to;

	(void)unused;
	for (;;) {
		due = now_ns() + TICK_NS;
		to.tv_sec = due / 1000000000;
		to.tv_nsec = due % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &to, NULL);
		late = now_ns() - due;
		if (late > __atomic_load_n(&worst_ns, __ATOMIC_RELAXED))
			__atomic_store_n(&worst_ns, late, __ATOMIC_RELAXED);
		__atomic_add_fetch(&wakes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start_watching(void)
{
	struct sched_param highest = { .sched_priority = 99 };
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t cpu;
	int ret;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		die("sched_setaffinity", errno);
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &highest);
	ret = pthread_create(&thread, &attr, watch, NULL);
	if (ret)
		die("pthread_create", ret);
}

static void begin(void)
{
	__atomic_store_n(&worst_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&wakes, 0, __ATOMIC_RELAXED);
}

static void end(const char *what)
{
	printf("%9.1f us  %7llu wakes  %s\n",
	       __atomic_load_n(&worst_ns, __ATOMIC_RELAXED) / 1000.0,
	       (unsigned long long)__atomic_load_n(&wakes, __ATOMIC_RELAXED), what);
	fflush(stdout);
}

/* --- the operations that delay it --- */

/*
 * Submits as many held requests as possible, for one open file or for all in turn. The last
 * one has the user data 2, the others 1.
 */
static void hold(struct afsync_ring *ring, const int *fds, int nr_fds)
{
	int i;

	for (i = 1; i <= REQUESTS; i++)
		held_prepare(ring, fds[i % nr_fds], i == REQUESTS ? 2 : 1);
	held_submit(ring, REQUESTS);
}

/* Attaches AIO to the youngest held request: the longest possible walk. */
static void attach_last(struct afsync_ring *ring)
{
	struct afsync_attach attach = { .user_data = 2, .flags = AFSYNC_ATTACH_START };
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = afsync_ring_fd(ring),
		.aio_buf = (uintptr_t)&attach, .aio_nbytes = sizeof(attach),
		.aio_offset = AFSYNC_ATTACH_OFFSET,
	}, *iocbs = &iocb;
	struct io_event event;
	aio_context_t aio = 0;

	if (syscall(SYS_io_setup, 1, &aio))
		die("io_setup", errno);
	begin();
	if (syscall(SYS_io_submit, aio, 1, &iocbs) != 1)
		die("io_submit", errno);
	if (syscall(SYS_io_getevents, aio, 1, 1, &event, NULL) != 1 || event.res)
		die("io_getevents", EIO);
	end("attach to the youngest of 32,768 held requests");
	syscall(SYS_io_destroy, aio);
}

static void look(struct afsync_ring *ring)
{
	char path[64], text[65536];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", afsync_ring_fd(ring));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path, errno);
	while ((n = read(fd, text, sizeof(text))) > 0)
		;
	if (n < 0)
		die(path, errno);
	close(fd);
}

/* A file below so many folders that each walk to the root is long. */
static int deep_file(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next, i;

	for (i = 0; fd >= 0 && i < FOLDERS; i++) {
		if (mkdirat(fd, "d", 0700) && errno != EEXIST)
			die("mkdirat", errno);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	next = fd < 0 ? -1 : openat(fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (next < 0)
		die(dir, errno);
	close(fd);
	return next;
}

int main(int argc, char **argv)
{
	struct rlimit files = { 2 * REQUESTS, 2 * REQUESTS };
	static int fds[REQUESTS];
	struct afsync_ring *ring;
	char path[4096];
	int i, deep;

	stdopen();
	if (argc != 2) {
		fprintf(stderr, "usage: afsync-bench-preemption DIR\n");
		return 2;
	}
	if (setrlimit(RLIMIT_NOFILE, &files) || mlockall(MCL_CURRENT | MCL_FUTURE))
		die("setrlimit, mlockall", errno);
	/* All open files of one file: on tmpfs each has a queue of its own. */
	snprintf(path, sizeof(path), "%s/file", argv[1]);
	for (i = 0; i < REQUESTS; i++) {
		fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fds[i] < 0)
			die(path, errno);
	}
	deep = deep_file(argv[1]);
	ring = held_ring(REQUESTS);
	start_watching();

	begin();
	for (i = 0; i < 100; i++)
		getppid();
	poll(NULL, 0, 100);
	end("nothing but waiting, to compare with");

	begin();
	hold(ring, fds, 1);
	end("submit 32,768 requests, held, of one file");
	begin();
	expect("afsync_start", afsync_start(ring, 1), REQUESTS - 1);
	expect("afsync_start", afsync_start(ring, 2), 1);
	end("start them");
	begin();
	reap(ring, REQUESTS);
	end("sync them in one batch and complete them");

	hold(ring, fds, 1);
	begin();
	expect("afsync_cancel_all", afsync_cancel_all(ring), REQUESTS);
	end("cancel 32,768 requests of one file");
	begin();
	reap(ring, REQUESTS);
	end("complete them");

	begin();
	hold(ring, fds, REQUESTS);
	end("submit 32,768 requests, held, of as many open files");
	begin();
	expect("afsync_start", afsync_start(ring, 1), REQUESTS - 1);
	expect("afsync_start", afsync_start(ring, 2), 1);
	end("start them");
	begin();
	reap(ring, REQUESTS);
	end("sync and complete them");

	hold(ring, fds, REQUESTS);
	begin();
	expect("afsync_cancel", afsync_cancel(ring, 1), REQUESTS - 1);
	expect("afsync_cancel", afsync_cancel(ring, 2), 1);
	end("cancel 32,768 requests of as many open files, by user data");
	begin();
	reap(ring, REQUESTS);
	end("complete them");

	hold(ring, fds, 1);
	attach_last(ring);
	begin();
	look(ring);
	end("fdinfo of a ring with 32,767 requests");
	afsync_queue_exit(ring);

	ring = held_ring(REQUESTS);
	hold(ring, &deep, 1);
	begin();
	look(ring);
	end("fdinfo of a ring with 32,768 requests below 30,000 folders");
	begin();
	afsync_queue_exit(ring);
	end("close of that ring");
	return close_stdout("afsync-bench-preemption") ? 1 : 0;
}
