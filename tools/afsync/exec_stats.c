// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync exec --stats: the page in which the drop-in libraries count, a child that
 * runs the program, and the report when it has ended.
 *
 * The page is a file in memory that processes find by the descriptor of this one. So
 * it counts those that exec, leave by _exit() or are killed, and nothing is left
 * behind, however this process ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afsync.h"
#include "../lib/afsync-dropin/dropin.h"

static const struct counter_label {
	enum dropin_counter counter;
	const char *label;
} dropin_labels[] = {
	{ DROPIN_POSIX_FSYNC,		"posix fsync:" },
	{ DROPIN_POSIX_FDATASYNC,	"posix fdatasync:" },
	{ DROPIN_POSIX_READ,		"posix read:" },
	{ DROPIN_POSIX_WRITE,		"posix write:" },
	{ DROPIN_POSIX_MERGED,		"posix merged:" },
	{ DROPIN_POSIX_CANCELLED,	"posix cancelled:" },
	{ DROPIN_POSIX_FAILED,		"posix failed:" },
	{ DROPIN_LIBAIO_FSYNC,		"libaio fsync:" },
	{ DROPIN_LIBAIO_FDSYNC,		"libaio fdsync:" },
	{ DROPIN_LIBAIO_OTHER,		"libaio other:" },
	{ DROPIN_LIBAIO_CANCELLED,	"libaio cancelled:" },
	{ DROPIN_LIBAIO_PAST,		"libaio past:" },
	{ DROPIN_ELSEWHERE,		"elsewhere:" },
};

static const char * const device_counters[] = {
	"submitted", "syncs", "merged", "completed",
};

/* The counters of the device, of the whole machine; ok is false without a device. */
struct device_counts {
	bool ok;
	uint64_t values[ARRAY_SIZE(device_counters)];
};

static struct device_counts device_counts(void)
{
	struct device_counts counts = { .ok = !access(COUNTERS, F_OK) };
	size_t i;

	for (i = 0; counts.ok && i < ARRAY_SIZE(device_counters); i++)
		counts.ok = !read_counter(device_counters[i], &counts.values[i]);
	return counts;
}

/* NULL, after a message, if it cannot be made. */
static struct dropin_stats *make_page(void)
{
	struct dropin_stats *page;
	char name[64];
	int fd;

	fd = memfd_create("afsync-stats", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof(*page)))
		goto fail;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		goto fail;
	page->magic = DROPIN_STATS_MAGIC;
	/* Stays open: the name is good as long as it is. */
	snprintf(name, sizeof(name), "/proc/%ld/fd/%d", (long)getpid(), fd);
	if (!setenv("AFSYNC_STATS", name, 1))
		return page;

fail:
	complain("cannot make the page of counters: %s", strerror(errno));
	return NULL;
}

static void print_line(FILE *out, const char *label, uint64_t value)
{
	fprintf(out, "%-18s%8" PRIu64 "\n", label, value);
}

static void print(FILE *out, const struct dropin_stats *page,
		  const struct device_counts *before, uint64_t ns)
{
	struct device_counts now = device_counts();
	char label[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dropin_labels); i++)
		print_line(out, dropin_labels[i].label,
			   __atomic_load_n(&page->counters[dropin_labels[i].counter],
					   __ATOMIC_RELAXED));
	for (i = 0; before->ok && now.ok && i < ARRAY_SIZE(device_counters); i++) {
		snprintf(label, sizeof(label), "device %s:", device_counters[i]);
		print_line(out, label, now.values[i] - before->values[i]);
	}
	print_ms(out, "elapsed:", ns);
}

/*
 * Signals that are sent to this process are meant for the program. Those that the
 * terminal sends reach both, and are not passed on a second time.
 */
static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };

struct signal_state {
	sigset_t ours;
	sigset_t mask;
	struct sigaction child;
};

static void take_signals(struct signal_state *state)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	size_t i;

	sigemptyset(&state->ours);
	sigaddset(&state->ours, SIGCHLD);
	for (i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&state->ours, passed_on[i]);
	sigprocmask(SIG_BLOCK, &state->ours, &state->mask);
	/* A child of a process that ignores it leaves no status. */
	sigaction(SIGCHLD, &act, &state->child);
}

/* In the child. @report sends the parent the error; it closes with the exec. */
static void __attribute__((noreturn))
run_program(char **argv, const struct signal_state *state, int report)
{
	ssize_t ret;
	int error;

	sigaction(SIGCHLD, &state->child, NULL);
	sigprocmask(SIG_SETMASK, &state->mask, NULL);
	execvp(*argv, argv);
	error = errno;
	ret = write(report, &error, sizeof(error));
	(void)ret;
	_exit(STATUS_CANNOT_RUN);
}

/* Returns the status that wait() gave. */
static int wait_for(pid_t pid, const struct signal_state *state)
{
	siginfo_t info;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (sigwaitinfo(&state->ours, &info) < 0 || info.si_signo == SIGCHLD)
			continue;
		if (info.si_code <= 0)
			kill(pid, info.si_signo);
	}
	return status;
}

/* Runs it to its end. Returns the status to exit with; *@ran is true if it ran at all. */
static int run(char **argv, bool *ran)
{
	struct signal_state state;
	int report[2], error, status;
	ssize_t n;
	pid_t pid;

	*ran = false;
	if (pipe2(report, O_CLOEXEC)) {
		complain("%s", strerror(errno));
		return STATUS_EXEC;
	}
	take_signals(&state);
	pid = fork();
	if (pid < 0) {
		complain("%s", strerror(errno));
		return STATUS_EXEC;
	}
	if (!pid)
		run_program(argv, &state, report[1]);
	close(report[1]);
	n = read(report[0], &error, sizeof(error));
	close(report[0]);
	status = wait_for(pid, &state);
	if (n == sizeof(error))
		return exec_failed(*argv, error);
	*ran = true;
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
}

/* @name is the file to print to, NULL for standard error. */
int exec_with_stats(char **argv, const char *name)
{
	struct device_counts before;
	struct dropin_stats *page;
	FILE *out = stderr;
	uint64_t start;
	int status;
	bool ran;

	if (name)
		out = fopen(name, "we");
	if (!out) {
		complain_name(name, strerror(errno));
		return STATUS_EXEC;
	}
	page = make_page();
	if (!page)
		return STATUS_EXEC;
	before = device_counts();
	start = clock_ns();
	status = run(argv, &ran);
	if (ran)
		print(out, page, &before, clock_ns() - start);
	if (name && (ferror(out) | fclose(out))) {
		complain_name(name, strerror(errno));
		return status == STATUS_OK ? STATUS_EXEC : status;
	}
	return status;
}
