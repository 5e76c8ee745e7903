// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz: calls every command of /dev/afsync at random, and checks its results.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUND	1000
#define STATS	"/sys/class/misc/afsync/stats/"

static struct world *worlds[MAX_THREADS];
static struct ring shared, victim;
static char *arena;
static pthread_barrier_t barrier;
static bool over;
static time_t begun;

static __u64 stat_of(const char *name)
{
	char path[96], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), STATS "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(worlds[0], fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoull(text, NULL, 10);
}

static void world_open(struct world *w, unsigned int thread)
{
	unsigned int i;

	w->thread = thread;
	w->shared = &shared;
	w->victim = &victim;
	w->arena = arena;
	for (i = 0; i < NR_RINGS; i++)
		ring_init(&w->rings[i], i < NR_RINGS - 1 ? RING_OWN : RING_SCRIBBLED);
	for (i = 0; i < NR_EVENTFDS; i++) {
		w->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		must(w, w->eventfds[i] >= 0);
	}
	memory_open(w, &w->memory, 4096);
	memory_open(w, &w->array, 16 * 4096);
	rng_begin(&w->rng, options.seed, thread, ~0ULL);
	aio_open(w);
	files_open_all(w);
}

static void world_close(struct world *w)
{
	unsigned int i;

	call_aio_destroy(w);
	must(w, !syscall(SYS_io_destroy, w->aio.ctx));
	for (i = 0; i < NR_RINGS; i++)
		ring_close(w, &w->rings[i]);
	files_close_all(w);
}

/* The end of a round: all accepted requests have completed. */
static void end_round(struct world *w, __u64 round)
{
	unsigned int i;

	w->note = (struct note) {};
	rng_begin(&w->rng, options.seed, w->thread, ~round);
	for (i = 0; i < NR_RINGS; i++) {
		w->note.ring = &w->rings[i];
		ring_drain(w, &w->rings[i]);
	}
	aio_drain(w);
	w->tally->rounds++;
	pthread_barrier_wait(&barrier);
	if (!w->thread) {
		w->note.ring = &shared;
		ring_drain(w, &shared);
		w->note.ring = &victim;
		ring_drain(w, &victim);
		over = options.seconds && time(NULL) - begun >= options.seconds;
	}
	pthread_barrier_wait(&barrier);
	__atomic_add_fetch(&w->progress->calls, 1, __ATOMIC_RELAXED);
}

static void *run(void *arg)
{
	struct world *w = arg;
	__u64 calls = (options.calls + options.threads - 1) / options.threads, round, i;

	for (round = 0; !over && (options.seconds || round * ROUND < calls); round++) {
		for (i = 0; i < ROUND && (options.seconds || w->call < calls); i++) {
			calls_make(w);
			__atomic_add_fetch(&w->progress->calls, 1, __ATOMIC_RELAXED);
		}
		end_round(w, round);
	}
	w->note = (struct note) { .kind = "the end" };
	rng_begin(&w->rng, options.seed, w->thread, ~0ULL);
	world_close(w);
	__atomic_store_n(&w->progress->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static void hung(const char *why)
{
	unsigned int i;

	dprintf(STDERR_FILENO, "FAILED: %s\n  SEED %llu\n", why, (unsigned long long)options.seed);
	for (i = 0; i < options.threads; i++) {
		if (__atomic_load_n(&worlds[i]->progress->ended, __ATOMIC_ACQUIRE))
			continue;
		dprintf(STDERR_FILENO, "  ");
		describe(worlds[i], STDERR_FILENO);
	}
	_exit(1);
}

static __u64 all_calls(void)
{
	__u64 calls = 0;
	unsigned int i;

	for (i = 0; i < options.threads; i++)
		calls += __atomic_load_n(&worlds[i]->progress->calls, __ATOMIC_RELAXED);
	return calls;
}

static bool all_ended(void)
{
	unsigned int i;

	for (i = 0; i < options.threads; i++)
		if (!__atomic_load_n(&worlds[i]->progress->ended, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/* Monitors the threads: a thread that makes no call for that long hangs. */
static void watch(void)
{
	const struct timespec moment = { .tv_nsec = 100000000 };
	unsigned int idle = 0;
	__u64 before = 0, now;
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	while (!all_ended()) {
		signal = sigtimedwait(&set, NULL, &moment);
		if (signal > 0)
			hung("the time is up");
		now = all_calls();
		idle = now == before ? idle + 1 : 0;
		before = now;
		if (idle > options.patience * 10 + 300)
			hung("HANG: no call returns");
	}
}

/* Compares the module's counts since the start with those of the fuzzer. */
static void check_stats(const struct tally *tallies, __u64 submitted)
{
	struct world *w = worlds[0];
	__u64 accepted = 0, killed = 0;
	unsigned int i;

	/* The kernel drops the last descriptor of some rings later: these end a moment later. */
	for (i = 0; stat_of("in_flight"); i++) {
		if (i > options.patience * 100)
			fail(w, "LOST: %llu requests are in flight, and no ring is open",
			     (unsigned long long)stat_of("in_flight"));
		usleep(10000);
	}
	for (i = 0; i < options.threads; i++) {
		accepted += tallies[i].accepted + tallies[i].unbooked;
		killed += tallies[i].killed;
	}
	submitted = stat_of("submitted") - submitted;
	if (submitted < accepted || (!killed && submitted > accepted))
		fail(w, "the module has counted %llu requests, and %llu were accepted",
		     (unsigned long long)submitted, (unsigned long long)accepted);
}

static void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("fuzz: memory");
		exit(1);
	}
	return memory;
}

static void nothing(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct rlimit files = { 4096, 4096 };
	struct progress *progress;
	struct tally *tallies;
	pthread_t threads[MAX_THREADS];
	__u64 submitted, sequence = 0;
	unsigned int i;
	sigset_t all;

	options_parse(argc, argv);
	printf("SEED %llu\n", (unsigned long long)options.seed);
	fflush(stdout);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	signal(SIGUSR1, nothing);
	setrlimit(RLIMIT_NOFILE, &files);
	options.root = !geteuid();
	tallies = shared_memory(sizeof(*tallies) * MAX_THREADS);
	progress = shared_memory(sizeof(*progress) * MAX_THREADS);
	arena = shared_memory(ARENA_SIZE);
	for (i = 0; i < options.threads; i++) {
		/* Not shared: a child changes its copy. */
		worlds[i] = calloc(1, sizeof(struct world));
		if (!worlds[i])
			return 1;
		worlds[i]->tally = &tallies[i];
		worlds[i]->progress = &progress[i];
	}
	submitted = stat_of("submitted");
	ring_init(&shared, RING_SHARED);
	ring_init(&victim, RING_SCRIBBLED);
	ring_open(worlds[0], &shared, 256, 0);
	ring_open(worlds[0], &victim, 64, AFSYNC_SETUP_INLINE);
	must(worlds[0], !ioctl(shared.fd, AFSYNC_IOC_INFO, &options.info));
	for (i = 0; i < options.threads; i++)
		world_open(worlds[i], i);
	begun = time(NULL);
	pthread_barrier_init(&barrier, NULL, options.threads);
	for (i = 0; i < options.threads; i++)
		must(worlds[0], !pthread_create(&threads[i], NULL, run, worlds[i]));
	watch();
	for (i = 0; i < options.threads; i++) {
		pthread_join(threads[i], NULL);
		sequence += worlds[i]->rng.drawn;
	}
	ring_close(worlds[0], &shared);
	ring_close(worlds[0], &victim);
	check_stats(tallies, submitted);
	report(tallies, options.threads, sequence);
	return 0;
}
