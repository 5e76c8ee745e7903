// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync exec with the device: the syncs of an unmodified program go through the module,
 * and --stats counts them, however the program ends.
 * tools/afsync/tests has the tests that need no device.
 *
 * This program is also the one that afsync exec runs: with a name as its argument it
 * queues syncs by aio_fsync(3) and libaio as any program does.
 *
 * Needs afsync_sim, root, the drop-in libraries in lib beside this program, and the
 * command: AFSYNC_COMMAND, or where the build puts it next to this program's folder.
 */
#include "common.h"

#include <aio.h>
#include <libaio.h>
#include <pty.h>

/* --- the program --- */

static int file_of_program(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	need(fd >= 0 && pwrite(fd, "data", 4, 0) == 4);
	return fd;
}

static void posix_queue(struct aiocb *cb, int fd, int op)
{
	memset(cb, 0, sizeof(*cb));
	cb->aio_fildes = fd;
	cb->aio_sigevent.sigev_notify = SIGEV_NONE;
	need(aio_fsync(op, cb) == 0);
}

/* Returns the result of aio_error() at the end. */
static int posix_wait(struct aiocb *cb)
{
	const struct aiocb *list[] = { cb };

	while (aio_error(cb) == EINPROGRESS)
		need(aio_suspend(list, 1, NULL) == 0 || errno == EINTR);
	return aio_error(cb);
}

static int posix_sync(int fd, int op)
{
	struct aiocb cb;

	posix_queue(&cb, fd, op);
	return posix_wait(&cb);
}

static int program_posix(const char *path)
{
	int fd = file_of_program(path);

	return posix_sync(fd, O_SYNC) || posix_sync(fd, O_SYNC) || posix_sync(fd, O_DSYNC);
}

static int program_error(const char *path)
{
	return posix_sync(file_of_program(path), O_SYNC);
}

/* A write and both syncs, one after the other. */
static int program_libaio(const char *path)
{
	int fd = file_of_program(path), i, bad = 0;
	struct iocb iocbs[3], *each;
	struct io_event event;
	io_context_t ctx = NULL;
	char text[] = "more";

	need(io_setup(8, &ctx) == 0);
	io_prep_pwrite(&iocbs[0], fd, text, 4, 4);
	io_prep_fsync(&iocbs[1], fd);
	io_prep_fdsync(&iocbs[2], fd);
	for (i = 0; i < 3; i++) {
		each = &iocbs[i];
		need(io_submit(ctx, 1, &each) == 1);
		need(io_getevents(ctx, 1, 1, &event, NULL) == 1);
		bad |= event.obj != each || event.res != (i ? 0 : 4);
	}
	return bad;
}

static int program_forks(const char *path)
{
	int i, fd = file_of_program(path);
	pid_t pids[3];

	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		need(pids[i] >= 0);
		if (!pids[i])
			_exit(posix_sync(fd, O_SYNC));
	}
	for (i = 0; i < 3; i++)
		need(child_wait(pids[i]) == 0);
	_exit(5);
}

static int program_killed(const char *path)
{
	int fd = file_of_program(path);

	need(posix_sync(fd, O_SYNC) == 0 && posix_sync(fd, O_DSYNC) == 0);
	raise(SIGKILL);
	return 0;
}

/* Queues two syncs, of which one is still queued when it is killed; the other side says when. */
static int program_killed_syncing(const char *path)
{
	int fd = file_of_program(path), other = file_of_program(path);
	struct aiocb cbs[2];
	char c;

	posix_queue(&cbs[0], fd, O_SYNC);
	need(read(0, &c, 1) == 1);
	posix_queue(&cbs[1], other, O_SYNC);
	close(other);
	raise(SIGKILL);
	return 0;
}

/* Queues one, and four that wait for it when the other side lets it continue. */
static int program_merge(const char *path)
{
	struct aiocb cbs[5];
	int fd = file_of_program(path), i, bad = 0;
	char c;

	posix_queue(&cbs[0], fd, O_SYNC);
	need(read(0, &c, 1) == 1);
	for (i = 1; i < 5; i++)
		posix_queue(&cbs[i], fd, O_SYNC);
	need(write(1, "", 1) == 1);
	for (i = 0; i < 5; i++)
		bad |= posix_wait(&cbs[i]);
	return bad;
}

