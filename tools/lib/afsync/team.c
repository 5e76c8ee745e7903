// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The team: threads with one table of descriptors. parcel.c has the socket by which the
 * program sends them descriptors.
 *
 * The first request makes a team of two threads. A thread that is about to wait for
 * storage first makes sure that another one can receive descriptors and start other syncs;
 * so one thread is always idle or about to be, and however many syncs hang, a
 * request for another filesystem is served. Threads end when they have been idle for a
 * while; two stay as long as requests or bells of the program are in their table.
 *
 * A program may close our end of the socket, with all descriptors that it does not know.
 * The rings with requests or bells in the team then lose the team: they end with those.
 * Other rings get another team.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

static struct team *current;
/* The kernel, or a filter of system calls, lets no thread have a table of its own. */
static bool impossible;
/* Our end of the socket of a team that has ended. */
static int old_send = -1;
static ino_t old_inode;
static unsigned int rings;

/* Does a team have work, or hold anything? */
bool afsync_team_busy(void)
{
	return current && current->pins;
}

/* Threads */

/* Not with the scheduling of the caller, which may be a real-time thread. */
static int thread_start(void *(*function)(void *), struct team *team)
{
	return afsync_thread_start(function, team, PTHREAD_EXPLICIT_SCHED);
}

/* Waits for work. False: the thread is to end. */
static bool rest(struct team *team)
{
	bool woken = false;

	if (!team->over || team->pins) {
		team->idle++;
		woken = afsync_wait_idle(&team->work);
		team->idle--;
	}
	/* Two stay while they may be needed: perhaps no third can be made then. */
	return woken || (team->pins && team->idle < 2);
}

static void serve(struct team *team)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct file *file;

	for (;;) {
		if (!team->tid)
			team->tid = tid;
		afsync_parcel_receive(team);
		afsync_bell_serve(team);
		if (!link_empty(&team->questions)) {
			afsync_cancel_answer(team);
			continue;
		}
		if (afsync_sync_cancelled(team))
			continue;
		if (link_empty(&team->lanes)) {
			if (!rest(team))
				break;
			continue;
		}
		/* The last thread that can receive takes no sync, unless it is the only one. */
		if (!afsync_team_call(team) && team->threads > 1) {
			rest(team);
			continue;
		}
		/* No request that waits when the sync starts must be left out. */
		afsync_parcel_receive(team);
		file = afsync_file_take(team);
		if (file)
			afsync_sync_file(file);
	}
	if (team->tid == tid)
		team->tid = 0;
}

/* A thread of the team ends, under the lock. The last one takes the team with it. */
static void leave(struct team *team)
{
	if (--team->threads) {
		afsync_let_go();
		return;
	}
	if (current == team) {
		current = NULL;
		old_send = team->send;
		old_inode = team->inode;
	}
	afsync_let_go();
	afsync_table_close(team->receive);
	pthread_cond_destroy(&team->received);
	pthread_cond_destroy(&team->work);
	afsync_unmap(team, sizeof(*team));
}

static void *further_thread(void *arg)
{
	struct team *team = arg;

	prctl(PR_SET_NAME, "afsync");
	afsync_relock();
	team->idle--;
	serve(team);
	leave(team);
	return NULL;
}

/*
 * Before a thread waits for storage: another one has to exist. False if there can be none. May
 * drop the lock; meanwhile the new thread may find work of its own.
 */
bool afsync_team_call(struct team *team)
{
	int ret = 0;

	while (!team->idle && !ret) {
		team->threads++;
		/* It is idle until it has looked. */
		team->idle++;
		afsync_let_go();
		ret = thread_start(further_thread, team);
		afsync_relock();
		if (ret) {
			team->threads--;
			team->idle--;
		}
	}
	return !ret;
}

/* The thread that makes the team continues. After an error the team is gone. */
static void *team_ready(struct team *team, int error)
{
	afsync_relock();
	team->ready = true;
	team->error = error;
	pthread_cond_broadcast(&team->work);
	afsync_let_go();
	return NULL;
}

