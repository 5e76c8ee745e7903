// SPDX-License-Identifier: GPL-2.0-only
/*
 * The progress bar on stderr. On a terminal it is one line that is redrawn
 * ten times a second, after the first second. With --progress it starts at
 * once, stays when the run ends, and is printed as lines of text, one a second, if
 * stderr is no terminal. Without --progress it appears only on a terminal.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "afsync.h"

#define SECOND		1000000000U
#define MAX_COLUMNS	200

void progress_init(struct progress *p, bool forced)
{
	*p = (struct progress){
		.tty = isatty(STDERR_FILENO) == 1,
		.forced = forced,
		.start_ns = clock_ns(),
	};
	p->on = p->tty || forced;
	p->next_ns = p->start_ns + (forced && p->tty ? 0 : SECOND);
}

/* How long a wait may take before progress_update() is due; -1: no limit. */
int progress_timeout_ms(const struct progress *p)
{
	uint64_t now = clock_ns();

	if (!p->on)
		return -1;
	if (now >= p->next_ns)
		return 0;
	return (int)((p->next_ns - now) / 1000000 + 1);
}

static unsigned int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || !size.ws_col)
		return 80;
	return size.ws_col < MAX_COLUMNS ? size.ws_col : MAX_COLUMNS;
}

/* The text behind the bar, in three pieces of which the last are left out first. */
struct pieces {
	char text[3][48];
};

static struct pieces pieces(unsigned int tenths, const struct progress_state *state)
{
	struct pieces p;
	int width;

	if (state->of) {
		/* As wide as it will be, so that the bar keeps its length. */
		width = snprintf(NULL, 0, "%" PRIu64, state->of);
		snprintf(p.text[0], sizeof(p.text[0]), "%3u%%",
			 (unsigned int)(100 * state->done / state->of));
		snprintf(p.text[1], sizeof(p.text[1]), "  %*" PRIu64 "/%" PRIu64, width,
			 state->done, state->of);
	} else {
		snprintf(p.text[0], sizeof(p.text[0]), "%" PRIu64 " synced", state->done);
		snprintf(p.text[1], sizeof(p.text[1]), ", %" PRIu64 " found", state->found);
	}
	snprintf(p.text[2], sizeof(p.text[2]), "  %u.%u s", tenths / 10, tenths % 10);
	return p;
}

/*
 * The bar as text of less than @columns characters, so that it never wraps:
 * "[=====>    ]  52%  1040/2000  3.1 s", or without a bar while the number of
 * names is not known. Without room the bar goes first, then what is behind it.
 */
size_t progress_format(char *buf, size_t size, unsigned int columns, uint64_t ns,
		       const struct progress_state *state)
{
	struct pieces p = pieces((unsigned int)(ns / (SECOND / 10)), state);
	size_t bar, full, i, n, length = 0;

	if (columns > size)
		columns = (unsigned int)size;
	n = strlen(p.text[0]) + strlen(p.text[1]) + strlen(p.text[2]);
	/* Two brackets, two spaces, and the last column stays free. */
	if (state->of && columns > n + 15) {
		bar = columns - n - 5;
		full = (size_t)(bar * state->done / state->of);
		buf[length++] = '[';
		for (i = 0; i < bar; i++)
			buf[length++] = i < full ? '=' : i == full ? '>' : ' ';
		buf[length++] = ']';
		buf[length++] = ' ';
	}
	for (i = 0; i < ARRAY_SIZE(p.text); i++) {
		n = strlen(p.text[i]);
		if (length + n >= columns)
			break;
		memcpy(buf + length, p.text[i], n);
		length += n;
	}
	buf[length] = '\0';
	return length;
}

static void draw(struct progress *p, uint64_t now, const struct progress_state *state)
{
	char line[MAX_COLUMNS + 1];

	progress_format(line, sizeof(line), p->tty ? columns() : MAX_COLUMNS,
			now - p->start_ns, state);
	if (p->tty)
		fprintf(stderr, "\r%s\033[K", line);
	else if (state->of)
		fprintf(stderr, PROGRAM ": %" PRIu64 " of %" PRIu64 " synced\n",
			state->done, state->of);
	else
		fprintf(stderr, PROGRAM ": %s\n", line);
	fflush(stderr);
	p->shown = p->tty;
}

void progress_update(struct progress *p, const struct progress_state *state)
{
	uint64_t now;

	if (!p->on)
		return;
	now = clock_ns();
	if (now < p->next_ns)
		return;
	p->next_ns = now + (p->tty ? SECOND / 10 : SECOND);
	draw(p, now, state);
}

/* Before anything else is written to the terminal. */
void progress_clear(struct progress *p)
{
	if (!p->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->shown = false;
}

void progress_end(struct progress *p, const struct progress_state *state)
{
	if (p->on && p->forced) {
		draw(p, clock_ns(), state);
		if (p->shown)
			fputc('\n', stderr);
		p->shown = false;
	}
	progress_clear(p);
	p->on = false;
}
