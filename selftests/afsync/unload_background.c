// SPDX-License-Identifier: GPL-2.0-only
/*
 * For unload_test.sh: a ring that ends in the background while its sync hangs, because
 * the process that closed its last descriptor must not be made to wait. As long as it
 * lives the module stays, whatever delete_module(2) asks for, and works for others; then
 * it can be unloaded.
 *
 *	unload_background DIR io_uring		the kernel drops the last descriptor
 *	unload_background DIR user		a process of another user does
 *
 * DIR is a mounted afsync_sim. Ends with the module unloaded.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/afsync.h>
#include <linux/io_uring.h>

#include "afsync_sim.h"

#define TRIES	1000

static int file_open(const char *dir, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void gate(int fd, unsigned long cmd, __u32 gate, __u32 count)
{
	struct sim_gate_arg arg = { .gate = gate, .count = count };

	if (ioctl(fd, cmd, &arg))
		err(1, "gate");
}

static int ring_open(void)
{
	struct afsync_setup setup = { .entries = 8 };
	int dev = open("/dev/afsync", O_RDWR | O_CLOEXEC);

	if (dev < 0 || ioctl(dev, AFSYNC_IOC_SETUP, &setup))
		err(1, "/dev/afsync");
	return dev;
}

static void submit(int ring, int fd, __u32 flags, __u32 min_complete)
{
	struct afsync_sqe sqe = { .fd = fd, .flags = flags };
	struct afsync_submit submit = {
		.sqes = (uintptr_t)&sqe,
		.nr = 1,
		.sqe_size = sizeof(sqe),
		.flags = min_complete ? AFSYNC_SUBMIT_WAIT : 0,
		.min_complete = min_complete,
	};

	if (ioctl(ring, AFSYNC_IOC_SUBMIT, &submit) != 1)
		err(1, "submit");
}

static void drop_by_io_uring(int ring)
{
	struct io_uring_params params = {};
	int uring = syscall(SYS_io_uring_setup, 4, &params);

	if (uring < 0 || syscall(SYS_io_uring_register, uring, IORING_REGISTER_FILES, &ring, 1))
		err(1, "io_uring");
	close(ring);
	close(uring);
}

static void drop_by_user(int ring)
{
	if (setresuid(1000, 1000, 1000))
		err(1, "setresuid");
	close(ring);
}

/* In a process of its own, after this one has closed the descriptor. */
static void drop(int ring, void (*how)(int ring))
{
	int ends[2], status;
	pid_t pid;
	char c;

	if (pipe(ends))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		close(ends[1]);
		if (read(ends[0], &c, 1))
			_exit(1);
		how(ring);
		_exit(0);
	}
	close(ring);
	close(ends[1]);
	close(ends[0]);
	/* It does not wait for the sync. */
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the process with the last descriptor failed");
}

static bool is_busy(int error)
{
	return error == EWOULDBLOCK || error == EBUSY;
}

static void unload_in_vain(void)
{
	int i;

	/* The kernel drops a descriptor some time later: that is why it tries more than once. */
	for (i = 0; i < TRIES; i++) {
		if (!syscall(SYS_delete_module, "afsync", i % 2 ? O_NONBLOCK : 0))
			_exit(1);
		if (!is_busy(errno))
			_exit(2);
		sched_yield();
	}
	_exit(0);
}

static void rmmod(void)
{
	close(2);
	execlp("rmmod", "rmmod", "afsync", NULL);
	_exit(127);
}

/*
 * In a process of its own, in case nothing can end it. If the device disappears, the
 * module is being unloaded: then the sync is released, so that it ends. Returns its exit
 * status.
 */
static int try_unload(int ctl, void (*how)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(1, "fork");
	if (!pid)
		how();
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (access("/dev/afsync", F_OK)) {
			gate(ctl, SIM_IOC_RELEASE, SIM_GATE_FSYNC, 0);
			waitpid(pid, &status, 0);
			errx(1, "the module unloads while a ring lives");
		}
		sched_yield();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char **argv)
{
	int ctl, file, released, ring, status;

	if (argc != 3)
		errx(1, "usage: unload_background DIR io_uring|user");
	ctl = file_open(argv[1], O_RDONLY);
	file = file_open(argv[1], O_RDWR);
	released = file_open(argv[1], O_RDONLY);
	gate(ctl, SIM_IOC_HOLD, SIM_GATE_FSYNC, 0);

	ring = ring_open();
	submit(ring, file, 0, 0);
	gate(ctl, SIM_IOC_WAIT_STARTED, SIM_GATE_FSYNC, 1);
	/* It is cancelled, and its file released, when the end of the ring begins. */
	submit(ring, released, AFSYNC_SQE_HOLD, 0);
	close(released);
	drop(ring, strcmp(argv[2], "user") ? drop_by_io_uring : drop_by_user);
	gate(ctl, SIM_IOC_WAIT_STARTED, SIM_GATE_RELEASE, 1);

	status = try_unload(ctl, unload_in_vain);
	if (status)
		errx(1, "delete_module does not say EWOULDBLOCK or EBUSY (%d)", status);
	status = try_unload(ctl, rmmod);
	if (status < 1 || status == 127)
		errx(1, "rmmod ends with status %d", status);

	ring = ring_open();
	file = memfd_create("afsync", MFD_CLOEXEC);
	submit(ring, file, 0, 1);
	close(file);
	close(ring);

	/* Nothing announces the end of the ring. */
	gate(ctl, SIM_IOC_RELEASE, SIM_GATE_FSYNC, 0);
	while (syscall(SYS_delete_module, "afsync", O_NONBLOCK)) {
		if (!is_busy(errno))
			err(1, "delete_module");
		sched_yield();
	}
	return 0;
}
