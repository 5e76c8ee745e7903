// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of a run, and the part of an operation that is the same for all engines.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define FILES_PER_DIR	100

/* The bytes of a record; their values do not matter. */
static char data[4096];

static void write_all(int fd, size_t len)
{
	while (len) {
		ssize_t ret = write(fd, data, len < sizeof(data) ? len : sizeof(data));

		if (ret < 0)
			die("write", errno);
		len -= ret;
	}
}

void tree_path(const struct plan *plan, uint64_t n, char path[static 512])
{
	snprintf(path, 512, "%s/%03llu/%05llu", plan->dir,
		 (unsigned long long)n / FILES_PER_DIR, (unsigned long long)n);
}

static void make_tree(const struct plan *plan)
{
	char path[512];
	uint64_t n;
	int fd;

	for (n = 0; n < plan->ops; n++) {
		if (n % FILES_PER_DIR == 0) {
			snprintf(path, sizeof(path), "%s/%03llu", plan->dir,
				 (unsigned long long)n / FILES_PER_DIR);
			if (mkdir(path, 0777))
				die(path, errno);
		}
		tree_path(plan, n, path);
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0666);
		if (fd < 0)
			die(path, errno);
		write_all(fd, plan->record);
		close(fd);
	}
}

static void make_file(struct plan *plan, unsigned int n)
{
	int append = plan->workload == OVERWRITE ? 0 : O_APPEND;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/file%u", plan->dir, n);
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR | append, 0666);
	if (fd < 0)
		die(path, errno);
	if (plan->workload == OVERWRITE)
		write_all(fd, plan->record * plan->blocks);
	plan->fds[n] = fd;
}

/* All files but those of a tree are on disk when the clock starts. */
void make_files(struct plan *plan)
{
	unsigned int n;

	if (mkdir(plan->dir, 0777))
		die(plan->dir, errno);
	memset(data, 'x', sizeof(data));
	plan->fds = alloc(plan->files, sizeof(*plan->fds));
	if (plan->workload == TREE) {
		make_tree(plan);
		return;
	}
	for (n = 0; n < plan->files; n++)
		make_file(plan, n);
	sync();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	if (remove(path))
		die(path, errno);
	return 0;
}

void remove_files(const struct plan *plan)
{
	if (nftw(plan->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS))
		die(plan->dir, errno);
}

uint64_t op_time(const struct worker *w)
{
	return w->latency ? now_ns() : 0;
}

static int open_tree_file(const struct plan *plan, uint64_t op)
{
	char path[512];
	int fd;

	tree_path(plan, op, path);
	/* POSIX requires a descriptor for writing for aio_fsync. */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die(path, errno);
	return fd;
}

/*
 * The position of operation @n of this process; sets the file of the slot. Every writer, a
 * process or a thread of the engine, keeps to a block of its own. With --same-blocks each goes
 * through the blocks of its file from the first one on, so writers that share a file meet, as
 * in the shared part of a database file. A single writer goes round all files.
 */
static uint64_t place(struct worker *w, struct slot *slot, uint64_t n)
{
	const struct plan *plan = w->plan;

	if (plan->processes > 1) {
		slot->file = w->process % plan->files;
		return plan->same_blocks ? n : w->process / plan->files;
	}
	if (slot->writer) {
		slot->file = slot->index % plan->files;
		return plan->same_blocks ? slot->count++ : slot->index / plan->files;
	}
	slot->file = n % plan->files;
	return n / plan->files;
}

void op_begin(struct worker *w, struct slot *slot, uint64_t op)
{
	const struct plan *plan = w->plan;
	uint64_t n = w->offset + op, block;
	ssize_t ret;

	slot->op = op;
	slot->start_ns = op_time(w);
	if (plan->workload == TREE) {
		slot->fd = open_tree_file(plan, n);
		return;
	}
	block = place(w, slot, n);
	slot->fd = plan->fds[slot->file];
	if (plan->workload == OVERWRITE)
		ret = pwrite(slot->fd, data, plan->record,
			     block % plan->blocks * plan->record);
	else
		ret = write(slot->fd, data, plan->record);
	if (ret != (ssize_t)plan->record)
		die("write", ret < 0 ? errno : EIO);
}

void op_end(struct worker *w, struct slot *slot, int result, uint64_t end_ns)
{
	if (result)
		die("sync", -result);
	if (w->plan->workload == TREE)
		close(slot->fd);
	if (w->latency)
		w->latency[slot->op] = end_ns - slot->start_ns > UINT32_MAX ?
			UINT32_MAX : end_ns - slot->start_ns;
}

int op_sync(const struct plan *plan, int fd)
{
	int ret = plan->datasync ? fdatasync(fd) : fsync(fd);

	return ret ? -errno : 0;
}
