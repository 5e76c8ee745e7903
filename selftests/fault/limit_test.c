// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a cgroup at its limit of memory a ring is refused with ENOMEM and a request with EAGAIN,
 * without the out-of-memory killer; requests accepted before complete exactly once, and with
 * memory available again there is room for more. Other tests check failing allocations
 * elsewhere, and that memory is charged at all.
 *
 * Needs afsync_sim, root, and cgroup v2 with the memory controller. ROUNDS=N does it N times.
 */
#include "rounds.h"

#define CGROUP		"/sys/fs/cgroup/afsync-limit"
#define ENTRIES		8192
#define SLACK		(1 << 19)	/* bytes that may still be charged */
#define MEMBERS		3
#define ARRAY		64
#define LOST_NS		(120 * SEC_NS)

/* The state of a process of the cgroup that the test sees. */
struct member {
	unsigned int accepted;
	unsigned int refused;
	const char *wrong;
};

FIXTURE(limit) {
	struct world world;
	int ctl;
	struct member *members;	/* shared */
	struct turn ready;
	struct turn go[MEMBERS];
};

FIXTURE_SETUP(limit)
{
	unsigned int i;

	WORLD_SETUP(&self->world, "afsync_sim");
	/* Stays on if it was on already. */
	text_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755) || access(CGROUP "/memory.max", W_OK)) {
		rmdir(CGROUP);
		SKIP(exit(255), "no cgroup v2 with the memory controller");
	}
	self->ctl = world_open(&self->world, "file", O_RDONLY);
	self->members = mmap(NULL, MEMBERS * sizeof(*self->members), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(self->members != MAP_FAILED);
	turn_init(&self->ready);
	for (i = 0; i < MEMBERS; i++)
		turn_init(&self->go[i]);
}

FIXTURE_TEARDOWN(limit)
{
	close(self->ctl);
	world_unmount(&self->world);
	EXPECT_EQ(0, rmdir(CGROUP));
	EXPECT_EQ(0, counter("in_flight"));
}

/* One of the counts in memory.events. */
static long long event_count(const char *name)
{
	char *text = text_read(CGROUP "/memory.events"), start[32], *line;
	long long number;

	snprintf(start, sizeof(start), "%s ", name);
	line = strstr(text, start);
	need(line && (line == text || line[-1] == '\n'));
	number = strtoll(line + strlen(start), NULL, 10);
	free(text);
	return number;
}

static void limit_set(long long bytes)
{
	char text[32] = "max";

	if (bytes)
		snprintf(text, sizeof(text), "%lld", bytes);
	need(text_write(CGROUP "/memory.max", text) == 0);
}

static void limit_almost_reached(void)
{
	limit_set(number_read(CGROUP "/memory.current") + SLACK);
}

/* Joins the cgroup. The process has already allocated all memory that it needs itself. */
static void join(FIXTURE_DATA(limit) *self)
{
	need(text_write(CGROUP "/cgroup.procs", "0") == 0);
	need(mlockall(MCL_CURRENT) == 0);
	turn_post(&self->ready);
}

/* Reads all entries: user data from *next on, in order, with that result. */
static const char *read_in_order(struct ring *ring, __u64 *next, int res)
{
	struct afsync_cqe cqe;

	while (ring_take(ring, &cqe)) {
		if (cqe.user_data != (*next)++)
			return "a request is missing, or there twice";
		if (cqe.res != res)
			return "not the result that it should have";
	}
	return NULL;
}

/* --- one ring that grows into the limit --- */

/* Held requests until one is refused. */
static unsigned int fill(struct ring *ring, int file, struct member *member)
{
	unsigned int count = 0;
	int ret;

	do {
		ret = ring_hold(ring, file, count);
		count += ret == 1;
	} while (ret == 1 && count < ENTRIES);
	if (ret == 1)
		member->wrong = "the limit does not keep a request out";
	else if (ret != -EAGAIN)
		member->wrong = "an errno that is not documented";
	return count;
}

static void grow(FIXTURE_DATA(limit) *self, struct member *member)
{
	int file = world_open(&self->world, "file", O_RDWR), other = device_open();
	struct afsync_setup setup;
	struct ring ring;
	__u64 next = 0;
	unsigned int i;

	ring_open(&ring, ENTRIES);
	memset((void *)ring.cqes, 0, ENTRIES * sizeof(*ring.cqes));
	join(self);
	turn_wait(&self->go[0], 1);
	member->accepted = fill(&ring, file, member);
	if (afsync_cmd_setup(other, 32768, &setup) != -ENOMEM)
		member->wrong = "a ring that is too large is not refused with ENOMEM";
	/* At the limit, accepted requests can be started, and complete. */
	for (i = 0; i < member->accepted; i++)
		if (ring_start(&ring, i) != 1)
			member->wrong = "a held request cannot be started";
	if (afsync_cmd_wait(ring.fd, i, AFSYNC_WAIT_TIMEOUT, LOST_NS, 0) < 0)
		member->wrong = "a request is lost";
	member->wrong = member->wrong ?: read_in_order(&ring, &next, 0);
	if (next != member->accepted)
		member->wrong = "not as many have completed as were accepted";
	/* Ended requests have left room. */
	if (ring_queue(&ring, file, AFSYNC_OP_FSYNC, next) != 1)
		member->wrong = "ended requests have left no room";
	turn_post(&self->ready);
	turn_wait(&self->go[0], 1);
	/* The limit is gone. */
	if (afsync_cmd_setup(other, 32768, &setup))
		member->wrong = "without a limit there is no ring";
	for (i = 1; i < ENTRIES; i++)
		if (ring_queue(&ring, file, AFSYNC_OP_FSYNC, next + i) != 1)
			member->wrong = "without a limit a request is refused";
	ring_wait(&ring, ENTRIES);
	member->wrong = member->wrong ?: read_in_order(&ring, &next, 0);
	_exit(0);
}