static void *first_thread(void *arg)
{
	struct team *team = arg;
	struct copies copies;
	int ret;

	prctl(PR_SET_NAME, "afsync");
	ret = afsync_table_make(team->receive, &copies);
	if (ret)
		return team_ready(team, ret);
	afsync_relock();
	ret = afsync_team_call(team) ? 0 : EAGAIN;
	afsync_let_go();
	team_ready(team, ret);
	afsync_table_clean(&copies);
	if (ret)
		return NULL;
	afsync_relock();
	serve(team);
	leave(team);
	return NULL;
}

void afsync_team_wake(struct team *team)
{
	pthread_cond_signal(&team->work);
}

/* Making a team */

static struct team *team_alloc(void)
{
	struct team *team = afsync_map(sizeof(*team));
	pthread_condattr_t attr;
	unsigned int i;

	if (!team)
		return NULL;
	if (afsync_parcel_open(team)) {
		afsync_unmap(team, sizeof(*team));
		return NULL;
	}
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&team->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&team->received, NULL);
	link_init(&team->sent);
	link_init(&team->started);
	link_init(&team->lanes);
	link_init(&team->all_lanes);
	link_init(&team->cancelled);
	link_init(&team->questions);
	link_init(&team->dropped);
	link_init(&team->due);
	for (i = 0; i < FILE_BUCKETS; i++)
		link_init(&team->files[i]);
	team->threads = 1;
	/* The caller's use, until it has pinned something. */
	team->pins = 1;
	return team;
}

static struct team *team_make(void)
{
	struct team *team = team_alloc();
	int ret, receive;
	ino_t inode;

	if (!team)
		return NULL;
	receive = team->receive;
	inode = team->receive_inode;
	ret = thread_start(first_thread, team);
	while (!ret && !team->ready)
		afsync_wait_for(&team->work);
	if (!ret)
		ret = team->error;
	if (ret == ENOSYS || ret == EPERM)
		impossible = true;
	/* The program may have closed them, and have other files there. */
	afsync_parcel_close(receive, inode);
	team->pins--;
	if (!ret)
		return team;
	afsync_parcel_close(team->send, team->inode);
	pthread_cond_destroy(&team->received);
	pthread_cond_destroy(&team->work);
	afsync_unmap(team, sizeof(*team));
	return NULL;
}

/*
 * The team of the process. NULL: there can be none. Drops the lock while it makes one.
 */
struct team *afsync_team_get(void)
{
	struct team *team;

	if (current && !afsync_team_reachable(current))
		current = NULL;
	if (current || impossible)
		return current;
	team = team_make();
	if (!team)
		return current;
	if (current) {
		/* Another thread was faster. */
		afsync_parcel_close(team->send, team->inode);
		team->over = true;
		afsync_team_wake(team);
		return current;
	}
	afsync_parcel_close(old_send, old_inode);
	old_send = -1;
	current = team;
	return team;
}

void afsync_team_ring_begins(void)
{
	rings++;
}

/* After the last one the threads and the socket are not needed. */
void afsync_team_ring_ends(void)
{
	if (--rings)
		return;
	afsync_parcel_close(old_send, old_inode);
	old_send = -1;
	if (!current)
		return;
	afsync_parcel_close(current->send, current->inode);
	current->over = true;
	pthread_cond_broadcast(&current->work);
	current = NULL;
}

/* In the child of a fork: the threads, and what they hold, are the parent's. */
void afsync_team_forget(void)
{
	if (current)
		afsync_parcel_close(current->send, current->inode);
	afsync_parcel_close(old_send, old_inode);
	current = NULL;
	old_send = -1;
	rings = 0;
}

/*
 * The team for the requests and bells of a ring, or NULL where there can be none. -ENOMEM if
 * there is no memory or thread for one; a later call may succeed. May drop the lock.
 */
int afsync_team_of(const struct afsync_ring *ring, struct team **teamp)
{
	*teamp = ring->threads->team;
	if (!*teamp)
		*teamp = afsync_team_get();
	/* Another thread of the program may have been here meanwhile. */
	if (ring->threads->team)
		*teamp = ring->threads->team;
	return *teamp || impossible ? 0 : -ENOMEM;
}

/* A ring has a request or a bell there. */
void afsync_team_pin(struct afsync_ring *ring, struct team *team)
{
	team->pins++;
	ring->threads->pins++;
	ring->threads->team = team;
}

void afsync_team_unpin(struct afsync_ring *ring)
{
	ring->threads->team->pins--;
	if (!--ring->threads->pins)
		ring->threads->team = NULL;
}
