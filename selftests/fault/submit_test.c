// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every failing step of a submit, of each operation and flag, on files whose queues and
 * filesystems the module has and has not seen before. Needs an ext4 at /mnt/ext4.
 */
#include "walk.h"

#include <linux/ioprio.h>

/* A ring without any memory for requests yet: each scene has a new one. */
static void prepare(struct scene *scene, unsigned int nr, __u32 op, __u32 flags)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		scene->sqes[i] = scene_sqe(scene, i, scene->files[i % FILES], op, flags);
	scene->submit = submit_of(scene->sqes, nr);
}

static int run(struct scene *scene)
{
	return command(scene->ring.fd, AFSYNC_IOC_SUBMIT, &scene->submit);
}

/* The number of accepted requests, and the reason to stop. */
static const char *check(struct scene *scene, int ret)
{
	int error = scene->submit.error;

	if (ret > 0)
		scene_accepted(scene, 0, ret);
	/* If the struct could not be written, it cannot say so itself. */
	if (error == (int)POISON32)
		return ret > 0 || ret == -EFAULT ? NULL : "the reason is not written";
	if (ret < 0)
		return error == ret || ret == -EFAULT ? NULL : "there are two reasons";
	if (ret == (int)scene->submit.nr)
		return error ? "all were queued, and there is a reason why not" : NULL;
	return error == -EAGAIN || error == -EFAULT ? NULL : "not a reason for less than all";
}

/* Common to all. */
#define SUBMITS	.run = run, .errors = { EAGAIN, EFAULT }

/* --- operations and flags --- */

static void prepare_fsync(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_FSYNC, 0);
}

CALL(fsync) {
	SUBMITS,
	.prepare = prepare_fsync,
	.check = check,
	.result = 1,
};

static void prepare_fdatasync(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_FDATASYNC, 0);
}

CALL(fdatasync) {
	SUBMITS,
	.prepare = prepare_fdatasync,
	.check = check,
	.result = 1,
};

static void prepare_syncfs(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_SYNCFS, 0);
}

CALL(syncfs) {
	SUBMITS,
	.prepare = prepare_syncfs,
	.check = check,
	.result = 1,
};

static void prepare_range(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_FDATASYNC, 0);
	scene->sqes[0].offset = 4096;
	scene->sqes[0].length = 4096;
}

CALL(range) {
	SUBMITS,
	.prepare = prepare_range,
	.check = check,
	.result = 1,
};

static void prepare_writable(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_FSYNC, AFSYNC_SQE_WRITABLE);
}

CALL(writable) {
	SUBMITS,
	.prepare = prepare_writable,
	.check = check,
	.result = 1,
};

static void prepare_priority(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_FSYNC, 0);
	scene->sqes[0].ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 3);
}

CALL(priority) {
	SUBMITS,
	.prepare = prepare_priority,
	.check = check,
	.result = 1,
};

static void prepare_hold(struct scene *scene)
{
	prepare(scene, 1, AFSYNC_OP_FSYNC, AFSYNC_SQE_HOLD);
}

CALL(hold) {
	SUBMITS,
	.prepare = prepare_hold,
	.check = check,
	.result = 1,
};

/* --- arrays --- */

static void prepare_array(struct scene *scene)
{
	prepare(scene, ENTRIES, AFSYNC_OP_FSYNC, 0);
}

CALL(array) {
	SUBMITS,
	.prepare = prepare_array,
	.check = check,
	.result = ENTRIES,
};

static void prepare_one_file(struct scene *scene)
{
	unsigned int i;

	prepare_array(scene);
	for (i = 0; i < ENTRIES; i++)
		scene->sqes[i].fd = scene->files[0];
}

CALL(array_of_one_file) {
	SUBMITS,
	.prepare = prepare_one_file,
	.check = check,
	.result = ENTRIES,
};

static void prepare_mixture(struct scene *scene)
{
	unsigned int i;

	prepare_array(scene);
	for (i = 0; i < ENTRIES; i++) {
		scene->sqes[i].op = i % 3;
		scene->sqes[i].flags = i % 2 ? AFSYNC_SQE_HOLD : 0;
	}
}

CALL(array_of_all) {
	SUBMITS,
	.prepare = prepare_mixture,
	.check = check,
	.result = ENTRIES,
};

/* Elements that are longer than the kernel's struct, and not aligned: another copy. */
static char long_sqes[3 * 61 + 1];

static void prepare_long(struct scene *scene)
{
	unsigned int i;

	prepare(scene, 3, AFSYNC_OP_FSYNC, 0);
	for (i = 0; i < 3; i++)
		memcpy(long_sqes + 1 + i * 61, &scene->sqes[i], sizeof(scene->sqes[i]));
	scene->submit.sqes = (uintptr_t)long_sqes + 1;
	scene->submit.sqe_size = 61;
}

