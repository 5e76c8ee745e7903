// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every failing step of the calls on requests that are queued or held: cancel, start, and
 * the calls of kernel AIO on them.
 */
#include "walk.h"

static unsigned int requests_in(struct scene *scene, const char *state)
{
	char start[32];

	snprintf(start, sizeof(start), "pending:\t%s", state);
	return fdinfo_lines(scene->ring.fd, start);
}

/* --- cancel --- */

/* Request 0 runs; 1 to 3 are queued, 3 for another open file; 4 is held. */
static void prepare_cancel(struct scene *scene)
{
	scene_hold_first(scene);
	scene_queue(scene, 1, scene->files[0], 0);
	scene_queue(scene, 2, scene->files[0], 0);
	scene_queue(scene, 3, scene->files[1], 0);
	scene_queue(scene, 4, scene->files[1], AFSYNC_SQE_HOLD);
}

/* A cancel that failed has cancelled nothing. */
static const char *check_cancel(struct scene *scene, int ret)
{
	if (ret > 0)
		scene->cancelled = ret;
	if (requests_in(scene, "") - requests_in(scene, "running") != 4 - scene->cancelled)
		return "not as many are left as were said";
	return requests_in(scene, "running") == 1 ? NULL : "the one that runs is not there";
}

static int run_cancel_data(struct scene *scene)
{
	return afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_USER_DATA, data_of(scene, 2), 0,
				 NULL);
}

#define CANCELS	.prepare = prepare_cancel, .check = check_cancel, .errors = { EFAULT }

CALL(cancel_by_data) {
	CANCELS,
	.run = run_cancel_data,
	.result = 1,
};

static int run_cancel_file(struct scene *scene)
{
	return afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_FD, 0, scene->files[1], NULL);
}

CALL(cancel_by_file) {
	CANCELS,
	.run = run_cancel_file,
	.result = 2,
};

static int run_cancel_both(struct scene *scene)
{
	return afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD,
				 data_of(scene, 3), scene->files[1], NULL);
}

CALL(cancel_by_both) {
	CANCELS,
	.run = run_cancel_both,
	.result = 1,
};

static int run_cancel_all(struct scene *scene)
{
	return afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_ALL, 0, 0, NULL);
}

CALL(cancel_all) {
	CANCELS,
	.run = run_cancel_all,
	.result = 4,
};

static int run_cancel_running(struct scene *scene)
{
	return afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_USER_DATA, data_of(scene, 0), 0,
				 NULL);
}

CALL(cancel_of_running) {
	CANCELS,
	.run = run_cancel_running,
	.result = -EALREADY,
};

static int run_cancel_nothing(struct scene *scene)
{
	return afsync_cmd_cancel(scene->ring.fd, AFSYNC_CANCEL_FD, 0, scene->files[2], NULL);
}

CALL(cancel_of_nothing) {
	CANCELS,
	.run = run_cancel_nothing,
	.result = -ENOENT,
};

/* --- start --- */

/* Requests 0 and 1 are held. */
static void prepare_start(struct scene *scene)
{
	sim_hold(scene->ctl, SIM_GATE_FSYNC);
	scene_queue(scene, 0, scene->files[0], AFSYNC_SQE_HOLD);
	scene_queue(scene, 1, scene->files[1], AFSYNC_SQE_HOLD);
}

static int run_start(struct scene *scene)
{
	return ring_start(&scene->ring, data_of(scene, 0));
}

static const char *check_start(struct scene *scene, int ret)
{
	return requests_in(scene, "held") == (ret > 0 ? 1 : 2) ? NULL :
		"not as many are held as were said";
}

CALL(start) {
	.prepare = prepare_start,
	.run = run_start,
	.check = check_start,
	.result = 1,
	.errors = { EFAULT },
};

static int run_start_nothing(struct scene *scene)
{
	return ring_start(&scene->ring, data_of(scene, 9));
}

CALL(start_of_nothing) {
	.prepare = prepare_start,
	.run = run_start_nothing,
	.check = check_start,
	.result = -ENOENT,
	.errors = { EFAULT },
};

/* --- kernel AIO --- */

static struct afsync_attach attach;
static struct iocb iocb;

static void prepare_attach_with(struct scene *scene, __u32 flags)
{
	prepare_start(scene);
	attach = (struct afsync_attach) { .user_data = data_of(scene, 0), .flags = flags };
	iocb = (struct iocb) {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = scene->ring.fd,
		.aio_buf = (uintptr_t)&attach,
		.aio_nbytes = sizeof(attach),
		.aio_offset = AFSYNC_ATTACH_OFFSET,
	};
}

static void prepare_attach(struct scene *scene)
{
	prepare_attach_with(scene, 0);
}

static void prepare_attach_start(struct scene *scene)
{
	prepare_attach_with(scene, AFSYNC_ATTACH_START);
}

static int run_attach(struct scene *scene)
{
	struct iocb *iocbs = &iocb;

	return syscall(SYS_io_submit, scene->aio, 1, &iocbs) < 0 ? -errno : 0;
}

/* A refused write has ended at once. Was it refused, and why? */
static int refused(struct scene *scene)
{
	struct timespec zero = {};
	struct io_event event;

	return syscall(SYS_io_getevents, scene->aio, 0, 1, &event, &zero) == 1 ? event.res : 0;
}

/* The request is attached, and started if the write asked for that; or it is held as before. */
static const char *check_attach(struct scene *scene, int ret)
{
	int res = ret ? 0 : refused(scene);
	bool attached = !ret && !res;

	if (res && res != -EFAULT)
		return "the event has an errno that is not documented";
	if (attached)
		scene->attached = 1;
	if (requests_in(scene, "held") != (attached && attach.flags ? 1 : 2))
		return "not as many are held as should be";
	return NULL;
}

#define ATTACHES .run = run_attach, .check = check_attach, .errors = { EAGAIN, EFAULT }

CALL(attach) {
	ATTACHES,
	.prepare = prepare_attach,
};

CALL(attach_and_start) {
	ATTACHES,
	.prepare = prepare_attach_start,
};

static void prepare_io_cancel(struct scene *scene)
{
	prepare_attach(scene);
	need(run_attach(scene) == 0);
	scene->attached = 1;
}

static int run_io_cancel(struct scene *scene)
{
	struct io_event event;

	return syscall(SYS_io_cancel, scene->aio, &iocb, &event) < 0 ? -errno : 0;
}

/* A work item cancels the request. */
static const char *check_io_cancel(struct scene *scene, int ret)
{
	if (ret != -EINPROGRESS)
		return NULL;
	while (requests_in(scene, "held") == 2)
		sched_yield();
	scene->cancelled = 1;
	return NULL;
}

CALL(io_cancel) {
	.prepare = prepare_io_cancel,
	.run = run_io_cancel,
	.check = check_io_cancel,
	.result = -EINPROGRESS,
	.may_have_no_step = true,
};

TEST_HARNESS_MAIN
