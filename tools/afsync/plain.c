// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine for a machine without the device: one system call after the other.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "afsync.h"

static void plain_add(struct engine *engine, int fd, const char *shown, bool below)
{
	struct session *s = engine->session;
	uint64_t start = clock_ns();
	bool unsupported;
	int res;

	res = sync_plainly(s->opt->op, fd, &unsupported);
	if (!unsupported || !session_pass_over(s, below, EINVAL)) {
		s->stats.asked++;
		session_complete(s, shown, res, false, clock_ns() - start);
	}
	close(fd);
}

static void plain_flush(struct engine *engine)
{
	(void)engine;
}

static void plain_wait(struct engine *engine, int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int ms = progress_timeout_ms(&engine->session->progress);
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	ppoll(&poll_fd, 1, ms < 0 ? NULL : &ts, interrupt_mask());
}

static void plain_finish(struct engine *engine)
{
	(void)engine;
}

static void plain_destroy(struct engine *engine)
{
	free(engine);
}

/* NULL if there is no memory. */
struct engine *plain_engine(struct session *s)
{
	struct engine *engine = malloc(sizeof(*engine));

	if (engine)
		*engine = (struct engine){
			.add = plain_add,
			.flush = plain_flush,
			.wait = plain_wait,
			.finish = plain_finish,
			.destroy = plain_destroy,
			.session = s,
		};
	return engine;
}