static int program_pid(const char *path)
{
	(void)path;
	return dprintf(1, "%d", getpid()) <= 0;
}

/* Takes SIGINT; the next SIGTERM ends it, with 1 if another SIGINT came before that. */
static int program_signals(const char *path)
{
	sigset_t set, pending;
	siginfo_t info;

	(void)path;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	need(write(1, "r", 1) == 1);
	need(sigwaitinfo(&set, &info) == SIGINT);
	need(write(1, "i", 1) == 1);
	sigdelset(&set, SIGINT);
	need(sigwaitinfo(&set, &info) == SIGTERM);
	sigpending(&pending);
	return sigismember(&pending, SIGINT);
}

static const struct program {
	const char *name;
	int (*run)(const char *path);
} programs[] = {
	{ "posix",		program_posix },
	{ "error",		program_error },
	{ "libaio",		program_libaio },
	{ "forks",		program_forks },
	{ "killed",		program_killed },
	{ "killed-syncing",	program_killed_syncing },
	{ "merge",		program_merge },
	{ "pid",		program_pid },
	{ "signals",		program_signals },
};

#define NR_PROGRAMS	(sizeof(programs) / sizeof(*programs))

/* --- the tests --- */

static char self_path[PATH_MAX];
static char command_path[PATH_MAX];

/*
 * Runs before main() and the check for the device: with a program's name, this process is that
 * program.
 */
static void __attribute__((constructor(101)))
program_or_test(int argc, char **argv)
{
	const char *given = getenv("AFSYNC_COMMAND");
	char path[PATH_MAX + 64];
	unsigned int i;

	for (i = 0; argc == 3 && i < NR_PROGRAMS; i++)
		if (!strcmp(argv[1], programs[i].name))
			exit(programs[i].run(argv[2]));

	need(readlink("/proc/self/exe", self_path, sizeof(self_path) - 1) > 0);
	snprintf(path, sizeof(path), "%.*s/lib", (int)(strrchr(self_path, '/') - self_path),
		 self_path);
	need(setenv("AFSYNC_LIBDIR", path, 1) == 0);
	snprintf(path, sizeof(path), "%.*s/../../tools/afsync/afsync",
		 (int)(strrchr(self_path, '/') - self_path), self_path);
	if (realpath(given ? given : path, command_path))
		return;
	printf("1..0 # SKIP no afsync command: run 'make tools'\n");
	fflush(stdout);
	_exit(KSFT_SKIP);
}

FIXTURE(exec) {
	struct world world;
	char file[64];		/* of the world */
	int ctl;		/* the same, open */
	int out, err;		/* of the command, files in memory */
	int in;			/* of the command, or -1 */
	int status;
	char text[4096];	/* its output on err */
	long long submitted, syncs, merged, completed;
};

FIXTURE_SETUP(exec)
{
	memset(self, 0, sizeof(*self));
	WORLD_SETUP(&self->world, "afsync_sim");
	snprintf(self->file, sizeof(self->file), "%s/file", self->world.dir);
	self->ctl = world_open(&self->world, "file", O_RDONLY);
	self->out = memfd_create("out", MFD_CLOEXEC);
	self->err = memfd_create("err", MFD_CLOEXEC);
	need(self->out >= 0 && self->err >= 0);
	self->in = -1;
	self->submitted = counter("submitted");
	self->syncs = counter("syncs");
	self->merged = counter("merged");
	self->completed = counter("completed");
}

FIXTURE_TEARDOWN(exec)
{
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	close(self->ctl);
	world_unmount(&self->world);
}

/* Starts this program as @name under afsync exec; @stats may be NULL. */
static pid_t start(const FIXTURE_DATA(exec) *self, const char *name, const char *stats)
{
	const char *argv[] = { "afsync", "exec", stats ? stats : "--", self_path, name,
			       self->file, NULL };
	pid_t pid = fork();

	need(pid >= 0);
	if (pid)
		return pid;
	if (self->in >= 0)
		need(dup2(self->in, 0) == 0);
	need(dup2(self->out, 1) == 1 && dup2(self->err, 2) == 2);
	execv(command_path, (char **)argv);
	_exit(99);
}

