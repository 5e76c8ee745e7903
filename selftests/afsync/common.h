/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that the tests share: the raw commands of /dev/afsync (the library has tests
 * of its own), a reader of the ring, the test filesystems, and processes that wait for
 * each other without sleeping.
 *
 * Functions that a test checks return a count or a negative errno. A step that
 * only prepares the test uses need(), which ends the test and prints the place and the
 * reason; each test runs in a process and a mount namespace of its own, so that nothing
 * is left behind.
 *
 * Outputs are poisoned with 0xcc before each call: this shows a field that a command
 * should have written and did not, or should not have written and did.
 *
 * A program that has tests for machines without the device defines RUNS_WITHOUT_DEVICE first.
 */
#ifndef _AFSYNC_SELFTEST_COMMON_H
#define _AFSYNC_SELFTEST_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <linux/afsync.h>
#include "afsync_sim.h"
#include "kselftest_harness.h"

/* Emulated debug kernels need more than the harness's 30 s. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	240
#define LONG_TIMEOUT		3000

#define DEVICE		"/dev/afsync"
#define PARAMETERS	"/sys/module/afsync/parameters/"
#define STATS		"/sys/class/misc/afsync/stats/"

#define POISON_BYTE	0xcc
#define POISON32	0xccccccccU
#define POISON64	0xccccccccccccccccULL

/* Ends the test unless cond holds; for conditions that are not the test's subject. */
#define need(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: cannot continue: %s (%s)\n",	\
			__FILE__, __LINE__, #cond, strerror(errno));	\
		abort();						\
	}								\
} while (0)

#ifndef RUNS_WITHOUT_DEVICE
/* Without the device there is nothing to test: the whole program is skipped. */
static void __attribute__((constructor)) device_or_skip(void)
{
	if (access(DEVICE, F_OK)) {
		printf("1..0 # SKIP no %s: load the module\n", DEVICE);
		fflush(stdout);
		_exit(KSFT_SKIP);
	}
}
#endif

/* A count for the stock kernel; a tenth of it on a debug kernel. */
static inline unsigned int rounds(unsigned int n)
{
	const char *debug = getenv("AFSYNC_DEBUG_KERNEL");

	return debug && !strcmp(debug, "1") ? (n + 9) / 10 : n;
}

/* After that, the objects that the kernel keeps for each CPU are all found again. */
static inline void stay_on_this_cpu(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	need(sched_setaffinity(0, sizeof(cpu), &cpu) == 0);
}

static inline __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

#define SEC_NS		1000000000ULL
/* Longer than any test: a wait that ends by this is a failure, not a result. */
#define FOREVER_NS	(3600 * SEC_NS)

/* --- files --- */

static inline long long number_read(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	need(fd >= 0);
	need(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoll(text, NULL, 0);
}

static inline int text_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text));
	ret = ret < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Returns the text in a buffer that the caller frees. */
static inline char *text_read(const char *path)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	need(fd >= 0 && text);
	while ((n = read(fd, text + size, room - size - 1)) > 0) {
		size += n;
		if (size + 1 < room)
			continue;
		room *= 2;
		text = realloc(text, room);
		need(text);
	}
	need(n == 0);
	text[size] = '\0';
	close(fd);
	return text;
}

/* One of the counters that the whole machine shares. */
static inline long long counter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), STATS "%s", name);
	return number_read(path);
}

static inline long long parameter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return number_read(path);
}

static inline void parameter_set(const char *name, long long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	snprintf(text, sizeof(text), "%lld", value);
	need(text_write(path, text) == 0);
}

/* --- the commands --- */

static inline int device_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	need(fd >= 0);
	return fd;
}

