/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the struct of a command lies, and how long it is said to be.
 */
#ifndef AFSYNC_FUZZ_ARG_H
#define AFSYNC_FUZZ_ARG_H

#include <stdbool.h>
#include <stddef.h>

struct world;

/* Pages that end in front of one that nobody may touch, mapped once more read-only. */
struct memory {
	char *rw;
	char *ro;
	size_t size;
};

enum place {
	PLACE_PLAIN,
	PLACE_ODD,		/* not aligned */
	PLACE_EDGE,		/* the last byte is the last of the mapping */
	PLACE_READ_ONLY,
	PLACE_ACROSS,		/* begins inside of the mapping and ends outside */
	PLACE_NULL,
	PLACE_KERNEL,		/* no address of a program */
	NR_PLACES,
};

/**
 * struct arg - a struct in memory
 * @place: where
 * @at: the address that the kernel gets
 * @local: where its first bytes can be written, or NULL
 * @readable: so many of its bytes are there
 * @size: as the kernel is told
 * @dirty: a byte that the kernel does not know is not zero
 */
struct arg {
	enum place place;
	char *at;
	char *local;
	size_t readable;
	size_t size;
	bool dirty;
};

extern const char *const place_names[NR_PLACES];

void memory_open(struct world *w, struct memory *memory, size_t size);
/* Chooses a place for @size bytes; a good one if @good. */
void arg_place(struct world *w, struct memory *memory, struct arg *arg, size_t size, bool good);
/* Chooses a size and a place for a struct that has @size bytes, and had @min at first. */
void arg_choose(struct world *w, struct arg *arg, size_t size, size_t min);
/*
 * What the kernel says before it looks at the fields, 0 if nothing. @in, @out: which ways the
 * struct is copied.
 */
int arg_errno(const struct arg *arg, size_t min, bool in, bool out);
/* One ioctl; the fields go out and come back. Returns a count or -errno. */
long arg_ioctl(struct world *w, int fd, unsigned int cmd, struct arg *arg, void *fields,
	       size_t size);

#endif /* AFSYNC_FUZZ_ARG_H */
