// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync - make many files durable at once
 *
 * main() chooses between syncing, `afsync exec`, `afsync info` and `afsync top`, and turns
 * the result into an exit status.
 */
#include <string.h>

#include "../stdopen.h"
#include "afsync.h"
#include "top.h"

/* Output that could not be written is a failure. */
static int end_output(int status, int status_failed)
{
	if (close_stdout(PROGRAM) && status == STATUS_OK)
		return status_failed;
	return status;
}

static int sync_main(const struct options *opt)
{
	struct session s = { .opt = opt };
	int status;

	s.names = names_open(opt);
	if (!s.names)
		return STATUS_FAILED;
	interrupt_init();
	stats_init(&s.stats, opt->stats);
	progress_init(&s.progress, opt->progress);
	status = session_run(&s);
	if (opt->stats)
		stats_print(&s.stats, stdout);
	stats_free(&s.stats);
	names_close(s.names);
	return status;
}

int main(int argc, char **argv)
{
	static char program[] = PROGRAM;
	int status, status_failed = STATUS_FAILED;
	struct options opt;

	stdopen();
	/* The messages of getopt begin with it. */
	argv[0] = program;
	/* A message goes out whole, in one write. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (argc > 1 && !strcmp(argv[1], "info")) {
		status = info_main(argc - 1, argv + 1);
	} else if (argc > 1 && !strcmp(argv[1], "exec")) {
		status = exec_main(argc - 1, argv + 1);
		status_failed = STATUS_EXEC;
	} else if (argc > 1 && !strcmp(argv[1], "top")) {
		status = top_main(argc - 1, argv + 1);
	} else {
		status = options_parse(&opt, argc, argv);
		if (status < 0)
			status = sync_main(&opt);
	}
	return end_output(status, status_failed);
}
