// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Preloaded for python_test.py on machines without afsync_sim: stops, counts and fails
 * the fsync() and fdatasync() of one file, which the threads of libafsync then call.
 * Without a file to watch it changes nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* All under the lock. */
static struct stat watched;
static int held;
static int started;
static int failing;
static int error;

/* Watch this file from now on, and count from 0. */
void gate_watch(int fd)
{
	pthread_mutex_lock(&lock);
	if (fstat(fd, &watched))
		watched.st_ino = 0;
	held = 0;
	started = 0;
	failing = 0;
	pthread_mutex_unlock(&lock);
}

void gate_hold(int on)
{
	pthread_mutex_lock(&lock);
	held = on;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void gate_fail(int with, int count)
{
	pthread_mutex_lock(&lock);
	error = with;
	failing = count;
	pthread_mutex_unlock(&lock);
}

/* Returns the number of calls, @count or more. */
int gate_wait_started(int count)
{
	int ret;

	pthread_mutex_lock(&lock);
	while (started < count)
		pthread_cond_wait(&changed, &lock);
	ret = started;
	pthread_mutex_unlock(&lock);
	return ret;
}

/* Returns a positive errno if the call is to fail. */
static int pass(int fd)
{
	struct stat st;
	int ret = 0;

	if (fstat(fd, &st))
		return 0;
	pthread_mutex_lock(&lock);
	if (st.st_ino == watched.st_ino && st.st_dev == watched.st_dev) {
		started++;
		pthread_cond_broadcast(&changed);
		while (held)
			pthread_cond_wait(&changed, &lock);
		if (failing) {
			failing--;
			ret = error;
		}
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

static int call(const char *name, int fd)
{
	__typeof__(fsync) *real = dlsym(RTLD_NEXT, name);
	int ret = pass(fd);

	if (ret) {
		errno = ret;
		return -1;
	}
	return real(fd);
}

int fsync(int fd)
{
	return call("fsync", fd);
}

int fdatasync(int fd)
{
	return call("fdatasync", fd);
}
