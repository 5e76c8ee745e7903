/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The place of a command's struct, and its given length.
 */
#ifndef AFSYNC_FUZZ_ARG_H
#define AFSYNC_FUZZ_ARG_H

#include <stdbool.h>
#include <stddef.h>

struct world;

/* Pages that end before an inaccessible one, mapped once more read-only. */
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
	PLACE_ACROSS,		/* begins inside the mapping and ends outside */
	PLACE_NULL,
	PLACE_KERNEL,		/* no user-space address */
	NR_PLACES,
};

/**
 * struct arg - a struct in memory
 * @place: the kind of its place
 * @at: the address that the kernel gets
 * @local: where its first bytes can be written, or NULL
 * @readable: the number of its bytes that can be read
 * @size: the size given to the kernel
 * @dirty: a byte beyond the kernel's struct is not zero
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
/* Chooses a size and a place for a struct of @size bytes, whose first version had @min. */
void arg_choose(struct world *w, struct arg *arg, size_t size, size_t min);
/*
 * The kernel's error before it looks at the fields, 0 if none. @in, @out: the directions in
 * which the struct is copied.
 */
int arg_errno(const struct arg *arg, size_t min, bool in, bool out);
/* One ioctl; copies the fields in and out. Returns a count or -errno. */
long arg_ioctl(struct world *w, int fd, unsigned int cmd, struct arg *arg, void *fields,
	       size_t size);

#endif /* AFSYNC_FUZZ_ARG_H */
