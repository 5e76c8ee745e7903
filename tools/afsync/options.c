// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line. Complains about errors in it; the caller ends the
 * program. afsync(1) describes every option.
 */
#include <getopt.h>
#include <stdlib.h>

#include "afsync.h"
#include "libafsync.h"

enum long_only {
	OPT_FILES0 = 256,
	OPT_STATS,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "data",		no_argument,		NULL, 'd' },
	{ "file-system",	no_argument,		NULL, 'f' },
	{ "progress",		no_argument,		NULL, 'p' },
	{ "recursive",		no_argument,		NULL, 'r' },
	{ "one-file-system",	no_argument,		NULL, 'x' },
	{ "files0-from",	required_argument,	NULL, OPT_FILES0 },
	{ "stats",		no_argument,		NULL, OPT_STATS },
	{ "help",		no_argument,		NULL, OPT_HELP },
	{ "version",		no_argument,		NULL, OPT_VERSION },
	{ NULL,			0,			NULL, 0 },
};

static const char help[] =
"Usage: afsync [OPTION]... FILE...\n"
"       afsync [OPTION]... --files0-from=F\n"
"       afsync info [--json]\n"
"       afsync exec [--stats[=F]] [--] PROGRAM [ARG]...\n"
"       afsync top [--interval=SECONDS] [--count=N] [--json]\n"
"Make files and directories durable: sync all of them at once through\n"
DEVICE ", or with threads where there is no such device.\n"
"\n"
"  -d, --data             sync the data, and only the metadata that is needed to\n"
"                           read it back\n"
"  -f, --file-system      sync the filesystems that hold the files\n"
"  -r, --recursive        sync directories with all files and directories below\n"
"  -x, --one-file-system  with -r, stay on the filesystem of each FILE\n"
"      --files0-from=F    read the names from file F, each ended by a NUL\n"
"                           byte; - is standard input\n"
"  -p, --progress         show the progress even for a short run or in a pipe\n"
"      --stats            print counts and latencies at the end\n"
"      --help             print this and exit\n"
"      --version          print the version and exit\n"
"\n"
"afsync info shows the version, limits and counters of the kernel module.\n"
"afsync exec runs a program so that the syncs that it queues with aio_fsync(3) or\n"
"libaio go through the module; see afsync exec --help.\n"
"afsync top shows the activity of each filesystem; see afsync top --help.\n"
"For a file with one of these names: afsync ./info\n"
"\n"
"Exit status: 0 if all files were synced, 1 after a failure, 2 for a wrong command\n"
"line, 130 after an interrupt.\n";

/* @command is "info" or the like, with a blank before it; "" for the sync itself. */
void options_try_help(const char *command)
{
	fprintf(stderr, "Try 'afsync%s --help' for more information.\n", command);
}

static void print_version(void)
{
	printf("afsync %s (interface %u)\n", afsync_version(), AFSYNC_VERSION);
}

/* The checks that getopt cannot make. Returns 0 or -1. */
static int check(const struct options *opt, bool data, bool file_system)
{
	if (data && file_system)
		complain("--data and --file-system exclude each other");
	else if (opt->recursive && file_system)
		complain("--recursive and --file-system exclude each other");
	else if (opt->one_file_system && !opt->recursive)
		complain("--one-file-system needs --recursive");
	else if (opt->files0 && opt->nr_files)
		complain("--files0-from and FILE operands exclude each other");
	else if (!opt->files0 && !opt->nr_files)
		complain("no FILE given");
	else
		return 0;
	return -1;
}

/* Returns -1 to continue, or the status to exit with. */
int options_parse(struct options *opt, int argc, char **argv)
{
	bool data = false, file_system = false;
	int c;

	*opt = (struct options){ .op = AFSYNC_OP_FSYNC };
	while ((c = getopt_long(argc, argv, "dfprx", long_options, NULL)) != -1) {
		switch (c) {
		case 'd':
			data = true;
			opt->op = AFSYNC_OP_FDATASYNC;
			break;
		case 'f':
			file_system = true;
			opt->op = AFSYNC_OP_SYNCFS;
			break;
		case 'p':
			opt->progress = true;
			break;
		case 'r':
			opt->recursive = true;
			break;
		case 'x':
			opt->one_file_system = true;
			break;
		case OPT_FILES0:
			opt->files0 = optarg;
			break;
		case OPT_STATS:
			opt->stats = true;
			break;
		case OPT_HELP:
			fputs(help, stdout);
			return STATUS_OK;
		case OPT_VERSION:
			print_version();
			return STATUS_OK;
		default:
			options_try_help("");
			return STATUS_USAGE;
		}
	}
	opt->files = argv + optind;
	opt->nr_files = (size_t)(argc - optind);
	if (check(opt, data, file_system)) {
		options_try_help("");
		return STATUS_USAGE;
	}
	return -1;
}
