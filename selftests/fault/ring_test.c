// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every failing step of the calls that make a ring, wait for it and end it.
 */
#include "walk.h"

#include <sys/epoll.h>

/* --- open, info --- */

static int run_open(struct scene *scene)
{
	scene->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	return scene->fd < 0 ? -errno : 0;
}

static const char *check_open(struct scene *scene, int ret)
{
	struct afsync_setup setup;

	if (ret)
		return NULL;
	ret = afsync_cmd_setup(scene->fd, ENTRIES, &setup);
	close(scene->fd);
	return ret ? "the opened device refuses the setup" : NULL;
}

CALL(open) {
	.run = run_open,
	.check = check_open,
	.errors = { ENOMEM, EFAULT },
};

static struct afsync_info info;

static int run_info(struct scene *scene)
{
	return command(scene->ring.fd, AFSYNC_IOC_INFO, &info);
}

static const char *check_info(struct scene *scene, int ret)
{
	(void)scene;
	return ret || info.version == AFSYNC_VERSION ? NULL : "not written";
}

CALL(info) {
	.run = run_info,
	.check = check_info,
	.errors = { EFAULT },
};

/* --- setup --- */

static struct afsync_setup setup;

static void prepare_setup(struct scene *scene)
{
	scene->fd = device_open();
	setup = (struct afsync_setup) { .entries = 1000 };
}

static int run_setup(struct scene *scene)
{
	return command(scene->fd, AFSYNC_IOC_SETUP, &setup);
}

static const char *check_setup(struct scene *scene, int ret)
{
	const char *wrong = NULL;

	/* No ring, and the next try makes one. */
	if (ret && afsync_cmd_wait(scene->fd, 0, 0, 0, 0) != -ENXIO)
		wrong = "a ring that was refused is there";
	else if (ret && afsync_cmd_setup(scene->fd, 1000, &setup))
		wrong = "the next try makes none";
	else if (setup.entries != 1024)
		wrong = "not as many entries as were asked for";
	else if (afsync_cmd_wait(scene->fd, 0, 0, 0, 0))
		wrong = "no ring";
	close(scene->fd);
	return wrong;
}

CALL(setup) {
	.prepare = prepare_setup,
	.run = run_setup,
	.check = check_setup,
	.errors = { ENOMEM, EFAULT },
};

/* A user exists for a moment after the last ring: each step has a user of its own. */
static void prepare_setup_of_new_user(struct scene *scene)
{
	static uid_t user = 30000;

	prepare_setup(scene);
	need(setresuid(user++, 0, 0) == 0);
}

static const char *check_setup_of_new_user(struct scene *scene, int ret)
{
	const char *wrong = check_setup(scene, ret);

	need(setresuid(0, 0, 0) == 0);
	return wrong;
}

CALL(setup_of_new_user) {
	.prepare = prepare_setup_of_new_user,
	.run = run_setup,
	.check = check_setup_of_new_user,
	.errors = { ENOMEM, EFAULT },
};

/* --- the mapping --- */

static int run_mmap(struct scene *scene)
{
	scene->map = mmap(NULL, scene->ring.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  scene->ring.fd, 0);
	return scene->map == MAP_FAILED ? -errno : 0;
}

static const char *check_mmap(struct scene *scene, int ret)
{
	struct afsync_ring_header *header = scene->map;

	if (ret)
		return NULL;
	ret = header->id == scene->ring.header->id;
	need(munmap(scene->map, scene->ring.size) == 0);
	return ret ? NULL : "another ring is mapped";
}

CALL(mmap) {
	.run = run_mmap,
	.check = check_mmap,
	.errors = { ENOMEM },
};

/* Far from all other mappings, so that the kernel has to allocate page tables, too. */
static void prepare_touch(struct scene *scene)
{
	void *far = mmap(NULL, 1ULL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);

	need(far != MAP_FAILED);
	need(munmap(far, 1ULL << 40) == 0);
	scene->map = mmap(far, scene->ring.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  scene->ring.fd, 0);
	need(scene->map != MAP_FAILED);
}

/* The kernel repeats a fault for which it had no memory. */
static int run_touch(struct scene *scene)
{
	struct afsync_ring_header *header = scene->map;

	return __atomic_load_n(&header->id, __ATOMIC_RELAXED) ? 0 : -EIO;
}

CALL(touch_of_mapping) {
	.prepare = prepare_touch,
	.run = run_touch,
	.check = check_mmap,
};

/* --- poll, epoll, eventfd --- */

static int run_poll(struct scene *scene)
{
	struct pollfd pfd = { .fd = scene->ring.fd, .events = POLLIN };
	int ret = poll(&pfd, 1, 1000);

	return ret < 0 ? -errno : pfd.revents;
}

