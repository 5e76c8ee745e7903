// SPDX-License-Identifier: GPL-2.0-only
/*
 * The binary interface: the layout of every struct, the rules by which structs grow, and
 * unknown commands. Built for 64-bit and, as abi_test_32, for 32-bit programs.
 *
 * Needs nothing but the device.
 */
#include "common.h"

#define LAYOUT(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type " has another size")
#define FIELD(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field " moved")

LAYOUT(afsync_sqe, 40);
FIELD(afsync_sqe, user_data, 0);
FIELD(afsync_sqe, fd, 8);
FIELD(afsync_sqe, op, 12);
FIELD(afsync_sqe, flags, 16);
FIELD(afsync_sqe, ioprio, 20);
FIELD(afsync_sqe, offset, 24);
FIELD(afsync_sqe, length, 32);
LAYOUT(afsync_cqe, 16);
FIELD(afsync_cqe, user_data, 0);
FIELD(afsync_cqe, res, 8);
FIELD(afsync_cqe, flags, 12);
LAYOUT(afsync_ring_header, 128);
FIELD(afsync_ring_header, head, 0);
FIELD(afsync_ring_header, tail, 64);
FIELD(afsync_ring_header, mask, 68);
FIELD(afsync_ring_header, entries, 72);
FIELD(afsync_ring_header, cqes_offset, 76);
FIELD(afsync_ring_header, id, 80);
LAYOUT(afsync_info, 32);
FIELD(afsync_info, version, 0);
FIELD(afsync_info, ops, 4);
FIELD(afsync_info, sqe_flags, 8);
FIELD(afsync_info, wait_flags, 12);
FIELD(afsync_info, cancel_match, 16);
FIELD(afsync_info, max_entries, 20);
FIELD(afsync_info, max_user_requests, 24);
FIELD(afsync_info, workers_per_fs, 28);
LAYOUT(afsync_setup, 16);
FIELD(afsync_setup, entries, 0);
FIELD(afsync_setup, flags, 4);
FIELD(afsync_setup, mmap_size, 8);
LAYOUT(afsync_wait, 32);
FIELD(afsync_wait, min_complete, 0);
FIELD(afsync_wait, flags, 4);
FIELD(afsync_wait, timeout_ns, 8);
FIELD(afsync_wait, sigmask, 16);
FIELD(afsync_wait, ring, 24);
FIELD(afsync_wait, reserved, 28);
LAYOUT(afsync_submit, 56);
FIELD(afsync_submit, sqes, 0);
FIELD(afsync_submit, nr, 8);
FIELD(afsync_submit, sqe_size, 12);
FIELD(afsync_submit, flags, 16);
FIELD(afsync_submit, error, 20);
FIELD(afsync_submit, min_complete, 24);
FIELD(afsync_submit, wait_flags, 28);
FIELD(afsync_submit, timeout_ns, 32);
FIELD(afsync_submit, sigmask, 40);
FIELD(afsync_submit, wait_result, 48);
FIELD(afsync_submit, ring, 52);
LAYOUT(afsync_cancel, 24);
FIELD(afsync_cancel, user_data, 0);
FIELD(afsync_cancel, fd, 8);
FIELD(afsync_cancel, match, 12);
FIELD(afsync_cancel, running, 16);
FIELD(afsync_cancel, ring, 20);
LAYOUT(afsync_eventfd, 12);
FIELD(afsync_eventfd, fd, 0);
FIELD(afsync_eventfd, flags, 4);
FIELD(afsync_eventfd, ring, 8);
LAYOUT(afsync_start, 24);
FIELD(afsync_start, user_data, 0);
FIELD(afsync_start, flags, 8);
FIELD(afsync_start, ring, 12);
FIELD(afsync_start, last, 16);
LAYOUT(afsync_attach, 16);
FIELD(afsync_attach, user_data, 0);
FIELD(afsync_attach, flags, 8);
FIELD(afsync_attach, ring, 12);

_Static_assert(AFSYNC_IOC_INFO == 0x8020af40, "AFSYNC_IOC_INFO");
_Static_assert(AFSYNC_IOC_SETUP == 0xc010af41, "AFSYNC_IOC_SETUP");
_Static_assert(AFSYNC_IOC_SUBMIT == 0xc038af42, "AFSYNC_IOC_SUBMIT");
_Static_assert(AFSYNC_IOC_WAIT == 0xc020af43, "AFSYNC_IOC_WAIT");
_Static_assert(AFSYNC_IOC_CANCEL == 0xc018af44, "AFSYNC_IOC_CANCEL");
_Static_assert(AFSYNC_IOC_EVENTFD == 0x400caf45, "AFSYNC_IOC_EVENTFD");
_Static_assert(AFSYNC_IOC_START == 0x4018af46, "AFSYNC_IOC_START");

