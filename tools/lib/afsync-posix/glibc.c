// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who serves this process: we, or glibc as if we were not there. Decided by the first call
 * that queues something, by whether the device opens, and never changed: a request in
 * flight belongs to who queued it.
 */
#include <dlfcn.h>
#include <errno.h>

#include "posix.h"

enum engine { ENGINE_UNDECIDED, ENGINE_OURS, ENGINE_GLIBC };

struct glibc_calls glibc;

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Written once, after the calls were looked up; atomic for those who do not decide. */
static enum engine engine;

/* The functions behind ours. Those that look at no offset have one for both names. */
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
	return true;
}

static void decide(void)
{
	enum engine choice = ENGINE_OURS;
	int reason;

	if (device_available(&reason) && !process_prepare()) {
		dropin_say(LIBRARY, "using " DROPIN_DEVICE, 0);
	} else if (glibc_found()) {
		choice = ENGINE_GLIBC;
		dropin_say(LIBRARY, "glibc runs the requests", reason ? reason : ENOMEM);
	} else {
		/* A C library without these calls: better our threads than none. */
		dropin_say(LIBRARY, "threads run the requests", reason ? reason : ENOMEM);
	}
	/* Release: pairs with engine_is_glibc(). */
	__atomic_store_n(&engine, choice, __ATOMIC_RELEASE);
}

/* For calls that queue something: decides if nobody has. */
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
