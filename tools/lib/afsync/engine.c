// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which engine: a ring is made on the device or with threads of the library. And the
 * functions that need no ring.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define STR(x)		#x
#define VERSION(a, b, c) STR(a) "." STR(b) "." STR(c)

#define ENGINE_FLAGS	(AFSYNC_INIT_DEVICE | AFSYNC_INIT_THREADS)
#define INIT_FLAGS	(AFSYNC_INIT_NO_CLOEXEC | AFSYNC_INIT_INLINE | \
			 AFSYNC_INIT_CLAMP | ENGINE_FLAGS)

/* The environment decides, then the flags; 0 if both leave the choice open. */
static unsigned int engine_wanted(unsigned int flags)
{
	const char *name = secure_getenv("AFSYNC_ENGINE");

	if (name && !strcmp(name, "device"))
		return AFSYNC_INIT_DEVICE;
	if (name && !strcmp(name, "threads"))
		return AFSYNC_INIT_THREADS;
	return flags & ENGINE_FLAGS;
}

/* Errors which mean that there is no device for us, rather than that a call failed. */
static bool no_device(int error)
{
	return error == -ENOENT || error == -ENODEV || error == -ENXIO ||
	       error == -EACCES || error == -EPERM || error == -ENOTTY;
}

/* Only on request: a library must not print to stderr. */
static void say_engine(int error)
{
	int saved = errno;

	if (secure_getenv("AFSYNC_VERBOSE"))
		fprintf(stderr, "afsync: " AFSYNC_DEVICE ": %s: threads of the library sync\n",
			error ? strerror(-error) : "not wanted");
	errno = saved;
}

AFSYNC_API int afsync_queue_init(unsigned int entries,
				 struct afsync_ring **ringp, unsigned int flags)
{
	unsigned int engine;
	int ret = 0;

	*ringp = NULL;
	if (flags & ~INIT_FLAGS || (flags & ENGINE_FLAGS) == ENGINE_FLAGS)
		return -EINVAL;
	engine = engine_wanted(flags);
	if (engine != AFSYNC_INIT_THREADS) {
		ret = afsync_device_open(entries, flags, ringp);
		if (engine == AFSYNC_INIT_DEVICE || !no_device(ret))
			return ret;
	}
	say_engine(ret);
	return afsync_threads_open(entries, flags, ringp);
}

AFSYNC_API int afsync_get_info(struct afsync_info *info, size_t size)
{
	unsigned int engine = engine_wanted(0);
	struct afsync_info answer = { 0 };
	int ret = 0;

	if (engine != AFSYNC_INIT_THREADS)
		ret = afsync_device_info(&answer);
	if (ret && (engine == AFSYNC_INIT_DEVICE || !no_device(ret)))
		return ret;
	if (ret || engine == AFSYNC_INIT_THREADS)
		afsync_threads_info(&answer);
	afsync_copy_out(info, size, &answer, sizeof(answer));
	return 0;
}

AFSYNC_API const char *afsync_version(void)
{
	return VERSION(LIBAFSYNC_VERSION_MAJOR, LIBAFSYNC_VERSION_MINOR,
		       LIBAFSYNC_VERSION_PATCH);
}
