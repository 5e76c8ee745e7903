// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Memory for requests and what they belong to. Not malloc(3): a signal handler that
 * interrupts it in a thread of the program may wait for a request, whose end must not wait
 * for malloc's locks then. And what the library frees must not come back to a program that
 * does not clear its control blocks, and works as long as malloc() has new memory. What was
 * freed is kept for the next object of its size, so that no more is kept than was in use at
 * one time. glibc keeps its requests in the same manner.
 *
 * There is a lock of its own, under which nothing else is taken.
 */
#include <string.h>
#include <sys/mman.h>

#include "posix.h"

#define STEP	64
#define CLASSES	(OBJECT_MAX / STEP)
#define SLAB	(64 * 1024)

static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;

/* Of each size, a multiple of STEP, those that are free. */
static struct spare {
	struct spare *next;
} *spares[CLASSES];

static size_t class_of(size_t size)
{
	return (size - 1) / STEP;
}

static struct spare *slab_cut(size_t class)
{
	size_t size = (class + 1) * STEP, at;
	struct spare *list = NULL, *spare;
	char *slab;

	slab = mmap(NULL, SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slab == MAP_FAILED)
		return NULL;
	for (at = 0; at + size <= SLAB; at += size) {
		spare = (struct spare *)(slab + at);
		spare->next = list;
		list = spare;
	}
	return list;
}

/* All zero; NULL if there is no memory. With posix_lock or without. */
void *object_new(size_t size)
{
	size_t class = class_of(size);
	struct spare *spare;

	pthread_mutex_lock(&objects_lock);
	if (!spares[class])
		spares[class] = slab_cut(class);
	spare = spares[class];
	if (spare)
		spares[class] = spare->next;
	pthread_mutex_unlock(&objects_lock);
	return spare ? memset(spare, 0, size) : NULL;
}

/* As object_new(); the size is the same. */
void object_free(void *object, size_t size)
{
	struct spare *spare = object;

	pthread_mutex_lock(&objects_lock);
	spare->next = spares[class_of(size)];
	spares[class_of(size)] = spare;
	pthread_mutex_unlock(&objects_lock);
}

/* In the child of a fork: another thread may have been in the middle of it. */
void __objects_forget(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	memset(spares, 0, sizeof(spares));
	objects_lock = fresh;
}
