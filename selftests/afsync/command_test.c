// SPDX-License-Identifier: GPL-2.0-only
/*
 * The afsync command with the device: every file is synced or has a message, with few
 * descriptors, under any limit, and the printed numbers agree with the module's counters.
 * tools/afsync/tests has the tests of the command line and of running without a device.
 *
 * Needs afsync_sim, root, FUSE for one test, and the command: AFSYNC_COMMAND, or where the
 * build puts it next to this program's folder, or on the PATH.
 */
#include "fs_fuse.h"

#include <pty.h>
#include <sys/resource.h>

#define NOBODY	65534

/* A run of the command. Its output goes to files in memory. */
struct run {
	pid_t pid;
	int out;
	int err;
	int status;
	unsigned int max_files;	/* RLIMIT_NOFILE, 0 = as here */
	uid_t uid;
	int in;			/* standard input, -1 = /dev/null */
	bool closed;		/* standard input and errors */
	char text_out[8192];
	char text_err[8192];
};

static char command_path[PATH_MAX];

/* Runs before main(), like the check for the device. */
static void __attribute__((constructor)) command_or_skip(void)
{
	static const char * const beside[] = {
		"../../tools/afsync/afsync", "../../build/tools/afsync/afsync",
	};
	const char *given = getenv("AFSYNC_COMMAND");
	char self[PATH_MAX] = "";
	unsigned int i;

	if (given) {
		need(realpath(given, command_path));
		return;
	}
	need(readlink("/proc/self/exe", self, sizeof(self) - 64) > 0);
	for (i = 0; i < 2; i++) {
		strcpy(strrchr(self, '/') + 1, beside[i]);
		if (realpath(self, command_path))
			return;
		need(readlink("/proc/self/exe", self, sizeof(self) - 64) > 0);
	}
	for (i = 0; i < 3; i++) {
		static const char * const dirs[] = { "/usr/local/bin", "/usr/bin", "/bin" };

		snprintf(command_path, sizeof(command_path), "%s/afsync", dirs[i]);
		if (!access(command_path, X_OK))
			return;
	}
	printf("1..0 # SKIP no afsync command: run 'make tools'\n");
	fflush(stdout);
	_exit(KSFT_SKIP);
}

static void run_child(const struct run *run, char **argv)
{
	struct rlimit limit = { run->max_files, run->max_files };
	int in = run->in >= 0 ? run->in : open("/dev/null", O_RDONLY);

	need(dup2(in, 0) == 0 && dup2(run->out, 1) == 1 && dup2(run->err, 2) == 2);
	need(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	if (run->closed)
		need(close(0) == 0 && close(2) == 0);
	if (run->max_files)
		need(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (run->uid)
		need(setgid(run->uid) == 0 && setuid(run->uid) == 0);
	execv(command_path, argv);
	_exit(127);
}

/* Starts it; NULL ends the arguments. */
static void run_start(struct run *run, ...)
{
	char *argv[1024] = { (char *)"afsync" };
	unsigned int argc = 1;
	va_list args;

	va_start(args, run);
	do {
		need(argc < 1024);
		argv[argc] = va_arg(args, char *);
	} while (argv[argc++]);
	va_end(args);
	run->out = memfd_create("out", MFD_CLOEXEC);
	run->err = memfd_create("err", MFD_CLOEXEC);
	need(run->out >= 0 && run->err >= 0);
	run->pid = fork();
	need(run->pid >= 0);
	if (!run->pid)
		run_child(run, argv);
}

static void take_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	need(n >= 0);
	text[n] = '\0';
	close(fd);
}

static void run_end(struct run *run)
{
	run->status = child_wait(run->pid);
	take_text(run->out, run->text_out, sizeof(run->text_out));
	take_text(run->err, run->text_err, sizeof(run->text_err));
}

/* fs_common.h has another one. */
#undef RUN
#define RUN(run, ...) do {						\
	run_start(run, __VA_ARGS__, NULL);				\
	run_end(run);							\
} while (0)

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && !strcmp(text + length - wanted, end);
}

