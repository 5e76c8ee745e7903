// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync exec: runs a program under the drop-in libraries. Finds them, puts them first
 * in LD_PRELOAD and becomes the program. With --stats, exec_stats.c runs it as a child.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afsync.h"

#define LIBDIR_VARIABLE	"AFSYNC_LIBDIR"

static const char help[] =
"Usage: afsync exec [--stats[=F]] [--] PROGRAM [ARG]...\n"
"Run PROGRAM so that the syncs it queues with aio_fsync(3) or libaio go through\n"
DEVICE ". PROGRAM need not be changed, and runs as usual where there is\n"
"no such device.\n"
"\n"
"      --stats[=F]        when it ends, print the counts of its requests to standard\n"
"                           error or to file F\n"
"      --help             print this and exit\n"
"\n"
"Exit status: that of PROGRAM, 128+N if signal N killed it; 125 if afsync itself\n"
"failed, 126 if PROGRAM could not be run, 127 if it was not found.\n";

static int usage(void)
{
	options_try_help(" exec");
	return STATUS_EXEC;
}

/*
 * Where libraries may be: the build tree or the installation that contains this command,
 * or the installation that it was built for. The first two are below
 * @exe_dir.
 */
static const char * const places[] = {
	"%s/../lib/afsync-%s",
	"%s/../lib",
	LIBDIR,
};

/*
 * The file names of a library there. The first is that of libaio under its own name: a program
 * that opens libaio.so.1 by dlopen() then gets ours.
 */
static const char * const files[] = {
	"%s/afsync/%s.so.1",
	"%s/libafsync-%s.so.1",
};

static bool try_place(char *path, const char *dir, const char *name)
{
	char file[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		if (snprintf(file, sizeof(file), files[i], dir, name) >= PATH_MAX)
			continue;
		/* Absolute: the program may go to another directory before it starts others. */
		if (realpath(file, path) && !access(path, R_OK))
			return true;
	}
	return false;
}

/* @path has room for PATH_MAX bytes. Complains if there is no such library. */
static int find_library(char *path, const char *name)
{
	const char *given = getenv(LIBDIR_VARIABLE);
	char exe[PATH_MAX] = ".", dir[PATH_MAX + 64], *slash, *shown;
	ssize_t n;
	size_t i;

	if (given && *given) {
		if (try_place(path, given, name))
			return 0;
		shown = escape_name(given);
		complain(LIBDIR_VARIABLE ": no libafsync-%s.so.1 in '%s'", name,
			 shown ? shown : NO_NAME);
		free(shown);
		return -1;
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0)
		exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(dir, sizeof(dir), places[i], exe, name);
		if (try_place(path, dir, name))
			return 0;
	}
	complain("no libafsync-%s.so.1: 'make lib', install it, or set " LIBDIR_VARIABLE,
		 name);
	return -1;
}

/* Reports if @program cannot be run under the libraries; returns whether to try. */
static bool wants_preload(const char *program, const char *library)
{
	char path[PATH_MAX], why[WHY_SIZE], *message;
	enum served served = program_served(program, library, path, why);

	if (served == SERVED)
		return true;
	if (asprintf(&message, "%s; running it without the libraries", why) >= 0) {
		complain_name(path, message);
		free(message);
	}
	return served == SERVED_CHILDREN;
}

/* Puts both libraries first in LD_PRELOAD for @program. Returns 0 or -1. */
static int set_preload(const char *program)
{
	static const char * const names[] = { "posix", "libaio" };
	const char *old = getenv("LD_PRELOAD");
	char paths[ARRAY_SIZE(names)][PATH_MAX], *value;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (find_library(paths[i], names[i]))
			return -1;
		if (strpbrk(paths[i], ": ")) {
			complain_name(paths[i],
				      "LD_PRELOAD takes no path with a space or a colon");
			return -1;
		}
	}
	if (!wants_preload(program, paths[0]))
		return 0;
	if (asprintf(&value, "%s:%s%s%s", paths[0], paths[1], old && *old ? ":" : "",
		     old ? old : "") < 0) {
		complain("%s", strerror(ENOMEM));
		return -1;
	}
	ret = setenv("LD_PRELOAD", value, 1);
	free(value);
	if (ret)
		complain("%s", strerror(errno));
	return ret;
}

/* The status for a program that could not be run, as in env(1) and a shell. */
int exec_failed(const char *program, int error)
{
	complain_name(program, strerror(error));
	return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
}

/* @argv[0] is "exec". */
int exec_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "stats",	optional_argument,	NULL, 's' },
		{ "help",	no_argument,		NULL, 'h' },
		{ NULL,		0,			NULL, 0 },
	};
	static char program[] = PROGRAM;
	const char *stats_file = NULL;
	bool stats = false;
	int c;

	argv[0] = program;
	/* Options behind PROGRAM are those of PROGRAM. */
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 's':
			stats = true;
			stats_file = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return usage();
		}
	}
	argv += optind;
	if (!*argv) {
		complain("exec: no PROGRAM given");
		return usage();
	}
	if (set_preload(*argv))
		return STATUS_EXEC;
	if (stats)
		return exec_with_stats(argv, stats_file);
	execvp(*argv, argv);
	return exec_failed(*argv, errno);
}
