// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Does the program have another libaio, whose functions it may call past this library? For
 * example one that it opened by its path. A libaio that was loaded with the program itself is
 * behind this library, and not counted. Checked at the end of a process, and only if counts are
 * wanted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <link.h>
#include <string.h>

#include "dropin.h"

/* The linker's: where this library begins in memory. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static const void * const start = &__ehdr_start;
static unsigned int at_the_start;

static int count_one(struct dl_phdr_info *info, size_t size, void *count)
{
	const char *name = strrchr(info->dlpi_name, '/');

	(void)size;
	if (name && !strncmp(name, "/libaio.so", strlen("/libaio.so")) &&
	    (const void *)info->dlpi_addr != start)
		++*(unsigned int *)count;
	return 0;
}

static unsigned int others(void)
{
	unsigned int count = 0;

	dl_iterate_phdr(count_one, &count);
	return count;
}

static void __attribute__((constructor)) look_at_the_start(void)
{
	if (dropin_counts())
		at_the_start = others();
}

static void __attribute__((destructor)) look_at_the_end(void)
{
	if (dropin_counts() && others() > at_the_start)
		dropin_count(DROPIN_LIBAIO_PAST, 1);
}
