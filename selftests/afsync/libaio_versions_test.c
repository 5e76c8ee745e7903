// SPDX-License-Identifier: GPL-2.0-only
/*
 * libafsync-libaio has every symbol of the libaio that this machine has, in every
 * version, so that every program linked with any of them runs; and each function does the
 * same as that version.
 *
 * Needs afsync_sim, and libaio.so.1.
 */
#include "aio_common.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#define REAL_LIBRARY	"libaio.so.1"

struct symbol {
	char name[32];
	char version[32];	/* "" for one without */
	bool usual;		/* the address that dlsym() and the linker choose */
};

#define MAX_SYMBOLS	64

/* The library, whether it was preloaded or the test was linked with it. */
static void *real_library(void)
{
	void *library = dlopen(REAL_LIBRARY, RTLD_NOW | RTLD_LOCAL);

	need(library);
	return library;
}

static void *dynamic(const struct link_map *map, Elf64_Sxword tag)
{
	const Elf64_Dyn *d;

	for (d = map->l_ld; d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return (void *)d->d_un.d_ptr;
	return NULL;
}

/* The name of a version that the library defines. */
static const char *version_name(const struct link_map *map, unsigned int index)
{
	const char *strings = dynamic(map, DT_STRTAB);
	const Elf64_Verdaux *name;
	const Elf64_Verdef *def;
	char *at;

	/* the one address that glibc leaves unchanged in memory */
	at = (char *)map->l_addr + (size_t)dynamic(map, DT_VERDEF);
	for (;; at += def->vd_next) {
		def = (void *)at;
		name = (void *)(at + def->vd_aux);
		if (def->vd_ndx == index)
			return strings + name->vda_name;
		if (!def->vd_next)
			return "";
	}
}

/* The symbols that the library defines, without its versions' own names. */
static int symbols_of(void *library, struct symbol *symbols)
{
	const char *strings;
	const Elf64_Half *versions;
	const Elf64_Sym *table;
	struct link_map *map;
	unsigned int i, end;
	int n = 0;

	need(dlinfo(library, RTLD_DI_LINKMAP, &map) == 0);
	strings = dynamic(map, DT_STRTAB);
	versions = dynamic(map, DT_VERSYM);
	table = dynamic(map, DT_SYMTAB);
	need(strings && versions && table);
	/* in every library that linkers have made so far the strings follow the symbols */
	end = ((const char *)strings - (const char *)table) / sizeof(*table);
	for (i = 1; i < end; i++) {
		if (table[i].st_shndx == SHN_UNDEF ||
		    ELF64_ST_TYPE(table[i].st_info) != STT_FUNC)
			continue;
		need(n < MAX_SYMBOLS);
		snprintf(symbols[n].name, sizeof(symbols[n].name), "%s",
			 strings + table[i].st_name);
		snprintf(symbols[n].version, sizeof(symbols[n].version), "%s",
			 version_name(map, versions[i] & 0x7fff));
		symbols[n++].usual = !(versions[i] & 0x8000);
	}
	return n;
}

/* Does the library under test define this function? */
static bool is_ours(void *function)
{
	Dl_info info;

	if (!function || !dladdr(function, &info))
		return false;
	return strstr(info.dli_fname, preload_peer() ? REAL_LIBRARY : PRELOAD_LIBRARY);
}

TEST(every_symbol_of_libaio_is_there_in_every_version)
{
	struct symbol symbols[MAX_SYMBOLS];
	int i, n = symbols_of(real_library(), symbols);

	/* libaio 0.3.113 has 13; if the test read none, it would test nothing. */
	EXPECT_LE(13, n);
	for (i = 0; i < n; i++) {
		EXPECT_TRUE(is_ours(dlvsym(RTLD_DEFAULT, symbols[i].name,
					   symbols[i].version))) {
			TH_LOG("%s@%s", symbols[i].name, symbols[i].version);
		}
		if (symbols[i].usual)
			EXPECT_TRUE(is_ours(dlsym(RTLD_DEFAULT, symbols[i].name))) {
				TH_LOG("%s", symbols[i].name);
			}
	}
}

TEST(known_versions_are_there_whatever_libaio_the_machine_has)
{
	static const struct {
		const char *name, *version;
	} known[] = {
		{ "io_queue_init", "LIBAIO_0.1" },
		{ "io_queue_release", "LIBAIO_0.1" },
		{ "io_queue_run", "LIBAIO_0.1" },
		{ "io_queue_wait", "LIBAIO_0.1" },
		{ "io_queue_wait", "LIBAIO_0.4" },
		{ "io_setup", "LIBAIO_0.4" },
		{ "io_destroy", "LIBAIO_0.4" },
		{ "io_submit", "LIBAIO_0.1" },
		{ "io_cancel", "LIBAIO_0.1" },
		{ "io_cancel", "LIBAIO_0.4" },
		{ "io_getevents", "LIBAIO_0.1" },
		{ "io_getevents", "LIBAIO_0.4" },
		{ "io_pgetevents", "LIBAIO_0.5" },
	};
	const char *name, *version;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		name = known[i].name;
		version = known[i].version;
		EXPECT_TRUE(is_ours(dlvsym(RTLD_DEFAULT, name, version))) {
			TH_LOG("no %s of %s", name, version);
		}
	}
}