CALL(array_of_long_ones) {
	SUBMITS,
	.prepare = prepare_long,
	.check = check,
	.result = 3,
};

static void prepare_full(struct scene *scene)
{
	unsigned int i;

	for (i = 1; i <= ENTRIES; i++)
		scene_queue(scene, i, scene->files[0], AFSYNC_SQE_HOLD);
	prepare(scene, 1, AFSYNC_OP_FSYNC, 0);
}

CALL(to_full_ring) {
	SUBMITS,
	.prepare = prepare_full,
	.check = check,
	.result = -EAGAIN,
};

/* --- files and users that are new to the module --- */

/* The mounts stay until the test ends, so that each has a device number of its own. */
static void prepare_filesystem(struct scene *scene)
{
	need(mount("none", "/mnt", "ramfs", 0, NULL) == 0);
	scene->fd = open("/mnt/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	need(scene->fd >= 0);
	prepare(scene, 1, AFSYNC_OP_FSYNC, 0);
	scene->sqes[0].fd = scene->fd;
}

static const char *check_filesystem(struct scene *scene, int ret)
{
	close(scene->fd);
	return check(scene, ret);
}

CALL(on_new_filesystem) {
	SUBMITS,
	.prepare = prepare_filesystem,
	.check = check_filesystem,
	.result = 1,
};

static void prepare_drain(struct scene *scene)
{
	scene->fd = open("/mnt/ext4/afsync-fault", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	need(scene->fd >= 0 && write(scene->fd, "x", 1) == 1);
	prepare(scene, 1, AFSYNC_OP_FSYNC, AFSYNC_SQE_DRAIN);
	scene->sqes[0].fd = scene->fd;
}

CALL(drain_on_ext4) {
	SUBMITS,
	.prepare = prepare_drain,
	.check = check_filesystem,
	.result = 1,
};

/* --- submit and wait --- */

static void prepare_wait(struct scene *scene)
{
	prepare(scene, 3, AFSYNC_OP_FSYNC, 0);
	scene->submit.flags = AFSYNC_SUBMIT_WAIT;
	scene->submit.min_complete = 3;
}

static const char *check_wait(struct scene *scene, int ret)
{
	if (ret == 3 && ring_ready(&scene->ring) != 3)
		return "it has not waited";
	return check(scene, ret);
}

CALL(and_wait) {
	SUBMITS,
	.prepare = prepare_wait,
	.check = check_wait,
	.result = 3,
};

/* The sync is at the gate. */
static void prepare_wait_in_vain(struct scene *scene)
{
	sim_hold(scene->ctl, SIM_GATE_FSYNC);
	prepare_wait(scene);
	scene->submit.wait_flags = AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_SIGMASK;
	scene->submit.timeout_ns = 1000;
}

static const char *check_wait_in_vain(struct scene *scene, int ret)
{
	int result = scene->submit.wait_result;

	if (ret == 3 && result != -ETIME && result != (int)POISON32)
		return "the wait has not ended by its timeout";
	return check(scene, ret);
}

CALL(and_wait_in_vain) {
	SUBMITS,
	.prepare = prepare_wait_in_vain,
	.check = check_wait_in_vain,
	.result = 3,
};

static void prepare_only_wait(struct scene *scene)
{
	scene_complete_first(scene);
	scene->submit = submit_of(NULL, 0);
	scene->submit.flags = AFSYNC_SUBMIT_WAIT;
	scene->submit.min_complete = 1;
}

CALL(nothing_and_wait) {
	.prepare = prepare_only_wait,
	.run = run,
	.result = 1,
	.errors = { EFAULT },
};

/* The caller's own thread syncs: a file of tmpfs, whose sync cannot fail. */
static void prepare_inline(struct scene *scene)
{
	ring_close(&scene->ring);
	ring_open_with(&scene->ring, ENTRIES, AFSYNC_SETUP_INLINE);
	scene->fd = memfd_create("afsync-fault", MFD_CLOEXEC);
	need(scene->fd >= 0);
	prepare_wait(scene);
	scene->sqes[0].fd = scene->fd;
	scene->sqes[1].fd = scene->fd;
	scene->sqes[2].fd = scene->fd;
}

static const char *check_inline(struct scene *scene, int ret)
{
	close(scene->fd);
	return check_wait(scene, ret);
}

CALL(and_sync_inline) {
	SUBMITS,
	.prepare = prepare_inline,
	.check = check_inline,
	.result = 3,
};

TEST_HARNESS_MAIN
