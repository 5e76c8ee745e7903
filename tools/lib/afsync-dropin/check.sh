# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
#
# The checks that both drop-in libraries have to pass. Sourced, see ../check.sh.
# shellcheck disable=SC2034,SC2154 # set, and used, by the sourcing script

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

# For 32-bit programs, with either size of time_t and off_t: no warning, and the names.
check_32_bit_library_builds_and_has_all_names()
{
	local flags m32=$tmp/m32

	echo 'int main(void) { return 0; }' > "$tmp/m.c"
	if ! $cc -m32 "$tmp/m.c" -o "$tmp/m" 2> /dev/null; then
		echo 'SKIP: no 32-bit C library (gcc-multilib)'
		return
	fi
	for flags in '' '-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64'; do
		rm -rf "$m32"
		make -s -C "$src" O="$m32" CC="$cc -m32" all \
			CFLAGS="-O2 -Wall -Wextra -Werror $flags" > "$tmp/made" 2>&1 ||
			{ cat "$tmp/made"; return 1; }
		names_of_32_bit_are_right "$m32/$name.so.1"
	done
}

check_page_lints_clean()
{
	pages_lint_clean "$name.7"
}

check_uninstall_undoes_install()
{
	uninstall_undoes_install "lib/$name.so" "lib/$name.so.1" "share/man/man7/$name.7"
}