/* The number behind "label:" in the statistics, -1 without. */
static long long number_of(const struct run *run, const char *label)
{
	const char *at = strstr(run->text_out, label);

	return at ? atoll(at + strlen(label) + 1) : -1;
}

/* The counters before a run. */
struct counts {
	long long submitted, syncs, merged, completed, cancelled, failed;
};

static struct counts counts_now(void)
{
	struct counts c = {
		.submitted = counter("submitted"),
		.syncs = counter("syncs"),
		.merged = counter("merged"),
		.completed = counter("completed"),
		.cancelled = counter("cancelled"),
		.failed = counter("failed"),
	};

	return c;
}

static bool stats_agree(const struct run *run, const struct counts *before)
{
	struct counts now = counts_now();

	return number_of(run, "syncs asked for") == now.submitted - before->submitted &&
	       number_of(run, "syncs run") == now.syncs - before->syncs &&
	       number_of(run, "merged") == now.merged - before->merged &&
	       number_of(run, "failed") == now.failed - before->failed &&
	       number_of(run, "cancelled") == now.cancelled - before->cancelled &&
	       now.completed - before->completed == now.submitted - before->submitted;
}

static void counter_wait(const char *name, long long value)
{
	while (counter(name) < value)
		sched_yield();
}

FIXTURE(command) {
	struct world world;
	char file[64];		/* of the world */
	int ctl;		/* the same, open */
	char tree[64];		/* an empty folder on a tmpfs */
	struct run run;
};

FIXTURE_SETUP(command)
{
	memset(self, 0, sizeof(*self));
	self->run.in = -1;
	WORLD_SETUP(&self->world, "afsync_sim");
	snprintf(self->file, sizeof(self->file), "%s/file", self->world.dir);
	self->ctl = world_open(&self->world, "file", O_RDONLY);
	strcpy(self->tree, "/tmp/afsync-tree-XXXXXX");
	need(mkdtemp(self->tree));
	need(mount("none", self->tree, "tmpfs", 0, NULL) == 0);
	need(chmod(self->tree, 0755) == 0);
}

FIXTURE_TEARDOWN(command)
{
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	close(self->ctl);
	need(chdir("/") == 0);
	world_unmount(&self->world);
	need(umount2(self->tree, MNT_DETACH) == 0 && rmdir(self->tree) == 0);
}