/* A command with its result as the kernel returns it: a count or -errno. */
static inline int command(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static inline int afsync_cmd_info(int fd, struct afsync_info *info)
{
	memset(info, POISON_BYTE, sizeof(*info));
	return command(fd, AFSYNC_IOC_INFO, info);
}

static inline int afsync_cmd_setup(int fd, __u32 entries, struct afsync_setup *setup)
{
	memset(setup, POISON_BYTE, sizeof(*setup));
	setup->entries = entries;
	setup->flags = 0;
	return command(fd, AFSYNC_IOC_SETUP, setup);
}

/* A submit of the array that asks for no wait; the caller may change it. */
static inline struct afsync_submit submit_of(const struct afsync_sqe *sqes, __u32 nr)
{
	struct afsync_submit submit;

	memset(&submit, 0, sizeof(submit));
	submit.sqes = (uintptr_t)sqes;
	submit.nr = nr;
	submit.sqe_size = sizeof(*sqes);
	submit.error = POISON32;
	submit.wait_result = POISON32;
	return submit;
}

static inline int afsync_cmd_wait(int fd, __u32 min_complete, __u32 flags,
				  __u64 timeout_ns, __u64 sigmask)
{
	struct afsync_wait wait = {
		.min_complete = min_complete,
		.flags = flags,
		.timeout_ns = timeout_ns,
		.sigmask = sigmask,
	};

	return command(fd, AFSYNC_IOC_WAIT, &wait);
}

/* Returns how many were cancelled; *running gets how many could not be. */
static inline int afsync_cmd_cancel(int fd, __u32 match, __u64 user_data, int file,
				    __u32 *running)
{
	struct afsync_cancel cancel = {
		.user_data = user_data,
		.fd = file,
		.match = match,
		.running = POISON32,
	};
	int ret = command(fd, AFSYNC_IOC_CANCEL, &cancel);

	if (running)
		*running = cancel.running;
	return ret;
}

static inline int afsync_cmd_eventfd(int fd, int event)
{
	struct afsync_eventfd arg = { .fd = event };

	return command(fd, AFSYNC_IOC_EVENTFD, &arg);
}

/* --- the ring --- */

struct ring {
	int fd;
	__u32 entries;
	size_t size;
	struct afsync_ring_header *header;
	const struct afsync_cqe *cqes;
};

static inline void ring_map(struct ring *ring)
{
	ring->header = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    ring->fd, 0);
	need(ring->header != MAP_FAILED);
	ring->cqes = (void *)((char *)ring->header + ring->header->cqes_offset);
}

static inline void ring_open_with(struct ring *ring, __u32 entries, __u32 flags)
{
	struct afsync_setup setup = { .entries = entries, .flags = flags };

	memset(ring, 0, sizeof(*ring));
	ring->fd = device_open();
	need(command(ring->fd, AFSYNC_IOC_SETUP, &setup) == 0);
	ring->entries = setup.entries;
	ring->size = setup.mmap_size;
	ring_map(ring);
}

static inline void ring_open(struct ring *ring, __u32 entries)
{
	ring_open_with(ring, entries, 0);
}

static inline void ring_close(struct ring *ring)
{
	if (ring->header)
		need(munmap(ring->header, ring->size) == 0);
	if (ring->fd >= 0)
		need(close(ring->fd) == 0);
	ring->header = NULL;
	ring->fd = -1;
}

/* Unread completions. */
static inline __u32 ring_ready(const struct ring *ring)
{
	/* pairs with the kernel's release of the entry */
	return __atomic_load_n(&ring->header->tail, __ATOMIC_ACQUIRE) -
	       ring->header->head;
}

