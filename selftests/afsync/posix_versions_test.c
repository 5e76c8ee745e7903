// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-posix: programs that were linked long ago, to librt's symbols, are served
 * like those that are linked today. This program asks for each of glibc's versions of
 * each symbol.
 *
 * Needs afsync_sim; on other machines than x86-64, whose old versions have other names,
 * it is skipped.
 */
#include "posix.h"

#include <dlfcn.h>

#ifdef __x86_64__

/* The dynamic linker's result for that version of that symbol. */
#define FUNCTION(symbol, version) ({						\
	void *function;								\
										\
	asm(".symver v_" symbol "_" version ", " symbol "@" version "\n\t"	\
	    "movq v_" symbol "_" version "@GOTPCREL(%%rip), %0"			\
	    : "=r" (function));							\
	function;								\
})

TEST(every_version_of_every_name_is_the_librarys)
{
	void *functions[] = {
		FUNCTION("aio_cancel", "GLIBC_2.2.5"),
		FUNCTION("aio_cancel64", "GLIBC_2.2.5"),
		FUNCTION("aio_error", "GLIBC_2.2.5"),
		FUNCTION("aio_error64", "GLIBC_2.2.5"),
		FUNCTION("aio_fsync", "GLIBC_2.2.5"),
		FUNCTION("aio_fsync64", "GLIBC_2.2.5"),
		FUNCTION("aio_init", "GLIBC_2.2.5"),
		FUNCTION("aio_read", "GLIBC_2.2.5"),
		FUNCTION("aio_read64", "GLIBC_2.2.5"),
		FUNCTION("aio_return", "GLIBC_2.2.5"),
		FUNCTION("aio_return64", "GLIBC_2.2.5"),
		FUNCTION("aio_suspend", "GLIBC_2.2.5"),
		FUNCTION("aio_suspend64", "GLIBC_2.2.5"),
		FUNCTION("aio_write", "GLIBC_2.2.5"),
		FUNCTION("aio_write64", "GLIBC_2.2.5"),
		FUNCTION("lio_listio", "GLIBC_2.2.5"),
		FUNCTION("lio_listio64", "GLIBC_2.2.5"),
		FUNCTION("lio_listio", "GLIBC_2.4"),
		FUNCTION("lio_listio64", "GLIBC_2.4"),
		FUNCTION("aio_cancel", "GLIBC_2.34"),
		FUNCTION("aio_cancel64", "GLIBC_2.34"),
		FUNCTION("aio_error", "GLIBC_2.34"),
		FUNCTION("aio_error64", "GLIBC_2.34"),
		FUNCTION("aio_fsync", "GLIBC_2.34"),
		FUNCTION("aio_fsync64", "GLIBC_2.34"),
		FUNCTION("aio_init", "GLIBC_2.34"),
		FUNCTION("aio_read", "GLIBC_2.34"),
		FUNCTION("aio_read64", "GLIBC_2.34"),
		FUNCTION("aio_return", "GLIBC_2.34"),
		FUNCTION("aio_return64", "GLIBC_2.34"),
		FUNCTION("aio_suspend", "GLIBC_2.34"),
		FUNCTION("aio_suspend64", "GLIBC_2.34"),
		FUNCTION("aio_write", "GLIBC_2.34"),
		FUNCTION("aio_write64", "GLIBC_2.34"),
		FUNCTION("lio_listio", "GLIBC_2.34"),
		FUNCTION("lio_listio64", "GLIBC_2.34"),
	};
	unsigned int i;
	Dl_info info;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		need(dladdr(functions[i], &info));
		EXPECT_TRUE(strstr(info.dli_fname, PRELOAD_LIBRARY)) {
			TH_LOG("%s, function %u, is in %s", info.dli_sname, i,
			       info.dli_fname);
		}
	}
}

FIXTURE(versions) {
	struct stage s;
};

FIXTURE_SETUP(versions)
{
	STAGE_SETUP(&self->s, "afsync_sim", 64);
}

FIXTURE_TEARDOWN(versions)
{
	stage_close(&self->s);
}

TEST_F(versions, sync_of_an_old_program_works)
{
	int (*sync)(int op, struct aiocb *block) = FUNCTION("aio_fsync", "GLIBC_2.2.5");
	int (*error)(const struct aiocb *block) = FUNCTION("aio_error", "GLIBC_2.2.5");
	ssize_t (*result)(struct aiocb *block) = FUNCTION("aio_return", "GLIBC_2.2.5");
	int (*suspend)(const struct aiocb *const list[], int count,
		       const struct timespec *timeout) =
		FUNCTION("aio_suspend", "GLIBC_2.2.5");
	struct aiocb block = block_of(self->s.file);
	const struct aiocb *list[] = { &block };

	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(0, sync(O_SYNC, &block));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	EXPECT_EQ(EINPROGRESS, error(&block));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	while (error(&block) == EINPROGRESS)
		need(suspend(list, 1, NULL) == 0);
	EXPECT_EQ(0, error(&block));
	EXPECT_EQ(0, result(&block));
}

/* The lists of old programs end with EIO, or their notification, as today's do. */
TEST_F(versions, list_of_an_old_program_works)
{
	int (*calls[])(int mode, struct aiocb *const list[], int count,
		       struct sigevent *event) = {
		FUNCTION("lio_listio", "GLIBC_2.2.5"),
		FUNCTION("lio_listio64", "GLIBC_2.2.5"),
		FUNCTION("lio_listio", "GLIBC_2.4"),
		FUNCTION("lio_listio64", "GLIBC_2.4"),
		FUNCTION("lio_listio", "GLIBC_2.34"),
	};
	struct aiocb block, *list[] = { &block };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		block = transfer_of(self->s.file, "x", 1, i);
		block.aio_lio_opcode = LIO_WRITE;
		ASSERT_EQ(0, calls[i](LIO_WAIT, list, 1, NULL));
		EXPECT_EQ(1, block_end(&block));
	}
}

#else

TEST(every_version_of_every_name_is_the_librarys)
{
	SKIP(return, "the versions are those of x86-64");
}

#endif

TEST_HARNESS_MAIN
