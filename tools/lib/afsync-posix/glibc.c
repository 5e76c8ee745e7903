// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Chooses the engine of this process: this library, or glibc as if the library were not there.
 * The first call that queues a request decides, for good: a request in flight belongs to the
 * engine that queued it.
 *
 * A program that links the library asked for what its manual says, and gets it with the
 * device and without. One that has it preloaded was written for glibc: without the device
 * it runs on glibc, and with the device nothing fails that glibc accepts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "posix.h"

#define SONAME	LIBRARY ".so.1"

enum engine { ENGINE_UNDECIDED, ENGINE_OURS, ENGINE_GLIBC };

struct glibc_calls glibc;

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Written once, after the calls were looked up; atomic for threads that do not decide. */
static enum engine engine;
/* Set at load. */
static bool linked;

/* glibc's functions. Those that read no offset have one for both names. */
static bool glibc_found(void)
{
	const struct {
		const char *name;
		void *call;
	} calls[] = {
		{ "aio_fsync", &glibc.fsync },
		{ "aio_read", &glibc.read },
		{ "aio_read64", &glibc.read64 },
		{ "aio_write", &glibc.write },
		{ "aio_write64", &glibc.write64 },
		{ "lio_listio", &glibc.listio },
		{ "lio_listio64", &glibc.listio64 },
		{ "aio_error", &glibc.error },
		{ "aio_return", &glibc.result },
		{ "aio_cancel", &glibc.cancel },
		{ "aio_suspend", &glibc.suspend },
		{ "aio_init", &glibc.init },
	};
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		*(void **)calls[i].call = dlsym(RTLD_NEXT, calls[i].name);
		if (!*(void **)calls[i].call)
			return false;
	}
	*(void **)&glibc.suspend_time64 = dlsym(RTLD_NEXT, "__aio_suspend_time64");
	return true;
}

/* Does this object need this library? */
static int needs_us(struct dl_phdr_info *object, size_t size, void *unused)
{
	const ElfW(Dyn) * dynamic = NULL, *d;
	const char *strings = NULL;
	unsigned int i;

	(void)size;
	(void)unused;
	for (i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(object->dlpi_addr +
						 object->dlpi_phdr[i].p_vaddr);
	for (d = dynamic; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB)
			strings = (const char *)d->d_un.d_ptr;
	if (!strings)
		return 0;
	/* As a rule the linker has made it an address. */
	if ((uintptr_t)strings < object->dlpi_addr)
		strings += object->dlpi_addr;
	for (d = dynamic; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_NEEDED && !strcmp(strings + d->d_un.d_val, SONAME))
			return 1;
	return 0;
}

/*
 * At load: reading the objects takes a lock of the linker, which stays locked in the
 * child if another thread forks meanwhile.
 */
static void __attribute__((constructor(101))) look_at_the_program(void)
{
	linked = dl_iterate_phdr(needs_us, NULL);
}

/* Whether the program, or a library of it, is linked with this one; else it is preloaded. */
bool program_links_us(void)
{
	return linked;
}

static void decide(void)
{
	enum engine choice = ENGINE_OURS;
	bool available;
	int reason;

	available = device_available(&reason);
	if ((!available && !linked) || process_prepare()) {
		if (available)
			reason = ENOMEM;
		/* A C library without these calls: better our threads than none. */
		if (glibc_found())
			choice = ENGINE_GLIBC;
		available = false;
	}
	if (available)
		dropin_say(LIBRARY, "using " DROPIN_DEVICE, 0);
	else if (choice == ENGINE_GLIBC)
		dropin_say(LIBRARY, "glibc runs the requests", reason);
	else
		dropin_say(LIBRARY, "threads run the requests", reason);
	/* Release: pairs with engine_is_glibc(). */
	__atomic_store_n(&engine, choice, __ATOMIC_RELEASE);
}

/* For calls that queue a request: decides if that has not been done. */
bool engine_is_ours(void)
{
	int saved = errno;

	pthread_once(&once, decide);
	errno = saved;
	return engine == ENGINE_OURS;
}

/* For all others: as long as nothing was queued, there is nothing to ask glibc for. */
bool engine_is_glibc(void)
{
	return __atomic_load_n(&engine, __ATOMIC_ACQUIRE) == ENGINE_GLIBC;
}
