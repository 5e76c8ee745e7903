// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "change.h"

uint32_t names[NAMES], sizes[FILES];
uint32_t nr_records;
static uint32_t process, nr_files;
static int history;

void change_begin(int history_fd, uint32_t number)
{
	uint32_t i;

	history = history_fd;
	process = number;
	for (i = 0; i < NAMES; i++)
		names[i] = NO_FILE;
}

void keep(struct record record)
{
	if (write(history, &record, sizeof(record)) != sizeof(record))
		err(2, "the history");
	nr_records++;
}

static void path_of(char path[16], uint32_t name)
{
	sprintf(path, "n%u", name);
}

static void name_is(uint32_t name, uint32_t file)
{
	keep((struct record){ .kind = DID_NAME, .name = name, .file = file });
	names[name] = file;
}

int open_name(uint32_t name)
{
	char path[16];
	int fd;

	path_of(path, name);
	/* The command inherits this descriptor: no O_CLOEXEC. */
	fd = open(path, O_RDWR);
	if (fd < 0)
		err(2, "%s", path);
	return fd;
}

void make_file(uint32_t name)
{
	char path[16];
	int fd;

	path_of(path, name);
	if (nr_files == FILES)
		errx(2, "too many files: fewer steps, please");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		err(2, "%s", path);
	close(fd);
	name_is(name, nr_files++);
}

void make_folder(uint32_t name)
{
	char path[16];

	path_of(path, name);
	if (mkdir(path, 0700))
		err(2, "mkdir");
	name_is(name, FOLDER);
}

void remove_name(uint32_t name)
{
	char path[16];

	path_of(path, name);
	if (names[name] == FOLDER ? rmdir(path) : unlink(path))
		err(2, "removing %s", path);
	name_is(name, NO_FILE);
}

void rename_to(uint32_t from, uint32_t to)
{
	char old[16], new[16];

	path_of(old, from);
	path_of(new, to);
	if (rename(old, new))
		err(2, "rename");
	name_is(to, names[from]);
	name_is(from, NO_FILE);
}

void link_to(uint32_t from, uint32_t to)
{
	char old[16], new[16];

	path_of(old, from);
	path_of(new, to);
	if (link(old, new))
		err(2, "link");
	name_is(to, names[from]);
}

/* The sectors first to end, as the next record will write them. */
static void *sectors(uint32_t file, uint32_t first, uint32_t end)
{
	static char buf[MAX_SECTORS * SECTOR] __attribute__((aligned(4096)));
	struct sector_id id = { process, file, 0, nr_records + 1 };

	for (id.place = first; id.place < end; id.place++)
		sector_fill(buf + (id.place - first) * SECTOR, &id);
	return buf;
}

static void note_write(uint32_t file, uint32_t first, uint32_t end)
{
	keep((struct record){ .kind = DID_WRITE, .file = file, .first = first, .end = end });
	if (sizes[file] < end)
		sizes[file] = end;
}

static void write_mapped(int fd, const void *buf, uint32_t first, uint32_t end)
{
	size_t length = (size_t)end * SECTOR;
	char *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		err(2, "mmap");
	memcpy(map + (size_t)first * SECTOR, buf, (size_t)(end - first) * SECTOR);
	munmap(map, length);
}

static void write_direct(uint32_t file, const char *path, void *buf, uint32_t first, uint32_t end,
			 void (*in_flight)(uint32_t file, int fd))
{
	static io_context_t context;
	struct iocb iocb, *list = &iocb;
	struct io_event event;
	int fd;

	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || (!context && io_setup(1, &context)))
		err(2, "direct I/O of %s", path);
	io_prep_pwrite(&iocb, fd, buf, (size_t)(end - first) * SECTOR, (off_t)first * SECTOR);
	if (io_submit(context, 1, &list) != 1)
		errx(2, "io_submit of %s", path);
	if (in_flight)
		in_flight(file, fd);
	if (io_getevents(context, 1, 1, &event, NULL) != 1 || event.res != iocb.u.c.nbytes)
		errx(2, "direct I/O of %s: %ld", path, (long)event.res);
	close(fd);
}

void write_sectors(uint32_t file, int fd, uint32_t name, enum write_how how, uint32_t first,
		   uint32_t end, void (*in_flight)(uint32_t file, int fd))
{
	size_t length = (size_t)(end - first) * SECTOR;
	void *buf = sectors(file, first, end);
	char path[16];

	switch (how) {
	case DIRECT:
		path_of(path, name);
		/* Its sync may be acknowledged before the write has returned. */
		note_write(file, first, end);
		write_direct(file, path, buf, first, end, in_flight);
		return;
	case MAPPED:
		write_mapped(fd, buf, first, end);
		break;
	default:
		if (pwrite(fd, buf, length, (off_t)first * SECTOR) != (ssize_t)length)
			err(2, "pwrite");
	}
	note_write(file, first, end);
}

void truncate_to(uint32_t file, int fd, uint32_t end)
{
	if (ftruncate(fd, (off_t)end * SECTOR))
		err(2, "ftruncate");
	keep((struct record){ .kind = DID_TRUNCATE, .file = file, .end = end });
	sizes[file] = end;
}

void change_mode(uint32_t file, int fd, uint32_t mode)
{
	if (fchmod(fd, mode))
		err(2, "fchmod");
	keep((struct record){ .kind = DID_CHMOD, .file = file, .end = mode });
}
