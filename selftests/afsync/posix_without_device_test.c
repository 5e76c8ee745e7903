// SPDX-License-Identifier: GPL-2.0-only
/*
 * P14: if the device cannot be used, for any reason, glibc serves the program as if the
 * library were not there; it says so only on request.
 *
 * Hides the device in a mount namespace of its own, so that the tests beside it keep the
 * device. Needs afsync_sim and root.
 */
#include "posix.h"

#include <sys/resource.h>
#include <sys/sysmacros.h>

enum absence {
	PRESENT,	/* for comparison */
	MISSING,	/* no such node: the module is not loaded */
	UNKNOWN,	/* a node that no driver answers: the module has gone */
	FOREIGN,	/* a node that is some other device */
	FORBIDDEN,	/* a node that the program may not open */
	CROWDED,	/* no descriptor is left to open it with */
};

FIXTURE(without) {
	struct world world;
	int file;
	int ctl;
	struct rlimit files;
};

FIXTURE_VARIANT(without) {
	enum absence absence;
};

FIXTURE_VARIANT_ADD(without, missing) { .absence = MISSING };
FIXTURE_VARIANT_ADD(without, unknown) { .absence = UNKNOWN };
FIXTURE_VARIANT_ADD(without, foreign) { .absence = FOREIGN };
FIXTURE_VARIANT_ADD(without, forbidden) { .absence = FORBIDDEN };
FIXTURE_VARIANT_ADD(without, crowded) { .absence = CROWDED };

static void device_hide(enum absence absence, struct rlimit *files)
{
	struct stat st;
	int next;

	need(stat(DEVICE, &st) == 0);
	if (absence == MISSING || absence == UNKNOWN || absence == FORBIDDEN)
		need(mount("none", "/dev", "tmpfs", 0, NULL) == 0);
	need(getrlimit(RLIMIT_NOFILE, files) == 0);
	switch (absence) {
	case UNKNOWN:
		need(mknod(DEVICE, S_IFCHR | 0666, makedev(10, 253)) == 0);
		need(open(DEVICE, O_RDWR) < 0 && (errno == ENODEV || errno == ENXIO));
		break;
	case FOREIGN:
		need(mount("/dev/null", DEVICE, NULL, MS_BIND, NULL) == 0);
		break;
	case FORBIDDEN:
		need(mknod(DEVICE, S_IFCHR | 0600, st.st_rdev) == 0);
		need(chmod(DEVICE, 0600) == 0);
		need(seteuid(65534) == 0);
		break;
	case CROWDED:
		next = dup(0);
		need(next >= 0 && close(next) == 0);
		need(setrlimit(RLIMIT_NOFILE, &(struct rlimit) {
			.rlim_cur = next, .rlim_max = files->rlim_max }) == 0);
		break;
	default:
		break;
	}
}

static void device_show(enum absence absence, const struct rlimit *files)
{
	if (absence == FORBIDDEN)
		need(seteuid(0) == 0);
	switch (absence) {
	case FORBIDDEN:
	case MISSING:
	case UNKNOWN:
		need(umount("/dev") == 0);
		break;
	case FOREIGN:
		need(umount(DEVICE) == 0);
		break;
	case CROWDED:
		need(setrlimit(RLIMIT_NOFILE, files) == 0);
		break;
	default:
		break;
	}
}

FIXTURE_SETUP(without)
{
	WORLD_SETUP(&self->world, "afsync_sim");
	self->ctl = world_open(&self->world, "file", O_RDONLY);
	self->file = world_open(&self->world, "file", O_RDWR);
}

FIXTURE_TEARDOWN(without)
{
	close(self->ctl);
	close(self->file);
	world_unmount(&self->world);
}

/* Did the device run the sync? Then no thread of this process ran it. */
static bool synced_by_the_kernel(int ctl)
{
	char path[64], text[64] = "";
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/status", sim_last_call(ctl).pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* A thread of this process may have ended by now; one of the kernel's has not. */
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	return got > 0 && strstr(text, "Name:\tkworker");
}