/* Takes the next completion if there is one. */
static inline bool ring_take(struct ring *ring, struct afsync_cqe *cqe)
{
	__u32 head = ring->header->head;

	memset(cqe, POISON_BYTE, sizeof(*cqe));
	if (!ring_ready(ring))
		return false;
	*cqe = ring->cqes[head & (ring->entries - 1)];
	/* pairs with the kernel's read of head: the slot is free after the copy */
	__atomic_store_n(&ring->header->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Waits for count unread completions. */
static inline void ring_wait(struct ring *ring, __u32 count)
{
	int ret;

	do {
		ret = afsync_cmd_wait(ring->fd, count, 0, 0, 0);
	} while (ret == -EINTR);
	need(ret >= 0 && ring_ready(ring) >= count);
}

/* Waits for the next completion and takes it. */
static inline struct afsync_cqe ring_next(struct ring *ring)
{
	struct afsync_cqe cqe;

	while (!ring_take(ring, &cqe))
		ring_wait(ring, 1);
	return cqe;
}

static inline struct afsync_sqe sqe_of(int fd, __u32 op, __u64 user_data)
{
	struct afsync_sqe sqe = { .user_data = user_data, .fd = fd, .op = op };

	return sqe;
}

/* Queues an array; the return value and *error as the kernel gives them. */
static inline int ring_submit(struct ring *ring, const struct afsync_sqe *sqes,
			      __u32 nr, __s32 *error)
{
	struct afsync_submit submit = submit_of(sqes, nr);
	int ret = command(ring->fd, AFSYNC_IOC_SUBMIT, &submit);

	if (error)
		*error = submit.error;
	return ret;
}

/* Queues one: 1 or -errno. */
static inline int ring_queue(struct ring *ring, int fd, __u32 op, __u64 user_data)
{
	struct afsync_sqe sqe = sqe_of(fd, op, user_data);

	return ring_submit(ring, &sqe, 1, NULL);
}

/* Submits a fsync that is held: 1 or -errno. */
static inline int ring_hold(struct ring *ring, int fd, __u64 user_data)
{
	struct afsync_sqe sqe = sqe_of(fd, AFSYNC_OP_FSYNC, user_data);

	sqe.flags = AFSYNC_SQE_HOLD;
	return ring_submit(ring, &sqe, 1, NULL);
}

/* Starts the held requests with that user data: how many, or -errno. */
static inline int ring_start_range(struct ring *ring, __u64 first, __u64 last)
{
	struct afsync_start start = { .user_data = first, .last = last };

	return command(ring->fd, AFSYNC_IOC_START, &start);
}

static inline int ring_start(struct ring *ring, __u64 user_data)
{
	return ring_start_range(ring, user_data, 0);
}

/*
 * A ring that belongs to another user, in a process that stays root: the real user of the
 * thread that makes a ring is its user.
 */
static inline void ring_open_as(struct ring *ring, uid_t uid, __u32 entries)
{
	need(setresuid(uid, 0, 0) == 0);
	ring_open(ring, entries);
	need(setresuid(0, 0, 0) == 0);
}

static inline char *fdinfo_read(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return text_read(path);
}

/* The number behind "name:", or -1 if there is no such line. */
static inline long long fdinfo_number(int fd, const char *name)
{
	char *text = fdinfo_read(fd), start[32], *line;
	long long number = -1;

	snprintf(start, sizeof(start), "\n%s:\t", name);
	line = strstr(text, start);
	if (line)
		number = strtoll(line + strlen(start), NULL, 10);
	free(text);
	return number;
}

/* Lines that begin with this. */
static inline unsigned int fdinfo_lines(int fd, const char *start)
{
	char *text = fdinfo_read(fd), *line, *rest = text;
	unsigned int count = 0;

	while ((line = strsep(&rest, "\n")))
		count += !strncmp(line, start, strlen(start));
	free(text);
	return count;
}

/* --- the test filesystems --- */

static inline int sim_gate_cmd(int fd, unsigned long cmd, __u32 gate, __u32 count,
			       __s32 error)
{
	struct sim_gate_arg arg = { .gate = gate, .count = count, .error = error };

	return command(fd, cmd, &arg);
}

/* The next calls stop at the gate, at the longest until this process closes fd. */
static inline void sim_hold(int fd, __u32 gate)
{
	need(sim_gate_cmd(fd, SIM_IOC_HOLD, gate, 0, 0) == 0);
}

/* The same for the calls that run as this user; those of other users pass. */
static inline void sim_hold_user(int fd, __u32 gate, uid_t user)
{
	struct sim_gate_arg arg = { .gate = gate, .user = user };

	need(command(fd, SIM_IOC_HOLD_USER, &arg) == 0);
}

static inline void sim_let_go(int fd, __u32 gate)
{
	need(sim_gate_cmd(fd, SIM_IOC_RELEASE, gate, 0, 0) == 0);
}

static inline void sim_step(int fd, __u32 gate, __u32 count)
{
	need(sim_gate_cmd(fd, SIM_IOC_STEP, gate, count, 0) == 0);
}

static inline void sim_fail(int fd, __u32 gate, int error, __u32 count)
{
	need(sim_gate_cmd(fd, SIM_IOC_FAIL, gate, count, error) == 0);
}

/* Waits until the gate has been reached count times since the file was made. */
static inline void sim_wait_started(int fd, __u32 gate, __u32 count)
{
	need(sim_gate_cmd(fd, SIM_IOC_WAIT_STARTED, gate, count, 0) == 0);
}

static inline void sim_wb_error(int fd, int error)
{
	need(ioctl(fd, SIM_IOC_WB_ERR, error) == 0);
}

static inline void sim_dio_begin(int fd)
{
	need(ioctl(fd, SIM_IOC_DIO, 1) == 0);
}

static inline void sim_dio_end(int fd)
{
	need(ioctl(fd, SIM_IOC_DIO, 0) == 0);
}

static inline __u32 sim_open_id(int fd)
{
	int id = ioctl(fd, SIM_IOC_OPEN_ID, 0);

	need(id >= 0);
	return id;
}

static inline struct sim_stats sim_stats(int fd)
{
	struct sim_stats stats;

	memset(&stats, POISON_BYTE, sizeof(stats));
	need(ioctl(fd, SIM_IOC_STATS, &stats) == 0);
	return stats;
}

static inline __u32 sim_started(int fd, __u32 gate)
{
	return sim_stats(fd).started[gate];
}

/* Call number n of fsync, from 0. */
static inline struct sim_call sim_call(int fd, __u32 n)
{
	struct sim_stats stats = sim_stats(fd);

	need(n < stats.started[SIM_GATE_FSYNC]);
	return stats.calls[n % SIM_NR_CALLS];
}

/* A mounted test filesystem, in a mount namespace of this process. */
struct world {
	char dir[32];
};

static inline bool filesystem_known(const char *type)
{
	char *text = text_read("/proc/filesystems"), name[64];
	bool known;

	snprintf(name, sizeof(name), "\t%s\n", type);
	known = strstr(text, name);
	free(text);
	return known;
}

static inline void own_mounts(void)
{
	need(unshare(CLONE_NEWNS) == 0);
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static inline void world_mount(struct world *world, const char *type)
{
	strcpy(world->dir, "/tmp/afsync-XXXXXX");
	need(mkdtemp(world->dir));
	need(mount("none", world->dir, type, 0, NULL) == 0);
}

static inline void world_unmount(struct world *world)
{
	need(umount(world->dir) == 0);
	need(rmdir(world->dir) == 0);
}

/* In FIXTURE_SETUP: a world of that type, or the test is skipped. */
#define WORLD_SETUP(world, type) do {					\
	if (!filesystem_known(type))					\
		SKIP(exit(255), "no %s: load its module", type);	\
	if (geteuid())							\
		SKIP(exit(255), "needs root to mount");			\
	own_mounts();							\
	world_mount(world, type);					\
} while (0)

/* Opens a file of it; every name exists, "dir..." as a directory. */
static inline int world_open(const struct world *world, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	fd = open(path, flags | O_CLOEXEC);
	need(fd >= 0);
	return fd;
}

/* The base of most tests: a world, a ring, and one file of the world. */
struct stage {
	struct world world;
	struct ring ring;
	int ctl;	/* a second open file, for the commands of the test filesystem */
	int file;
};

static inline void stage_open(struct stage *stage, __u32 entries)
{
	ring_open(&stage->ring, entries);
	stage->ctl = world_open(&stage->world, "file", O_RDONLY);
	stage->file = world_open(&stage->world, "file", O_RDWR);
}

/* In FIXTURE_SETUP */
#define STAGE_SETUP(stage, type, entries) do {				\
	WORLD_SETUP(&(stage)->world, type);				\
	stage_open(stage, entries);					\
} while (0)

/* Runs after a failed test, too: nothing stays held, so closing the ring ends. */
static inline void stage_close(struct stage *stage)
{
	__u32 gate;

	for (gate = 0; gate < SIM_NR_GATES; gate++)
		sim_let_go(stage->ctl, gate);
	ring_close(&stage->ring);
	if (stage->file >= 0)
		close(stage->file);
	close(stage->ctl);
	world_unmount(&stage->world);
}

/* --- threads and processes that wait for each other --- */

/* A pipe as a counter: post from anywhere, wait in one place. */
struct turn {
	int fds[2];
};

static inline void turn_init(struct turn *turn)
{
	need(pipe2(turn->fds, O_CLOEXEC) == 0);
}

static inline void turn_post(struct turn *turn)
{
	need(write(turn->fds[1], "", 1) == 1);
}

static inline void turn_wait(struct turn *turn, unsigned int count)
{
	char c;

	while (count--)
		need(read(turn->fds[0], &c, 1) == 1);
}

static inline pthread_t thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	need(pthread_create(&thread, NULL, fn, arg) == 0);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	need(pthread_join(thread, NULL) == 0);
}

