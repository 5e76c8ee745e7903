// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts results and reports them: at the end, and when something is wrong.
 */
#include "world.h"
#include "calls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const command_names[NR_COMMANDS] = {
	[CMD_INFO] = "INFO",		[CMD_SETUP] = "SETUP",
	[CMD_SUBMIT] = "SUBMIT",	[CMD_WAIT] = "WAIT",
	[CMD_CANCEL] = "CANCEL",	[CMD_EVENTFD] = "EVENTFD",
	[CMD_START] = "START",		[CMD_REQUEST] = "a request",
	[CMD_RAW] = "garbage",		[CMD_FOREIGN] = "foreign file",
	[CMD_ATTACH] = "io_submit",	[CMD_EVENT] = "AIO event",
	[CMD_AIO_CANCEL] = "io_cancel",	[CMD_MMAP] = "mmap",
	[CMD_MREMAP] = "mremap",	[CMD_MADVISE] = "madvise",
	[CMD_COMPLETION] = "completion",
};

static const char *errno_name(unsigned int nr)
{
	return nr ? strerrorname_np(nr) : "ok";
}

static void describe_struct(const struct note *note, int fd)
{
	const void *bytes = note->bytes;
	const struct afsync_submit *submit = bytes;
	const struct afsync_wait *wait = bytes;
	const struct afsync_cancel *cancel = bytes;
	const struct afsync_eventfd *eventfd = bytes;
	const struct afsync_start *start = bytes;
	const struct afsync_setup *setup = bytes;

	switch (_IOC_NR(note->cmd)) {
	case _IOC_NR(AFSYNC_IOC_SETUP):
		dprintf(fd, " {entries %u flags %#x}", setup->entries, setup->flags);
		break;
	case _IOC_NR(AFSYNC_IOC_SUBMIT):
		dprintf(fd, " {nr %u sqe_size %u flags %#x", submit->nr, submit->sqe_size,
			submit->flags);
		dprintf(fd, " min_complete %u wait_flags %#x timeout_ns %llu",
			submit->min_complete, submit->wait_flags,
			(unsigned long long)submit->timeout_ns);
		dprintf(fd, " sigmask %#llx ring %u}", (unsigned long long)submit->sigmask,
			submit->ring);
		break;
	case _IOC_NR(AFSYNC_IOC_WAIT):
		dprintf(fd, " {min_complete %u flags %#x timeout_ns %llu", wait->min_complete,
			wait->flags, (unsigned long long)wait->timeout_ns);
		dprintf(fd, " sigmask %#llx ring %u reserved %u}",
			(unsigned long long)wait->sigmask, wait->ring, wait->reserved);
		break;
	case _IOC_NR(AFSYNC_IOC_CANCEL):
		dprintf(fd, " {user_data %#llx fd %d match %#x ring %u}",
			(unsigned long long)cancel->user_data, cancel->fd, cancel->match,
			cancel->ring);
		break;
	case _IOC_NR(AFSYNC_IOC_EVENTFD):
		dprintf(fd, " {fd %d flags %#x ring %u}", eventfd->fd, eventfd->flags,
			eventfd->ring);
		break;
	case _IOC_NR(AFSYNC_IOC_START):
		dprintf(fd, " {user_data %#llx flags %#x ring %u last %#llx}",
			(unsigned long long)start->user_data, start->flags, start->ring,
			(unsigned long long)start->last);
		break;
	}
}

static void describe_requests(const struct note *note, int fd)
{
	const struct afsync_sqe *sqe;

	for (sqe = note->sqes; sqe < note->sqes + note->nr; sqe++) {
		dprintf(fd, "\n    [%td] user_data %#llx fd %d op %u flags %#x ioprio %#x",
			sqe - note->sqes, (unsigned long long)sqe->user_data, sqe->fd, sqe->op,
			sqe->flags, sqe->ioprio);
		dprintf(fd, " offset %#llx length %#llx", (unsigned long long)sqe->offset,
			(unsigned long long)sqe->length);
	}
}