/* A list for --files0-from: count names in dir. */
static int list_of(const char *dir, unsigned int count)
{
	int fd = memfd_create("list", MFD_CLOEXEC);
	unsigned int i;

	need(fd >= 0);
	for (i = 0; i < count; i++)
		need(dprintf(fd, "%s/%u", dir, i) > 0 && write(fd, "", 1) == 1);
	need(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void file_make(const char *dir, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	need(fd >= 0 && fchmod(fd, mode) == 0);
	close(fd);
}

TEST_F(command, thousands_of_files_need_few_descriptors)
{
	unsigned int count = rounds(5000);
	struct counts before = counts_now();

	self->run.in = list_of(self->world.dir, count);
	self->run.max_files = 12;
	RUN(&self->run, "--stats", "--files0-from=-");
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(number_of(&self->run, "syncs asked for"), count);
	EXPECT_EQ(number_of(&self->run, "syncs run"), count);
	EXPECT_TRUE(stats_agree(&self->run, &before));
	close(self->run.in);
}

TEST_F(command, walk_needs_few_descriptors)
{
	char dir[96], name[16];
	unsigned int i, j;

	for (i = 0; i < 10; i++) {
		snprintf(dir, sizeof(dir), "%s/%u", self->tree, i);
		need(mkdir(dir, 0755) == 0);
		for (j = 0; j < 10; j++) {
			snprintf(name, sizeof(name), "%u", j);
			file_make(dir, name, 0600);
		}
	}
	self->run.max_files = 12;
	RUN(&self->run, "-r", "--stats", self->tree);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(number_of(&self->run, "syncs run"), 111);
}

TEST_F(command, stats_agree_with_the_counters_of_the_module)
{
	int ctl = world_open(&self->world, "other", O_RDONLY);
	struct counts before = counts_now();
	struct ring ring;
	char other[64];

	snprintf(other, sizeof(other), "%s/other", self->world.dir);
	/* A sync of the test runs, so that those of the command wait for the next one. */
	ring_open(&ring, 1);
	sim_hold(ctl, SIM_GATE_FSYNC);
	need(ring_queue(&ring, ctl, AFSYNC_OP_FSYNC, 0) == 1);
	sim_wait_started(ctl, SIM_GATE_FSYNC, 1);
	sim_fail(self->ctl, SIM_GATE_FSYNC, EDQUOT, 1);
	run_start(&self->run, "--stats", other, other, other, other, self->file, other, NULL);
	counter_wait("submitted", before.submitted + 7);
	sim_let_go(ctl, SIM_GATE_FSYNC);
	run_end(&self->run);
	ring_wait(&ring, 1);
	ring_close(&ring);
	close(ctl);
	before.submitted++;
	before.syncs++;
	before.completed++;
	EXPECT_EQ(self->run.status, 1);
	EXPECT_TRUE(stats_agree(&self->run, &before));
	EXPECT_EQ(number_of(&self->run, "syncs asked for"), 6);
	EXPECT_EQ(number_of(&self->run, "failed"), 1);
	EXPECT_EQ(number_of(&self->run, "syncs run"), 2);
	EXPECT_EQ(number_of(&self->run, "merged"), 4);
	EXPECT_NE(strstr(self->run.text_out, "latency p99:"), NULL);
}

TEST_F(command, options_choose_the_operation)
{
	RUN(&self->run, self->file);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_EQ(sim_call(self->ctl, 0).datasync, 0);
	RUN(&self->run, "-d", self->file);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_EQ(sim_call(self->ctl, 1).datasync, 1);
	RUN(&self->run, "-f", self->file);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 2);
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_SYNCFS), 1);
}

TEST_F(command, each_failed_file_has_one_message)
{
	char fine[96], missing[96], fifo[96], expected[512];

	snprintf(fine, sizeof(fine), "%s/fine", self->world.dir);
	snprintf(missing, sizeof(missing), "%s/missing", self->tree);
	snprintf(fifo, sizeof(fifo), "%s/fifo", self->tree);
	need(mkfifo(fifo, 0600) == 0);
	sim_fail(self->ctl, SIM_GATE_FSYNC, EIO, 1);
	RUN(&self->run, "--stats", missing, fine, fifo, self->file, fine);
	EXPECT_EQ(self->run.status, 1);
	snprintf(expected, sizeof(expected),
		 "afsync: %s: No such file or directory\n"
		 "afsync: %s: Invalid argument\n"
		 "afsync: %s: Input/output error\n", missing, fifo, self->file);
	EXPECT_STREQ(self->run.text_err, expected);
	EXPECT_EQ(number_of(&self->run, "syncs asked for"), 3);
	EXPECT_EQ(number_of(&self->run, "failed"), 1);
}

