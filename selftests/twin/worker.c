// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processes that have the descriptors. Each carries out its orders, one after the
 * other; the results of its syncs are in shared memory.
 *
 * A file has 10 descriptors of five open files in three processes. Two open files are in
 * several processes, as after fork(); three have one process, two of them two descriptors. A
 * fourth process has the eleventh, through which round.c starts a sync that others wait
 * behind.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "twin.h"

const struct descriptor descriptors[NR_DESCRIPTORS] = {
	{ 0, 0 }, { 0, 1 }, { 0, 2 }, { 0, 2 },
	{ 1, 0 }, { 1, 1 }, { 1, 3 },
	{ 2, 0 }, { 2, 4 }, { 2, 4 },
	[BLOCKER] = { 3, 5 },
};

struct order {
	enum { SUBMIT, COLLECT, REOPEN } what;
	unsigned int file;
	unsigned int descriptor;
	enum ask ask;
	bool share;
};

struct shared *shared;
static const char *path_of;
static const struct syncer *syncer;
static int sockets[NR_PROCESSES];
static pid_t pids[NR_PROCESSES];
/* Each process has its own copy. */
static int fds[NR_FILES][NR_DESCRIPTORS];
static struct order orders[DEPTH];
static unsigned int nr_orders, nr_in_flight;

static bool is_of_several(unsigned int open_file)
{
	return open_file < 2 || open_file == descriptors[BLOCKER].open_file;
}

static int open_file(unsigned int file)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/file%u", path_of, file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The descriptor before this one that has the same open file, or -1. */
static int same_before(unsigned int file, unsigned int descriptor)
{
	unsigned int d;

	for (d = 0; d < descriptor; d++)
		if (descriptors[d].open_file == descriptors[descriptor].open_file)
			return fds[file][d];
	return -1;
}

/* Opens the descriptors of all processes, or those of one. */
static void open_descriptors(bool of_several, unsigned int process)
{
	unsigned int file, d;
	int fd;

	for (file = 0; file < NR_FILES; file++) {
		for (d = 0; d < NR_DESCRIPTORS; d++) {
			if (is_of_several(descriptors[d].open_file) != of_several ||
			    (!of_several && descriptors[d].process != process))
				continue;
			fd = same_before(file, d);
			fds[file][d] = fd < 0 ? open_file(file) : dup(fd);
			if (fds[file][d] < 0)
				errx(2, "%s/file%u: %s", path_of, file, strerror(-fds[file][d]));
		}
	}
}

