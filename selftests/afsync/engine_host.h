/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Syncs that stop, fail and count on command on machines without afsync_sim: the test
 * program defines fsync(), fdatasync() and syncfs() itself, and the library, which is
 * linked into it, calls these. For files that were given to host_file_add() they behave
 * as in afsync_sim, without any real sync; for all other files they are the real ones.
 *
 * Their state is in memory that all processes of a test share. A process may be killed at
 * any point: that is why the lock is robust, and a futex waits for changes.
 */
#ifndef _AFSYNC_SELFTEST_ENGINE_HOST_H
#define _AFSYNC_SELFTEST_ENGINE_HOST_H

#include "common.h"

#include <linux/futex.h>

#define HOST_FILES	32

struct host_gate {
	bool held;
	__u32 steps;		/* calls that may pass although held */
	__u32 started;
	__u32 finished;
	__u32 fail_count;
	int fail_error;		/* positive */
};

struct host_file {
	dev_t dev;
	ino_t ino;
	struct host_gate fsync;
	struct sim_call calls[SIM_NR_CALLS];
};

/* All fields but the lock: under the lock; a file is only added before it is synced. */
struct host {
	pthread_mutex_t lock;
	__u32 changes;		/* a futex */
	unsigned int nr_files;
	struct host_gate syncfs;
	struct host_file files[HOST_FILES];
};

/* NULL where the files are those of afsync_sim. */
static struct host *host;

static inline void host_lock(void)
{
	int ret = pthread_mutex_lock(&host->lock);

	if (ret == EOWNERDEAD)
		ret = pthread_mutex_consistent(&host->lock);
	need(ret == 0);
}

static inline void host_unlock(void)
{
	need(pthread_mutex_unlock(&host->lock) == 0);
}

/* Something under the lock has changed. */
static inline void host_changed(void)
{
	host->changes++;
	syscall(SYS_futex, &host->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Drops the lock until something has changed, or for a moment longer or shorter. */
static inline void host_wait(void)
{
	__u32 seen = host->changes;

	host_unlock();
	syscall(SYS_futex, &host->changes, FUTEX_WAIT, seen, NULL, NULL, 0);
	host_lock();
}

static inline void host_init(void)
{
	pthread_mutexattr_t attr;

	host = mmap(NULL, sizeof(*host), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(host != MAP_FAILED);
	need(pthread_mutexattr_init(&attr) == 0);
	need(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
	need(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	need(pthread_mutex_init(&host->lock, &attr) == 0);
}

/* NULL if the descriptor is of none of the files, with errno set if it is no descriptor. */
static inline struct host_file *host_file(int fd)
{
	unsigned int i, nr;
	struct stat st;

	if (!host || fstat(fd, &st))
		return NULL;
	/* Another file may be added meanwhile: pairs with host_file_add(). */
	nr = __atomic_load_n(&host->nr_files, __ATOMIC_ACQUIRE);
	for (i = 0; i < nr; i++)
		if (host->files[i].dev == st.st_dev && host->files[i].ino == st.st_ino)
			return &host->files[i];
	return NULL;
}

static inline void host_file_add(int fd)
{
	struct stat st;

	host_lock();
	if (!host_file(fd)) {
		need(host->nr_files < HOST_FILES && fstat(fd, &st) == 0);
		host->files[host->nr_files].dev = st.st_dev;
		host->files[host->nr_files].ino = st.st_ino;
		__atomic_store_n(&host->nr_files, host->nr_files + 1, __ATOMIC_RELEASE);
	}
	host_unlock();
}

/* For the commands of a test. */
static inline struct host_gate *host_gate(int fd, __u32 gate)
{
	struct host_file *file = host_file(fd);

	need(file && (gate == SIM_GATE_FSYNC || gate == SIM_GATE_SYNCFS));
	return gate == SIM_GATE_FSYNC ? &file->fsync : &host->syncfs;
}

/* Called under the lock. Returns 0 or the errno for the call. */
static inline int host_gate_pass(struct host_gate *gate)
{
	gate->started++;
	host_changed();
	while (gate->held && !gate->steps)
		host_wait();
	if (gate->held)
		gate->steps--;
	gate->finished++;
	host_changed();
	if (!gate->fail_count)
		return 0;
	gate->fail_count--;
	return gate->fail_error;
}

/* The work of fsync() and fdatasync() on one of the files. */
static inline int host_fsync(struct host_file *file, int fd, bool datasync)
{
	struct sim_call *call;
	struct stat st;
	int error;

	need(fstat(fd, &st) == 0);
	host_lock();
	call = &file->calls[file->fsync.started % SIM_NR_CALLS];
	*call = (struct sim_call) {
		.begun_ns = now_ns(),
		.end = LLONG_MAX,
		/* The tests write byte by byte. */
		.writes = st.st_size,
		.datasync = datasync,
		.pid = thread_id(),
	};
	error = host_gate_pass(&file->fsync);
	call->ended_ns = now_ns();
	call->result = -error;
	host_unlock();
	if (!error)
		return 0;
	errno = error;
	return -1;
}

int fsync(int fd)
{
	struct host_file *file = host_file(fd);

	return file ? host_fsync(file, fd, false) : syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	struct host_file *file = host_file(fd);

	return file ? host_fsync(file, fd, true) : syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	int error;

	if (!host_file(fd))
		return syscall(SYS_syncfs, fd);
	host_lock();
	error = host_gate_pass(&host->syncfs);
	host_unlock();
	if (!error)
		return 0;
	errno = error;
	return -1;
}

#endif /* _AFSYNC_SELFTEST_ENGINE_HOST_H */
