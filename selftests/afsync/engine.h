/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that the tests of the two engines of libafsync share: the device and the
 * threads of the library keep the same promises, and each test shows one promise for
 * both, using only functions of the library.
 *
 * A test has a scene: a ring, and files whose syncs stop, fail and count on command. With
 * afsync_sim, and as root, they are its files, for both engines. Otherwise they are
 * ordinary files: engine_host.h then controls the syncs of the threads, and the device is
 * skipped.
 */
#ifndef _AFSYNC_SELFTEST_ENGINE_H
#define _AFSYNC_SELFTEST_ENGINE_H

#define RUNS_WITHOUT_DEVICE
#include "common.h"
#include "engine_host.h"

#include <libafsync.h>

/* The result of a call of the library, which must leave errno alone. */
#define LIB(call) ({							\
	errno = 4711;							\
	__typeof__(call) __ret = (call);				\
	EXPECT_EQ(4711, errno)						\
		TH_LOG("errno changed by %s", #call);			\
	__ret;								\
})

static const struct __kernel_timespec no_time __attribute__((unused)) = { 0 };
static const struct __kernel_timespec moment __attribute__((unused)) = { .tv_nsec = 1000000 };
/* Longer than any test: a wait that ends by this is a failure, not a result. */
static const struct __kernel_timespec ages __attribute__((unused)) = { .tv_sec = 3600 };

/* --- the scene --- */

struct scene {
	struct world world;
	unsigned int engine;		/* AFSYNC_INIT_DEVICE or AFSYNC_INIT_THREADS */
	struct afsync_ring *ring;
	int ctl;			/* a second open file, for the commands of a test */
	int file;
};

#define FIXTURE_ENGINES(fixture)					\
	FIXTURE_VARIANT(fixture) { unsigned int engine; };		\
	FIXTURE_VARIANT_ADD(fixture, device) { .engine = AFSYNC_INIT_DEVICE };	\
	FIXTURE_VARIANT_ADD(fixture, threads) { .engine = AFSYNC_INIT_THREADS }

static inline bool is_device(const struct scene *scene)
{
	return scene->engine == AFSYNC_INIT_DEVICE;
}

/* Opens a file of the scene; every name exists, "dir..." as a directory. */
static inline int scene_file(const struct scene *scene, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (!host)
		return world_open(&scene->world, name, flags);
	snprintf(path, sizeof(path), "%s/%s", scene->world.dir, name);
	if (!strncmp(name, "dir", 3)) {
		need(mkdir(path, 0777) == 0 || errno == EEXIST);
	} else {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		need(fd >= 0);
		close(fd);
	}
	fd = open(path, flags | O_CLOEXEC);
	need(fd >= 0);
	host_file_add(fd);
	return fd;
}

static inline struct afsync_ring *new_ring(const struct scene *scene, unsigned int entries)
{
	struct afsync_ring *ring;

	need(afsync_queue_init(entries, &ring, scene->engine) == 0);
	return ring;
}

/* Returns the reason why there can be no scene, or NULL. @type: of a filesystem of afsync_sim. */
static inline const char *scene_open_type(struct scene *scene, unsigned int engine,
					  unsigned int entries, const char *type)
{
	bool sim = filesystem_known(type) && geteuid() == 0;

	/* The variable would overrule the variant. */
	unsetenv("AFSYNC_ENGINE");
	scene->engine = engine;
	if (is_device(scene) && access(DEVICE, F_OK))
		return "no " DEVICE ": load the module";
	if (is_device(scene) && !sim)
		return "needs root and afsync_sim";
	if (sim) {
		own_mounts();
		world_mount(&scene->world, type);
	} else {
		host_init();
		strcpy(scene->world.dir, "/tmp/afsync-XXXXXX");
		need(mkdtemp(scene->world.dir));
	}
	scene->ctl = scene_file(scene, "file", O_RDONLY);
	scene->file = scene_file(scene, "file", O_RDWR);
	scene->ring = new_ring(scene, entries);
	return NULL;
}

/* In FIXTURE_SETUP: the scene, or the test is skipped. */
#define SCENE_SETUP_TYPE(scene, engine, entries, type) do {			\
	const char *why_not = scene_open_type(scene, engine, entries, type);	\
										\
	if (why_not)								\
		SKIP(exit(255), "%s", why_not);					\
} while (0)

#define SCENE_SETUP(scene, engine, entries)	\
	SCENE_SETUP_TYPE(scene, engine, entries, "afsync_sim")

/* --- the syncs --- */

/* The next syncs of the file stop there: SIM_GATE_FSYNC or SIM_GATE_SYNCFS. */
static inline void gate_close(int fd, __u32 gate)
{
	if (!host) {
		sim_hold(fd, gate);
		return;
	}
	host_lock();
	host_gate(fd, gate)->held = true;
	host_gate(fd, gate)->steps = 0;
	host_unlock();
}

/* Lets all pass, and stops no more. */
static inline void gate_open(int fd, __u32 gate)
{
	if (!host) {
		sim_let_go(fd, gate);
		return;
	}
	host_lock();
	host_gate(fd, gate)->held = false;
	host_changed();
	host_unlock();
}

