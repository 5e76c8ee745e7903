// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The keeper: a thread with a table of descriptors of its own. It keeps the file of a
 * sync that the device does not hold, so that the program may close its descriptor right
 * after the call.
 *
 * A duplicate in the program's table would not do: the program may close it, and to close
 * it drops the POSIX record locks that the program has on the file. Those belong to a
 * table, so a close in another table leaves them alone.
 *
 *	caller				keeper
 *	  sends the descriptor
 *	  over a socket, posts a job	  receives it into its own table
 *	  waits				  answers with the number there
 *
 * The threads that sync are made by the keeper, which gives them its table (kept_pool). It
 * ends when it keeps nothing, all of them have ended and no job has come for a while.
 * When the program has closed our end of the socket, the keeper is lost: it
 * still serves what it keeps, and the next sync starts another one.
 *
 * close_range(2), which makes the table, may copy descriptors of the program, and to close
 * a copy can wait for a server (FUSE, NFS). A thread of its own closes those.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix.h"

/* Above what programs expect to get, and can be seen by select(). */
#define FIRST_FD	512
/* The kernel copies no fewer. */
#define COPIED		64

/* What the keeper is asked for; on the stack of the caller, which waits. */
struct job {
	struct link link;
	bool drop;		/* close @fd; else receive it */
	bool done;
	int fd;			/* in the table of the keeper; -1 if it could not be had */
	struct keeper *keeper;
};

struct keeper {
	int send;		/* fixed; in the program's table, as long as it is @inode */
	ino_t inode;		/* fixed */
	int receive;		/* fixed; in the keeper's table */
	struct link jobs;
	pthread_cond_t work;
	pthread_cond_t answer;
	unsigned int users;	/* callers that wait for it, and files that it keeps */
	struct pool pool;	/* whose threads have its table */
	bool broken;		/* what comes out of the socket is not what went in */
	bool ready;		/* it has its table, or cannot have one: */
	int error;
};

static struct keeper *current;
/* The end of the socket of a keeper that has ended. */
static int old_send = -1;
static ino_t old_inode;

/* Is the descriptor still our end of the socket? */
static bool is_ours(int fd, ino_t inode)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && S_ISSOCK(st.st_mode) && st.st_ino == inode;
}

/* The descriptors below @end, but @except, that this table has. NULL: no memory. */
static unsigned char *list_descriptors(int end, int except)
{
	unsigned char *open = calloc(1, end);
	int fd;

	for (fd = 0; open && fd < end; fd++)
		open[fd] = fd != except && fcntl(fd, F_GETFD) >= 0;
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
			close(fd);
	free(copies->open);
	free(copies);
	return NULL;
}

/* Gives the calling thread a table that has nothing but @receive in the end. */
static int table_make(int receive)
{
	struct copies *copies = malloc(sizeof(*copies));
	int ret;

	if (!copies)
		return ENOMEM;
	copies->end = receive < COPIED ? COPIED : receive;
	if (syscall(SYS_close_range, receive < COPIED ? COPIED : receive + 1, ~0U,
		    CLOSE_RANGE_UNSHARE)) {
		ret = errno;
		free(copies);
		return ret;
	}
	/* Now, before a number that is free is given to a file of a request. */
	copies->open = list_descriptors(copies->end, receive);
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

	if (recvmsg(keeper->receive, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	job = __job_find(keeper, sent);
	if (!job) {
		close(fd);
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

	close(job->fd);
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
	close(job->fd);
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
		if (!link_empty(&keeper->jobs))
			__do_job(keeper);
		else if (__pool_grow(&keeper->pool))
			continue;
		else if (idle && !keeper->users && !keeper->pool.threads)
			return;
		else
			idle = !__await_while_idle(&keeper->work);
	}
}

static void *keeper_main(void *arg)
{
	struct keeper *keeper = arg;
	int ret = table_make(keeper->receive);

	lock();
	keeper->ready = true;
	keeper->error = ret;
	pthread_cond_broadcast(&keeper->answer);
	if (ret) {
		unlock();
		return NULL;
	}
	__keeper_serve(keeper);
	if (current == keeper) {
		current = NULL;
		old_send = keeper->send;
		old_inode = keeper->inode;
	}
	unlock();
	close(keeper->receive);
	free(keeper);
	return NULL;
}

/* Opens the socket. Its end for the program keeps out of the program's way. */
static int socket_open(struct keeper *keeper)
{
	struct stat st;
	int ends[2], moved;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ||
	    fstat(ends[0], &st))
		return errno;
	moved = fcntl(ends[0], F_DUPFD_CLOEXEC, FIRST_FD);
	if (moved >= 0) {
		close(ends[0]);
		ends[0] = moved;
	}
	keeper->send = ends[0];
	keeper->receive = ends[1];
	keeper->inode = st.st_ino;
	return 0;
}

/* Starts a keeper, and waits until it has its table. */
static int keeper_start(struct keeper **keeperp)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int ret;

	if (!keeper)
		return ENOMEM;
	pool_init(&keeper->pool, keeper);
	pthread_cond_init(&keeper->work, NULL);
	pthread_cond_init(&keeper->answer, NULL);
	link_init(&keeper->jobs);
	ret = socket_open(keeper);
	if (ret) {
		free(keeper);
		return ret;
	}
	lock();
	ret = thread_start(keeper_main, keeper);
	while (!ret && !keeper->ready)
		pthread_cond_wait(&keeper->answer, &posix_lock);
	unlock();
	if (!ret)
		ret = keeper->error;
	close(keeper->receive);
	if (ret) {
		close(keeper->send);
		free(keeper);
		return ret;
	}
	*keeperp = keeper;
	return 0;
}