/* The file is open while the message is written, as the lowest descriptor but the ring. */
TEST_F(command, messages_never_land_in_a_file_when_descriptors_are_closed)
{
	char file[96], missing[96], text[64] = "";
	int fd;

	snprintf(file, sizeof(file), "%s/file", self->tree);
	snprintf(missing, sizeof(missing), "%s/missing", self->tree);
	file_make(self->tree, "file", 0600);
	need(text_write(file, "data") == 0);
	/* That is why it is opened for writing. */
	need(chmod(file, 0200) == 0 && chown(file, NOBODY, NOBODY) == 0);
	self->run.uid = NOBODY;
	self->run.closed = true;
	RUN(&self->run, file, missing);
	EXPECT_EQ(self->run.status, 1);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	need(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	EXPECT_STREQ(text, "data");
	close(fd);
}

TEST_F(command, names_are_synced_while_others_arrive)
{
	char other[64];
	int fds[2], ctl = world_open(&self->world, "other", O_RDONLY);

	snprintf(other, sizeof(other), "%s/other", self->world.dir);
	need(pipe2(fds, O_CLOEXEC) == 0);
	self->run.in = fds[0];
	run_start(&self->run, "--stats", "--files0-from=-", NULL);
	need(write(fds[1], self->file, strlen(self->file) + 1) > 0);
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	need(write(fds[1], other, strlen(other) + 1) > 0);
	sim_wait_started(ctl, SIM_GATE_FSYNC, 1);
	close(fds[1]);
	run_end(&self->run);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_EQ(number_of(&self->run, "syncs run"), 2);
	close(fds[0]);
	close(ctl);
}

/*
 * The second name has no NUL, so it is complete only when the pipe is closed: the command
 * then knows that it was the last, and submits it while the first is being synced.
 */
TEST_F(command, interrupt_cancels_what_does_not_run_yet)
{
	struct counts before = counts_now();
	int fds[2];

	need(pipe2(fds, O_CLOEXEC) == 0);
	self->run.in = fds[0];
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	run_start(&self->run, "--stats", "--files0-from=-", NULL);
	need(write(fds[1], self->file, strlen(self->file) + 1) > 0);
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	need(write(fds[1], self->file, strlen(self->file)) > 0);
	close(fds[1]);
	counter_wait("submitted", before.submitted + 2);
	need(kill(self->run.pid, SIGINT) == 0);
	counter_wait("cancelled", before.cancelled + 1);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	run_end(&self->run);
	EXPECT_EQ(self->run.status, 130);
	EXPECT_STREQ(self->run.text_err, "afsync: interrupted: 1 of 2 synced\n");
	EXPECT_EQ(number_of(&self->run, "cancelled"), 1);
	EXPECT_TRUE(stats_agree(&self->run, &before));
	close(fds[0]);
}

TEST_F(command, signal_during_the_wait_for_names_ends_it)
{
	int fds[2];

	need(pipe2(fds, O_CLOEXEC) == 0);
	self->run.in = fds[0];
	run_start(&self->run, "--files0-from=-", NULL);
	need(write(fds[1], self->file, strlen(self->file) + 1) > 0);
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	need(kill(self->run.pid, SIGTERM) == 0);
	run_end(&self->run);
	EXPECT_EQ(self->run.status, 143);
	EXPECT_STREQ(self->run.text_err, "afsync: interrupted: 1 synced\n");
	close(fds[0]);
	close(fds[1]);
}

TEST_F(command, small_limits_make_it_slower_but_lose_nothing)
{
	static const char * const limits[] = { "max_entries", "max_user_requests" };
	unsigned int count = rounds(1000), i;
	struct counts before;
	long long old;

	for (i = 0; i < 2; i++) {
		before = counts_now();
		old = parameter(limits[i]);
		self->run.in = list_of(self->world.dir, count);
		parameter_set(limits[i], 3);
		RUN(&self->run, "--stats", "--files0-from=-");
		parameter_set(limits[i], old);
		EXPECT_EQ(self->run.status, 0) TH_LOG("%s", limits[i]);
		EXPECT_STREQ(self->run.text_err, "");
		EXPECT_EQ(number_of(&self->run, "syncs run"), count);
		/* All requests went through the device. */
		EXPECT_TRUE(stats_agree(&self->run, &before));
		close(self->run.in);
	}
}

TEST_F(command, limit_used_up_by_others_does_not_stop_it)
{
	int ctl = world_open(&self->world, "other", O_RDONLY);
	long long old = parameter("max_user_requests");
	struct ring ring;

	ring_open(&ring, 1);
	sim_hold(ctl, SIM_GATE_FSYNC);
	need(ring_queue(&ring, ctl, AFSYNC_OP_FSYNC, 0) == 1);
	sim_wait_started(ctl, SIM_GATE_FSYNC, 1);
	parameter_set("max_user_requests", 1);
	RUN(&self->run, "--stats", self->file, self->file, self->file);
	parameter_set("max_user_requests", old);
	sim_let_go(ctl, SIM_GATE_FSYNC);
	ring_wait(&ring, 1);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 3);
	EXPECT_EQ(number_of(&self->run, "syncs run"), 3);
	ring_close(&ring);
	close(ctl);
}

