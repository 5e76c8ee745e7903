// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line.
 */
#include "world.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options options = { .calls = 100000, .threads = 2, .patience = 300, .only = -1 };

static const char usage[] =
"usage: fuzz [OPTION]... FOLDER...\n"
"\n"
"Calls every command of /dev/afsync with arguments that are right, nearly right and wrong,\n"
"and checks the errnos, and that every request that was accepted completes once. The FOLDERs\n"
"hold the files that it syncs. The same seed makes the same calls.\n"
"\n"
"  --calls N      the number of calls of all threads together (100000)\n"
"  --seconds N    instead, until N seconds are over\n"
"  --seed N       decides all random choices (a new one)\n"
"  --threads N    1 to 16 (2)\n"
"  --patience N   a request or completion is lost after N seconds (300)\n"
"  --print N      print the calls of thread N\n"
"  --fuse FOLDER  one on a FUSE that may answer EIO to a sync\n"
"  --device PATH  a block device, which is written to\n"
"  --help         this\n";

static __u64 to_number(const char *text)
{
	__u64 value;
	char *end;

	value = strtoull(text, &end, 0);
	if (!*text || *end) {
		fprintf(stderr, "fuzz: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

/* Returns whether it was an option. */
static bool take(int name, const char *value)
{
	switch (name) {
	case 'c':
		options.calls = to_number(value);
		return true;
	case 's':
		options.seconds = to_number(value);
		return true;
	case 'r':
		options.seed = to_number(value);
		return true;
	case 't':
		options.threads = to_number(value);
		return true;
	case 'p':
		options.patience = to_number(value);
		return true;
	case 'o':
		options.only = to_number(value);
		return true;
	case 'f':
		return files_add_folder(value, true);
	case 'd':
		return files_add_device(value);
	default:
		return false;
	}
}

void options_parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "calls", 1, NULL, 'c' }, { "seconds", 1, NULL, 's' }, { "seed", 1, NULL, 'r' },
		{ "threads", 1, NULL, 't' }, { "patience", 1, NULL, 'p' },
		{ "print", 1, NULL, 'o' }, { "fuse", 1, NULL, 'f' }, { "device", 1, NULL, 'd' },
		{ "help", 0, NULL, 'h' }, {},
	};
	bool good = true;
	int name;

	options.seed = time(NULL) * 1000003ULL + getpid();
	while (good && (name = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (name == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		good = take(name, optarg);
	}
	for (; good && optind < argc; optind++) {
		options.dir = argv[optind];
		good = files_add_folder(argv[optind], false);
	}
	if (!good || !options.dir || !options.threads || options.threads > MAX_THREADS) {
		fputs(usage, stderr);
		exit(2);
	}
}
