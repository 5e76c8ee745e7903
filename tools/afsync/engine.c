// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run: takes names, opens them and hands them to the engine (ring.c),
 * which reports each result to session_complete(). Decides the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afsync.h"

static int sync_once(enum afsync_op op, int fd)
{
	int ret;

	switch (op) {
	case AFSYNC_OP_FDATASYNC:
		ret = fdatasync(fd);
		break;
	case AFSYNC_OP_SYNCFS:
		ret = syncfs(fd);
		break;
	default:
		ret = fsync(fd);
		break;
	}
	return ret == -1 ? -errno : 0;
}

/*
 * *@unsupported: the filesystem cannot sync that file. It then fails with EINVAL each time;
 * an error of a write, which can be any number, is reported once.
 */
int sync_plainly(enum afsync_op op, int fd, bool *unsupported)
{
	int res = sync_once(op, fd);

	*unsupported = res == -EINVAL && sync_once(op, fd) == -EINVAL;
	return res;
}

static struct progress_state progress_state(const struct session *s)
{
	return (struct progress_state){
		.done = s->synced + s->failed,
		.found = s->found,
		.of = s->all_found ? s->found : names_count(s->names),
	};
}

void session_progress(struct session *s)
{
	struct progress_state state = progress_state(s);

	progress_update(&s->progress, &state);
}

/* One message for a name that could not be synced. */
static void fail(struct session *s, const char *name, const char *reason)
{
	progress_clear(&s->progress);
	complain_name(name, reason);
	s->failed++;
}

void session_complain(struct session *s, const char *name, int error)
{
	fail(s, name, strerror(error));
}

/*
 * A file that a walk found is skipped if it is gone by now, if a symbolic link took
 * its place, or if its filesystem cannot sync it. For an operand that is an error.
 */
bool session_pass_over(struct session *s, bool below, int error)
{
	if (!below || (error != ENOENT && error != ELOOP && error != EINVAL))
		return false;
	s->found--;
	return true;
}

void session_complete(struct session *s, const char *name, int res, bool merged,
		      uint64_t ns)
{
	stats_complete(&s->stats, res, merged, ns);
	if (res == 0)
		s->synced++;
	else if (res != -ECANCELED)
		session_complain(s, name, -res);
}

/*
 * Does not block on a FIFO. A file that may be written but not read is opened for
 * writing; any other open would do for the sync.
 */
static int open_name(const struct name *name)
{
	int flags = name->open_flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(name->path, O_RDONLY | flags);

	if (fd == -1 && errno == EACCES) {
		fd = open(name->path, O_WRONLY | flags);
		if (fd == -1)
			errno = EACCES;
	}
	return fd;
}

static void take(struct session *s, struct engine *engine, const struct name *name)
{
	int fd, error;

	ticker_on();
	fd = open_name(name);
	error = errno;
	ticker_off();
	/* Out of descriptors: submitting frees those of the batch. */
	if (fd == -1 && (error == EMFILE || error == ENFILE)) {
		engine->flush(engine);
		fd = open_name(name);
		error = errno;
	}
	if (fd != -1)
		engine->add(engine, fd, name->shown, name->below);
	else if (!session_pass_over(s, name->below, error))
		session_complain(s, name->shown, error);
}

static enum names_result next_name(struct session *s, struct name *name, int *error)
{
	enum names_result result;

	ticker_on();
	result = names_next(s->names, name, error);
	ticker_off();
	return result;
}

static void take_all(struct session *s, struct engine *engine)
{
	struct name name;
	int error;

	while (!interrupt_signal()) {
		switch (next_name(s, &name, &error)) {
		case NAMES_OK:
			s->found++;
			take(s, engine, &name);
			break;
		case NAMES_BAD:
			s->found++;
			session_complain(s, name.shown, error);
			break;
		case NAMES_EMPTY:
			s->found++;
			fail(s, name.shown, "empty file name");
			break;
		case NAMES_LATER:
			engine->flush(engine);
			engine->wait(engine, names_fd(s->names));
			break;
		case NAMES_END:
			s->all_found = true;
			return;
		}
		session_progress(s);
	}
	s->interrupted = true;
}

static int end(struct session *s)
{
	struct progress_state state = progress_state(s);

	progress_end(&s->progress, &state);
	if (!s->interrupted)
		return s->failed ? STATUS_FAILED : STATUS_OK;
	if (state.of)
		complain("interrupted: %" PRIu64 " of %" PRIu64 " synced", s->synced,
			 state.of);
	else
		complain("interrupted: %" PRIu64 " synced", s->synced);
	return STATUS_SIGNAL + interrupt_signal();
}

/* Returns the exit status. */
int session_run(struct session *s)
{
	struct engine *engine;
	int error;

	engine = ring_engine(s, &error);
	if (!engine) {
		complain("cannot start: %s", strerror(error));
		return STATUS_FAILED;
	}
	ticker_start(engine);
	take_all(s, engine);
	ticker_end();
	engine->finish(engine);
	engine->destroy(engine);
	return end(s);
}
