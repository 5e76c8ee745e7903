// SPDX-License-Identifier: GPL-2.0-only
/* When afsync info warns that module and library differ, and its advice. */
#include <string.h>

#include "afsync.h"
#include "tap.h"

static bool says(const char *module, const char *library, const char *expected)
{
	const char *advice = versions_advice(module, library);

	return advice && strstr(advice, expected);
}

int main(void)
{
	tap(!versions_advice("1.4.0", "1.4.0"), "one_version_is_no_reason_to_warn");
	tap(says("1.3.9", "1.4.0", "modprobe -r afsync"), "older_module_is_to_be_loaded_anew");
	tap(says("1.5.0", "1.4.0", "libraries"), "newer_module_wants_newer_libraries");
	tap(says("1.9.0", "1.10.0", "modprobe") && says("1.10.0", "1.9.0", "libraries"),
	    "numbers_are_compared_as_numbers");
	tap(says("1.4", "1.4.0", "modprobe"), "missing_number_is_older");
	return tap_end();
}
