// SPDX-License-Identifier: GPL-2.0-only
/* The text of the progress bar and of escaped names. */
#include <stdlib.h>
#include <string.h>

#include "afsync.h"
#include "tap.h"

static bool escaped_is(const char *name, const char *expected)
{
	char *shown = escape_name(name);
	bool same = shown && !strcmp(shown, expected);

	free(shown);
	return same;
}

static bool fits_everywhere(void)
{
	struct progress_state state = { .done = 12345, .found = 99999, .of = 99999 };
	char line[201];
	unsigned int columns;

	for (columns = 40; columns <= 200; columns++) {
		progress_format(line, sizeof(line), columns, 3661500000000U, &state);
		if (strlen(line) >= columns)
			return false;
	}
	return true;
}

static void bar(void)
{
	struct progress_state state = { .done = 50, .found = 100, .of = 100 };
	char line[201];
	size_t length;

	length = progress_format(line, sizeof(line), 45, 3140000000U, &state);
	tap(!strcmp(line, "[==========>         ]  50%   50/100  3.1 s") &&
	    length == strlen(line), "bar_is_half_full_at_half");
	state.done = 100;
	progress_format(line, sizeof(line), 45, 0, &state);
	tap(!strcmp(line, "[====================] 100%  100/100  0.0 s"),
	    "bar_is_full_at_the_end");
	progress_format(line, sizeof(line), 20, 0, &state);
	tap(!strcmp(line, "100%  100/100  0.0 s"), "no_bar_where_there_is_no_room");
	state.of = 0;
	progress_format(line, sizeof(line), 80, 1000000000U, &state);
	tap(!strcmp(line, "100 synced, 100 found  1.0 s"),
	    "no_bar_while_the_number_of_names_is_not_known");
	tap(fits_everywhere(), "bar_never_fills_the_last_column");
}

static void escapes(void)
{
	tap(escaped_is("plain name", "plain name"), "plain_name_is_shown_as_it_is");
	tap(escaped_is("a\nb\033[2J\177", "a\\012b\\033[2J\\177"),
	    "control_characters_in_a_name_are_escaped");
	tap(escaped_is("\303\244", "\303\244"), "other_bytes_of_a_name_are_left_alone");
	tap(escaped_is("", ""), "an_empty_name_is_shown_empty");
}

int main(void)
{
	bar();
	escapes();
	return tap_end();
}
