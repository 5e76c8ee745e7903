/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a test under LD_PRELOAD of one of the drop-in libraries: the test itself is built
 * against the plain headers and libraries of the system, like the programs that the
 * library is for.
 *
 *	#define PRELOAD_LIBRARY "libafsync-posix.so.1"
 *	#include "preload.h"
 *
 * The library lies in lib/ beside the test, or in PRELOAD_FOLDER. A constructor executes the
 * test once more with it, unless it is there already; the processes that the test starts
 * inherit it.
 * With AFSYNC_PEER=1 in the environment nothing is preloaded: glibc, or kernel AIO,
 * answers, which shows what they make of the same test. preload_peer() says so to a test,
 * which must not be more lenient for that.
 */
#ifndef _AFSYNC_SELFTEST_PRELOAD_H
#define _AFSYNC_SELFTEST_PRELOAD_H

#include "common.h"

#ifndef PRELOAD_LIBRARY
#error PRELOAD_LIBRARY has to name the library
#endif
#ifndef PRELOAD_FOLDER
#define PRELOAD_FOLDER "lib"
#endif

static inline bool preload_peer(void)
{
	const char *peer = getenv("AFSYNC_PEER");

	return peer && *peer && strcmp(peer, "0");
}

/* Fails the whole program: without its library a test shows nothing. */
static inline void preload_bail(const char *what, const char *path)
{
	printf("Bail out! %s: %s\n", path, what);
	fflush(stdout);
	_exit(KSFT_FAIL);
}

/* Has this process mapped the library? */
static inline bool preload_mapped(const char *path)
{
	char *maps = text_read("/proc/self/maps");
	bool mapped = strstr(maps, path);

	free(maps);
	return mapped;
}

static void __attribute__((constructor)) preload_or_bail(int argc, char **argv)
{
	char self[PATH_MAX], path[PATH_MAX + 64], real[PATH_MAX];
	ssize_t len;

	if (preload_peer())
		return;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	need(argc > 0 && len > 0);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof(path), "%s/" PRELOAD_FOLDER "/" PRELOAD_LIBRARY, self);
	if (!realpath(path, real))
		preload_bail("is not there: build it", path);
	/* The linker may know it by its link's name, or by the name of the file. */
	if (preload_mapped(real))
		return;
	if (getenv("AFSYNC_PRELOADED"))
		preload_bail("was not loaded", path);
	need(setenv("LD_PRELOAD", path, 1) == 0);
	need(setenv("AFSYNC_PRELOADED", "1", 1) == 0);
	execv("/proc/self/exe", argv);
	preload_bail(strerror(errno), "/proc/self/exe");
}

#endif /* _AFSYNC_SELFTEST_PRELOAD_H */
