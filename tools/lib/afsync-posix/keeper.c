// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The keeper's thread: makes its table, receives files, closes what was cancelled, and
 * makes the threads of its pool. keep.c has the overview.
 *
 * close_range(2), which makes the table, may copy descriptors of the program, and to close
 * a copy can wait for a server (FUSE, NFS). A thread of its own closes those.
 */
#include <errno.h>
#include <linux/close_range.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keep.h"

/* The kernel copies a multiple of that. */
#define COPIED		64

/*
 * Closes the descriptors below @end, but the keeper's own, that this table has. Returns a
 * list of those that are left to be closed, as that may take long: files, but for those
 * of the filesystem that is to be synced, which must not be held when the sync has ended.
 * NULL: no memory.
 */
static unsigned char *list_descriptors(const struct keeper *keeper, int end)
{
	unsigned char *open = calloc(1, end);
	struct identity id;
	int fd, ret;

	for (fd = 0; open && fd < end; fd++) {
		ret = identity_of(fd, &id);
		if (fd == keeper->receive || ret == EBADF)
			continue;
		open[fd] = ret || ((S_ISREG(id.mode) || S_ISDIR(id.mode)) &&
				   id.dev != keeper->dev);
		if (!open[fd])
			own_close(fd);
	}
	return open;
}

struct copies {
	int end;
	unsigned char *open;
};

static void *close_copies(void *arg)
{
	struct copies *copies = arg;
	int fd;

	for (fd = 0; fd < copies->end; fd++)
		if (copies->open[fd])
			own_close(fd);
	free(copies->open);
	free(copies);
	return NULL;
}

/*
 * Is one of the descriptors below @end a POSIX message queue? To close a copy, in the same
 * process, would remove the notification that the program has asked for by mq_notify(3).
 */
static bool has_message_queue(int end)
{
	struct mq_attr attr;
	int fd;

	/* Of all others this is EBADF, and no server is asked. */
	for (fd = 0; fd < end; fd++)
		if (!syscall(SYS_mq_getsetattr, fd, NULL, &attr))
			return true;
	return false;
}

/* Gives the calling thread a table that has nothing but its end of the socket in the end. */
static int table_make(const struct keeper *keeper)
{
	int ret, end = (keeper->receive / COPIED + 1) * COPIED;
	struct copies *copies;

	if (has_message_queue(end))
		return EBUSY;
	copies = malloc(sizeof(*copies));
	if (!copies)
		return ENOMEM;
	copies->end = end;
	if (syscall(SYS_close_range, copies->end, ~0U, CLOSE_RANGE_UNSHARE)) {
		ret = errno;
		free(copies);
		return ret;
	}
	/* Now, before a number that is free is given to a file of a request. */
	copies->open = list_descriptors(keeper, end);
	if (!copies->open) {
		free(copies);
		return ENOMEM;
	}
	if (thread_start(close_copies, copies))
		close_copies(copies);
	return 0;
}

static struct job *__job_find(struct keeper *keeper, const struct job *sent)
{
	struct link *l;

	for (l = keeper->jobs.next; l != &keeper->jobs; l = l->next)
		if (element(l, struct job, link) == sent)
			return element(l, struct job, link);
	return NULL;
}

/*
 * Takes one file out of the socket, and notes it in the job that it was sent for. False if
 * that cannot be done, or if the program has sent something there.
 */
static bool __receive_one(struct keeper *keeper)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct job *job, *sent = NULL;
	struct iovec iov = { .iov_base = &sent, .iov_len = sizeof(sent) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd = -1;

	if (own_recvmsg(keeper->receive, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	job = __job_find(keeper, sent);
	if (!job) {
		own_close(fd);
		return false;
	}
	job->fd = fd;
	job->done = true;
	return true;
}

static void __answer(struct job *job)
{
	link_del(&job->link);
	job->done = true;
	pthread_cond_broadcast(&job->keeper->answer);
}

static void *close_one(void *arg)
{
	struct job *job = arg;

	own_close(job->fd);
	lock();
	__answer(job);
	unlock();
	return NULL;
}

/* What was cancelled; to close it can take its time, in which others are served. */
static void __drop(struct job *job)
{
	/* Not to be found again meanwhile. */
	link_del(&job->link);
	if (!thread_start(close_one, job))
		return;
	unlock();
	own_close(job->fd);
	lock();
	__answer(job);
}

static void __do_job(struct keeper *keeper)
{
	struct job *job = element(keeper->jobs.next, struct job, link);

	if (job->drop) {
		__drop(job);
		return;
	}
	/* One that was sent earlier may be in front, and its job behind this one. */
	while (!job->done && !keeper->broken)
		keeper->broken = !__receive_one(keeper);
	__answer(job);
}

static void __keeper_serve(struct keeper *keeper)
{
	bool idle = false;

	for (;;) {
		if (!link_empty(&keeper->jobs)) {
			__do_job(keeper);
		} else if (!__pool_grow(&keeper->pool)) {
			if (idle && !keeper->users && !keeper->pool.threads)
				return;
			idle = !__await_while_idle(&keeper->work);
		}
	}
}

void *keeper_main(void *arg)
{
	struct keeper *keeper = arg;
	int ret = table_make(keeper);

	lock();
	keeper->ready = true;
	keeper->error = ret;
	pthread_cond_broadcast(&keeper->answer);
	if (ret) {
		unlock();
		return NULL;
	}
	__keeper_serve(keeper);
	__keeper_ends(keeper);
	unlock();
	own_close(keeper->receive);
	free(keeper);
	return NULL;
}
