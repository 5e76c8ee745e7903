// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Threads that use the same contexts: they write, sync, cancel and wait, while others set
 * contexts up and destroy them, and fork. Each event comes once. It is made for builds with
 * -fsanitize=thread or address, with the device and without it:
 *
 *	make check CFLAGS="-O1 -g -fsanitize=thread" O=FOLDER
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libaio.h>

#include "kselftest_harness.h"

#define THREADS	4
#define SLOTS	8
#define ROUNDS	400

struct slot {
	struct iocb iocb;
	char busy;		/* atomic: until its event was taken */
};

struct worker {
	pthread_t thread;
	io_context_t ctx;	/* of all */
	int fd;
	unsigned int seed;
	unsigned int bad;
	struct slot slots[SLOTS];
};

static unsigned int reaped;	/* atomic */

static void reap(struct worker *w, long min)
{
	struct timespec soon = { 0, 1000000 };
	struct io_event events[SLOTS];
	int i, ret = io_getevents(w->ctx, min, SLOTS, events, &soon);

	w->bad += ret < 0;
	for (i = 0; i < ret; i++) {
		struct slot *slot = events[i].data;

		w->bad += (long)events[i].res < 0 && (long)events[i].res != -ECANCELED;
		/* an event too many */
		w->bad += !__atomic_exchange_n(&slot->busy, 0, __ATOMIC_ACQ_REL);
		__atomic_add_fetch(&reaped, 1, __ATOMIC_RELAXED);
	}
}

/* Syncs are more than half, so that many wait for others. */
static void prepare(struct worker *w, struct slot *slot)
{
	static char byte[] = "x";

	if (rand_r(&w->seed) % 5 < 2)
		io_prep_pwrite(&slot->iocb, w->fd, byte, 1, rand_r(&w->seed) % 4096);
	else if (rand_r(&w->seed) % 2)
		io_prep_fsync(&slot->iocb, w->fd);
	else
		io_prep_fdsync(&slot->iocb, w->fd);
	slot->iocb.data = slot;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct iocb *list[1];
	struct io_event event;
	struct slot *slot;
	int i, ret;

	for (i = 0; i < ROUNDS; i++) {
		slot = &w->slots[i % SLOTS];
		while (__atomic_load_n(&slot->busy, __ATOMIC_ACQUIRE))
			reap(w, 1 + i % 3);
		prepare(w, slot);
		list[0] = &slot->iocb;
		__atomic_store_n(&slot->busy, 1, __ATOMIC_RELEASE);
		while ((ret = io_submit(w->ctx, 1, list)) == -EAGAIN)
			reap(w, 1);
		w->bad += ret != 1;
		if (i % 16 == 15)
			io_cancel(w->ctx, &slot->iocb, &event);
	}
	for (i = 0; i < SLOTS; i++)
		while (__atomic_load_n(&w->slots[i].busy, __ATOMIC_ACQUIRE))
			reap(w, 1);
	return NULL;
}

/* Contexts that are made and destroyed, with a sync outstanding. */
static void *come_and_go(void *arg)
{
	struct worker *w = arg;
	struct iocb *list[1];
	io_context_t ctx;
	int i;

	for (i = 0; i < ROUNDS / 8; i++) {
		ctx = NULL;
		w->bad += io_setup(4, &ctx) != 0;
		prepare(w, &w->slots[0]);
		list[0] = &w->slots[0].iocb;
		w->bad += io_submit(ctx, 1, list) != 1;
		w->bad += io_destroy(ctx) != 0;
	}
	return NULL;
}

/* Children have contexts of their own. */
static void *fork_often(void *arg)
{
	struct worker *w = arg;
	struct iocb *list[1];
	struct io_event event;
	io_context_t ctx;
	int i, status;
	pid_t pid;

	for (i = 0; i < ROUNDS / 80; i++) {
		pid = fork();
		if (!pid) {
			ctx = NULL;
			if (io_setup(4, &ctx))
				_exit(1);
			io_prep_fsync(&w->slots[0].iocb, w->fd);
			list[0] = &w->slots[0].iocb;
			if (io_submit(ctx, 1, list) != 1 ||
			    io_getevents(ctx, 1, 1, &event, NULL) != 1)
				_exit(2);
			_exit(io_destroy(ctx) != 0);
		}
		w->bad += waitpid(pid, &status, 0) != pid || status;
	}
	return NULL;
}

TEST(each_event_of_a_shared_context_comes_once)
{
	static void *(*const others[])(void *) = { come_and_go, fork_often };
	/* Not on the stack: after io_destroy() the kernel may still use it. */
	static struct worker w[THREADS + 2];
	FILE *file = tmpfile();
	io_context_t ctx = NULL;
	int i;

	ASSERT_NE(NULL, file);
	ASSERT_EQ(0, io_setup(THREADS * SLOTS, &ctx));
	for (i = 0; i < THREADS + 2; i++) {
		w[i].ctx = ctx;
		w[i].fd = fileno(file);
		w[i].seed = i;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL,
					    i < THREADS ? work : others[i - THREADS], &w[i]));
	}
	for (i = 0; i < THREADS + 2; i++) {
		EXPECT_EQ(0, pthread_join(w[i].thread, NULL));
		EXPECT_EQ(0, w[i].bad);
	}
	EXPECT_EQ(THREADS * ROUNDS, reaped);
	EXPECT_EQ(0, io_destroy(ctx));
	fclose(file);
}

TEST_HARNESS_MAIN