TEST_F(command, without_a_device_threads_of_the_library_sync)
{
	need(mount("/dev/null", DEVICE, NULL, MS_BIND, NULL) == 0);
	RUN(&self->run, "--stats", self->file, self->file);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(number_of(&self->run, "syncs asked for"), 2);
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 2);
	RUN(&self->run, "info");
	EXPECT_EQ(self->run.status, 1);
	EXPECT_NE(strstr(self->run.text_out, "threads\n"), NULL);
	EXPECT_NE(strstr(self->run.text_err, "is no device of the module"), NULL);
	need(umount(DEVICE) == 0);

	need(mount("none", "/dev", "tmpfs", 0, NULL) == 0);
	self->run.in = memfd_create("in", MFD_CLOEXEC);
	RUN(&self->run, "-d", self->file);
	need(umount("/dev") == 0);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(sim_call(self->ctl, 2).datasync, 1);
	close(self->run.in);
}

TEST_F(command, info_says_what_to_do_when_the_device_may_not_be_opened)
{
	struct stat st;

	need(stat(DEVICE, &st) == 0 && chmod(DEVICE, 0600) == 0);
	self->run.uid = NOBODY;
	RUN(&self->run, "info");
	need(chmod(DEVICE, st.st_mode & 07777) == 0);
	EXPECT_EQ(self->run.status, 1);
	EXPECT_EQ(strncmp(self->run.text_err,
			  "afsync: " DEVICE ": Permission denied\nafsync: 'ls -l ", 54), 0);
	EXPECT_NE(strstr(self->run.text_out, " threads\n"), NULL);
}

TEST_F(command, walk_crosses_mounts_unless_told_not_to)
{
	char below[96], inside[96];

	snprintf(below, sizeof(below), "%s/below", self->tree);
	snprintf(inside, sizeof(inside), "%s/link", self->tree);
	need(mkdir(below, 0755) == 0 && symlink("/", inside) == 0);
	need(mount("none", below, "tmpfs", 0, NULL) == 0);
	file_make(self->tree, "one", 0600);
	file_make(below, "two", 0600);
	RUN(&self->run, "-r", "--stats", self->tree);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_EQ(number_of(&self->run, "syncs run"), 4);
	RUN(&self->run, "-rx", "--stats", self->tree);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_EQ(number_of(&self->run, "syncs run"), 2);
	need(umount(below) == 0);
}

/* The walk hangs where it reads the names of a directory, after it has found a file. */
TEST_F(command, what_was_found_is_synced_while_the_walk_hangs)
{
	struct fuse_fs fuse;

	load_module("fuse");
	if (access("/dev/fuse", F_OK))
		SKIP(return, "no FUSE");
	need(mount("none", "/mnt", "tmpfs", 0, NULL) == 0);
	fuse_up(&fuse, "slow");
	fuse.state->hold_dirs = true;
	run_start(&self->run, "-r", "--stats", self->file, fuse.dir, NULL);
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	WAIT_UNTIL(fuse.state->dirs_held == 1);
	fuse_let_go(&fuse);
	run_end(&self->run);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(number_of(&self->run, "syncs run"), 2);
	fuse_down(&fuse);
	need(umount("/mnt") == 0);
}

