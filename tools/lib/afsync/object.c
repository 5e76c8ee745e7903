// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Memory. Not malloc(3): a signal handler that interrupts malloc() in a thread of the program
 * may wait for a request, whose end must not wait for malloc's locks then. And a program that
 * forgets to clear its memory works as long as malloc() returns new memory: it must not get
 * memory that the library has freed. A freed object is kept for the next one of its size, so
 * that no more is kept than was in use at one time.
 *
 * Objects have a lock of their own, under which no other is taken. A thread that takes it
 * blocks all signals.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#define STEP	64
#define CLASSES	(AFSYNC_OBJECT_MAX / STEP)
#define SLAB	(16 * 1024)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Of each size, a multiple of STEP, those that are free. */
static struct spare {
	struct spare *next;
} *spares[CLASSES];

/* Zeroed memory of any size; NULL if there is none. */
void *afsync_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void afsync_unmap(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

static size_t class_of(size_t size)
{
	return (size - 1) / STEP;
}

static struct spare *slab_cut(size_t class)
{
	size_t size = (class + 1) * STEP, at;
	struct spare *list = NULL, *spare;
	char *slab;

	slab = afsync_map(SLAB);
	if (!slab)
		return NULL;
	for (at = 0; at + size <= SLAB; at += size) {
		spare = (struct spare *)(void *)(slab + at);
		spare->next = list;
		list = spare;
	}
	return list;
}

/* All zero; NULL if there is no memory. At most AFSYNC_OBJECT_MAX bytes. */
void *afsync_object_new(size_t size)
{
	size_t class = class_of(size);
	struct spare *spare;

	pthread_mutex_lock(&mutex);
	if (!spares[class])
		spares[class] = slab_cut(class);
	spare = spares[class];
	if (spare)
		spares[class] = spare->next;
	pthread_mutex_unlock(&mutex);
	return spare ? memset(spare, 0, size) : NULL;
}

/* The size is that of afsync_object_new(). */
void afsync_object_free(void *object, size_t size)
{
	struct spare *spare = object;

	pthread_mutex_lock(&mutex);
	spare->next = spares[class_of(size)];
	spares[class_of(size)] = spare;
	pthread_mutex_unlock(&mutex);
}

/* For a fork: no other thread is in the middle of it. */
void afsync_objects_hold(void)
{
	pthread_mutex_lock(&mutex);
}

void afsync_objects_let_go(void)
{
	pthread_mutex_unlock(&mutex);
}