/* Lets exactly one pass. */
static inline void gate_step(int fd, __u32 gate)
{
	if (!host) {
		sim_step(fd, gate, 1);
		return;
	}
	host_lock();
	host_gate(fd, gate)->steps++;
	host_changed();
	host_unlock();
}

static inline __u32 syncs_started(int fd, __u32 gate)
{
	__u32 started;

	if (!host)
		return sim_started(fd, gate);
	host_lock();
	started = host_gate(fd, gate)->started;
	host_unlock();
	return started;
}

static inline __u32 syncs_finished(int fd, __u32 gate)
{
	__u32 finished;

	if (!host)
		return sim_stats(fd).finished[gate];
	host_lock();
	finished = host_gate(fd, gate)->finished;
	host_unlock();
	return finished;
}

/* Waits until so many have been started since the file was made. */
static inline void syncs_wait_started(int fd, __u32 gate, __u32 count)
{
	if (!host) {
		sim_wait_started(fd, gate, count);
		return;
	}
	host_lock();
	while (host_gate(fd, gate)->started < count)
		host_wait();
	host_unlock();
}

/* The next count that pass the gate fail with that positive errno. */
static inline void sync_fail(int fd, __u32 gate, int error, __u32 count)
{
	if (!host) {
		sim_fail(fd, gate, error, count);
		return;
	}
	host_lock();
	host_gate(fd, gate)->fail_error = error;
	host_gate(fd, gate)->fail_count = count;
	host_unlock();
}

/* The operation of sync number n of the file, fsync or fdatasync, from 0. */
static inline struct sim_call sync_call(int fd, __u32 n)
{
	struct sim_call call;

	if (!host)
		return sim_call(fd, n);
	host_lock();
	need(n < host_gate(fd, SIM_GATE_FSYNC)->started);
	call = host_file(fd)->calls[n % SIM_NR_CALLS];
	host_unlock();
	return call;
}

static inline void scene_remove(const struct scene *scene)
{
	DIR *dir = opendir(scene->world.dir);
	struct dirent *entry;

	need(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			need(unlinkat(dirfd(dir), entry->d_name,
				      entry->d_type == DT_DIR ? AT_REMOVEDIR : 0) == 0);
	closedir(dir);
	need(rmdir(scene->world.dir) == 0);
}

/* Runs after a failed test, too: nothing of the files "file" stays held, so the ring ends. */
static inline void scene_close(struct scene *scene)
{
	gate_open(scene->ctl, SIM_GATE_FSYNC);
	gate_open(scene->ctl, SIM_GATE_SYNCFS);
	afsync_queue_exit(scene->ring);
	if (scene->file >= 0)
		close(scene->file);
	close(scene->ctl);
	if (host)
		scene_remove(scene);
	else
		world_unmount(&scene->world);
}

/* --- requests and completions --- */

static inline struct afsync_sqe *prepare(struct afsync_ring *ring, int fd, __u64 data)
{
	struct afsync_sqe *sqe = afsync_get_sqe(ring);

	need(sqe);
	afsync_prep_fsync(sqe, fd);
	afsync_sqe_set_data64(sqe, data);
	return sqe;
}

/* Queues one request; @op: AFSYNC_OP_*. */
static inline void queue(struct afsync_ring *ring, int fd, __u32 op, __u64 data)
{
	prepare(ring, fd, data)->op = op;
	need(afsync_submit(ring) == 1);
}

/* Submits an fsync that is held. */
static inline void queue_held(struct afsync_ring *ring, int fd, __u64 data)
{
	afsync_sqe_set_flags(prepare(ring, fd, data), AFSYNC_SQE_HOLD);
	need(afsync_submit(ring) == 1);
}

/* Takes the next completion, however long that takes. */
static inline struct afsync_cqe next_cqe(struct afsync_ring *ring)
{
	struct afsync_cqe copy, *cqe;

	need(afsync_wait_cqe(ring, &cqe) == 0);
	copy = *cqe;
	afsync_cqe_seen(ring, cqe);
	return copy;
}

/* Takes count completions without an error; returns how many of them were not merged. */
static inline unsigned int take_unmerged(struct afsync_ring *ring, unsigned int count)
{
	unsigned int unmerged = 0;
	struct afsync_cqe cqe;

	while (count--) {
		cqe = next_cqe(ring);
		need(cqe.res == 0);
		unmerged += !(cqe.flags & AFSYNC_CQE_MERGED);
	}
	return unmerged;
}

/* Lets one sync of the file start and stay, so that later requests wait. */
static inline void hold_one(struct scene *scene, __u32 op, __u64 data)
{
	__u32 started = syncs_started(scene->ctl, SIM_GATE_FSYNC);

	gate_close(scene->ctl, SIM_GATE_FSYNC);
	queue(scene->ring, scene->file, op, data);
	syncs_wait_started(scene->ctl, SIM_GATE_FSYNC, started + 1);
}

/* --- descriptors of event loops --- */

static inline __u64 event_read(int event)
{
	__u64 count;

	need(read(event, &count, 8) == 8);
	return count;
}

/* POLLIN or 0, now. */
static inline short polled(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP };

	need(poll(&pollfd, 1, 0) >= 0);
	return pollfd.revents;
}

static inline void poll_wait(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	need(poll(&pollfd, 1, -1) == 1 && pollfd.revents == POLLIN);
}

#endif /* _AFSYNC_SELFTEST_ENGINE_H */