/* A valid struct of each command, and the result. */
struct abi_case {
	const char *name;
	unsigned int cmd;
	unsigned int min;	/* size of the first version */
	unsigned int size;	/* of this version */
	bool in;		/* reads its struct */
	bool ring;		/* needs a ring */
	int ret;
};

static const struct abi_case cases[] = {
	{ "info", AFSYNC_IOC_INFO, 32, 32, false, false, 0 },
	{ "setup", AFSYNC_IOC_SETUP, 16, 16, true, false, 0 },
	{ "submit", AFSYNC_IOC_SUBMIT, 56, 56, true, true, 1 },
	{ "wait", AFSYNC_IOC_WAIT, 24, 32, true, true, 0 },
	{ "cancel", AFSYNC_IOC_CANCEL, 24, 24, true, true, -ENOENT },
	{ "eventfd", AFSYNC_IOC_EVENTFD, 8, 12, true, true, 0 },
	{ "start", AFSYNC_IOC_START, 16, 24, true, true, -ENOENT },
};

/* The targets of the pointers and descriptors in the structs. */
struct abi_env {
	struct afsync_sqe sqe;
	int event;
};

static void fill_valid(const struct abi_case *c, struct abi_env *env, void *to)
{
	struct afsync_setup setup = { .entries = 8 };
	struct afsync_submit submit = submit_of(&env->sqe, 1);
	struct afsync_wait wait = {};
	struct afsync_cancel cancel = { .match = AFSYNC_CANCEL_ALL };
	struct afsync_eventfd event = { .fd = env->event };

	switch (c->cmd) {
	case AFSYNC_IOC_INFO:
		memset(to, POISON_BYTE, c->size);
		break;
	case AFSYNC_IOC_SETUP:
		memcpy(to, &setup, sizeof(setup));
		break;
	case AFSYNC_IOC_SUBMIT:
		memcpy(to, &submit, sizeof(submit));
		break;
	case AFSYNC_IOC_WAIT:
		memcpy(to, &wait, sizeof(wait));
		break;
	case AFSYNC_IOC_CANCEL:
		memcpy(to, &cancel, sizeof(cancel));
		break;
	case AFSYNC_IOC_EVENTFD:
		memcpy(to, &event, sizeof(event));
		break;
	case AFSYNC_IOC_START:
		memset(to, 0, c->size);
		break;
	}
}

static unsigned int cmd_of_size(unsigned int cmd, unsigned int size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

/* One call with a struct of that size, at an address that is misaligned by shift. */
static int call_with_size(const struct abi_case *c, unsigned int size, int tail,
			  unsigned int shift, bool *tail_kept)
{
	static unsigned char buffer[16384 + 16];
	struct abi_env env = {};
	unsigned char *arg = buffer + shift;
	unsigned int i;
	struct ring ring;
	int fd, ret, file;

	file = memfd_create("afsync", MFD_CLOEXEC);
	env.event = eventfd(0, EFD_CLOEXEC);
	need(file >= 0 && env.event >= 0);
	env.sqe = sqe_of(file, AFSYNC_OP_FSYNC, 1);

	fd = device_open();
	if (c->ring) {
		close(fd);
		ring_open(&ring, 8);
		fd = ring.fd;
	}
	memset(buffer, POISON_BYTE, sizeof(buffer));
	fill_valid(c, &env, arg);
	/* The kernel must not read the fields beyond the end of a shorter struct. */
	if (size < c->size)
		memset(arg + size, POISON_BYTE, c->size - size);
	else
		memset(arg + c->size, tail, size - c->size);
	ret = command(fd, cmd_of_size(c->cmd, size), arg);

	*tail_kept = true;
	for (i = size; arg + i < buffer + sizeof(buffer); i++)
		*tail_kept &= arg[i] == POISON_BYTE;
	for (i = c->size; i < size; i++)
		*tail_kept &= arg[i] == 0 || ret == -E2BIG;
	if (c->ring)
		ring_close(&ring);
	else
		close(fd);
	close(file);
	close(env.event);
	return ret;
}

TEST(structs_grow_by_the_rules)
{
	unsigned int i, shift;
	struct ring stays;
	bool kept;

	/*
	 * The last ring of a user ends that user's workers: this one saves making them for each
	 * call.
	 */
	ring_open(&stays, 8);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct abi_case *c = &cases[i];
		const struct {
			unsigned int size;
			int tail;
			int ret;
		} sizes[] = {
			{ 0, 0, -EINVAL },
			{ 1, 0, -EINVAL },
			{ c->min - 1, 0, -EINVAL },
			{ c->min, 0, c->ret },
			{ (c->min + c->size) / 2, 0, c->ret },
			{ c->size, 0, c->ret },
			{ c->size + 1, 0, c->ret },
			{ c->size + 8, 0, c->ret },
			{ 4096, 0, c->ret },
			{ 16383, 0, c->ret },
			{ c->size + 1, 1, c->in ? -E2BIG : c->ret },
			{ c->size + 8, 1, c->in ? -E2BIG : c->ret },
			{ 16383, 1, c->in ? -E2BIG : c->ret },
		};
		unsigned int j;

		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			for (shift = 0; shift < 9; shift++) {
				EXPECT_EQ(sizes[j].ret,
					  call_with_size(c, sizes[j].size, sizes[j].tail,
							 shift, &kept))
					TH_LOG("%s, size %u, tail %d", c->name,
					       sizes[j].size, sizes[j].tail);
				EXPECT_TRUE(kept)
					TH_LOG("%s, size %u: wrote beyond", c->name,
					       sizes[j].size);
			}
		}
	}
	ring_close(&stays);
}

