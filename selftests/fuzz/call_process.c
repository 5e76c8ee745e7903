// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings in more than one process: children that exit or are killed with requests in flight,
 * children that use their parent's ring, and descriptors sent to other processes.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_ARRAY	8

/* In the child: drops all of the parent's state except its open files. */
static void begin_child(struct world *w)
{
	unsigned int i;

	w->child = true;
	w->shared = NULL;
	w->victim = NULL;
	w->thread += MAX_THREADS;
	w->call *= 1000;
	for (i = 0; i < NR_RINGS; i++) {
		book_clear(&w->rings[i].book);
		ring_init(&w->rings[i], w->rings[i].trust);
		w->rings[i].map = NULL;
		w->rings[i].extra = NULL;
		w->rings[i].is_set_up = false;
		ring_open(w, &w->rings[i], 64, i % 2);
	}
	aio_open(w);
}

static int lock_file(struct world *w, unsigned int thread)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/lock%u", options.dir, thread);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	must(w, fd >= 0);
	return fd;
}

/* Syncs a file that it has locked, then makes random calls; the parent learns when to kill it. */
static void child(struct world *w, unsigned int calls, int ready)
{
	struct afsync_setup setup = { .entries = CHILD_ARRAY };
	struct afsync_sqe sqes[CHILD_ARRAY] = {};
	unsigned int thread = w->thread, i;
	int lock, ring;

	begin_child(w);
	lock = lock_file(w, thread);
	must(w, !flock(lock, LOCK_EX | LOCK_NB));
	/* In a ring that nothing else uses. */
	ring = open("/dev/afsync", O_RDWR | O_CLOEXEC);
	must(w, ring >= 0 && !ioctl(ring, AFSYNC_IOC_SETUP, &setup));
	sqes[1].flags = AFSYNC_SQE_HOLD;
	w->tally->unbooked += submit_plain(ring, lock, sqes, CHILD_ARRAY);
	close(lock);
	for (i = 0; i < calls; i++)
		calls_make(w);
	must(w, write(ready, "", 1) == 1);
	/* Until the kill, if there is one. */
	for (i = 0; i < calls; i++)
		calls_make(w);
	for (i = 0; i < NR_RINGS; i++)
		w->tally->abandoned += w->rings[i].book.used;
	_exit(0);
}

/* When a child is gone nothing of it is left: its locks are free (P7). */
void call_child(struct world *w)
{
	unsigned int calls = 1 + below(w, 30);
	bool kills = one_in(w, 2);
	int ends[2], status, lock;
	pid_t pid;
	char byte;

	must(w, !pipe2(ends, O_CLOEXEC));
	pid = fork();
	must(w, pid >= 0);
	if (!pid)
		child(w, calls, ends[1]);
	close(ends[1]);
	/* Does nothing if it ends with a failure. */
	if (read(ends[0], &byte, 1) == 1 && kills) {
		kill(pid, SIGKILL);
		w->tally->killed++;
	}
	close(ends[0]);
	must(w, waitpid(pid, &status, 0) == pid);
	if (!WIFSIGNALED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	lock = lock_file(w, w->thread);
	if (flock(lock, LOCK_EX | LOCK_NB))
		fail(w, "the child is gone, and the file that it synced is still locked: %m");
	close(lock);
}

/* A child queues requests in the parent's ring; they outlive it. */
void call_child_submits(struct world *w)
{
	struct ring *ring = &w->rings[below(w, NR_RINGS - 1)];
	unsigned int nr = 1 + below(w, CHILD_ARRAY), i, least, most;
	const struct file *file = &w->files[below(w, NR_FILES)];
	struct afsync_sqe sqes[CHILD_ARRAY] = {};
	struct want *wants[CHILD_ARRAY];
	const char *wrong = NULL;
	int status;
	pid_t pid;

	if (!ring_is_open(ring) || !file->can_sync || file->fd < 0 || book_room(&ring->book) < nr)
		return;
	w->note.ring = ring;
	ring_free_slots(ring, ring->book.used, &least, &most);
	for (i = 0; i < nr; i++) {
		wants[i] = book_ask(&ring->book);
		wants[i]->open_id = file->open_id;
		wants[i]->may_fail = file->may_fail;
		sqes[i].user_data = wants[i]->user_data;
	}
	pid = fork();
	must(w, pid >= 0);
	if (!pid)
		_exit(submit_plain(ring->fd, file->fd, sqes, nr));
	must(w, waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	status = WEXITSTATUS(status);
	if (status < (int)(least < nr ? least : nr) || status > (int)(most < nr ? most : nr))
		fail(w, "a child submitted %u requests, %u to %u slots are free, %d were accepted",
		     nr, least, most, status);
	for (i = 0; i < nr && !wrong; i++)
		wrong = (int)i < status ? book_accept(&ring->book, wants[i]) :
			book_refuse(&ring->book, wants[i]);
	if (wrong)
		fail(w, "%s", wrong);
	w->tally->accepted += status;
}

static void send_descriptor(struct world *w, int to, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	must(w, sendmsg(to, &message, 0) == 1);
}

static int receive_descriptor(struct world *w, int from)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	must(w, recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* Through a socket: the descriptor arrives, or is dropped there, perhaps as the last one. */
void call_pass(struct world *w)
{
	struct ring *ring = &w->rings[below(w, NR_RINGS)];
	unsigned int dice = below(w, 4);
	int ends[2];

	w->note.ring = ring;
	if (ring->fd < 0)
		return;
	must(w, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	send_descriptor(w, ends[0], ring->fd);
	if (dice < 2) {
		if (ring->dup >= 0)
			close(ring->dup);
		ring->dup = receive_descriptor(w, ends[1]);
	} else if (dice == 3) {
		ring_close(w, ring);
	}
	close(ends[0]);
	close(ends[1]);
}

/* Another descriptor takes the place of the first. */
void call_dup(struct world *w)
{
	struct ring *ring = &w->rings[below(w, NR_RINGS)];

	w->note.ring = ring;
	if (ring->fd < 0)
		return;
	if (ring->dup < 0)
		ring->dup = fcntl(ring->fd, F_DUPFD_CLOEXEC, 0);
	must(w, ring->dup >= 0 && !close(ring->fd));
	ring->fd = ring->dup;
	ring->dup = -1;
}
