// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads names that end with a NUL byte from a file, a pipe or a terminal. Never
 * blocks: returns NAMES_LATER when the other end has not written the next name yet,
 * so that the names before it need not wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "afsync.h"

#define FIRST_SIZE	65536

struct files0 {
	const char *file;
	int fd;
	bool eof;
	char *buf;
	size_t size;		/* of buf */
	size_t start;		/* unread bytes are from here ... */
	size_t end;		/* ... to here */
	size_t scanned;		/* no NUL in front of this */
	unsigned long number;	/* of the last name, from 1 */
	char position[64];
};

/* NULL after a message. */
struct files0 *files0_open(const char *file)
{
	struct files0 *list = calloc(1, sizeof(*list));
	char *shown;
	int error;

	if (!list) {
		complain("%s", strerror(ENOMEM));
		return NULL;
	}
	list->file = file;
	list->size = FIRST_SIZE;
	list->buf = malloc(list->size);
	list->fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (list->fd == -1 || !list->buf) {
		error = errno;
		shown = escape_name(file);
		complain("cannot read names from '%s': %s", shown ? shown : NO_NAME,
			 strerror(error));
		free(shown);
		files0_close(list);
		return NULL;
	}
	return list;
}

void files0_close(struct files0 *list)
{
	if (list->fd > STDIN_FILENO)
		close(list->fd);
	free(list->buf);
	free(list);
}

int files0_fd(const struct files0 *list)
{
	return list->fd;
}

/* "F:12" for a message about the last name. */
static const char *position(struct files0 *list)
{
	snprintf(list->position, sizeof(list->position), "%.40s:%lu", list->file,
		 list->number);
	return list->position;
}

/* Makes room for at least one byte and a closing NUL. */
static int make_room(struct files0 *list)
{
	char *bigger;

	if (list->start) {
		memmove(list->buf, list->buf + list->start, list->end - list->start);
		list->end -= list->start;
		list->scanned -= list->start;
		list->start = 0;
	}
	if (list->end + 1 < list->size)
		return 0;
	bigger = realloc(list->buf, 2 * list->size);
	if (!bigger)
		return -1;
	list->buf = bigger;
	list->size *= 2;
	return 0;
}

static enum names_result fill(struct files0 *list, const char **name, int *error)
{
	struct pollfd readable = { .fd = list->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&readable, 1, 0) == 0)
		return NAMES_LATER;
	if (make_room(list) == 0) {
		n = read(list->fd, list->buf + list->end, list->size - list->end - 1);
		if (n >= 0) {
			list->end += (size_t)n;
			list->eof = n == 0;
			return NAMES_OK;
		}
		if (errno == EAGAIN)
			return NAMES_LATER;
	}
	*error = errno;
	*name = list->file;
	list->eof = true;
	list->start = list->end;
	return NAMES_BAD;
}

/* The last name may lack its NUL. */
enum names_result files0_next(struct files0 *list, const char **name, int *error)
{
	enum names_result result;
	char *nul;

	for (;;) {
		nul = memchr(list->buf + list->scanned, '\0', list->end - list->scanned);
		if (nul)
			break;
		list->scanned = list->end;
		if (list->eof && list->start == list->end)
			return NAMES_END;
		if (list->eof) {
			nul = list->buf + list->end++;
			*nul = '\0';
			break;
		}
		result = fill(list, name, error);
		if (result != NAMES_OK)
			return result;
	}
	*name = list->buf + list->start;
	list->start = (size_t)(nul - list->buf) + 1;
	list->scanned = list->start;
	list->number++;
	if (**name)
		return NAMES_OK;
	*name = position(list);
	return NAMES_EMPTY;
}