void describe(const struct world *w, int fd)
{
	const struct note *note = &w->note;
	const struct ring *ring = note->ring;

	dprintf(fd, "thread %u call %llu%s: %s", w->thread, (unsigned long long)w->call,
		w->child ? " of a child" : "", note->kind ?: "the end of a round");
	if (ring)
		dprintf(fd, ", ring %td (trust %d, fd %d, entries %u, id %u, %u in the book)",
			ring >= w->rings && ring < w->rings + NR_RINGS ? ring - w->rings : -1,
			ring->trust, ring->fd, ring->entries, ring->id, ring->book.used);
	if (note->cmd)
		dprintf(fd, ", command %#x", note->cmd);
	if (note->place) {
		dprintf(fd, " of %u bytes, %s", note->size, note->place);
		describe_struct(note, fd);
	}
	if (note->sqes && fd != STDOUT_FILENO)
		describe_requests(note, fd);
	dprintf(fd, "\n");
}

void fail(struct world *w, const char *fmt, ...)
{
	static int failed;
	int saved = errno;
	va_list ap;

	/* Only the first failure is reported; another thread's may follow from it. */
	while (__atomic_exchange_n(&failed, 1, __ATOMIC_RELAXED))
		pause();
	dprintf(STDERR_FILENO, "FAILED: ");
	errno = saved;
	va_start(ap, fmt);
	vdprintf(STDERR_FILENO, fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "\n  SEED %llu ", (unsigned long long)options.seed);
	describe(w, STDERR_FILENO);
	_exit(1);
}

static bool allowed(long ret, const struct may *may)
{
	if (ret >= 0)
		return ret >= may->low && ret <= may->high;
	return ret > -128 && may->errors >> -ret & 1;
}

static void list_allowed(const struct may *may, char *text, size_t size)
{
	unsigned int nr;
	size_t at = 0;

	text[0] = '\0';
	if (may->low <= may->high)
		at += snprintf(text, size, " %ld to %ld", may->low, may->high);
	for (nr = 1; nr < 128 && at < size; nr++)
		if (may->errors >> nr & 1)
			at += snprintf(text + at, size - at, " %s", errno_name(nr) ?: "?");
}

long expect(struct world *w, enum command cmd, long ret, struct may may)
{
	char text[512];

	if (ret > -134)
		w->tally->answers[cmd][ret < 0 ? -ret : 0]++;
	if (allowed(ret, &may))
		return ret;
	list_allowed(&may, text, sizeof(text));
	if (ret < 0)
		fail(w, "%s gave %s; possible is%s", command_names[cmd],
		     errno_name(-ret) ?: "no errno", text);
	fail(w, "%s gave %ld; possible is%s", command_names[cmd], ret, text);
}

static void add(struct tally *sum, const struct tally *tally)
{
	const __u64 *from = (const __u64 *)tally;
	__u64 *to = (__u64 *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static void report_answers(const struct tally *sum)
{
	unsigned int cmd, nr;

	for (cmd = 0; cmd < NR_COMMANDS; cmd++) {
		printf("  %-14s", command_names[cmd]);
		for (nr = 0; nr < 134; nr++)
			if (sum->answers[cmd][nr])
				printf(" %s %llu", errno_name(nr) ?: "?",
				       (unsigned long long)sum->answers[cmd][nr]);
		printf("\n");
	}
}

void report(const struct tally *tallies, unsigned int count, __u64 sequence)
{
	struct tally sum = {};
	__u64 calls = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		add(&sum, &tallies[i]);
	printf("calls:\n");
	for (i = 0; i < calls_count(); i++) {
		calls += sum.kinds[i];
		printf("  %-16s %llu\n", calls_name(i), (unsigned long long)sum.kinds[i]);
	}
	printf("answers:\n");
	report_answers(&sum);
	printf("%llu calls, %llu rounds, %llu children killed\n", (unsigned long long)calls,
	       (unsigned long long)sum.rounds, (unsigned long long)sum.killed);
	printf("%llu requests accepted, %llu completed, %llu ended with their ring\n",
	       (unsigned long long)sum.accepted, (unsigned long long)sum.completed,
	       (unsigned long long)sum.abandoned);
	printf("of those completed %llu were merged and %llu cancelled\n",
	       (unsigned long long)sum.merged, (unsigned long long)sum.cancelled);
	printf("%llu more in rings that were scribbled on\n", (unsigned long long)sum.unbooked);
	printf("SEED %llu sequence %016llx\n", (unsigned long long)options.seed,
	       (unsigned long long)sequence);
}