/* Waits for a child and returns its exit code, 128 + signal if one killed it. */
static inline int child_wait(pid_t pid)
{
	int status;

	need(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits until a thread sleeps in this system call, by its number. */
static inline void thread_wait_in(pid_t tid, long nr)
{
	char path[64], start[32], *text;
	bool there;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	snprintf(start, sizeof(start), "%ld ", nr);
	do {
		sched_yield();
		text = text_read(path);
		there = !strncmp(text, start, strlen(start));
		free(text);
	} while (!there);
}

/* Waits until a thread sleeps interruptibly, in any call. */
static inline void thread_wait_asleep(pid_t tid)
{
	char path[64], *text, *state;
	bool there;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	do {
		sched_yield();
		text = text_read(path);
		state = strrchr(text, ')');
		need(state && state[1] == ' ');
		there = state[2] == 'S';
		free(text);
	} while (!there);
}

static inline unsigned int kernel_threads(void)
{
	unsigned int count = 0;
	struct dirent *entry;
	char path[300], text[1024], *at;
	DIR *dir = opendir("/proc");
	int fd;

	need(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(text, 0, sizeof(text));
		/* It may be gone meanwhile. */
		at = read(fd, text, sizeof(text) - 1) > 0 ? strrchr(text, ')') : NULL;
		/* Their parent is kthreadd. */
		count += at && atoi(at + 4) == 2;
		close(fd);
	}
	closedir(dir);
	return count;
}

static inline pid_t thread_id(void)
{
	return syscall(SYS_gettid);
}

#endif /* _AFSYNC_SELFTEST_COMMON_H */