/* The method of some programs, and of a plugin that is linked with it. */
TEST(library_opened_by_hand_does_not_hide_ours_from_the_program)
{
	void *library = dlopen(REAL_LIBRARY, RTLD_NOW | RTLD_GLOBAL);

	ASSERT_TRUE(library);
	EXPECT_TRUE(is_ours(dlsym(RTLD_DEFAULT, "io_submit")));
	EXPECT_TRUE(is_ours((void *)io_submit));
	EXPECT_TRUE(is_ours((void *)io_getevents));
	dlclose(library);
}

FIXTURE(old) {
	struct aio_stage s;
	struct iocb iocbs[3];
	struct io_event events[3];
};

FIXTURE_SETUP(old)
{
	AIO_STAGE_SETUP(&self->s, 64);
}

FIXTURE_TEARDOWN(old)
{
	aio_stage_close(&self->s);
}

/* The one of LIBAIO_0.1 has no minimum: it waits for one event. */
TEST_F(old, io_getevents_of_0_1_waits_for_one)
{
	struct timespec timeout = { 0, 1000000 };
	int (*getevents)(io_context_t ctx, long nr, struct io_event *events,
			 const struct timespec *timeout);

	getevents = (void *)dlvsym(RTLD_DEFAULT, "io_getevents", "LIBAIO_0.1");
	ASSERT_TRUE(getevents);
	EXPECT_EQ(0, getevents(self->s.ctx, 3, self->events, &timeout));
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocbs[0], self->s.file, false));
	EXPECT_EQ(1, getevents(self->s.ctx, 3, self->events, NULL));
	EXPECT_EQ(&self->iocbs[0], self->events[0].obj);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocbs[1], self->s.file, false));
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocbs[2], self->s.file, false));
	WAIT_UNTIL(events_ready(self->s.ctx) == 2);
	EXPECT_EQ(2, getevents(self->s.ctx, 3, self->events, &timeout));
	EXPECT_EQ(-EINVAL, getevents(NULL, 1, self->events, &timeout));
}

/* And this one has no event to fill in. */
TEST_F(old, io_cancel_of_0_1_cancels)
{
	int (*cancel)(io_context_t ctx, struct iocb *iocb);

	cancel = (void *)dlvsym(RTLD_DEFAULT, "io_cancel", "LIBAIO_0.1");
	ASSERT_TRUE(cancel);
	sim_hold(self->s.ctl, SIM_GATE_FSYNC);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocbs[0], self->s.file, false));
	sim_wait_started(self->s.ctl, SIM_GATE_FSYNC, 1);
	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocbs[1], self->s.file, false));
	ASSERT_EQ(-EINPROGRESS, cancel(self->s.ctx, &self->iocbs[1]));
	EXPECT_EQ(-ECANCELED, (long)event_next(self->s.ctx).res);
	EXPECT_EQ(-EINVAL, cancel(self->s.ctx, &self->iocbs[1]));
	sim_let_go(self->s.ctl, SIM_GATE_FSYNC);
	EXPECT_EQ(&self->iocbs[0], event_next(self->s.ctx).obj);
}

TEST_F(old, io_queue_wait_of_both_versions_takes_no_event)
{
	int (*queue_wait)(io_context_t ctx, struct timespec *timeout);
	struct timespec timeout = { 0, 1000 };
	int i;

	ASSERT_EQ(1, submit_sync(self->s.ctx, &self->iocbs[0], self->s.file, false));
	for (i = 0; i < 2; i++) {
		queue_wait = (void *)dlvsym(RTLD_DEFAULT, "io_queue_wait",
					    i ? "LIBAIO_0.4" : "LIBAIO_0.1");
		ASSERT_TRUE(queue_wait);
		EXPECT_EQ(0, queue_wait(self->s.ctx, &timeout));
		EXPECT_EQ(0, queue_wait(self->s.ctx, NULL));
		EXPECT_EQ(-EINVAL, queue_wait(NULL, NULL));
	}
	EXPECT_EQ(&self->iocbs[0], event_next(self->s.ctx).obj);
}

TEST_HARNESS_MAIN