/* Closes our end of the socket of a keeper, if the program has not done so. */
static void socket_close(int fd, ino_t inode)
{
	if (is_ours(fd, inode))
		close(fd);
}

/* The keeper, with a use of it; NULL if none can be had. */
static struct keeper *keeper_get(void)
{
	struct keeper *keeper, *spare = NULL;
	int extra = -1;

	lock();
	if (current && current->broken)
		socket_close(current->send, current->inode);
	if (current && !is_ours(current->send, current->inode))
		current = NULL;
	if (!current) {
		unlock();
		if (keeper_start(&spare))
			return NULL;
		lock();
	}
	if (!current) {
		socket_close(old_send, old_inode);
		old_send = -1;
		current = spare;
	} else if (spare) {
		/* Another thread was faster; this one ends, as it gets no work. */
		extra = spare->send;
	}
	keeper = current;
	keeper->users++;
	unlock();
	if (extra >= 0)
		close(extra);
	return keeper;
}

static int send_descriptor(const struct keeper *keeper, struct job *job, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {
		.header = {
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		},
	};
	struct iovec iov = { .iov_base = &job, .iov_len = sizeof(job) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(keeper->send, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno;
	return 0;
}

/* Under the lock, which it lets go of; not in the keeper or a thread of its pool. */
static void __ask(struct keeper *keeper, struct job *job)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	link_add(&keeper->jobs, &job->link);
	pthread_cond_signal(&keeper->work);
	while (!job->done)
		pthread_cond_wait(&keeper->answer, &posix_lock);
	pthread_setcancelstate(state, NULL);
}

/*
 * Keeps the file of op->fd for the op, until keep_end(); op->pool has the threads that can
 * use it. EAGAIN: no more can be kept. ENOSYS: there can be no keeper here.
 */
int keep(struct op *op)
{
	struct keeper *keeper = keeper_get();
	struct job job = { .fd = -1, .keeper = keeper };
	int ret;

	if (!keeper)
		return ENOSYS;
	ret = send_descriptor(keeper, &job, op->fd);
	lock();
	if (!ret)
		__ask(keeper, &job);
	if (job.fd < 0) {
		keeper->users--;
		unlock();
		return ret ? ENOSYS : EAGAIN;
	}
	op->keeper = keeper;
	op->kept = job.fd;
	op->pool = &keeper->pool;
	unlock();
	return 0;
}

/* Lets go of the file. @here: the caller is a thread of the keeper's pool. */
void keep_end(struct op *op, bool here)
{
	struct job job = { .drop = true, .fd = op->kept, .keeper = op->keeper };

	if (here)
		close(op->kept);
	lock();
	if (!here)
		__ask(op->keeper, &job);
	op->keeper->users--;
	op->keeper = NULL;
	unlock();
}

/* There is work for the pool of a keeper. */
void __keeper_wake(struct keeper *keeper)
{
	pthread_cond_signal(&keeper->work);
}

/* In the child of a fork: the keeper, and what it keeps, are the parent's. */
void __keep_forget(void)
{
	if (current)
		socket_close(current->send, current->inode);
	socket_close(old_send, old_inode);
	current = NULL;
	old_send = -1;
}
