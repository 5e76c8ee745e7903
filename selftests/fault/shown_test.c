// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every failing step of the files that show a ring and the counters.
 */
#include "walk.h"

static void prepare_fdinfo(struct scene *scene)
{
	char path[64];

	scene_queue(scene, 0, scene->files[0], AFSYNC_SQE_HOLD);
	scene_queue(scene, 1, scene->files[1], AFSYNC_SQE_HOLD);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", scene->ring.fd);
	scene->fd = open(path, O_RDONLY | O_CLOEXEC);
	need(scene->fd >= 0);
}

static int run_read(struct scene *scene)
{
	return read(scene->fd, scene->text, sizeof(scene->text) - 1) < 0 ? -errno : 0;
}

/* Showing a request holds a reference to a file only for a moment. */
static const char *check_fdinfo(struct scene *scene, int ret)
{
	close(scene->fd);
	if (ret || strstr(scene->text, "pending:\t(no memory)"))
		return NULL;
	return strstr(scene->text, "in_flight:\t2\n") ? NULL : "the counts in fdinfo are wrong";
}

CALL(fdinfo) {
	.prepare = prepare_fdinfo,
	.run = run_read,
	.check = check_fdinfo,
	.errors = { ENOMEM, EFAULT },
};

static void prepare_stats(struct scene *scene)
{
	scene->fd = open(STATS "in_flight", O_RDONLY | O_CLOEXEC);
	need(scene->fd >= 0);
}

static const char *check_stats(struct scene *scene, int ret)
{
	close(scene->fd);
	return ret || !strcmp(scene->text, "0\n") ? NULL : "something is in flight";
}

CALL(stats) {
	.prepare = prepare_stats,
	.run = run_read,
	.check = check_stats,
	.errors = { ENOMEM, EFAULT },
};

static void prepare_filesystems(struct scene *scene)
{
	scene_complete_first(scene);
	scene->fd = open(FAULTS "afsync/filesystems", O_RDONLY | O_CLOEXEC);
	need(scene->fd >= 0);
}

static const char *check_filesystems(struct scene *scene, int ret)
{
	close(scene->fd);
	return ret || !strncmp(scene->text, "device type ", 12) ? NULL : "the heading is not there";
}

CALL(filesystems) {
	.prepare = prepare_filesystems,
	.run = run_read,
	.check = check_filesystems,
	.errors = { ENOMEM, EFAULT },
};

TEST_HARNESS_MAIN
