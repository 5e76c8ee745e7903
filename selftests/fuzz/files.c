// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files. Each thread has files of its own in every folder, and all share some, so that
 * their syncs are merged.
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KINDS_OF_FILE	128
#define BLOCK			4096
#define BLOCKS			16

/**
 * struct kind - how a file of a kind is opened, and its properties
 * @path: a %u becomes the number of the thread; or a name for special()
 * @flags: of open()
 */
struct kind {
	char path[96];
	int flags;
	struct file file;
};

static struct kind kinds[MAX_KINDS_OF_FILE];
static unsigned int nr_kinds;

static bool add_kind(const char *folder, const char *name, int flags, struct file file)
{
	struct kind *kind = &kinds[nr_kinds++];

	if (nr_kinds > MAX_KINDS_OF_FILE)
		return false;
	snprintf(kind->path, sizeof(kind->path), "%s%s", folder, name);
	kind->flags = flags;
	kind->file = file;
	return true;
}

static bool has_direct_io(const char *folder)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/probe", folder);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0666);
	if (fd >= 0)
		close(fd);
	unlink(path);
	return fd >= 0;
}

static bool add_files(const char *folder, const char *name, struct file file, bool direct)
{
	struct file written = file, path = { .kind = "O_PATH", .path_only = true };

	written.writable = true;
	written.regular = true;
	if (!add_kind(folder, name, O_RDWR | O_CREAT, written) ||
	    !add_kind(folder, name, O_WRONLY | O_CREAT, written) ||
	    !add_kind(folder, name, O_RDONLY | O_CREAT, file) ||
	    !add_kind(folder, name, O_PATH, path))
		return false;
	written.direct = true;
	return !direct || add_kind(folder, name, O_RDWR | O_CREAT | O_DIRECT, written);
}

bool files_add_folder(const char *path, bool fuse)
{
	struct file file = {
		.kind = fuse ? "file of FUSE" : "file",
		.can_sync = true,
		.can_drain = !fuse,
		.may_fail = fuse,
	};
	struct file folder = {
		.kind = fuse ? "folder of FUSE" : "folder",
		.can_sync = true,
		.can_drain = true,
		.may_fail = fuse,
	};
	bool direct = !fuse && has_direct_io(path);

	return add_files(path, "/file%u", file, direct) &&
	       add_files(path, "/file", file, direct) &&
	       add_kind(path, "/", O_RDONLY | O_DIRECTORY, folder);
}

bool files_add_device(const char *path)
{
	struct file file = { .kind = "block device", .can_sync = true };
	struct file written = file;

	written.writable = true;
	written.regular = true;
	return add_kind(path, "", O_RDONLY, file) && add_kind(path, "", O_RDWR, written);
}

static const char *const specials[] = {
	"pipe", "socket", "eventfd", "memfd", "/dev/null", "/dev/zero", "/proc/version",
	"/dev/afsync",
};

/* A file without fsync, and memory with fsync. */
static void open_special(struct world *w, struct file *file, const char *name)
{
	int ends[2];

	*file = (struct file) { .kind = name, .open_id = file->open_id };
	if (!strcmp(name, "pipe")) {
		must(w, !pipe2(ends, O_CLOEXEC));
		file->writable = true;
	} else if (!strcmp(name, "socket")) {
		must(w, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
		file->writable = true;
	} else {
		ends[0] = -1;
	}
	if (!strcmp(name, "eventfd")) {
		ends[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		file->eventfd = true;
	} else if (!strcmp(name, "memfd")) {
		ends[1] = memfd_create(name, MFD_CLOEXEC);
		file->can_sync = true;
		file->can_drain = true;
		file->writable = true;
		file->regular = true;
	} else if (*name == '/') {
		ends[1] = open(name, O_RDONLY | O_CLOEXEC);
	}
	if (ends[0] >= 0)
		close(ends[0]);
	file->fd = ends[1];
	must(w, file->fd >= 0);
}

static void open_file(struct world *w, struct file *file)
{
	static __u64 last_id;
	unsigned int which = below(w, nr_kinds + nr_kinds / 8), dice = below(w, 8);
	const char *special = specials[below(w, sizeof(specials) / sizeof(*specials))];
	const struct kind *kind = &kinds[which % nr_kinds];
	char path[128];
	__u64 id;

	file->open_id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	if (which >= nr_kinds)
		return open_special(w, file, special);
	/* Only few of the files that cannot be synced. */
	for (; dice && kind->file.path_only; kind = &kinds[which % nr_kinds])
		which++;
	id = file->open_id;
	*file = kind->file;
	file->open_id = id;
	/* The format is one of the few above. */
	snprintf(path, sizeof(path), kind->path, w->thread);
	file->fd = open(path, kind->flags | O_CLOEXEC, 0666);
	must(w, file->fd >= 0);
}

void call_file_open(struct world *w)
{
	struct file *file = &w->files[below(w, NR_FILES)];

	if (file->fd >= 0)
		close(file->fd);
	open_file(w, file);
}

void call_file_close(struct world *w)
{
	struct file *file = &w->files[below(w, NR_FILES)];

	if (file->fd >= 0)
		must(w, !close(file->fd));
	file->fd = -1;
}

void call_file_write(struct world *w)
{
	static char data[BLOCK] __attribute__((aligned(BLOCK)));
	const struct file *file = &w->files[below(w, NR_FILES)];
	unsigned int at = below(w, BLOCK * BLOCKS), size = 1 + below(w, BLOCK);
	bool truncate = one_in(w, 32);
	struct stat st;

	if (file->fd < 0 || !file->regular)
		return;
	if (file->direct) {
		at &= ~(BLOCK - 1U);
		size = BLOCK;
	}
	if (truncate && !fstat(file->fd, &st) && S_ISREG(st.st_mode) && !file->may_fail)
		must(w, !ftruncate(file->fd, at));
	else
		must(w, pwrite(file->fd, data, size, at) == (ssize_t)size || file->may_fail);
}

/* Makes the files, so that each of them can be opened with any flags. */
static void make_files(struct world *w)
{
	char path[128];
	unsigned int i;
	int fd;

	for (i = 0; i < nr_kinds; i++) {
		if (!(kinds[i].flags & O_CREAT))
			continue;
		snprintf(path, sizeof(path), kinds[i].path, w->thread);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		must(w, fd >= 0 && !close(fd));
	}
}

void files_open_all(struct world *w)
{
	unsigned int i;

	make_files(w);

	for (i = 0; i < NR_FILES; i++)
		open_file(w, &w->files[i]);
}

void files_close_all(struct world *w)
{
	unsigned int i;

	for (i = 0; i < NR_FILES; i++) {
		if (w->files[i].fd >= 0)
			must(w, !close(w->files[i].fd));
		w->files[i].fd = -1;
	}
}

const struct file *files_pick(struct world *w, int *fd)
{
	static const int closed[] = { -1, -2, -100, 1 << 20, INT_MAX, INT_MIN };
	unsigned int which = below(w, NR_FILES * 16), other = below(w, 6);
	const struct file *file = &w->files[which % NR_FILES];

	if (which < 4 || file->fd < 0) {
		*fd = closed[other];
		return NULL;
	}
	*fd = file->fd;
	return file;
}

const struct file *files_pick_good(struct world *w, int *fd)
{
	unsigned int which = below(w, NR_FILES), i;
	const struct file *file;

	for (i = 0; i < NR_FILES; i++) {
		file = &w->files[(which + i) % NR_FILES];
		if (file->fd < 0 || !file->can_sync)
			continue;
		*fd = file->fd;
		return file;
	}
	*fd = -1;
	return NULL;
}