/* Whether a process has a file below @dir open. */
static bool has_open_below(pid_t pid, const char *dir)
{
	char path[64], target[PATH_MAX];
	bool found = false;
	struct dirent *entry;
	ssize_t n;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	fds = opendir(path);
	need(fds);
	while (!found && (entry = readdir(fds))) {
		n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target));
		found = n > (ssize_t)strlen(dir) && !strncmp(target, dir, strlen(dir)) &&
			target[strlen(dir)] == '/';
	}
	closedir(fds);
	return found;
}

/* With one entry the ring is full: the walk has listed the tree, and has its first file. */
TEST_F(command, files_that_vanish_during_the_walk_are_no_errors)
{
	long long old = parameter("max_entries");
	char path[96];
	unsigned int i;

	snprintf(path, sizeof(path), "%s/folder", self->tree);
	need(mkdir(path, 0755) == 0);
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%u", i);
		file_make(self->tree, path, 0600);
	}
	parameter_set("max_entries", 1);
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	run_start(&self->run, "-r", "--stats", self->file, self->tree, NULL);
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	WAIT_UNTIL(has_open_below(self->run.pid, self->tree));
	parameter_set("max_entries", old);
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%u", self->tree, i);
		need(unlink(path) == 0);
	}
	/* A link that replaces a file is skipped, as any other link is. */
	need(symlink(self->file, path) == 0);
	snprintf(path, sizeof(path), "%s/folder", self->tree);
	need(rmdir(path) == 0);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	run_end(&self->run);
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	/* Two or three: the open descriptor may have been the folder, while it was listed. */
	EXPECT_LE(2, number_of(&self->run, "syncs asked for"));
	EXPECT_GE(3, number_of(&self->run, "syncs asked for"));
	EXPECT_EQ(sim_started(self->ctl, SIM_GATE_FSYNC), 1);
	RUN(&self->run, "-r", path);
	EXPECT_EQ(self->run.status, 1);
	EXPECT_NE(strstr(self->run.text_err, "/folder: No such file or directory\n"), NULL);
}

/* Files and directories of /proc/sys have no fsync(). */
TEST_F(command, walk_passes_over_file_systems_without_fsync)
{
	char below[96], expected[160];
	int i;

	snprintf(below, sizeof(below), "%s/below", self->tree);
	need(mkdir(below, 0755) == 0);
	file_make(self->tree, "file", 0600);
	need(mount("/proc/sys/fs/inotify", below, NULL, MS_BIND, NULL) == 0);
	for (i = 0; i < 2; i++) {
		RUN(&self->run, "-r", "--stats", "-p", self->tree);
		EXPECT_EQ(self->run.status, 0);
		EXPECT_TRUE(ends_with(self->run.text_err, "afsync: 2 of 2 synced\n"));
		EXPECT_EQ(number_of(&self->run, "syncs asked for"), 2);
		/* A folder that is named explicitly has a message. */
		RUN(&self->run, "-r", below);
		EXPECT_EQ(self->run.status, 1);
		snprintf(expected, sizeof(expected), "afsync: %s: Invalid argument\n", below);
		EXPECT_TRUE(ends_with(self->run.text_err, expected));
		EXPECT_EQ(strstr(self->run.text_err, "below/"), NULL);
		/* Now without the device. */
		if (!i)
			need(mount("/dev/null", DEVICE, NULL, MS_BIND, NULL) == 0);
	}
	need(umount(DEVICE) == 0 && umount(below) == 0);
}

