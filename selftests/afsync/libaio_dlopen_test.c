// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that is not linked with libaio but opens it by dlopen(), as bindings of other
 * languages do, uses the device under `afsync exec`: the preloaded library has the name of
 * libaio. A program that opens libaio by its path gets that file, and `afsync exec --stats`
 * says so.
 *
 * Needs afsync_sim, root, and libaio.so.1.
 */
#include "common.h"

#include <dlfcn.h>
#include <libaio.h>

#include "../../tools/lib/afsync-dropin/dropin.h"

#define REAL_PATH	"LIBAIO_REAL_PATH"
#define OPEN		"LIBAIO_OPEN"

/* Runs before the library is loaded: where is the machine's libaio? */
static void __attribute__((constructor(150))) find_real(void)
{
	char path[PATH_MAX];
	Dl_info info;

	if (getenv(REAL_PATH))
		return;
	need(dladdr((void *)io_submit, &info));
	need(realpath(info.dli_fname, path));
	need(setenv(REAL_PATH, path, 1) == 0);
}

static int sync_by_hand(const char *name, int fd);

/* The process that a test executes again: it syncs standard input. */
static void __attribute__((constructor(200))) work_if_asked(void)
{
	if (getenv(OPEN))
		exit(sync_by_hand(getenv(OPEN), 0));
}

#define PRELOAD_LIBRARY	"afsync/libaio.so.1"
#include "preload.h"

struct functions {
	int (*setup)(int nr, io_context_t *ctx);
	int (*submit)(io_context_t ctx, long nr, struct iocb **iocbs);
	int (*getevents)(io_context_t ctx, long min_nr, long nr, struct io_event *events,
			 struct timespec *timeout);
	int (*destroy)(io_context_t ctx);
};

static void functions_of(void *library, struct functions *f)
{
	f->setup = (void *)dlsym(library, "io_setup");
	f->submit = (void *)dlsym(library, "io_submit");
	f->getevents = (void *)dlvsym(library, "io_getevents", "LIBAIO_0.4");
	f->destroy = (void *)dlsym(library, "io_destroy");
	need(f->setup && f->submit && f->getevents && f->destroy);
}

/* One sync through the library of that name; 0 if all went well. */
static int sync_by_hand(const char *name, int fd)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	struct iocb iocb, *list[] = { &iocb };
	struct io_event event;
	io_context_t ctx = NULL;
	struct functions f;

	if (!library)
		return 10;
	functions_of(library, &f);
	if (f.setup(1, &ctx))
		return 11;
	io_prep_fsync(&iocb, fd);
	if (f.submit(ctx, 1, list) != 1)
		return 12;
	if (f.getevents(ctx, 1, 1, &event, NULL) != 1)
		return 13;
	if (event.obj != &iocb || event.res)
		return 14;
	return f.destroy(ctx) ? 15 : 0;
}

FIXTURE(dlopen) {
	struct world world;
	int file;
	int page;			/* a file in memory */
	struct dropin_stats *stats;
};

FIXTURE_SETUP(dlopen)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->file = world_open(&self->world, "file", O_RDWR);
	self->page = memfd_create("stats", MFD_CLOEXEC);
	need(ftruncate(self->page, sizeof(*self->stats)) == 0);
	self->stats = mmap(NULL, sizeof(*self->stats), PROT_READ | PROT_WRITE, MAP_SHARED,
			   self->page, 0);
	need(self->stats != MAP_FAILED);
	self->stats->magic = DROPIN_STATS_MAGIC;
}

FIXTURE_TEARDOWN(dlopen)
{
	close(self->file);
	/* Kernel AIO drops the file only after its event can be seen. */
	umount2(self->world.dir, MNT_DETACH);
}

/* Runs the program under the library, with a page to count in; its exit code. */
static int run(FIXTURE_DATA(dlopen) *self, const char *name)
{
	char page[64];
	pid_t pid = fork();

	need(pid >= 0);
	if (pid)
		return child_wait(pid);
	snprintf(page, sizeof(page), "/proc/%d/fd/%d", getppid(), self->page);
	need(dup2(self->file, 0) == 0);
	need(setenv("AFSYNC_STATS", page, 1) == 0 && setenv(OPEN, name, 1) == 0);
	execl("/proc/self/exe", "program", NULL);
	_exit(99);
}

TEST_F(dlopen, syncs_of_a_program_that_opens_libaio_go_through_the_device)
{
	EXPECT_EQ(0, run(self, "libaio.so.1"));
	EXPECT_EQ(1, self->stats->counters[DROPIN_LIBAIO_FSYNC]);
	EXPECT_EQ(0, self->stats->counters[DROPIN_LIBAIO_PAST]);
	EXPECT_EQ(1, sim_started(self->file, SIM_GATE_FSYNC));
}

TEST_F(dlopen, libaio_that_is_opened_by_its_path_works_and_is_told)
{
	EXPECT_EQ(0, run(self, getenv(REAL_PATH)));
	EXPECT_EQ(0, self->stats->counters[DROPIN_LIBAIO_FSYNC]);
	EXPECT_EQ(1, self->stats->counters[DROPIN_LIBAIO_PAST]);
	EXPECT_EQ(1, sim_started(self->file, SIM_GATE_FSYNC));
}

TEST_F(dlopen, linked_libaio_is_the_library_as_well)
{
	Dl_info info;

	ASSERT_TRUE(dladdr(dlsym(RTLD_DEFAULT, "io_submit"), &info));
	EXPECT_TRUE(strstr(info.dli_fname, PRELOAD_LIBRARY)) {
		TH_LOG("%s", info.dli_fname);
	}
	EXPECT_FALSE(preload_mapped(getenv(REAL_PATH)));
}

TEST_HARNESS_MAIN
