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

	for (columns = 1; columns <= 200; columns++) {
		state.of = state.of ? 0 : state.found;
		progress_format(line, sizeof(line), columns, 3661500000000U, &state);
		if (strlen(line) >= columns)
			return false;
		state.of = state.of ? 0 : state.found;
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
	progress_format(line, sizeof(line), 21, 0, &state);
	tap(!strcmp(line, "100%  100/100  0.0 s"), "no_bar_where_there_is_no_room");
	progress_format(line, sizeof(line), 20, 0, &state);
	tap(!strcmp(line, "100%  100/100"), "no_time_where_there_is_no_room");
	progress_format(line, sizeof(line), 7, 0, &state);
	tap(!strcmp(line, "100%"), "percent_is_what_stays_longest");
	state.of = 0;
	progress_format(line, sizeof(line), 80, 1000000000U, &state);
	tap(!strcmp(line, "100 synced, 100 found  1.0 s"),
	    "no_bar_while_the_number_of_names_is_not_known");
	progress_format(line, sizeof(line), 15, 1000000000U, &state);
	tap(!strcmp(line, "100 synced"), "number_synced_is_what_stays_longest");
	tap(fits_everywhere(), "neither_form_ever_fills_the_last_column");
}

static void escapes(void)
{
	static const char others[] =
		"\302\240\303\244\303\233\342\202\254\355\237\277\360\237\230\200\364\217\277\277";

	tap(escaped_is("plain name", "plain name"), "plain_name_is_shown_as_it_is");
	tap(escaped_is("a\nb\033[2J\177", "a\\012b\\033[2J\\177"),
	    "control_characters_in_a_name_are_escaped");
	tap(escaped_is("a\302\200\302\2332J\302\237", "a\\302\\200\\302\\2332J\\302\\237"),
	    "c1_controls_in_a_name_are_escaped");
	tap(escaped_is(others, others), "other_characters_of_a_name_are_left_alone");
	tap(escaped_is("\233\200\377", "\\233\\200\\377") && escaped_is("\344x", "\\344x") &&
	    escaped_is("\342\202", "\\342\\202") && escaped_is("\360", "\\360"),
	    "bytes_that_are_no_utf8_are_escaped");
	tap(escaped_is("\300\233", "\\300\\233") &&
	    escaped_is("\340\202\233", "\\340\\202\\233") &&
	    escaped_is("\355\240\200", "\\355\\240\\200") &&
	    escaped_is("\364\220\200\200", "\\364\\220\\200\\200"),
	    "overlong_forms_and_surrogates_are_no_utf8");
	tap(escaped_is("a\\012", "a\\\\012") && escaped_is("a\n", "a\\012"),
	    "a_backslash_in_a_name_is_told_from_an_escape");
	tap(escaped_is("", ""), "an_empty_name_is_shown_empty");
}

int main(void)
{
	bar();
	escapes();
	return tap_end();
}
