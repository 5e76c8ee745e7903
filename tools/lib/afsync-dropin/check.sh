# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
#
# The checks that both drop-in libraries have to pass. Sourced, see ../check.sh.
# shellcheck disable=SC2034,SC2154 # these are set, and used, by whoever sources this

. "$src/../check.sh"

check_stays_loaded()
{
	readelf -d "$lib" | grep -q NODELETE
}

# needs_only NAME...: libraries.
needs_only()
{
	local names=$*

	if readelf -d "$lib" | grep NEEDED | grep -vE "\[(${names// /|}|ld-linux.*)\.so"; then
		return 1
	fi
}

# imports_none NAME...: functions that would end the program, print, or the like.
imports_none()
{
	local names=$*

	if nm -Du --format=posix "$lib" | grep -E "^(${names// /|})[@ ]"; then
		return 1
	fi
}

OUTPUT_AND_EXIT="exit _exit abort printf puts fputs fprintf perror syslog"

check_page_lints_clean()
{
	pages_lint_clean "$name.7"
}

check_uninstall_undoes_install()
{
	uninstall_undoes_install "lib/$name.so" "lib/$name.so.1" "share/man/man7/$name.7"
}