TEST_F_TIMEOUT(limit, refuses_rings_and_requests_and_what_was_accepted_completes, LONG_TIMEOUT)
{
	unsigned int round;
	pid_t pid;

	for (round = 0; round < rounds_wanted(); round++) {
		self->members[0] = (struct member) {};
		limit_set(0);
		pid = fork();
		need(pid >= 0);
		if (!pid)
			grow(self, &self->members[0]);
		turn_wait(&self->ready, 1);
		limit_almost_reached();
		turn_post(&self->go[0]);
		turn_wait(&self->ready, 1);
		limit_set(0);
		turn_post(&self->go[0]);
		ASSERT_EQ(0, child_wait(pid));
		fprintf(stderr, "# %u requests before the limit\n", self->members[0].accepted);
		ASSERT_EQ(NULL, self->members[0].wrong)
			TH_LOG("%s", self->members[0].wrong);
		EXPECT_NE(0, self->members[0].accepted);
	}
	EXPECT_NE(0, event_count("max"));
	EXPECT_EQ(0, event_count("oom"));
	EXPECT_EQ(0, event_count("oom_kill"));
}

/* --- several processes at the limit at the same time --- */

/* Submits arrays and takes completions until there is no memory, and starts over. */
static void member_run(FIXTURE_DATA(limit) *self, unsigned int nr)
{
	int file = world_open(&self->world, nr ? "other" : "file", O_RDWR), ret;
	struct member *member = &self->members[nr];
	struct afsync_sqe sqes[ARRAY];
	__u64 next = 0, done = 0;
	unsigned int i, times;
	struct ring ring;

	ring_open(&ring, ENTRIES);
	memset((void *)ring.cqes, 0, ENTRIES * sizeof(*ring.cqes));
	join(self);
	turn_wait(&self->go[nr], 1);
	for (times = 0; times < 4 && !member->wrong; times++) {
		/* Held requests pile up, all with one user data, then run in order. */
		do {
			for (i = 0; i < ARRAY; i++) {
				sqes[i] = sqe_of(file, AFSYNC_OP_FSYNC, times);
				sqes[i].flags = AFSYNC_SQE_HOLD;
			}
			ret = ring_submit(&ring, sqes, ARRAY, NULL);
			next += ret > 0 ? ret : 0;
		} while (ret == ARRAY && next - done < ENTRIES);
		member->refused += ret != ARRAY;
		if (ret < 0 && ret != -EAGAIN)
			member->wrong = "an errno that is not documented";
		i = next - done;
		if (i && ring_start(&ring, times) != (int)i)
			member->wrong = "not as many were started as were accepted";
		if (afsync_cmd_wait(ring.fd, i, AFSYNC_WAIT_TIMEOUT, LOST_NS, 0) < 0)
			member->wrong = "a request is lost";
		for (; ring_ready(&ring); done++)
			if (ring_next(&ring).res)
				member->wrong = "a sync has a result that is not 0";
		if (done != next)
			member->wrong = "not as many have completed as were accepted";
	}
	member->accepted = done;
	_exit(0);
}

TEST_F_TIMEOUT(limit, that_several_meet_at_loses_no_request, LONG_TIMEOUT)
{
	unsigned int round, i, refused = 0;
	pid_t pids[MEMBERS];

	for (round = 0; round < rounds_wanted(); round++) {
		memset(self->members, 0, MEMBERS * sizeof(*self->members));
		limit_set(0);
		for (i = 0; i < MEMBERS; i++) {
			pids[i] = fork();
			need(pids[i] >= 0);
			if (!pids[i])
				member_run(self, i);
		}
		turn_wait(&self->ready, MEMBERS);
		limit_almost_reached();
		for (i = 0; i < MEMBERS; i++)
			turn_post(&self->go[i]);
		for (i = 0; i < MEMBERS; i++) {
			EXPECT_EQ(0, child_wait(pids[i]));
			EXPECT_EQ(NULL, self->members[i].wrong)
				TH_LOG("%s", self->members[i].wrong);
			fprintf(stderr, "# %u requests, refused %u times\n",
				self->members[i].accepted, self->members[i].refused);
			refused += self->members[i].refused;
		}
	}
	EXPECT_NE(0, refused);
	EXPECT_EQ(0, event_count("oom"));
	EXPECT_EQ(0, event_count("oom_kill"));
}

TEST_HARNESS_MAIN