static void end(FIXTURE_DATA(exec) *self, pid_t pid)
{
	ssize_t n;

	self->status = child_wait(pid);
	n = pread(self->err, self->text, sizeof(self->text) - 1, 0);
	need(n >= 0);
	self->text[n] = '\0';
	self->submitted = counter("submitted") - self->submitted;
	self->syncs = counter("syncs") - self->syncs;
	self->merged = counter("merged") - self->merged;
	self->completed = counter("completed") - self->completed;
}

/* The number behind "label:", -1 without. */
static long long number_of(const FIXTURE_DATA(exec) *self, const char *label)
{
	const char *at = strstr(self->text, label);

	return at ? atoll(at + strlen(label) + 1) : -1;
}

static bool device_agrees(const FIXTURE_DATA(exec) *self)
{
	return number_of(self, "device submitted") == self->submitted &&
	       number_of(self, "device syncs") == self->syncs &&
	       number_of(self, "device merged") == self->merged &&
	       number_of(self, "device completed") == self->completed;
}

TEST_F(exec, aio_fsync_of_a_program_goes_through_the_device)
{
	end(self, start(self, "posix", "--stats"));
	ASSERT_EQ(self->status, 0) TH_LOG("%s", self->text);
	EXPECT_EQ(number_of(self, "posix fsync"), 2);
	EXPECT_EQ(number_of(self, "posix fdatasync"), 1);
	EXPECT_EQ(number_of(self, "posix failed"), 0);
	EXPECT_EQ(number_of(self, "elsewhere"), 0);
	EXPECT_EQ(self->submitted, 3);
	EXPECT_EQ(self->completed, 3);
	EXPECT_TRUE(device_agrees(self));
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 3);
}

TEST_F(exec, syncs_of_libaio_go_through_the_device)
{
	end(self, start(self, "libaio", "--stats"));
	ASSERT_EQ(self->status, 0) TH_LOG("%s", self->text);
	EXPECT_EQ(number_of(self, "libaio fsync"), 1);
	EXPECT_EQ(number_of(self, "libaio fdsync"), 1);
	EXPECT_EQ(number_of(self, "libaio other"), 1);
	EXPECT_EQ(number_of(self, "elsewhere"), 0);
	EXPECT_EQ(self->submitted, 2);
	EXPECT_TRUE(device_agrees(self));
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 2);
}

TEST_F(exec, without_stats_the_program_takes_the_place_of_afsync)
{
	char text[32] = "";
	pid_t pid = start(self, "pid", NULL);

	end(self, pid);
	EXPECT_EQ(self->status, 0);
	EXPECT_STREQ(self->text, "");
	need(pread(self->out, text, sizeof(text) - 1, 0) > 0);
	EXPECT_EQ(atoi(text), pid);
}

TEST_F(exec, without_stats_the_syncs_go_through_the_device_as_well)
{
	end(self, start(self, "posix", NULL));
	EXPECT_EQ(self->status, 0);
	EXPECT_STREQ(self->text, "");
	EXPECT_EQ(self->submitted, 3);
}

/* AFSYNC_STATS is afsync's own; the file that a program finds there may be anything. */
TEST_F(exec, file_that_is_no_page_of_counters_is_not_changed)
{
	static const char zeros[4096];
	char path[PATH_MAX + 16], now[4096];
	const size_t sizes[] = { 0, 8, sizeof(zeros) };
	unsigned int i;
	int fd;

	snprintf(path, sizeof(path), "%s/not-there", self->world.dir);
	need(setenv("AFSYNC_STATS", path, 1) == 0);
	end(self, start(self, "posix", NULL));
	EXPECT_EQ(self->status, 0);
	need(setenv("AFSYNC_STATS", "/", 1) == 0);
	end(self, start(self, "posix", NULL));
	EXPECT_EQ(self->status, 0);

	strcpy(path, "/tmp/afsync-stats-XXXXXX");
	fd = mkstemp(path);
	need(fd >= 0 && setenv("AFSYNC_STATS", path, 1) == 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		need(pwrite(fd, zeros, sizes[i], 0) == (ssize_t)sizes[i]);
		end(self, start(self, "posix", NULL));
		EXPECT_EQ(self->status, 0);
		EXPECT_EQ(pread(fd, now, sizeof(now), 0), (ssize_t)sizes[i]);
		EXPECT_EQ(memcmp(now, zeros, sizes[i]), 0);
	}
	unsetenv("AFSYNC_STATS");
	unlink(path);
	close(fd);
}

