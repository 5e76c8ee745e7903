// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix linked to a program (-lafsync-posix) instead of preloaded: it exports
 * the whole family under both sets of names, and the program's calls are its.
 *
 * Needs afsync_sim. Built with the library on the command line of the linker.
 */
#include "common.h"

#include <aio.h>
#include <dlfcn.h>

#define LIBRARY_FILE	"libafsync-posix.so"

/* All that <aio.h> declares. */
static const char * const names[] = {
	"aio_cancel", "aio_cancel64", "aio_error", "aio_error64", "aio_fsync",
	"aio_fsync64", "aio_init", "aio_read", "aio_read64", "aio_return",
	"aio_return64", "aio_suspend", "aio_suspend64", "aio_write", "aio_write64",
	"lio_listio", "lio_listio64",
};

static bool is_of_the_library(const void *function)
{
	Dl_info info;

	return dladdr(function, &info) && strstr(info.dli_fname, LIBRARY_FILE);
}

TEST(every_name_is_the_librarys)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_TRUE(is_of_the_library(dlsym(RTLD_DEFAULT, names[i]))) {
			TH_LOG("name %u", i);
		}
	EXPECT_TRUE(is_of_the_library(aio_fsync));
	EXPECT_TRUE(is_of_the_library(aio_error));
}

/* No other symbol of it is visible, so it conflicts with no program's. */
TEST(other_names_of_the_library_are_hidden)
{
	static const char * const hidden[] = {
		"posix_lock", "op_end", "op_alloc", "dropin_say", "dropin_ring_open",
		"dropin_count", "glibc",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hidden); i++)
		EXPECT_EQ(NULL, dlsym(RTLD_DEFAULT, hidden[i])) {
			TH_LOG("name %u", i);
		}
}

/* illumos: aio_fsync has a transitional interface for 64-bit file offsets. */
FIXTURE(names64) {
	struct stage s;
};

FIXTURE_VARIANT(names64) {
	const char *suffix;
};

FIXTURE_VARIANT_ADD(names64, plain) { .suffix = "" };
FIXTURE_VARIANT_ADD(names64, large) { .suffix = "64" };

FIXTURE_SETUP(names64)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(names64)
{
	stage_close(&self->s);
}

typedef int (*one_fn)(struct aiocb *block);
typedef int (*number_fn)(int number, struct aiocb *block);
typedef ssize_t (*result_fn)(struct aiocb *block);
typedef int (*suspend_fn)(const struct aiocb *const list[], int count,
			  const struct timespec *timeout);
typedef int (*list_fn)(int mode, struct aiocb *const list[], int count,
		       struct sigevent *event);

static void *function(const char *name, const char *suffix)
{
	char full[64];
	void *found;

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	found = dlsym(RTLD_DEFAULT, full);
	need(found);
	return found;
}

/* On 64-bit machines the two structures are the same; the offset is beyond 4 GiB. */
TEST_F(names64, write_sync_and_read_by_these_names)
{
	one_fn write = function("aio_write", variant->suffix);
	one_fn read = function("aio_read", variant->suffix);
	one_fn error = function("aio_error", variant->suffix);
	number_fn sync = function("aio_fsync", variant->suffix);
	number_fn cancel = function("aio_cancel", variant->suffix);
	result_fn result = function("aio_return", variant->suffix);
	suspend_fn suspend = function("aio_suspend", variant->suffix);
	list_fn listio = function("lio_listio", variant->suffix);
	struct aiocb block = {}, *list[1] = { &block };
	const struct aiocb *waits[1] = { &block };
	const off_t offset = (1LL << 32) + 5;
	char data[4] = "abc", back[4] = "";

	block.aio_sigevent.sigev_notify = SIGEV_NONE;
	block.aio_fildes = self->s.file;
	block.aio_buf = data;
	block.aio_nbytes = 3;
	block.aio_offset = offset;
	ASSERT_EQ(0, write(&block));
	while (error(&block) == EINPROGRESS)
		need(suspend(waits, 1, NULL) == 0);
	EXPECT_EQ(3, result(&block));

	ASSERT_EQ(0, sync(O_SYNC, &block));
	while (error(&block) == EINPROGRESS)
		need(suspend(waits, 1, NULL) == 0);
	EXPECT_EQ(0, result(&block));
	EXPECT_EQ(1, sim_started(self->s.ctl, SIM_GATE_FSYNC));
	EXPECT_EQ(AIO_ALLDONE, cancel(self->s.file, NULL));

	block.aio_buf = back;
	ASSERT_EQ(0, read(&block));
	while (error(&block) == EINPROGRESS)
		need(suspend(waits, 1, NULL) == 0);
	EXPECT_EQ(3, result(&block));
	EXPECT_STREQ(data, back);

	block.aio_lio_opcode = LIO_WRITE;
	block.aio_buf = data;
	block.aio_offset = 0;
	ASSERT_EQ(0, listio(LIO_WAIT, list, 1, NULL));
	EXPECT_EQ(3, result(&block));
	EXPECT_EQ(3, pread(self->s.file, back, 3, offset));
	EXPECT_STREQ(data, back);
}

TEST_HARNESS_MAIN
