// SPDX-License-Identifier: GPL-2.0-only
/*
 * P9 isolation between users, against the worst that an ordinary user can do: it mounts
 * filesystems of its own that never answer, in a user namespace, and queues syncs there; or
 * makes writes hang in files of a filesystem that all share. Root forks and its syncs
 * complete meanwhile.
 *
 * Needs root, FUSE, user namespaces, loop devices and the device mapper.
 */
#include "fs_rig.h"
#include "fs_fuse.h"

#include <grp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define USER	5000
#define EACH	64	/* open files of each mount; writes that hang on each shared filesystem */
#define MOUNTS	125
#define NR_FS	2

/* State that the attacker and the test share. */
struct attack {
	struct fuse_state *state;	/* of all its filesystems */
	int mounts;
	pid_t *server;
	pid_t pid;
	struct turn ready;
	struct turn go;
};

FIXTURE(attacked) {
	struct rig rigs[NR_FS];
	int files[NR_FS];
	struct ring ring;
	struct attack attack;
	unsigned int threads;
};

FIXTURE_SETUP(attacked)
{
	static const enum fs_id ids[NR_FS] = { FS_EXT4, FS_XFS };
	static const char * const names[NR_FS] = { "ext4", "xfs" };
	char path[64];
	int i;

	for (i = 0; i < NR_FS; i++)
		FS_OR_SKIP(ids[i]);
	if (!fs_known("fuse"))
		SKIP(exit(255), "no FUSE in this kernel");
	own_world();
	need(mkdir("/mnt/swarm", 0777) == 0);
	/* The node as udev makes it. */
	need(mknod("/mnt/fuse", S_IFCHR | 0666, makedev(10, 229)) == 0);
	need(chmod("/mnt/fuse", 0666) == 0);
	for (i = 0; i < NR_FS; i++) {
		rig_up(&self->rigs[i], ids[i], names[i]);
		snprintf(path, sizeof(path), "/mnt/%s/pub", names[i]);
		need(mkdir(path, 0777) == 0 && chmod(path, 0777) == 0);
		self->files[i] = open(self->rigs[i].file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		need(self->files[i] >= 0);
	}
	self->attack.state = mmap(NULL, sizeof(*self->attack.state), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->attack.server = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(self->attack.state != MAP_FAILED && self->attack.server != MAP_FAILED);
	self->attack.state->size = PAGE;
	turn_init(&self->attack.ready);
	turn_init(&self->attack.go);
	self->threads = kernel_threads();
}

/* The end of the server ends its filesystems, and everything that hangs there. */
FIXTURE_TEARDOWN(attacked)
{
	int i;

	if (*self->attack.server)
		kill(*self->attack.server, SIGKILL);
	if (self->attack.pid) {
		kill(self->attack.pid, SIGKILL);
		child_wait(self->attack.pid);
	}
	ring_close(&self->ring);
	for (i = 0; i < NR_FS; i++) {
		close(self->files[i]);
		rig_down(&self->rigs[i]);
	}
}

/* --- the attacker --- */

/* Root in a namespace of its own, and an ordinary user outside. */
static void become_ordinary(void)
{
	char map[32];

	need(setgroups(0, NULL) == 0 && setresgid(USER, USER, USER) == 0);
	need(setresuid(USER, USER, USER) == 0);
	need(prctl(PR_SET_DUMPABLE, 1) == 0);
	need(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	need(text_write("/proc/self/setgroups", "deny") == 0);
	snprintf(map, sizeof(map), "0 %d 1", USER);
	need(text_write("/proc/self/uid_map", map) == 0);
	need(text_write("/proc/self/gid_map", map) == 0);
	need(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
}

/* Few questions for each file: the kernel does not repeat a question answered with ENOSYS. */
static void serve_one(struct fuse_server *s, const struct fuse_in_header *in)
{
	if (in->opcode == FUSE_OPEN || in->opcode == FUSE_FLUSH)
		fuse_answer(s, in->unique, -ENOSYS, NULL, 0);
	else
		fuse_serve(s, in);
}

static void serve_all(struct fuse_state *state, const int *devs, int nr)
{
	static char buffer[FUSE_DATA + PAGE];
	struct fuse_server s = { .state = state };
	int all = epoll_create1(EPOLL_CLOEXEC), i;
	struct epoll_event event;

	need(all >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	for (i = 0; i < nr; i++) {
		event = (struct epoll_event) { .events = EPOLLIN, .data.fd = devs[i] };
		need(epoll_ctl(all, EPOLL_CTL_ADD, devs[i], &event) == 0);
	}
	for (;;) {
		if (epoll_wait(all, &event, 1, -1) != 1)
			continue;
		s.dev = event.data.fd;
		if (read(s.dev, buffer, sizeof(buffer)) > 0)
			serve_one(&s, (void *)buffer);
	}
}

/* Mounts under /mnt/swarm/NUMBER, all served by one process. */
static void swarm_up(struct attack *attack)
{
	int *devs = calloc(attack->mounts, sizeof(*devs)), i;
	char dir[64], options[96];
	pid_t pid;

	need(mount("swarm", "/mnt/swarm", "tmpfs", 0, NULL) == 0);
	for (i = 0; i < attack->mounts; i++) {
		devs[i] = open("/mnt/fuse", O_RDWR | O_CLOEXEC);
		need(devs[i] >= 0);
		snprintf(dir, sizeof(dir), "/mnt/swarm/%d", i);
		snprintf(options, sizeof(options),
			 "fd=%d,rootmode=40000,user_id=0,group_id=0", devs[i]);
		need(mkdir(dir, 0755) == 0);
		need(mount("swarm", dir, "fuse", MS_NOSUID | MS_NODEV, options) == 0);
	}
	pid = fork();
	need(pid >= 0);
	if (!pid)
		serve_all(attack->state, devs, attack->mounts);
	*attack->server = pid;
	for (i = 0; i < attack->mounts; i++)
		close(devs[i]);
	free(devs);
}

static int swarm_open(int mount, int nr)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/mnt/swarm/%d/file%d", mount, nr);
	fd = open(path, O_RDWR | O_CLOEXEC);
	need(fd >= 0);
	return fd;
}

static void attack_start(struct attack *attack, int mounts, void (*how)(struct attack *attack))
{
	attack->mounts = mounts;
	attack->pid = fork();
	need(attack->pid >= 0);
	if (!attack->pid) {
		become_ordinary();
		swarm_up(attack);
		how(attack);
		for (;;)
			pause();
	}
	turn_wait(&attack->ready, 1);
}

/*
 * Syncs of many open files of each mount, held, and all started by one call. Those of one
 * file hang one behind the other, each in a thread that the kernel starts for it. The files
 * are opened through /proc, so that the server is not asked again.
 */
static void many_mounts(struct attack *attack)
{
	char path[64];
	struct ring ring;
	int i, j, fd, again;

	attack->state->hold = true;
	ring_open(&ring, MOUNTS * EACH);
	for (i = 0; i < attack->mounts; i++) {
		fd = swarm_open(i, 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		for (j = 0; j < EACH; j++) {
			again = open(path, O_RDWR | O_CLOEXEC);
			need(again >= 0);
			need(ring_hold(&ring, again, 1) == 1);
			close(again);
		}
		close(fd);
	}
	turn_post(&attack->ready);
	turn_wait(&attack->go, 1);
	need(ring_start(&ring, 1) == attack->mounts * EACH);
}

struct hanging_write {
	int to;
	void *from;
};

static void *write_and_hang(void *arg)
{
	struct hanging_write *w = arg;

	/* Reads the source with the inode locked. */
	while (write(w->to, w->from, PAGE) < 0)
		pause();
	return NULL;
}

/*
 * On each shared filesystem, writes that hang with the inode locked, for a sync with
 * DRAIN to wait for; then a sync of root's file, which other users may read.
 */
static void hanging_writes(struct attack *attack)
{
	static const char * const names[NR_FS] = { "ext4", "xfs" };
	static struct hanging_write writes[NR_FS * EACH];
	struct afsync_sqe sqe;
	struct ring ring;
	char path[64];
	int i, fd;

	for (i = 0; i < NR_FS * EACH; i++) {
		snprintf(path, sizeof(path), "/mnt/%s/pub/hang%d", names[i / EACH], i);
		writes[i].to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		need(writes[i].to >= 0);
		fd = swarm_open(0, i);
		writes[i].from = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		need(writes[i].from != MAP_FAILED);
		close(fd);
	}
	attack->state->hold_reads = true;
	for (i = 0; i < NR_FS * EACH; i++)
		thread_start(write_and_hang, &writes[i]);
	WAIT_UNTIL(__atomic_load_n(&attack->state->reads_held, __ATOMIC_RELAXED) ==
		   NR_FS * EACH);

	ring_open(&ring, 1024);
	for (i = 0; i < NR_FS * EACH; i++) {
		sqe = sqe_of(writes[i].to, AFSYNC_OP_FSYNC, i);
		sqe.flags = AFSYNC_SQE_DRAIN;
		need(ring_submit(&ring, &sqe, 1, NULL) == 1);
	}
	WAIT_UNTIL(ring_pending(&ring, "running") == EACH);
	for (i = 0; i < NR_FS; i++) {
		snprintf(path, sizeof(path), "/mnt/%s/file", names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		need(fd >= 0);
		need(ring_queue(&ring, fd, AFSYNC_OP_FSYNC, 1000) == 1);
		close(fd);
	}
	turn_post(&attack->ready);
}

/* --- root --- */

static bool can_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid > 0 && child_wait(pid) == 0;
}

/* Root's everyday operations: true if they work. */
static bool works(FIXTURE_DATA(attacked) *self)
{
	char path[64];
	int i, fd;

	for (i = 0; i < NR_FS; i++) {
		if (write_page(self->files[i], 0, "afsync: of root") ||
		    sync_one(&self->ring, self->files[i], AFSYNC_OP_FSYNC))
			return false;
		snprintf(path, sizeof(path), "%s/another", self->rigs[i].dir);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (write_page(fd, 0, "afsync: of root") ||
		    sync_one(&self->ring, fd, AFSYNC_OP_FDATASYNC))
			return false;
		close(fd);
	}
	return can_fork();
}

/* How many filesystems get a worker: each half of the rest, or workers_per_fs. */
static unsigned int filesystems_served(unsigned int limit)
{
	unsigned int workers = parameter("workers_per_fs"), count = 0;

	for (; limit; count++)
		limit -= (limit + 1) / 2 < workers ? (limit + 1) / 2 : workers;
	return count;
}

TEST_F_TIMEOUT(attacked, root_forks_and_syncs_while_8000_syncs_of_a_user_hang_on_125_mounts,
	       LONG_TIMEOUT)
{
	struct attack *attack = &self->attack;
	unsigned int limit, served, i;

	ring_open(&self->ring, 64);
	attack_start(attack, rounds(MOUNTS), many_mounts);
	EXPECT_TRUE(works(self));
	turn_post(&attack->go);
	/* Until it has all the workers that it can get, and for a while after that. */
	limit = access(PARAMETERS "max_user_syncs", F_OK) ? 128 : parameter("max_user_syncs");
	served = filesystems_served(limit);
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(works(self));
		if (__atomic_load_n(&attack->state->syncs_held, __ATOMIC_RELAXED) < served)
			i = 0;
	}
	EXPECT_GE(self->threads + limit + 32, kernel_threads());
	EXPECT_EQ(served, __atomic_load_n(&attack->state->syncs_held, __ATOMIC_RELAXED));
}

TEST_F(attacked, root_syncs_where_a_user_makes_writes_hang_and_waits_for_them)
{
	int i;

	ring_open(&self->ring, 64);
	attack_start(&self->attack, 1, hanging_writes);
	for (i = 0; i < 20; i++)
		ASSERT_TRUE(works(self));
}

FS_TESTS_MAIN(FS_EXT4, FS_XFS)