TEST_F(command, walk_tells_every_error_of_a_sync)
{
	static const int errors[] = { EINVAL, EROFS, EIO, ENOSPC, ENOENT, ELOOP };
	char expected[160];
	unsigned int i, plain;

	for (plain = 0; plain < 2; plain++) {
		for (i = 0; i < ARRAY_SIZE(errors); i++) {
			sim_fail(self->ctl, SIM_GATE_FSYNC, errors[i], 1);
			RUN(&self->run, "-r", self->world.dir);
			EXPECT_EQ(self->run.status, 1);
			snprintf(expected, sizeof(expected), "afsync: %s: %s\n", self->file,
				 strerror(errors[i]));
			EXPECT_TRUE(ends_with(self->run.text_err, expected))
				TH_LOG("%s", self->run.text_err);
		}
		if (!plain)
			need(mount("/dev/null", DEVICE, NULL, MS_BIND, NULL) == 0);
	}
	need(umount(DEVICE) == 0);
}

TEST_F(command, what_may_not_be_read_is_tried_for_writing_or_told_once)
{
	char closed[96], secret[96], drop[96], expected[512];

	snprintf(closed, sizeof(closed), "%s/closed", self->tree);
	snprintf(secret, sizeof(secret), "%s/secret", self->tree);
	snprintf(drop, sizeof(drop), "%s/drop", self->tree);
	need(mkdir(closed, 0) == 0);
	file_make(self->tree, "secret", 0);
	file_make(self->tree, "drop", 0222);
	self->run.uid = NOBODY;
	RUN(&self->run, "-r", "--stats", closed, secret, drop);
	EXPECT_EQ(self->run.status, 1);
	snprintf(expected, sizeof(expected),
		 "afsync: %s: Permission denied\nafsync: %s: Permission denied\n", closed, secret);
	EXPECT_STREQ(self->run.text_err, expected);
	EXPECT_EQ(number_of(&self->run, "syncs run"), 1);
}

TEST_F(command, info_shows_limits_and_counters)
{
	char expected[128], *version;

	RUN(&self->run, "info");
	EXPECT_EQ(self->run.status, 0);
	EXPECT_STREQ(self->run.text_err, "");
	EXPECT_EQ(number_of(&self->run, "version"), AFSYNC_VERSION);
	EXPECT_EQ(number_of(&self->run, "max_entries"), parameter("max_entries"));
	EXPECT_EQ(number_of(&self->run, "submitted"), counter("submitted"));
	EXPECT_EQ(number_of(&self->run, "syncs"), counter("syncs"));
	EXPECT_NE(strstr(self->run.text_out, " fsync fdatasync syncfs\n"), NULL);
	EXPECT_NE(strstr(self->run.text_out, "\nsetup_flags        inline\n"), NULL);
	version = text_read("/sys/module/afsync/version");
	snprintf(expected, sizeof(expected), "\nmodule_version     %s", version);
	EXPECT_NE(strstr(self->run.text_out, expected), NULL);
	snprintf(expected, sizeof(expected), "\nlibrary_version    %s", version);
	EXPECT_NE(strstr(self->run.text_out, expected), NULL);
	RUN(&self->run, "info", "--json");
	EXPECT_EQ(self->run.status, 0);
	snprintf(expected, sizeof(expected), "\"completed\": %lld,\n", counter("completed"));
	EXPECT_NE(strstr(self->run.text_out, expected), NULL);
	EXPECT_EQ(strncmp(self->run.text_out, "{\n  \"engine\": \"device\",\n  \"version\": ",
			  37), 0);
	version[strcspn(version, "\n")] = '\0';
	snprintf(expected, sizeof(expected),
		 "\"module_version\": \"%s\",\n  \"library_version\": \"%s\",\n", version, version);
	EXPECT_NE(strstr(self->run.text_out, expected), NULL);
	EXPECT_NE(strstr(self->run.text_out, "\"setup_flags\": [\"inline\"],\n"), NULL);
	free(version);
}