TEST(refused_struct_of_a_wrong_size_changes_nothing)
{
	struct afsync_setup setup[2] = { { .entries = 8 }, { .entries = 1 } };
	int fd = device_open(), event = eventfd(0, EFD_CLOEXEC);
	struct afsync_eventfd events[2] = { { .fd = event }, { .fd = 1 } };
	struct ring ring;

	EXPECT_EQ(-EINVAL, command(fd, cmd_of_size(AFSYNC_IOC_SETUP, 15), setup));
	EXPECT_EQ(-E2BIG, command(fd, cmd_of_size(AFSYNC_IOC_SETUP, 32), setup));
	EXPECT_EQ(8, setup[0].entries);
	EXPECT_EQ(0, setup[0].mmap_size);
	/* There is no ring yet. */
	EXPECT_EQ(-ENXIO, afsync_cmd_wait(fd, 0, 0, 0, 0));
	close(fd);

	ring_open(&ring, 8);
	EXPECT_EQ(-EINVAL, command(ring.fd, cmd_of_size(AFSYNC_IOC_EVENTFD, 7), events));
	EXPECT_EQ(-E2BIG, command(ring.fd, cmd_of_size(AFSYNC_IOC_EVENTFD, 16), events));
	EXPECT_EQ(-ENXIO, afsync_cmd_eventfd(ring.fd, -1));
	ring_close(&ring);
	close(event);
}

TEST(requests_grow_by_the_rules)
{
	static const struct {
		__u32 size;
		int tail;
		int ret;
	} sizes[] = {
		{ 0, 0, -EINVAL }, { 1, 0, -EINVAL }, { 39, 0, -EINVAL }, { 40, 0, 3 },
		{ 41, 0, 3 }, { 48, 0, 3 }, { 4096, 0, 3 },
		{ 41, 1, -E2BIG }, { 48, 1, -E2BIG }, { 4096, 1, -E2BIG },
		{ 4097, 0, -E2BIG }, { ~0U, 0, -E2BIG },
	};
	int file = memfd_create("afsync", MFD_CLOEXEC);
	static unsigned char array[3 * 4097];
	struct afsync_submit submit;
	struct afsync_sqe sqe;
	unsigned int i, j;
	struct ring ring;

	ring_open(&ring, 8);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(array, sizes[i].tail, sizeof(array));
		for (j = 0; j < 3 && sizes[i].size <= 4097; j++) {
			sqe = sqe_of(file, AFSYNC_OP_FSYNC, j);
			memcpy(array + j * sizes[i].size, &sqe,
			       sizes[i].size < 40 ? sizes[i].size : 40);
		}
		submit = submit_of((void *)array, 3);
		submit.sqe_size = sizes[i].size;
		EXPECT_EQ(sizes[i].ret, command(ring.fd, AFSYNC_IOC_SUBMIT, &submit))
			TH_LOG("sqe_size %u, tail %d", sizes[i].size, sizes[i].tail);
		for (j = 0; sizes[i].ret == 3 && j < 3; j++)
			EXPECT_EQ(j, ring_next(&ring).user_data);
	}
	EXPECT_EQ(0, ring_ready(&ring));

	/* Only the second request waits behind another: the first is queued. */
	memset(array, 0, sizeof(array));
	for (j = 0; j < 2; j++) {
		sqe = sqe_of(file, AFSYNC_OP_FSYNC, j);
		memcpy(array + j * 48, &sqe, 40);
	}
	array[48 + 44] = 1;
	submit = submit_of((void *)array, 2);
	submit.sqe_size = 48;
	EXPECT_EQ(1, command(ring.fd, AFSYNC_IOC_SUBMIT, &submit));
	EXPECT_EQ(-E2BIG, submit.error);
	EXPECT_EQ(0, ring_next(&ring).user_data);
	ring_close(&ring);
	close(file);
}

