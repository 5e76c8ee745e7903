// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync info: the engine, its features and limits, the versions of module and library, and
 * the counters of the module. Asks the library and reads the counters from sysfs; makes
 * no ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "afsync.h"
#include "libafsync.h"

#define MODULE	"/sys/module/afsync"

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

static const struct bit_name setup_flags[] = {
	{ AFSYNC_SETUP_INLINE,		"inline" },
	{ 0, NULL },
};

static const struct bit_name sqe_flags[] = {
	{ AFSYNC_SQE_DRAIN,		"drain" },
	{ AFSYNC_SQE_WRITABLE,		"writable" },
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

/* Bits of a newer module that are unknown to this program: as a number. */
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

static void print_text(struct style *style, const char *key, const char *text)
{
	const char *quote = style->json ? "\"" : "";

	print_key(style, key);
	printf("%s%s%s%s", quote, text, quote, style->json ? "" : "\n");
}

#define VERSION_MAX	64

/* The version of the package, as modinfo(8) shows it. False where the kernel keeps none. */
static bool read_module_version(char text[VERSION_MAX])
{
	FILE *file = fopen(MODULE "/version", "re");
	bool found;

	if (!file)
		return false;
	found = fscanf(file, "%63[0-9A-Za-z._+:~-]", text) == 1;
	fclose(file);
	return found;
}

/* Without the module threads of the library sync, and there is no version. */
static bool is_device(const struct afsync_info *info)
{
	return info->version;
}

/* The device does not report its flags of AFSYNC_IOC_SETUP, but its version implies them. */
static uint32_t setup_flags_of(const struct afsync_info *info)
{
	return info->version >= 3 || !is_device(info) ? AFSYNC_SETUP_INLINE : 0;
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
	const char *advice = NULL;
	char module[VERSION_MAX];
	int status = STATUS_OK;
	uint64_t value;
	size_t i;

	if (style->json)
		style->separator = "{\n";
	print_text(style, "engine", is_device(info) ? "device" : "threads");
	if (is_device(info)) {
		print_number(style, "version", info->version);
		if (read_module_version(module)) {
			print_text(style, "module_version", module);
			advice = versions_advice(module, afsync_version());
		}
	}
	print_text(style, "library_version", afsync_version());
	print_bits(style, "operations", info->ops, ops);
	print_bits(style, "setup_flags", setup_flags_of(info), setup_flags);
	print_bits(style, "request_flags", info->sqe_flags, sqe_flags);
	print_bits(style, "wait_flags", info->wait_flags, wait_flags);
	print_bits(style, "cancel_by", info->cancel_match, cancel_match);
	print_number(style, "max_entries", info->max_entries);
	if (is_device(info))
		print_number(style, "max_user_requests", info->max_user_requests);
	print_number(style, "workers_per_fs", info->workers_per_fs);
	for (i = 0; is_device(info) && i < ARRAY_SIZE(counters); i++) {
		if (read_counter(counters[i], &value) == 0)
			print_number(style, counters[i], value);
		else
			status = STATUS_FAILED;
	}
	if (style->json)
		puts("\n}");
	if (advice) {
		fflush(stdout);
		complain("warning: the module has version %s, the library has %s", module,
			 afsync_version());
		complain("%s", advice);
	}
	return status;
}

static const char help[] =
"Usage: afsync info [--json]\n"
"Print the engine (the module or threads of the library), its features and limits, the\n"
"versions of both, with a warning if they differ, and the counters of the module.\n"
"\n"
"      --json             print them as one JSON object\n"
"      --help             print this and exit\n"
"\n"
"Exit status: 0 if all was printed, 1 if there is no working device (a message says why,\n"
"and what to do) or not everything could be read, 2 for a wrong command line.\n";

static int usage(void)
{
	options_try_help(" info");
	return STATUS_USAGE;
}

/* Advice if the device cannot be used. */
static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		if (!access(MODULE, F_OK))
			return "the module is loaded, but " DEVICE " is missing: check what makes\n"
			       "  the files in /dev (devtmpfs, udev)";
		return "load the module, as root: 'modprobe afsync'; if it is not found,\n"
		       "  install it for the running kernel: the package afsync-dkms, or\n"
		       "  'make install' in its source";
	case EACCES:
	case EPERM:
		return "'ls -l " DEVICE "' shows who may open it; the udev rule sets\n"
		       "  that, see afsync(4)";
	case ENOTTY:
	case EINVAL:
		return DEVICE " is no device of the module: remove it, then load the\n"
		       "  module again, as root: 'modprobe -r afsync && modprobe afsync'";
	default:
		return NULL;
	}
}

static int no_device(int error)
{
	const char *text = advice(error);

	fflush(stdout);
	complain(DEVICE ": %s", strerror(error));
	if (text)
		complain("%s", text);
	return STATUS_FAILED;
}

/* Why there is no device; 0 if there is one, and the user has chosen threads. */
static int device_error(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), error = fd == -1 ? errno : 0;
	struct afsync_info info;

	if (fd == -1)
		return error;
	if (ioctl(fd, AFSYNC_IOC_INFO, &info))
		error = errno;
	close(fd);
	return error;
}

/* @argv[0] is "info". */
int info_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static char program[] = PROGRAM;
	struct style style = { .json = false };
	struct afsync_info info;
	int c, ret, status, error;

	argv[0] = program;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			style.json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return usage();
		}
	}
	if (optind < argc) {
		complain("info takes no FILE; for a file of that name write ./info");
		return usage();
	}
	ret = afsync_get_info(&info, sizeof(info));
	if (ret)
		return no_device(-ret);
	status = print_info(&style, &info);
	error = is_device(&info) ? 0 : device_error();
	return error ? no_device(error) : status;
}