/* The twin's equivalent of a request of afsync. */
static int plain_sync(int fd, enum ask ask)
{
	int ret;

	switch (ask) {
	case ASK_FSYNC:
		ret = fsync(fd);
		break;
	case ASK_FDATASYNC:
		ret = fdatasync(fd);
		break;
	case ASK_SYNCFS:
		ret = syncfs(fd);
		break;
	default:
		ret = sync_file_range(fd, 0, RANGE_LENGTH, SYNC_FILE_RANGE_WAIT_BEFORE |
				      SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	}
	return ret ? -errno : 0;
}

static bool is_plain(const struct order *o)
{
	return !syncer || (o->ask > ASK_FDATASYNC && !syncer->has_ranges);
}

static void submit(const struct order *o)
{
	struct want want = {
		.op = o->ask == ASK_RANGE ? OP_FDATASYNC : (enum op)o->ask,
		.fd = fds[o->file][o->descriptor],
		.length = o->ask == ASK_RANGE ? RANGE_LENGTH : 0,
	};
	int ret;

	if (nr_orders == DEPTH)
		errx(2, "more than %u requests", DEPTH);
	orders[nr_orders] = *o;
	if (!is_plain(o)) {
		ret = syncer->submit(&want, nr_orders);
		if (ret)
			errx(2, "a sync was refused: %s", strerror(-ret));
		nr_in_flight++;
	}
	nr_orders++;
}

static int plain_result(const struct order *o)
{
	int *of = &shared->of_open_file[o->file][descriptors[o->descriptor].open_file];

	if (o->share && *of != UNTOLD)
		return *of;
	*of = plain_sync(fds[o->file][o->descriptor], o->ask);
	return *of;
}

static void collect(void)
{
	const struct order *o;
	unsigned int i;
	uint32_t slot;
	int res;

	for (i = 0; i < nr_orders; i++) {
		o = &orders[i];
		if (is_plain(o))
			shared->results[o->file][o->descriptor] = plain_result(o);
	}
	for (; nr_in_flight; nr_in_flight--) {
		res = syncer->reap(&slot);
		if (slot >= nr_orders)
			errx(2, "a completion of nothing");
		o = &orders[slot];
		shared->results[o->file][o->descriptor] = res;
	}
	nr_orders = 0;
}

/* If it cannot be opened anew, the old one stays. */
static void reopen(const struct order *o)
{
	const unsigned int same = descriptors[o->descriptor].open_file;
	int fd = open_file(o->file);
	unsigned int d;

	shared->reopened = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	for (d = 0; d < NR_DESCRIPTORS; d++)
		if (descriptors[d].open_file == same)
			dup3(fd, fds[o->file][d], O_CLOEXEC);
	close(fd);
}

static void send_answer(int socket)
{
	if (send(socket, "", 1, 0) != 1)
		err(2, "cannot reply");
}

/* The first answer says that all are open: an open file reports no error from before its open. */
static void work_off(unsigned int process)
{
	int i, socket = sockets[process];
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < (int)process; i++)
		close(sockets[i]);
	open_descriptors(false, process);
	if (syncer)
		syncer->begin();
	send_answer(socket);
	while (recv(socket, &order, sizeof(order), 0) == sizeof(order)) {
		switch (order.what) {
		case SUBMIT:
			submit(&order);
			break;
		case COLLECT:
			collect();
			break;
		case REOPEN:
			reopen(&order);
			break;
		}
		send_answer(socket);
	}
	if (syncer)
		syncer->end();
	_exit(0);
}

/* The first process, which controls the others. */

static unsigned int unanswered[NR_PROCESSES];

static void order(unsigned int process, struct order o)
{
	if (send(sockets[process], &o, sizeof(o), 0) != sizeof(o))
		err(2, "cannot send to process %u", process);
	unanswered[process]++;
}

void workers_start(const char *folder, const struct syncer *by)
{
	unsigned int process;
	int ends[2];

	path_of = folder;
	syncer = by;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		err(2, "mmap");
	open_descriptors(true, 0);
	fflush(NULL);
	for (process = 0; process < NR_PROCESSES; process++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
			err(2, "socketpair");
		pids[process] = fork();
		if (pids[process] < 0)
			err(2, "fork");
		sockets[process] = ends[!pids[process]];
		close(ends[!!pids[process]]);
		if (!pids[process])
			work_off(process);
		unanswered[process] = 1;
	}
	for (process = 0; process < NR_PROCESSES; process++)
		worker_wait(process);
}

void workers_end(void)
{
	unsigned int process;
	int status;

	for (process = 0; process < NR_PROCESSES; process++) {
		close(sockets[process]);
		if (waitpid(pids[process], &status, 0) < 0 || status)
			errx(2, "process %u ended with status %x", process, status);
	}
}

int worker_blocker(unsigned int file) { return fds[file][BLOCKER]; }

void worker_submit(unsigned int file, unsigned int descriptor, enum ask ask, bool share)
{
	order(descriptors[descriptor].process, (struct order){
		.what = SUBMIT, .file = file, .descriptor = descriptor, .ask = ask,
		.share = share,
	});
}

void worker_collect(unsigned int process)
{
	order(process, (struct order){ .what = COLLECT });
}

bool worker_answered(unsigned int process, int milliseconds)
{
	struct pollfd fd = { .fd = sockets[process], .events = POLLIN };
	char answer;

	while (unanswered[process]) {
		if (poll(&fd, 1, milliseconds) == 0)
			return false;
		if (recv(sockets[process], &answer, 1, 0) != 1)
			errx(2, "process %u has ended", process);
		unanswered[process]--;
	}
	return true;
}

void worker_wait(unsigned int process) { worker_answered(process, -1); }

int worker_reopen(unsigned int file, unsigned int descriptor)
{
	unsigned int process = descriptors[descriptor].process;

	order(process, (struct order){ .what = REOPEN, .file = file, .descriptor = descriptor });
	worker_wait(process);
	return shared->reopened;
}
