// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync info: version, features, limits and counters of the module. Asks the
 * device and reads the counters from sysfs; makes no ring.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "afsync.h"
#include "libafsync.h"

struct bit_name {
	uint32_t bit;
	const char *name;
};

static const struct bit_name ops[] = {
	{ 1U << AFSYNC_OP_FSYNC,	"fsync" },
	{ 1U << AFSYNC_OP_FDATASYNC,	"fdatasync" },
	{ 1U << AFSYNC_OP_SYNCFS,	"syncfs" },
	{ 0, NULL },
};

static const struct bit_name sqe_flags[] = {
	{ AFSYNC_SQE_DRAIN,		"drain" },
	{ AFSYNC_SQE_WRITABLE,		"writable" },
	{ AFSYNC_SQE_HOLD,		"hold" },
	{ AFSYNC_SQE_HOLD,		"hold" },
	{ 0, NULL },
};

static const struct bit_name wait_flags[] = {
	{ AFSYNC_WAIT_TIMEOUT,		"timeout" },
	{ AFSYNC_WAIT_ABSTIME,		"abstime" },
	{ AFSYNC_WAIT_SIGMASK,		"sigmask" },
	{ 0, NULL },
};

static const struct bit_name cancel_match[] = {
	{ AFSYNC_CANCEL_USER_DATA,	"user_data" },
	{ AFSYNC_CANCEL_FD,		"fd" },
	{ AFSYNC_CANCEL_ALL,		"all" },
	{ 0, NULL },
};

static const char * const counters[] = {
	"submitted", "merged", "syncs", "completed", "cancelled", "failed", "in_flight",
};

/* How the two forms of output differ. */
struct style {
	bool json;
	const char *separator;	/* before the next line of JSON */
};

static void print_key(struct style *style, const char *key)
{
	if (style->json) {
		printf("%s  \"%s\": ", style->separator, key);
		style->separator = ",\n";
	} else {
		printf("%-19s", key);
	}
}

static void print_number(struct style *style, const char *key, uint64_t value)
{
	print_key(style, key);
	printf("%" PRIu64 "%s", value, style->json ? "" : "\n");
}

/* Bits that a newer module has and this program has no name for: as a number. */
static void print_bits(struct style *style, const char *key, uint32_t bits,
		       const struct bit_name *names)
{
	const char *quote = style->json ? "\"" : "";
	const char *separator = "";

	print_key(style, key);
	if (style->json)
		putchar('[');
	for (; names->name; names++) {
		if (!(bits & names->bit))
			continue;
		printf("%s%s%s%s", separator, quote, names->name, quote);
		separator = style->json ? ", " : " ";
		bits &= ~names->bit;
	}
	if (bits)
		printf("%s%s0x%" PRIx32 "%s", separator, quote, bits, quote);
	putchar(style->json ? ']' : '\n');
}

/* Complains and returns -1 if there is no such number. */
int read_counter(const char *name, uint64_t *value)
{
	char path[sizeof(COUNTERS) + NAME_MAX];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), COUNTERS "%s", name);
	file = fopen(path, "re");
	if (!file) {
		complain("%s: %s", path, strerror(errno));
		return -1;
	}
	n = fscanf(file, "%" SCNu64, value);
	fclose(file);
	if (n == 1)
		return 0;
	complain("%s: not a number", path);
	return -1;
}

static int print_info(struct style *style, const struct afsync_info *info)
{
	int status = STATUS_OK;
	uint64_t value;
	size_t i;

	if (style->json)
		style->separator = "{\n";
	print_number(style, "version", info->version);
	print_bits(style, "operations", info->ops, ops);
	print_bits(style, "request_flags", info->sqe_flags, sqe_flags);
	print_bits(style, "wait_flags", info->wait_flags, wait_flags);
	print_bits(style, "cancel_by", info->cancel_match, cancel_match);
	print_number(style, "max_entries", info->max_entries);
	print_number(style, "max_user_requests", info->max_user_requests);
	print_number(style, "workers_per_fs", info->workers_per_fs);
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (read_counter(counters[i], &value) == 0)
			print_number(style, counters[i], value);
		else
			status = STATUS_FAILED;
	}
	if (style->json)
		puts("\n}");
	return status;
}

/* @argv[0] is "info". */
int info_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	static char program[] = PROGRAM;
	struct style style = { .json = false };
	struct afsync_info info;
	int c, ret;

	argv[0] = program;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j') {
			options_try_help();
			return STATUS_USAGE;
		}
		style.json = true;
	}
	if (optind < argc) {
		complain("info takes no FILE; for a file of that name write ./info");
		options_try_help();
		return STATUS_USAGE;
	}
	ret = afsync_get_info(&info, sizeof(info));
	if (ret) {
		complain(DEVICE ": %s", strerror(-ret));
		return STATUS_FAILED;
	}
	return print_info(&style, &info);
}
