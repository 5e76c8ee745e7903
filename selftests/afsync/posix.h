/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that the tests of libafsync-posix share: control blocks, and waiting for
 * them. They queue and wait with nothing but <aio.h>, so that the same test runs against
 * glibc (preload.h).
 *
 * The comment above a test names the sentence that it checks: "AIX", "illumos" and
 * "NetBSD" are their manual pages of aio_fsync. Documentation/afsync/posix-tests.rst quotes each
 * of these sentences.
 */
#ifndef _AFSYNC_SELFTEST_POSIX_H
#define _AFSYNC_SELFTEST_POSIX_H

/* A test that is linked with the library says so. */
#ifdef POSIX_LINKED
#include "common.h"
#else
#define PRELOAD_LIBRARY "libafsync-posix.so.1"
#include "preload.h"
#endif

#include <aio.h>

/* A control block as a program makes it: cleared, and no notification. */
static inline struct aiocb block_of(int fd)
{
	struct aiocb block;

	memset(&block, 0, sizeof(block));
	block.aio_fildes = fd;
	block.aio_sigevent.sigev_notify = SIGEV_NONE;
	return block;
}

static inline struct aiocb transfer_of(int fd, void *buffer, size_t size, off_t offset)
{
	struct aiocb block = block_of(fd);

	block.aio_buf = buffer;
	block.aio_nbytes = size;
	block.aio_offset = offset;
	return block;
}

/* The calls with their result as -errno. */
static inline int sync_queue(int op, struct aiocb *block)
{
	return aio_fsync(op, block) ? -errno : 0;
}

static inline int write_queue(struct aiocb *block)
{
	return aio_write(block) ? -errno : 0;
}

static inline int read_queue(struct aiocb *block)
{
	return aio_read(block) ? -errno : 0;
}

/* Waits for the end of the queued request; its error status, 0 for success. */
static inline int block_wait(const struct aiocb *block)
{
	const struct aiocb *list[] = { block };
	int error;

	while ((error = aio_error(block)) == EINPROGRESS)
		need(aio_suspend(list, 1, NULL) == 0 || errno == EINTR);
	return error;
}

/* Waits, and takes the result: the same as of the call itself, or -errno. */
static inline ssize_t block_end(struct aiocb *block)
{
	int error = block_wait(block);
	ssize_t ret = aio_return(block);

	return ret == -1 ? -error : ret;
}

/* Queues a sync, waits for it and takes the result. */
static inline int sync_now(int op, int fd)
{
	struct aiocb block = block_of(fd);
	int ret = sync_queue(op, &block);

	return ret ? ret : block_end(&block);
}

/*
 * True if the sync does not end although a later sync on the same file, queued by the raw
 * commands, does: the device handles the requests of one file in order. A peer is given a
 * moment in which to be wrong; no correct answer depends on its length.
 */
static inline bool block_stays(const struct aiocb *block, struct ring *ring, int file)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	const struct aiocb *list[] = { block };

	need(ring_queue(ring, file, AFSYNC_OP_FSYNC, 0) == 1);
	ring_next(ring);
	return aio_suspend(list, 1, &moment) == -1 && errno == EAGAIN &&
	       aio_error(block) == EINPROGRESS;
}

/* Names a file for the test, which executes itself as a plain user of it. */
#define WORKER	"AFSYNC_POSIX_WORKER"

/*
 * The plain user: writes the file and syncs it. Runs before the constructors that look
 * for the device or for the library: the test that executes it has checked both.
 */
static void __attribute__((constructor(200))) worker_run(void)
{
	const char *path = getenv(WORKER);
	struct aiocb write, sync;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDWR);
	if (fd < 0)
		_exit(99);
	write = transfer_of(fd, "worker", 6, 0);
	sync = block_of(fd);
	if (write_queue(&write) || sync_queue(O_SYNC, &sync))
		_exit(98);
	_exit((block_end(&sync) != 0) + 2 * (block_end(&write) != 6));
}

/* Becomes the plain user of that file; its exit code is 0 if all succeeded. */
static inline void __attribute__((noreturn)) worker_exec(const char *path)
{
	need(setenv(WORKER, path, 1) == 0);
	execl("/proc/self/exe", "worker", NULL);
	_exit(97);
}

/* The system call of the library's waits: a 32-bit program has two. */
#ifdef SYS_futex_time64
#define NR_FUTEX	SYS_futex_time64
#else
#define NR_FUTEX	SYS_futex
#endif

/*
 * Interrupts a thread each time it sleeps on a futex, until stopped: the sleep that a
 * test means may not be the first.
 */
struct interrupter {
	pthread_t self;
	pthread_t thread;
	pid_t tid;
	int signal;
	bool stop;
};

static inline void *interrupter_thread(void *arg)
{
	struct interrupter *interrupter = arg;
	char path[64], start[32], *text;

	snprintf(path, sizeof(path), "/proc/%d/syscall", interrupter->tid);
	snprintf(start, sizeof(start), "%d ", (int)NR_FUTEX);
	while (!__atomic_load_n(&interrupter->stop, __ATOMIC_ACQUIRE)) {
		text = text_read(path);
		if (!strncmp(text, start, strlen(start)))
			need(pthread_kill(interrupter->thread, interrupter->signal) == 0);
		free(text);
		sched_yield();
	}
	return NULL;
}

static inline void interrupter_start(struct interrupter *interrupter, int signal)
{
	interrupter->thread = pthread_self();
	interrupter->tid = thread_id();
	interrupter->signal = signal;
	interrupter->stop = false;
	interrupter->self = thread_start(interrupter_thread, interrupter);
}

static inline void interrupter_stop(struct interrupter *interrupter)
{
	__atomic_store_n(&interrupter->stop, true, __ATOMIC_RELEASE);
	thread_join(interrupter->self);
}

/* The last call of fsync that the test filesystem saw. */
static inline struct sim_call sim_last_call(int fd)
{
	return sim_call(fd, sim_started(fd, SIM_GATE_FSYNC) - 1);
}

#endif /* _AFSYNC_SELFTEST_POSIX_H */
