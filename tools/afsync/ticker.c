// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets the session continue while its source of names is slow: a walk may hang in a
 * directory of a network filesystem for minutes, in one call. A thread submits waiting
 * requests, takes completions and draws the progress, each TICK_MS. All other work is done
 * under the lock that it takes for that; only the source is read without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "afsync.h"

#define TICK_MS	20
/* More than the engine has open at once, where RLIMIT_NOFILE lets it. */
#define DESCRIPTORS	320

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop;
static bool stopping;
static bool running;
static pthread_t thread;

static void next_tick(struct timespec *ts)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_nsec += TICK_MS * 1000000L;
	if (ts->tv_nsec >= 1000000000L) {
		ts->tv_nsec -= 1000000000L;
		ts->tv_sec++;
	}
}

static void *tick(void *arg)
{
	struct engine *engine = arg;
	struct timespec until;

	pthread_mutex_lock(&lock);
	for (;;) {
		next_tick(&until);
		while (!stopping && pthread_cond_timedwait(&stop, &lock, &until) != ETIMEDOUT)
			;
		if (stopping)
			break;
		engine->flush(engine);
		session_progress(engine->session);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/*
 * When the kernel enlarges the descriptor table of a process with two threads, it waits for
 * an RCU grace period: 10 to 30 ms. So the table gets its size while there is one thread.
 */
static void enlarge_descriptor_table(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, DESCRIPTORS);

	if (fd >= 0)
		close(fd);
}

/* Without the thread the same work is done later. Takes the lock. */
void ticker_start(struct engine *engine)
{
	pthread_condattr_t attr;

	enlarge_descriptor_table();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&stop, &attr);
	pthread_condattr_destroy(&attr);
	running = !pthread_create(&thread, NULL, tick, engine);
	pthread_mutex_lock(&lock);
}

/* Around every call that may block while it gets a name. */
void ticker_on(void)
{
	pthread_mutex_unlock(&lock);
}

void ticker_off(void)
{
	pthread_mutex_lock(&lock);
}

void ticker_end(void)
{
	stopping = true;
	pthread_cond_signal(&stop);
	pthread_mutex_unlock(&lock);
	if (running)
		pthread_join(thread, NULL);
}
