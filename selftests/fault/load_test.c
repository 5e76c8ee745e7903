// SPDX-License-Identifier: GPL-2.0-only
/*
 * Under load, with every tenth allocation or copy of the threads failing, or of the kernel's
 * workers: each accepted request completes exactly once, with the result of its sync, and
 * the checkers of the kernel stay on.
 *
 * Needs afsync_sim, root, and a kernel with fault injection. ROUNDS=N does it N times.
 */
#include "load.h"

#define PERCENT		"10"
#define NO_LIMIT	1000000000

enum kind { SLAB, PAGE, COPY, NR_KINDS };
static const char * const kinds[NR_KINDS] = { "failslab", "fail_page_alloc", "fail_usercopy" };

FIXTURE(load) {
	struct world world;
	struct party *parties;
};

/* @workers: the kernel's workers, which run the syncs and complete requests, fail, too */
FIXTURE_VARIANT(load) {
	bool kinds[NR_KINDS];
	bool workers;
};

FIXTURE_VARIANT_ADD(load, slabs) { .kinds[SLAB] = true };
FIXTURE_VARIANT_ADD(load, pages) { .kinds[PAGE] = true };
FIXTURE_VARIANT_ADD(load, copies) { .kinds[COPY] = true };
FIXTURE_VARIANT_ADD(load, all) { .kinds = { true, true, true } };
FIXTURE_VARIANT_ADD(load, slabs_and_pages_of_workers) {
	.kinds = { true, true, false },
	.workers = true,
};

static void kind_set(enum kind kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FAULTS "%s/%s", kinds[kind], name);
	need(text_write(path, value) == 0);
}

/* The number of failures since it was switched on. */
static long long kind_count(enum kind kind)
{
	char path[128];

	snprintf(path, sizeof(path), FAULTS "%s/times", kinds[kind]);
	return NO_LIMIT - number_read(path);
}

static void kind_on(enum kind kind)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", NO_LIMIT);
	kind_set(kind, "task-filter", "Y");
	kind_set(kind, "times", text);
	kind_set(kind, "interval", "1");
	kind_set(kind, "probability", PERCENT);
}

/* The threads that run the work of an unbound workqueue, such as the module's. */
static void workers_make_fail(bool fail)
{
	char path[300], name[32];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int fd;

	need(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* It may be gone meanwhile. */
		if (fd < 0)
			continue;
		memset(name, 0, sizeof(name));
		if (read(fd, name, sizeof(name) - 1) > 0 && !strncmp(name, "kworker/u", 9)) {
			snprintf(path, sizeof(path), "/proc/%s/make-it-fail", entry->d_name);
			text_write(path, fail ? "1" : "0");
		}
		close(fd);
	}
	closedir(dir);
}

FIXTURE_SETUP(load)
{
	(void)variant;
	WORLD_SETUP(&self->world, "afsync_sim");
	if (!faults_of_all_kinds_ready())
		SKIP(exit(255), "no fault injection in this kernel");
	self->parties = calloc(PARTIES, sizeof(*self->parties));
	need(self->parties && mlockall(MCL_CURRENT) == 0);
}

/* kmemleak switches itself off when it has no memory; then it would report nothing. */
static bool kmemleak_runs(void)
{
	return !text_write(FAULTS "kmemleak", "scan=off");
}

FIXTURE_TEARDOWN(load)
{
	enum kind kind;

	for (kind = 0; kind < NR_KINDS; kind++)
		kind_set(kind, "probability", "0");
	if (variant->workers)
		workers_make_fail(false);
	world_unmount(&self->world);
	EXPECT_EQ(0, counter("in_flight"));
	EXPECT_TRUE(kmemleak_runs());
}

static void party_begin(struct party *party, const struct world *world)
{
	memset(party, 0, sizeof(*party));
	party->files[0] = world_open(world, "file", O_RDWR);
	party->files[1] = world_open(world, "file", O_RDWR);
	party->files[2] = world_open(world, "other", O_RDWR);
	party->files[3] = memfd_create("afsync-fault", MFD_CLOEXEC);
	need(party->files[3] >= 0);
}

static bool round_of_load(FIXTURE_DATA(load) *self, bool workers)
{
	pthread_t threads[PARTIES * THREADS];
	const char *wrong = NULL, *ended;
	unsigned int i, j;

	for (i = 0; i < PARTIES; i++) {
		party_begin(&self->parties[i], &self->world);
		threads[i] = thread_start(party_make_ring, &self->parties[i]);
	}
	for (i = 0; i < PARTIES; i++)
		thread_join(threads[i]);
	if (workers)
		workers_make_fail(true);
	for (i = 0; i < PARTIES * THREADS; i++)
		threads[i] = thread_start(party_thread, &self->parties[i % PARTIES]);
	for (i = 0; i < PARTIES * THREADS; i++) {
		/* There may be new ones. */
		if (workers)
			workers_make_fail(true);
		thread_join(threads[i]);
	}
	for (i = 0; i < PARTIES; i++) {
		ended = party_end(&self->parties[i]);
		wrong = wrong ?: ended;
		for (j = 0; j < ARRAY_SIZE(self->parties[i].files); j++)
			close(self->parties[i].files[j]);
	}
	if (wrong)
		fprintf(stderr, "# %s\n", wrong);
	return !wrong;
}

TEST_F_TIMEOUT(load, of_which_a_tenth_fails_completes_what_was_accepted_once, LONG_TIMEOUT)
{
	unsigned int round;
	enum kind kind;

	for (kind = 0; kind < NR_KINDS; kind++)
		if (variant->kinds[kind])
			kind_on(kind);
	for (round = 0; round < rounds_wanted(); round++)
		ASSERT_TRUE(round_of_load(self, variant->workers));
	for (kind = 0; kind < NR_KINDS; kind++) {
		if (!variant->kinds[kind])
			continue;
		fprintf(stderr, "# %s: %lld times\n", kinds[kind], kind_count(kind));
		EXPECT_NE(0, kind_count(kind));
	}
}

TEST_HARNESS_MAIN