TEST(unknown_commands_are_ENOTTY)
{
	unsigned char buffer[256] = {};
	unsigned int nr, dir;
	struct ring ring;

	ring_open(&ring, 8);
	for (nr = 0; nr < 256; nr++) {
		if (nr >= 0x40 && nr <= 0x46)
			continue;
		for (dir = 0; dir < 4; dir++)
			EXPECT_EQ(-ENOTTY, command(ring.fd, _IOC(dir, AFSYNC_IOC_MAGIC, nr, 24),
						   buffer));
	}
	/* A known number with another direction or another letter. */
	for (nr = 0x40; nr <= 0x46; nr++) {
		EXPECT_EQ(-ENOTTY, command(ring.fd, _IOC(0, AFSYNC_IOC_MAGIC, nr, 24), buffer));
		EXPECT_EQ(-ENOTTY, command(ring.fd, _IOC(3, AFSYNC_IOC_MAGIC + 1, nr, 24),
					   buffer));
	}
	EXPECT_EQ(-ENOTTY, command(ring.fd, 0, buffer));
	EXPECT_EQ(-ENOTTY, command(ring.fd, ~0U, buffer));
	ring_close(&ring);
}

TEST(info_describes_the_interface)
{
	struct afsync_info info;
	int fd = device_open();

	ASSERT_EQ(0, afsync_cmd_info(fd, &info));
	EXPECT_EQ(AFSYNC_VERSION, info.version);
	EXPECT_EQ(1 << AFSYNC_OP_FSYNC | 1 << AFSYNC_OP_FDATASYNC | 1 << AFSYNC_OP_SYNCFS,
		  info.ops);
	EXPECT_EQ(AFSYNC_SQE_DRAIN | AFSYNC_SQE_WRITABLE | AFSYNC_SQE_HOLD, info.sqe_flags);
	EXPECT_EQ(AFSYNC_WAIT_TIMEOUT | AFSYNC_WAIT_ABSTIME | AFSYNC_WAIT_SIGMASK,
		  info.wait_flags);
	EXPECT_EQ(AFSYNC_CANCEL_USER_DATA | AFSYNC_CANCEL_FD | AFSYNC_CANCEL_ALL,
		  info.cancel_match);
	EXPECT_EQ(parameter("max_entries"), info.max_entries);
	EXPECT_EQ(parameter("max_user_requests"), info.max_user_requests);
	EXPECT_EQ(parameter("workers_per_fs"), info.workers_per_fs);
	/* It needs no ring, and does not make one. */
	EXPECT_EQ(-ENXIO, afsync_cmd_wait(fd, 0, 0, 0, 0));
	close(fd);
}

TEST(new_ring_is_zero_but_for_its_constants)
{
	unsigned int i, used;
	const unsigned char *bytes;
	struct ring ring;

	ring_open(&ring, 100);
	EXPECT_EQ(0, ring.size % sysconf(_SC_PAGESIZE));
	EXPECT_EQ(0, ring.header->head);
	EXPECT_EQ(0, ring.header->tail);
	EXPECT_EQ(127, ring.header->mask);
	EXPECT_EQ(128, ring.header->entries);
	EXPECT_NE(0, ring.header->id);
	EXPECT_LE(sizeof(*ring.header), ring.header->cqes_offset);
	EXPECT_LE(ring.header->cqes_offset + 128 * sizeof(struct afsync_cqe), ring.size);
	bytes = (const unsigned char *)ring.header;
	for (i = 0, used = 0; i < ring.size; i++)
		used += bytes[i] && (i < 64 || i >= 84);
	/* No byte of the kernel's memory shows. */
	EXPECT_EQ(0, used);
	ring_close(&ring);
}

TEST_HARNESS_MAIN