TEST_F(exec, children_that_leave_by_underscore_exit_are_counted)
{
	end(self, start(self, "forks", "--stats"));
	EXPECT_EQ(self->status, 5);
	EXPECT_EQ(number_of(self, "posix fsync"), 3);
	EXPECT_EQ(number_of(self, "elsewhere"), 0);
	EXPECT_TRUE(device_agrees(self));
}

TEST_F(exec, a_killed_program_is_counted)
{
	end(self, start(self, "killed", "--stats"));
	EXPECT_EQ(self->status, 128 + SIGKILL);
	EXPECT_EQ(number_of(self, "posix fsync"), 1);
	EXPECT_EQ(number_of(self, "posix fdatasync"), 1);
	EXPECT_EQ(self->submitted, 2);
}

TEST_F(exec, a_program_killed_while_its_sync_runs_is_counted)
{
	struct turn go;
	pid_t pid;

	turn_init(&go);
	self->in = go.fds[0];
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	pid = start(self, "killed-syncing", "--stats");
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	turn_post(&go);
	/* The queued requests are cancelled at its end, while the first still runs. */
	sim_wait_started(self->ctl, SIM_GATE_RELEASE, 1);
	EXPECT_EQ(sim_stats(self->ctl).finished[SIM_GATE_FSYNC], 0);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	end(self, pid);
	EXPECT_EQ(self->status, 128 + SIGKILL);
	EXPECT_EQ(number_of(self, "posix fsync"), 2);
	EXPECT_EQ(self->submitted, 2);
	EXPECT_EQ(sim_stats(self->ctl).finished[SIM_GATE_FSYNC], 1);
}

TEST_F(exec, merged_syncs_are_told)
{
	struct turn go, queued;
	pid_t pid;

	turn_init(&go);
	turn_init(&queued);
	self->in = go.fds[0];
	close(self->out);
	self->out = queued.fds[1];
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	pid = start(self, "merge", "--stats");
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	turn_post(&go);
	turn_wait(&queued, 1);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	end(self, pid);
	EXPECT_EQ(self->status, 0);
	EXPECT_EQ(number_of(self, "posix fsync"), 5);
	EXPECT_EQ(number_of(self, "posix merged"), 3);
	EXPECT_TRUE(device_agrees(self));
	EXPECT_EQ(self->merged, 3);
}

TEST_F(exec, failed_syncs_are_told)
{
	sim_fail(self->ctl, SIM_GATE_FSYNC, EIO, 1);
	end(self, start(self, "error", "--stats"));
	EXPECT_EQ(self->status, EIO);
	EXPECT_EQ(number_of(self, "posix fsync"), 1);
	EXPECT_EQ(number_of(self, "posix failed"), 1);
}

TEST_F(exec, without_the_device_the_program_runs_on_and_it_is_told)
{
	static const char * const names[] = { "posix", "libaio" };
	unsigned int i;

	/* A file that opens, but is not the device. */
	need(mount("/dev/null", DEVICE, NULL, MS_BIND, NULL) == 0);
	for (i = 0; i < 2; i++) {
		need(ftruncate(self->err, 0) == 0 && lseek(self->err, 0, SEEK_SET) == 0);
		self->submitted = counter("submitted");
		end(self, start(self, names[i], "--stats"));
		EXPECT_EQ(self->status, 0);
		EXPECT_EQ(number_of(self, "elsewhere"), i ? 2 : 3);
		EXPECT_EQ(self->submitted, 0);
	}
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 5);
}

TEST_F(exec, a_signal_of_the_terminal_arrives_once)
{
	int terminal, pipes[2];
	pid_t pid;
	char c;

	need(pipe(pipes) == 0);
	pid = forkpty(&terminal, NULL, NULL, NULL);
	need(pid >= 0);
	if (!pid) {
		need(dup2(pipes[1], 1) == 1);
		execl(command_path, "afsync", "exec", "--stats=/dev/null", self_path,
		      "signals", self->file, NULL);
		_exit(99);
	}
	need(read(pipes[0], &c, 1) == 1);
	need(write(terminal, "\3", 1) == 1);
	need(read(pipes[0], &c, 1) == 1);
	/* If afsync had passed the first one on, it would have done so before this one. */
	need(kill(pid, SIGTERM) == 0);
	EXPECT_EQ(child_wait(pid), 0);
	close(terminal);
}

TEST_HARNESS_MAIN
