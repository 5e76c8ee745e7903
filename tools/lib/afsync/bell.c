// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Bells: descriptors that a thread of the team makes readable for the program.
 *
 * An eventfd of the program, which may close it at any time: the team keeps it. Or a pipe,
 * whose reading end is the program's, for descriptors that are polled. It is a pipe
 * because a program that closes descriptors it does not know may have another file there:
 * a pipe can be identified before a byte is read from it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

static void bell_free(struct bell *bell)
{
	afsync_table_close(bell->parcel.fd);
	bell->team->kept--;
	bell->team->pins--;
	afsync_object_free(bell, sizeof(*bell));
}

static void arrived(struct parcel *parcel)
{
	struct bell *bell = element(parcel, struct bell, parcel);

	bell->arrived = true;
	if (bell->dropped) {
		link_add(&bell->team->dropped, &bell->parcel.sent);
	} else if (bell->rung) {
		bell->rung = false;
		afsync_bell_ring(bell, true);
	}
}

static struct bell *take(struct link *list)
{
	struct parcel *parcel;

	if (link_empty(list))
		return NULL;
	parcel = element(list->next, struct parcel, sent);
	link_del(&parcel->sent);
	return element(parcel, struct bell, parcel);
}

/* In a thread of the team, where their descriptors are. */
void afsync_bell_serve(struct team *team)
{
	struct bell *bell;

	while ((bell = take(&team->due)))
		afsync_bell_ring(bell, true);
	while ((bell = take(&team->dropped)))
		bell_free(bell);
}

static int pipe_open(struct bell *bell, int *write_end)
{
	struct stat st;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	if (fstat(ends[0], &st)) {
		close(ends[0]);
		close(ends[1]);
		return -ENFILE;
	}
	bell->fd = ends[0];
	bell->inode = st.st_ino;
	*write_end = ends[1];
	return 0;
}

/* Is the writing end still that of the pipe? In the program's table it may be any file. */
static bool can_ring(const struct bell *bell)
{
	if (bell->team)
		return true;
	return bell->is_eventfd ? !afsync_check_eventfd(bell->parcel.fd) :
				  afsync_check_is(bell->parcel.fd, S_IFIFO, bell->inode);
}

/* Sends the writing end to the team. 0, or a negative errno. */
static int give_away(struct bell *bell, int fd)
{
	struct parcel *parcel = &bell->parcel;
	int ret;

	/* A sync in the calling thread rings in the program's table. */
	if (!bell->team) {
		bell->parcel.fd = bell->is_eventfd ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : fd;
		bell->arrived = true;
		return bell->parcel.fd < 0 ? -errno : 0;
	}
	ret = afsync_parcel_send(bell->team, &parcel, &fd, 1);
	if (!bell->is_eventfd)
		close(fd);
	return ret;
}

/*
 * Of @eventfd, or of a pipe if that is negative; @team is from afsync_team_of(). 0, -EBADF if
 * the team is lost, or -ENOMEM if there is no memory or no descriptor left.
 */
int afsync_bell_new(struct afsync_ring *ring, struct team *team, int eventfd,
		    struct bell **bellp)
{
	struct bell *bell;
	int ret, fd = eventfd;

	bell = afsync_object_new(sizeof(*bell));
	if (!bell)
		return -ENOMEM;
	bell->team = team;
	bell->is_eventfd = eventfd >= 0;
	bell->fd = -1;
	bell->parcel.arrived = arrived;
	link_init(&bell->parcel.sent);
	ret = bell->is_eventfd ? 0 : pipe_open(bell, &fd);
	if (!ret)
		ret = give_away(bell, fd);
	if (ret) {
		if (bell->fd >= 0)
			close(bell->fd);
		afsync_object_free(bell, sizeof(*bell));
		return ret == -EBADF ? -EBADF : -ENOMEM;
	}
	if (team) {
		/* One pin is the ring's, one the bell's own: it is buried later. */
		team->pins++;
		afsync_team_pin(ring, team);
		afsync_team_wake(team);
	}
	*bellp = bell;
	return 0;
}

/* The reading end of its pipe in the program's table; -1 if the program has closed it. */
int afsync_bell_fd(const struct bell *bell)
{
	return afsync_check_is(bell->fd, S_IFIFO, bell->inode) ? bell->fd : -1;
}

void afsync_bell_drop(struct afsync_ring *ring, struct bell **bellp)
{
	struct bell *bell = *bellp;

	if (!bell)
		return;
	*bellp = NULL;
	if (!bell->is_eventfd && afsync_bell_fd(bell) >= 0)
		close(bell->fd);
	if (!bell->team) {
		if (can_ring(bell))
			close(bell->parcel.fd);
		afsync_object_free(bell, sizeof(*bell));
		return;
	}
	afsync_team_unpin(ring);
	bell->dropped = true;
	if (bell->arrived) {
		/* It may have been due. */
		link_del(&bell->parcel.sent);
		link_add(&bell->team->dropped, &bell->parcel.sent);
	}
	afsync_team_wake(bell->team);
}

/* In the child of a fork, which has inherited only the reading end. */
void afsync_bell_forget(const struct bell *bell)
{
	if (bell && afsync_bell_fd(bell) >= 0)
		close(bell->fd);
}

/* Adds 1, unless that would have to wait: then it is readable already. */
static void eventfd_add(int fd)
{
	static const uint64_t one = 1;
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	struct timespec now = { 0 };

	if (syscall(SYS_ppoll, &poll_fd, 1, &now, NULL, 0) == 1)
		syscall(SYS_write, fd, &one, sizeof(one));
}

/*
 * Its descriptor is in the team's table, if there is one: a thread of the program (not
 * @in_team) has it rung there. It is rung on arrival if it has not arrived.
 */
void afsync_bell_ring(struct bell *bell, bool in_team)
{
	if (!bell->arrived) {
		bell->rung = true;
	} else if (bell->team && !in_team) {
		link_del(&bell->parcel.sent);
		link_add(&bell->team->due, &bell->parcel.sent);
		afsync_team_wake(bell->team);
	} else if (!can_ring(bell)) {
		return;
	} else if (bell->is_eventfd) {
		eventfd_add(bell->parcel.fd);
	} else if (!bell->rung) {
		bell->rung = true;
		syscall(SYS_write, bell->parcel.fd, "", 1);
	}
}

/* In a thread of the program: a pipe is not readable after that. */
void afsync_bell_clear(struct bell *bell)
{
	char byte;

	/* Nor is it rung later for completions that have been seen now. */
	if (bell->arrived)
		link_del(&bell->parcel.sent);
	if (!bell->rung)
		return;
	bell->rung = false;
	if (bell->arrived && afsync_bell_fd(bell) >= 0 && read(bell->fd, &byte, 1) < 0)
		/* The program took it. */
		return;
}