CALL(poll) {
	.prepare = scene_complete_first,
	.run = run_poll,
	.result = POLLIN,
	.errors = { ENOMEM, EFAULT },
};

static void prepare_epoll(struct scene *scene)
{
	scene_complete_first(scene);
	scene->fd = epoll_create1(EPOLL_CLOEXEC);
	need(scene->fd >= 0);
}

static int run_epoll(struct scene *scene)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(scene->fd, EPOLL_CTL_ADD, scene->ring.fd, &event) ? -errno : 0;
}

static const char *check_epoll(struct scene *scene, int ret)
{
	struct epoll_event event;
	int ready = epoll_wait(scene->fd, &event, 1, 0);

	close(scene->fd);
	return ready == !ret ? NULL : "the result of epoll does not match the added descriptor";
}

CALL(epoll_add) {
	.prepare = prepare_epoll,
	.run = run_epoll,
	.check = check_epoll,
	.errors = { ENOMEM, EFAULT },
};

static void prepare_eventfd(struct scene *scene)
{
	scene->fd = eventfd(0, EFD_CLOEXEC);
	need(scene->fd >= 0);
}

static int run_eventfd(struct scene *scene)
{
	return afsync_cmd_eventfd(scene->ring.fd, scene->fd);
}

static const char *check_eventfd(struct scene *scene, int ret)
{
	close(scene->fd);
	return afsync_cmd_eventfd(scene->ring.fd, -1) == (ret ? -ENXIO : 0) ? NULL :
		"it is not as registered as was said";
}

CALL(eventfd_register) {
	.prepare = prepare_eventfd,
	.run = run_eventfd,
	.check = check_eventfd,
	.errors = { EFAULT },
};

static void prepare_eventfd_off(struct scene *scene)
{
	prepare_eventfd(scene);
	need(afsync_cmd_eventfd(scene->ring.fd, scene->fd) == 0);
}

static int run_eventfd_off(struct scene *scene)
{
	return afsync_cmd_eventfd(scene->ring.fd, -1);
}

static const char *check_eventfd_off(struct scene *scene, int ret)
{
	return check_eventfd(scene, ret ? 0 : -ENXIO);
}

CALL(eventfd_unregister) {
	.prepare = prepare_eventfd_off,
	.run = run_eventfd_off,
	.check = check_eventfd_off,
	.errors = { EFAULT },
};

/* --- wait --- */

static int run_wait(struct scene *scene)
{
	return afsync_cmd_wait(scene->ring.fd, 1, 0, 0, 0);
}

CALL(wait) {
	.prepare = scene_complete_first,
	.run = run_wait,
	.result = 1,
	.errors = { EFAULT },
};

static int run_wait_in_vain(struct scene *scene)
{
	return afsync_cmd_wait(scene->ring.fd, 1, AFSYNC_WAIT_TIMEOUT, 1000, 0);
}

CALL(wait_in_vain) {
	.run = run_wait_in_vain,
	.result = -ETIME,
	.errors = { EFAULT },
};

static int run_wait_masked(struct scene *scene)
{
	return afsync_cmd_wait(scene->ring.fd, 1, AFSYNC_WAIT_SIGMASK, 0, ~0ULL);
}

static const char *check_mask(struct scene *scene, int ret)
{
	sigset_t mask;

	(void)scene;
	(void)ret;
	need(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
	return sigismember(&mask, SIGUSR1) ? "the signal mask of the wait is left" : NULL;
}

CALL(wait_masked) {
	.prepare = scene_complete_first,
	.run = run_wait_masked,
	.check = check_mask,
	.result = 1,
	.errors = { EFAULT },
};

/* --- the end of a ring --- */

static const __u32 last_flags[] = { 0, AFSYNC_SQE_HOLD, 0, AFSYNC_SQE_HOLD };

/* Another ring; its requests end unseen. */
static void prepare_close(struct scene *scene)
{
	struct ring other;
	unsigned int i;

	ring_open(&other, ENTRIES);
	need(munmap(other.header, other.size) == 0);
	scene->fd = other.fd;
	for (i = 0; i < ARRAY_SIZE(last_flags); i++) {
		scene->sqes[i] = scene_sqe(scene, i, scene->files[i % FILES], AFSYNC_OP_FSYNC,
					   last_flags[i]);
	}
	need(ring_submit(&other, scene->sqes, i, NULL) == (int)i);
	scene->submitted += i;
}

static int run_close(struct scene *scene)
{
	return close(scene->fd) ? -errno : 0;
}

static const char *check_close(struct scene *scene, int ret)
{
	(void)scene;
	(void)ret;
	return counter("in_flight") ? "something of the ring is left" : NULL;
}

CALL(close) {
	.prepare = prepare_close,
	.run = run_close,
	.check = check_close,
	.may_have_no_step = true,
};

TEST_HARNESS_MAIN
