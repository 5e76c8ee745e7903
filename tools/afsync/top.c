// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync top: requests, syncs, how many were merged, and how long syncs take, for each
 * filesystem. On a terminal a live view, else a table or a line of JSON for each interval.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "top.h"

#define MODULE		"/sys/module/afsync"
#define SECOND		1000000000U
#define MIN_INTERVAL	0.1
#define MAX_INTERVAL	86400.0

struct top_options {
	uint64_t interval_ns;
	unsigned long count;	/* 0: no end */
	bool json;
	bool live;
};

static const char help[] =
"Usage: afsync top [--interval=SECONDS] [--count=N] [--json]\n"
"Show for each filesystem how many requests arrive, how many syncs run for them, how many\n"
"requests are merged, and how long syncs take. Needs root. On a terminal the view is\n"
"redrawn after each interval and q quits; elsewhere each interval is printed as text.\n"
"\n"
"      --interval=SECONDS  0.1 to 86400, the default is 1\n"
"      --count=N           print N intervals as text and exit\n"
"      --json              print each interval as a JSON object on one line\n"
"      --help              print this and exit\n"
"\n"
"Exit status: 0 on success, 1 if the counters could not be read (a message says why,\n"
"and what to do), 2 for a wrong command line, 128 plus the signal after a signal.\n";

static int usage(void)
{
	options_try_help(" top");
	return STATUS_USAGE;
}

static int parse_interval(struct top_options *opt, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= MIN_INTERVAL && seconds <= MAX_INTERVAL)) {
		complain("--interval takes seconds, 0.1 to 86400, not '%s'", text);
		return -1;
	}
	opt->interval_ns = (uint64_t)(seconds * SECOND);
	return 0;
}

static int parse_count(struct top_options *opt, const char *text)
{
	char *end;

	errno = 0;
	opt->count = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || !opt->count) {
		complain("--count takes a number from 1 on, not '%s'", text);
		return -1;
	}
	return 0;
}

/* Returns -1 to continue, or the status to exit with. */
static int parse(struct top_options *opt, int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*opt = (struct top_options){ .interval_ns = SECOND };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			if (parse_interval(opt, optarg))
				return usage();
			break;
		case 'c':
			if (parse_count(opt, optarg))
				return usage();
			break;
		case 'j':
			opt->json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return usage();
		}
	}
	if (optind < argc) {
		complain("top takes no FILE; for a file of that name write ./top");
		return usage();
	}
	opt->live = !opt->json && !opt->count && isatty(STDOUT_FILENO);
	return -1;
}

static const char *advice(int error)
{
	if (access(MODULE, F_OK))
		return "load the module: 'modprobe afsync'";
	switch (error) {
	case EACCES:
		return "only root can read it: run 'afsync top' as root";
	case EPERM:
		return "the kernel is locked down more than Secure Boot requires";
	case ENOENT:
		if (access("/sys/kernel/debug/afsync", F_OK))
			return "mount debugfs: 'mount -t debugfs none /sys/kernel/debug'; if it\n"
			       "  is mounted, the loaded module is older than this program";
		return "the loaded module is older than this program: reload it";
	default:
		return NULL;
	}
}

/* Complains and returns -1 if they cannot be read. */
static int take_sample(struct top_sample *sample)
{
	FILE *counters = fopen(FILESYSTEMS, "re"), *mounts;
	int ret, error = errno;
	const char *text;

	if (!counters) {
		/* The message is for the screen that stays. */
		screen_close();
		text = advice(error);
		complain(FILESYSTEMS ": %s", strerror(error));
		if (text)
			complain("%s", text);
		return -1;
	}
	mounts = fopen("/proc/self/mountinfo", "re");
	ret = top_read(sample, counters, mounts);
	error = errno;
	if (mounts)
		fclose(mounts);
	fclose(counters);
	if (ret) {
		screen_close();
		complain(FILESYSTEMS ": %s",
			 error ? strerror(error) : "unknown format");
		top_free(sample);
	}
	return ret;
}

static void print(const struct top_options *opt, const struct top_sample *sample, bool first)
{
	struct timespec ts;

	if (opt->json) {
		clock_gettime(CLOCK_REALTIME, &ts);
		top_json(stdout, sample, (double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
	} else {
		if (!first)
			putchar('\n');
		top_table(stdout, sample, 0);
		putchar('\n');
	}
	fflush(stdout);
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static int run(const struct top_options *opt)
{
	struct top_sample before, now;
	unsigned long n;
	uint64_t next;
	int ret = STATUS_OK;

	if (take_sample(&before))
		return STATUS_FAILED;
	top_compare(&before, NULL);
	next = before.ns;
	if (opt->live) {
		screen_open();
		screen_draw(&before);
	}
	for (n = 0; !opt->count || n < opt->count; n++) {
		/* At regular times, unless it was delayed. */
		next += opt->interval_ns;
		if (next < clock_ns())
			next = clock_ns() + opt->interval_ns;
		if (!opt->live)
			sleep_until(next);
		else if (!screen_wait(next, &before))
			break;
		if (take_sample(&now)) {
			ret = STATUS_FAILED;
			break;
		}
		top_compare(&now, &before);
		if (opt->live)
			screen_draw(&now);
		else
			print(opt, &now, n == 0);
		top_free(&before);
		before = now;
		/* The output is closed: main() reports that. */
		if (ferror(stdout))
			break;
	}
	top_free(&before);
	screen_close();
	return ret;
}

/* @argv[0] is "top". */
int top_main(int argc, char **argv)
{
	static char program[] = PROGRAM;
	struct top_options opt;
	int status;

	argv[0] = program;
	status = parse(&opt, argc, argv);
	return status < 0 ? run(&opt) : status;
}
