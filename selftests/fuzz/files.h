/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files to sync, of every kind.
 */
#ifndef AFSYNC_FUZZ_FILES_H
#define AFSYNC_FUZZ_FILES_H

#include <stdbool.h>
#include <linux/types.h>

struct world;

/**
 * struct file - one open file
 * @fd: its descriptor, -1 if there is none
 * @open_id: distinguishes open files
 * @path_only: O_PATH
 * @can_sync: has an fsync operation
 * @writable: open for writing
 * @can_drain: the kernel sees its direct I/O
 * @may_fail: its server returns EIO for some
 * @eventfd: it is one
 * @regular: can be written to, at any offset
 * @direct: only whole blocks can be written
 * @kind: its kind, for reports
 */
struct file {
	int fd;
	__u64 open_id;
	bool path_only;
	bool can_sync;
	bool writable;
	bool can_drain;
	bool may_fail;
	bool eventfd;
	bool regular;
	bool direct;
	const char *kind;
};

/* From the command line: a filesystem's folder, that of a FUSE, a block device. */
bool files_add_folder(const char *path, bool fuse);
bool files_add_device(const char *path);
/* The calls. */
void call_file_open(struct world *w);
void call_file_close(struct world *w);
void call_file_write(struct world *w);
void files_open_all(struct world *w);
void files_close_all(struct world *w);
/* One of them, or NULL: then *@fd is a closed descriptor. */
const struct file *files_pick(struct world *w, int *fd);
/* One that can be synced, if there is one. */
const struct file *files_pick_good(struct world *w, int *fd);

#endif /* AFSYNC_FUZZ_FILES_H */
