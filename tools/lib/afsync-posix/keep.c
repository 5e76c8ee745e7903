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
 * The threads that sync are made by the keeper, which gives them its table. It
 * ends when it keeps nothing, all of them have ended and no job has come for a while.
 * When the program has closed our end of the socket, the keeper is lost: it
 * still serves what it keeps, and the next sync starts another one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep.h"

static struct keeper *current;
/* The kernel, or a filter of system calls, does not let a thread have its own table. */
static bool impossible;
/* The end of the socket of a keeper that has ended. */
static int old_send = -1;
static ino_t old_inode;

/* Is the descriptor still our end of the socket? */
static bool is_ours(int fd, ino_t inode)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && S_ISSOCK(st.st_mode) && st.st_ino == inode;
}

/* Opens the socket. Its end for the program keeps out of the program's way. */
static int socket_open(struct keeper *keeper)
{
	struct stat st;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ||
	    fstat(ends[0], &st))
		return errno;
	keeper->send = dropin_fd_move(ends[0]);
	keeper->receive = ends[1];
	keeper->inode = st.st_ino;
	return 0;
}

/* Starts a keeper, and waits until it has its table. */
static int keeper_start(uint64_t dev, struct keeper **keeperp)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int ret;

	if (!keeper)
		return ENOMEM;
	pool_init(&keeper->pool, keeper);
	pthread_cond_init(&keeper->work, NULL);
	pthread_cond_init(&keeper->answer, NULL);
	link_init(&keeper->jobs);
	keeper->dev = dev;
	ret = socket_open(keeper);
	if (ret) {
		free(keeper);
		return ret;
	}
	/* The caller's use: it must not end before it has had one. */
	keeper->users = 1;
	lock();
	ret = thread_start(keeper_main, keeper);
	while (!ret && !keeper->ready)
		pthread_cond_wait(&keeper->answer, &posix_lock);
	unlock();
	if (!ret)
		ret = keeper->error;
	if (ret == ENOSYS || ret == EPERM)
		__atomic_store_n(&impossible, true, __ATOMIC_RELAXED);
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
static struct keeper *keeper_get(uint64_t dev)
{
	struct keeper *keeper, *spare = NULL;
	int extra = -1;

	if (__atomic_load_n(&impossible, __ATOMIC_RELAXED))
		return NULL;
	lock();
	if (current && current->broken)
		socket_close(current->send, current->inode);
	if (current && !is_ours(current->send, current->inode))
		current = NULL;
	if (!current) {
		unlock();
		if (keeper_start(dev, &spare))
			return NULL;
		lock();
	}
	if (!current) {
		socket_close(old_send, old_inode);
		old_send = -1;
		current = spare;
	} else {
		current->users++;
		/* Another thread was faster; this one ends, as it gets no work. */
		if (spare) {
			extra = spare->send;
			spare->users--;
			pthread_cond_signal(&spare->work);
		}
	}
	keeper = current;
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
	link_add(&keeper->jobs, &job->link);
	pthread_cond_signal(&keeper->work);
	while (!job->done)
		pthread_cond_wait(&keeper->answer, &posix_lock);
}

/*
 * Keeps the file of op->fd for the op, until keep_end(); op->pool has the threads that can
 * use it. EAGAIN: no more can be kept. ENOSYS: there can be no keeper here.
 */
int keep(struct op *op)
{
	struct keeper *keeper = keeper_get(op->id.dev);
	struct job job = { .fd = -1, .keeper = keeper };
	int ret;

	if (!keeper)
		return ENOSYS;
	/* In one step: what comes out of the socket has to be a job that is there. */
	lock();
	if (keeper->broken || !is_ours(keeper->send, keeper->inode))
		ret = EPIPE;
	else
		ret = send_descriptor(keeper, &job, op->fd);
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
		own_close(op->kept);
	lock();
	if (!here)
		__ask(op->keeper, &job);
	op->keeper->users--;
	op->keeper = NULL;
	unlock();
}

/* Its thread ends. The program's end of the socket is closed when the next one starts. */
void __keeper_ends(struct keeper *keeper)
{
	if (current != keeper)
		return;
	current = NULL;
	old_send = keeper->send;
	old_inode = keeper->inode;
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
