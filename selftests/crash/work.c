// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workload of a process: changes files, syncs them, and keeps a history of both.
 *
 *	work FOLDER HISTORY PROCESS STEPS SEED SYNCER DEVICE
 *
 * FOLDER is the process's own, on the filesystem that will crash; HISTORY is the file that
 * its records go to. STEPS is a number, or "pairs" for every sequence of up to two changes.
 * SYNCER is library, posix, libaio, command or call. DEVICE is the log of writes
 * (dm-log-writes): a mark goes into it after each acknowledgment.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "change.h"
#include "plan.h"
#include "request.h"

/* The names that SYNCER takes. */
static const struct syncer * const syncers[] = {
	&by_library, &by_posix, &by_libaio, &by_command, &by_call,
};

int main(int argc, char **argv)
{
	const struct syncer *by = NULL;
	int folder, history;
	uint32_t number, i;

	if (argc != 8)
		errx(2, "usage: work FOLDER HISTORY PROCESS STEPS SEED SYNCER DEVICE");
	history = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	number = strtoul(argv[3], NULL, 10);
	for (i = 0; i < sizeof(syncers) / sizeof(*syncers); i++)
		if (!strcmp(argv[6], syncers[i]->name))
			by = syncers[i];
	folder = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (!by || history < 0 || folder < 0 || fchdir(folder))
		err(2, "%s, %s or %s", argv[1], argv[2], argv[6]);
	umask(0);
	change_begin(history, number);
	request_begin(by, argv[7], number);
	if (!strcmp(argv[4], "pairs"))
		plan_pairs(folder);
	else
		plan_random(folder, strtoul(argv[4], NULL, 10),
			    strtoull(argv[5], NULL, 10) * 977 + number);
	i = request_end();
	printf("process %u: %u changes and acknowledgments, %u syncs acknowledged\n", number,
	       nr_records, i);
	return 0;
}
