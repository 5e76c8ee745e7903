// SPDX-License-Identifier: GPL-2.0-only
/*
 * The live view on a terminal: its second screen, without a cursor, without wrapping of
 * lines, keys read as they come. Every signal that ends or stops the program restores the
 * terminal first; the handlers call only async-signal-safe functions.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "top.h"

#define ENTER	"\033[?1049h\033[?7l\033[?25l"
#define LEAVE	"\033[?25h\033[?7h\033[?1049l"

static struct termios saved;
static bool keys;		/* standard input is a terminal */
static volatile sig_atomic_t redraw;
static sigset_t wait_mask;
static bool is_open;

static void put(const char *text)
{
	ssize_t n = write(STDOUT_FILENO, text, strlen(text));

	(void)n;
}

static void enter(void)
{
	struct termios raw = saved;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	put(ENTER);
}

static void leave(void)
{
	put(LEAVE);
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* SA_RESETHAND and SA_NODEFER: the signal that is raised here has its default action. */
static void end(int signal_nr)
{
	/* In the background tcsetattr() would stop us. */
	signal(SIGTTOU, SIG_IGN);
	leave();
	raise(signal_nr);
}

static void stop(int signal_nr)
{
	int error = errno;

	(void)signal_nr;
	leave();
	raise(SIGSTOP);
	errno = error;
}

/* Whatever stopped us, the terminal may be another. */
static void go_on(int signal_nr)
{
	int error = errno;

	if (signal_nr == SIGCONT)
		enter();
	redraw = 1;
	errno = error;
}

static bool keeps_running(int signal_nr)
{
	static const int others[] = {
		SIGCHLD, SIGURG, SIGTTIN, SIGTTOU, SIGTSTP, SIGCONT, SIGWINCH, SIGKILL, SIGSTOP,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (signal_nr == others[i])
			return true;
	return false;
}

static void catch_signals(void)
{
	struct sigaction ends = { .sa_handler = end, .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct sigaction stops = { .sa_handler = stop, .sa_flags = SA_RESTART };
	struct sigaction goes_on = { .sa_handler = go_on, .sa_flags = SA_RESTART }, old;
	sigset_t block;
	int i;

	/* Not between the check of @redraw and the wait. */
	sigemptyset(&block);
	sigaddset(&block, SIGWINCH);
	sigaddset(&block, SIGCONT);
	sigprocmask(SIG_BLOCK, &block, &wait_mask);
	sigaction(SIGWINCH, &goes_on, NULL);
	sigaction(SIGCONT, &goes_on, NULL);
	sigaction(SIGTSTP, &stops, NULL);
	for (i = 1; i <= SIGRTMAX; i++) {
		/* Started with it ignored, as by nohup: stay so. */
		if (keeps_running(i) || sigaction(i, NULL, &old) || old.sa_handler == SIG_IGN)
			continue;
		sigaction(i, &ends, NULL);
	}
}

void screen_open(void)
{
	keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &saved);
	catch_signals();
	enter();
	is_open = true;
}

void screen_close(void)
{
	if (is_open)
		leave();
	is_open = false;
}

void screen_draw(const struct top_sample *sample)
{
	struct winsize size;
	char *text, *line, *rest;
	size_t length, rows = 24;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row)
		rows = size.ws_row;
	top_table(out, sample, rows > 1 ? rows - 1 : 1);
	fclose(out);
	fputs("\033[H", stdout);
	for (rest = text; (line = strsep(&rest, "\n"));)
		printf("%s\033[K%s", line, rest ? "\r\n" : "");
	/* The last row is for the keys, if there is one. */
	if (rows > 1)
		printf("\r\n%s\033[K", keys ? "q quits" : "");
	fputs("\033[J", stdout);
	fflush(stdout);
	free(text);
}

/* Until that time of clock_ns(); draws again when the size changes. False: quit. */
bool screen_wait(uint64_t until_ns, const struct top_sample *sample)
{
	struct pollfd input = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
	uint64_t now;
	char key;

	while ((now = clock_ns()) < until_ns) {
		struct timespec left = {
			.tv_sec = (time_t)((until_ns - now) / 1000000000),
			.tv_nsec = (long)((until_ns - now) % 1000000000),
		};
		int ready;

		if (redraw) {
			redraw = 0;
			screen_draw(sample);
		}
		ready = ppoll(&input, 1, &left, &wait_mask);
		if (ready <= 0)
			continue;
		/* The end of the input: the terminal is gone. */
		if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')
			return false;
	}
	return true;
}