/* A run with its errors on a terminal. */
static int terminal_start(struct run *run, int in)
{
	struct winsize size = { .ws_row = 24, .ws_col = 60 };
	int master, slave;

	need(openpty(&master, &slave, NULL, NULL, &size) == 0);
	run->in = in;
	run->pid = fork();
	need(run->pid >= 0);
	if (!run->pid) {
		char *argv[3] = { NULL };

		argv[0] = (char *)"afsync";
		argv[1] = (char *)"--files0-from=-";
		run->out = slave;
		run->err = slave;
		run_child(run, argv);
	}
	close(slave);
	return master;
}

/* Reads on until the text is there; "" reads to the end. Appends to seen. */
static bool terminal_read(int master, const char *text, char *seen, size_t size)
{
	size_t used = strlen(seen), start = used;
	ssize_t n;

	while (!*text || !strstr(seen + start, text)) {
		/* Only the new text matters; a long run draws often. */
		if (used > size / 2) {
			memmove(seen, seen + used - 200, 201);
			used = 200;
			start = 0;
		}
		n = read(master, seen + used, size - used - 1);
		/* EIO: the other end is closed. */
		if (n <= 0)
			return !*text;
		used += n;
		seen[used] = '\0';
	}
	return true;
}

TEST_F(command, bar_on_a_terminal_after_a_second_and_gone_at_the_end)
{
	char seen[8192] = "", missing[96], expected[128];
	int fds[2], master;

	snprintf(missing, sizeof(missing), "%s/missing", self->tree);
	need(pipe2(fds, O_CLOEXEC) == 0);
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	master = terminal_start(&self->run, fds[0]);
	need(write(fds[1], self->file, strlen(self->file) + 1) > 0);

	/* The number of names is not known yet. */
	EXPECT_TRUE(terminal_read(master, "\r0 synced, 1 found  ", seen, sizeof(seen)));
	EXPECT_TRUE(terminal_read(master, " s", seen, sizeof(seen)));
	EXPECT_LE(1, atof(strstr(seen, "1 found  ") + strlen("1 found  ")));
	/* A message takes the place of the bar. */
	need(write(fds[1], missing, strlen(missing) + 1) > 0);
	snprintf(expected, sizeof(expected),
		 "\r\033[Kafsync: %s: No such file or directory\r\n", missing);
	EXPECT_TRUE(terminal_read(master, expected, seen, sizeof(seen)));
	close(fds[1]);
	EXPECT_TRUE(terminal_read(master, "]  50%  1/2  ", seen, sizeof(seen)));
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_TRUE(terminal_read(master, "", seen, sizeof(seen)));
	EXPECT_STREQ(seen + strlen(seen) - 4, "\r\033[K");
	EXPECT_EQ(child_wait(self->run.pid), 1);
	close(master);
	close(fds[0]);
}

TEST_F(command, no_bar_in_a_pipe)
{
	struct pollfd quiet = { .events = POLLIN };
	int err[2];

	need(pipe2(err, O_CLOEXEC) == 0);
	sim_hold(self->ctl, SIM_GATE_FSYNC);
	self->run.pid = fork();
	need(self->run.pid >= 0);
	if (!self->run.pid) {
		char *argv[3] = { NULL };

		argv[0] = (char *)"afsync";
		argv[1] = self->file;
		self->run.out = err[1];
		self->run.err = err[1];
		run_child(&self->run, argv);
	}
	close(err[1]);
	sim_wait_started(self->ctl, SIM_GATE_FSYNC, 1);
	/* On a terminal the bar would have come in this time. */
	quiet.fd = err[0];
	EXPECT_EQ(poll(&quiet, 1, 2000), 0);
	sim_let_go(self->ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(child_wait(self->run.pid), 0);
	/* Closed, and nothing in it. */
	EXPECT_EQ(read(err[0], self->run.text_err, 1), 0);
	close(err[0]);

	RUN(&self->run, "-p", self->file);
	EXPECT_EQ(self->run.status, 0);
	/* Only at the end: a slow machine may have drawn the bar before. */
	EXPECT_TRUE(ends_with(self->run.text_err, "afsync: 1 of 1 synced\n"));
}

TEST_HARNESS_MAIN
