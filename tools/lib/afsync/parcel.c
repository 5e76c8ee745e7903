// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The socket by which the program sends descriptors to its team.
 *
 * A message and its parcels are sent, and received, in one step under the lock. So the
 * parcels in team->sent are those of the messages in the socket, in the same order.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

/* The most descriptors in one message. */
#define MAX_PARCELS	253
/* Descriptors of the team's table that belong to no request or bell. */
#define SPARE_FDS	8
/* Above the numbers that programs expect to get, and within the range of select(). */
#define FIRST_FD	512
/* At least not the number of a standard stream that the program has closed. */
#define LEAST_FD	3

/* The data of a message; the descriptors are beside it. */
struct letter {
	struct parcel *first;
	unsigned int nr;
};

/* Closes our end, unless the program has done so. */
void afsync_parcel_close(int fd, ino_t inode)
{
	if (afsync_check_is(fd, S_IFSOCK, inode))
		close(fd);
}

bool afsync_team_reachable(const struct team *team)
{
	return afsync_check_is(team->send, S_IFSOCK, team->inode);
}

/* The program's end gets a high number, as far as the limit allows. */
static int move_away(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

	if (moved < 0 && fd >= LEAST_FD)
		return fd;
	if (moved < 0)
		moved = fcntl(fd, F_DUPFD_CLOEXEC, LEAST_FD);
	close(fd);
	return moved;
}

/* 0, or an errno. */
int afsync_parcel_open(struct team *team)
{
	struct stat st;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return errno;
	team->receive = ends[1];
	team->send = move_away(ends[0]);
	if (fstat(team->send, &st)) {
		close(ends[1]);
		return EMFILE;
	}
	team->inode = st.st_ino;
	if (fstat(team->receive, &st)) {
		close(team->send);
		close(ends[1]);
		return EMFILE;
	}
	team->receive_inode = st.st_ino;
	return 0;
}

/* How many more descriptors the table can take. */
unsigned int afsync_parcel_room(const struct team *team)
{
	struct rlimit limit;
	rlim_t used = (rlim_t)team->kept + SPARE_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > UINT_MAX)
		return UINT_MAX / 2;
	return limit.rlim_cur > used ? (unsigned int)(limit.rlim_cur - used) : 0;
}

/* 0, or a negative errno; nothing was sent then. -ENOBUFS: the socket is full. */
int afsync_parcel_send(struct team *team, struct parcel **parcels, const int *fds,
		       unsigned int nr)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(MAX_PARCELS * sizeof(int))];
	} control;
	struct letter letter;
	struct iovec iov = { .iov_base = &letter, .iov_len = sizeof(letter) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	unsigned int i;

	/* All of it, with the padding: valgrind checks the data that is sent. */
	memset(&letter, 0, sizeof(letter));
	memset(&control, 0, sizeof(control));
	letter.first = parcels[0];
	letter.nr = nr;
	if (!afsync_team_reachable(team))
		return -EBADF;
	if (nr > afsync_parcel_room(team))
		return -EAGAIN;
	control.header.cmsg_len = CMSG_LEN(nr * sizeof(int));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.header), fds, nr * sizeof(int));
	if (sendmsg(team->send, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		/* Too many are in the socket, or there is no memory. */
		return errno == EBADF ? -EBADF : -ENOBUFS;
	for (i = 0; i < nr; i++) {
		parcels[i]->fd = -1;
		link_add(&team->sent, &parcels[i]->sent);
	}
	team->kept += nr;
	return 0;
}

static void arrive(struct team *team, int fd)
{
	struct parcel *parcel = element(team->sent.next, struct parcel, sent);

	link_del(&parcel->sent);
	parcel->fd = fd;
	parcel->arrived(parcel);
	afsync_queue_started(team, parcel);
}

/* Takes one message. Data that the program wrote into the socket by mistake is ignored. */
static void receive_one(struct team *team)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(MAX_PARCELS * sizeof(int))];
	} control;
	struct letter letter = { 0 };
	struct iovec iov = { .iov_base = &letter, .iov_len = sizeof(letter) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	unsigned int i, nr = 0;
	struct cmsghdr *cmsg;
	int fds[MAX_PARCELS];
	long ret;

	ret = syscall(SYS_recvmsg, team->receive, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	cmsg = ret < 0 ? NULL : CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
		nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(cmsg), nr * sizeof(int));
	}
	if (ret > 0 && &letter.first->sent != team->sent.next) {
		for (i = 0; i < nr; i++)
			afsync_table_close(fds[i]);
		return;
	}
	/* Fewer than were sent: the limit of open files was lowered meanwhile. */
	for (i = 0; i < letter.nr; i++)
		arrive(team, i < nr ? fds[i] : -1);
	/* The socket is empty: the messages are lost, with the file of each. */
	while (ret <= 0 && !link_empty(&team->sent))
		arrive(team, -1);
}

/* Takes all messages. */
void afsync_parcel_receive(struct team *team)
{
	if (link_empty(&team->sent))
		return;
	while (!link_empty(&team->sent))
		receive_one(team);
	pthread_cond_broadcast(&team->received);
}