TEST_F(without, every_call_works)
{
	struct aiocb write, read, sync, nop, *list[3] = { &write, NULL, &nop };
	char data[8] = "";
	bool kernel;

	device_hide(variant->absence, &self->files);
	write = transfer_of(self->file, "written", 7, 0);
	sync = block_of(self->file);
	EXPECT_EQ(0, write_queue(&write));
	EXPECT_EQ(0, sync_queue(O_SYNC, &sync));
	EXPECT_EQ(0, block_end(&sync));
	EXPECT_EQ(7, block_end(&write));
	read = transfer_of(self->file, data, 7, 0);
	EXPECT_EQ(0, read_queue(&read));
	EXPECT_EQ(7, block_end(&read));
	write = transfer_of(self->file, "again", 5, 0);
	write.aio_lio_opcode = LIO_WRITE;
	nop = block_of(-1);
	nop.aio_lio_opcode = LIO_NOP;
	EXPECT_EQ(0, lio_listio(LIO_WAIT, list, 3, NULL));
	EXPECT_EQ(5, block_end(&write));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(self->file, NULL));
	EXPECT_EQ(AIO_ALLDONE, aio_cancel(self->file, &sync));
	EXPECT_EQ(-EBADF, sync_now(O_SYNC, -1));
	EXPECT_EQ(-EINVAL, sync_now(O_RDWR, self->file));
	sim_fail(self->ctl, SIM_GATE_FSYNC, EIO, 1);
	EXPECT_EQ(-EIO, sync_now(O_DSYNC, self->file));
	EXPECT_EQ(0, sync_now(O_DSYNC, self->file));
	EXPECT_EQ(3, sim_started(self->ctl, SIM_GATE_FSYNC));
	device_show(variant->absence, &self->files);
	kernel = synced_by_the_kernel(self->ctl);
	EXPECT_FALSE(kernel);
	EXPECT_STREQ("written", data);

	/* Decided once: a device that comes later is not looked for. */
	EXPECT_EQ(0, sync_now(O_SYNC, self->file));
	EXPECT_FALSE(synced_by_the_kernel(self->ctl));
}

/* Runs a plain user with that in the environment: returns its output on stderr. */
static int worker_says(const struct world *world, enum absence absence,
		       const char *verbose, char *text, size_t size)
{
	struct rlimit files;
	char path[PATH_MAX];
	int fds[2];
	size_t n = 0;
	ssize_t ret;
	pid_t pid;

	need(pipe(fds) == 0);
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		need(dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		if (verbose)
			need(setenv("AFSYNC_VERBOSE", verbose, 1) == 0);
		else
			need(unsetenv("AFSYNC_VERBOSE") == 0);
		snprintf(path, sizeof(path), "%s/file", world->dir);
		own_mounts();
		device_hide(absence, &files);
		/* Otherwise it has two users, and the linker does not trust it with a preload. */
		if (absence == FORBIDDEN)
			need(setresuid(65534, 65534, 65534) == 0);
		/* No descriptor is left open from the parent process. */
		need(close_range(3, ~0U, 0) == 0);
		/* One descriptor for the file, which is opened first. */
		if (absence == CROWDED)
			need(setrlimit(RLIMIT_NOFILE, &(struct rlimit) { 4, 4 }) == 0);
		worker_exec(path);
	}
	close(fds[1]);
	while ((ret = read(fds[0], text + n, size - 1 - n)) > 0)
		n += ret;
	text[n] = '\0';
	close(fds[0]);
	return child_wait(pid);
}

TEST_F(without, one_line_says_so_if_asked_and_none_if_not)
{
	static const char * const silent[] = { NULL, "", "0" };
	char text[1000];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(silent); i++) {
		EXPECT_EQ(0, worker_says(&self->world, variant->absence, silent[i], text,
					 sizeof(text)));
		EXPECT_STREQ("", text);
	}
	EXPECT_EQ(0, worker_says(&self->world, variant->absence, "1", text,
				 sizeof(text)));
	EXPECT_EQ(0, strncmp(text, "libafsync-posix: no /dev/afsync (", 33)) {
		TH_LOG("said: %s", text);
	}
	EXPECT_TRUE(strstr(text, "glibc"));
	EXPECT_EQ(strlen(text) - 1, strcspn(text, "\n"));

	EXPECT_EQ(0, worker_says(&self->world, PRESENT, "1", text, sizeof(text)));
	EXPECT_STREQ("libafsync-posix: using /dev/afsync\n", text);
	EXPECT_EQ(0, worker_says(&self->world, PRESENT, NULL, text, sizeof(text)));
	EXPECT_STREQ("", text);
}

/* The module is unloaded between a program and its child, which needs a ring of its own. */
TEST_F(without, child_that_finds_the_device_gone_is_served_all_the_same)
{
	struct rlimit files;
	pid_t pid;

	EXPECT_EQ(0, sync_now(O_SYNC, self->file));
	pid = fork();
	need(pid >= 0);
	if (!pid) {
		struct aiocb write = transfer_of(self->file, "x", 1, 0);
		struct aiocb sync = block_of(self->file);

		own_mounts();
		device_hide(variant->absence, &files);
		if (write_queue(&write) || sync_queue(O_SYNC, &sync))
			_exit(1);
		if (block_end(&sync) || block_end(&write) != 1)
			_exit(2);
		_exit(sim_last_call(self->ctl).writes == 1 ? 0 : 3);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, sync_now(O_SYNC, self->file));
}

/* Shows that the tests above can distinguish the two: with the device the answer differs. */
FIXTURE(with) {
	struct stage s;
};

FIXTURE_SETUP(with)
{
	STAGE_SETUP(&self->s, "afsync_sim", 8);
}

FIXTURE_TEARDOWN(with)
{
	stage_close(&self->s);
}

TEST_F(with, device_that_is_there_is_used)
{
	EXPECT_EQ(0, sync_now(O_SYNC, self->s.file));
	EXPECT_TRUE(synced_by_the_kernel(self->s.ctl));
}

TEST_HARNESS_MAIN
