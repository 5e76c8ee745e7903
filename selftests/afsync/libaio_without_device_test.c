// SPDX-License-Identifier: GPL-2.0-only
/*
 * P14 stays out, for libafsync-libaio: a program that cannot use the device runs on
 * kernel AIO as if the library were not there; one line says so, only with
 * AFSYNC_VERBOSE.
 *
 * The program is this one, executed again: it does its work when LIBAIO_WORK is set. The
 * device is taken away in a mount namespace. Needs root and afsync_sim.
 */
#include "common.h"

#include <libaio.h>
#include <sys/wait.h>

/*
 * Runs in the working process, before code that would look for the device. By then the
 * library has been preloaded: the environment comes from a preloaded test.
 */
static void work(void);

static void __attribute__((constructor(200))) work_if_asked(void)
{
	if (getenv("LIBAIO_WORK"))
		work();
}

#define PRELOAD_LIBRARY	"libafsync-libaio.so.1"
#include "preload.h"

static void check(bool good, int code)
{
	if (!good)
		_exit(code);
}

static void one(io_context_t ctx, struct iocb *iocb, long result, int code)
{
	struct io_event event;

	check(io_submit(ctx, 1, &iocb) == 1, code);
	check(io_getevents(ctx, 1, 1, &event, NULL) == 1, code + 1);
	check(event.obj == iocb && (long)event.res == result, code + 2);
}

static int calls;

static void callback(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	(void)ctx;
	(void)iocb;
	calls += !res && !res2;
}

/* One of each, on the descriptor that LIBAIO_WORK names; exits with 0 if all succeeded. */
static void work(void)
{
	int fd = atoi(getenv("LIBAIO_WORK")), pipes[2], i;
	io_context_t ctx = NULL;
	char text[] = "text", got[5] = "";
	struct timespec zero = { 0, 0 };
	struct io_event event;
	struct iocb iocb;

	check(io_queue_init(16, &ctx) == 0, 1);
	io_prep_pwrite(&iocb, fd, text, 4, 0);
	one(ctx, &iocb, 4, 10);
	io_prep_pread(&iocb, fd, got, 4, 0);
	one(ctx, &iocb, 4, 20);
	check(!strcmp(got, text), 29);
	for (i = 0; i < 20; i++) {
		if (i % 2)
			io_prep_fdsync(&iocb, fd);
		else
			io_prep_fsync(&iocb, fd);
		one(ctx, &iocb, 0, 30);
	}
	check(io_fsync(ctx, &iocb, callback, fd) == 1, 40);
	while (!calls)
		check(io_queue_run(ctx) >= 0, 41);
	check(pipe(pipes) == 0, 50);
	io_prep_fsync(&iocb, pipes[0]);
	check(io_fsync(ctx, &iocb, callback, pipes[0]) == -EINVAL, 51);
	check(io_fsync(ctx, &iocb, callback, -1) == -EBADF, 52);
	check(io_submit(ctx, 1, NULL) == -EFAULT, 53);
	check(io_getevents(ctx, 0, 1, &event, &zero) == 0, 54);
	io_prep_poll(&iocb, pipes[0], POLLIN);
	check(io_fsync(NULL, &iocb, callback, fd) == -EINVAL, 55);
	check(io_queue_release(ctx) == 0, 60);
	check(io_destroy(ctx) == -EINVAL, 61);
	_exit(0);
}

FIXTURE(without) {
	struct world world;
	int file;
};

FIXTURE_VARIANT(without) {
	int how;
};

enum { NOT_THERE, NOT_ALLOWED, NOT_THE_DEVICE };

FIXTURE_VARIANT_ADD(without, not_there) { .how = NOT_THERE };
FIXTURE_VARIANT_ADD(without, not_allowed) { .how = NOT_ALLOWED };
FIXTURE_VARIANT_ADD(without, not_the_device) { .how = NOT_THE_DEVICE };

FIXTURE_SETUP(without)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->file = world_open(&self->world, "file", O_RDWR);
}

FIXTURE_TEARDOWN(without)
{
	close(self->file);
	/* Kernel AIO drops the file only after its event can be seen. */
	umount2(self->world.dir, MNT_DETACH);
}

/* In a mount namespace of its own. */
static void take_away_device(int how)
{
	own_mounts();
	switch (how) {
	case NOT_THERE:
		need(mount("none", "/dev", "tmpfs", 0, NULL) == 0);
		break;
	case NOT_ALLOWED:
		need(mount("/proc/version", DEVICE, NULL, MS_BIND, NULL) == 0);
		need(setgid(65534) == 0 && setuid(65534) == 0);
		break;
	case NOT_THE_DEVICE:
		need(mount("/dev/null", DEVICE, NULL, MS_BIND, NULL) == 0);
		break;
	}
}

/* Runs the program without the device; returns its exit code, and its output. */
static int run(int how, int file, const char *verbose, char *said, size_t size)
{
	int pipes[2], code;
	char number[16];
	ssize_t n;
	pid_t pid;

	need(pipe2(pipes, O_CLOEXEC) == 0);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(dup2(pipes[1], 2) == 2);
		snprintf(number, sizeof(number), "%d", file);
		need(fcntl(file, F_SETFD, 0) == 0);
		setenv("LIBAIO_WORK", number, 1);
		if (verbose)
			setenv("AFSYNC_VERBOSE", verbose, 1);
		else
			unsetenv("AFSYNC_VERBOSE");
		take_away_device(how);
		execl("/proc/self/exe", "work", NULL);
		_exit(127);
	}
	close(pipes[1]);
	memset(said, 0, size);
	while ((n = read(pipes[0], said + strlen(said), size - 1 - strlen(said))) > 0)
		;
	code = child_wait(pid);
	close(pipes[0]);
	return code;
}

TEST_F(without, program_runs_on_kernel_aio_and_says_nothing)
{
	long long submitted = counter("submitted");
	char said[512];

	EXPECT_EQ(0, run(variant->how, self->file, NULL, said, sizeof(said)));
	EXPECT_STREQ("", said);
	EXPECT_EQ(0, run(variant->how, self->file, "0", said, sizeof(said)));
	EXPECT_STREQ("", said);
	EXPECT_EQ(submitted, counter("submitted"));
	/* each sync ran all the same */
	EXPECT_EQ(2 * 21, sim_started(self->file, SIM_GATE_FSYNC));
}

TEST_F(without, one_line_says_so_if_it_is_asked_for)
{
	char said[512];

	EXPECT_EQ(0, run(variant->how, self->file, "1", said, sizeof(said)));
	EXPECT_TRUE(!strncmp(said, "libafsync-libaio: ", 18)) {
		TH_LOG("%s", said);
	}
	EXPECT_TRUE(strstr(said, DEVICE));
	EXPECT_EQ(strlen(said) - 1, strcspn(said, "\n"));
}

FIXTURE(with) {
	struct world world;
	int file;
};

FIXTURE_SETUP(with)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->file = world_open(&self->world, "file", O_RDWR);
}

FIXTURE_TEARDOWN(with)
{
	close(self->file);
	umount2(self->world.dir, MNT_DETACH);
}

/* The same program, to know that it uses the device when it can. */
TEST_F(with, same_program_uses_the_device_when_it_is_there)
{
	long long submitted = counter("submitted");
	char said[512];

	EXPECT_EQ(0, run(-1, self->file, "1", said, sizeof(said)));
	EXPECT_STREQ("libafsync-libaio: using " DEVICE "\n", said);
	EXPECT_EQ(submitted + 21, counter("submitted"));
}

TEST_HARNESS_MAIN
