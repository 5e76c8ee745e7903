#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Run the unit tests of libafsync and check what the built library exports.
# Usage: run.sh BUILD-FOLDER TEST...
# Prints TAP: one line per test program or check, with its own output as comments.
# Exit 0 only if all of them passed.
set -euo pipefail

src=$(cd "$(dirname "$0")/.." && pwd)
out=$1
shift
cc=${CC:-cc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Functions that the public header declares, one per line.
declared()
{
	printf '#include <libafsync.h>\n' |
		$cc -I"$src/../../../include/uapi" -I"$src" -E -P -x c - |
		tr '\n' ' ' | grep -oE '\bafsync_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u
}

# Names in the global section of the map, one per line.
mapped()
{
	grep -oE '^[[:space:]]+afsync_[a-z0-9_]+;' "$src/libafsync.map" |
		tr -d '\t ;' | sort -u
}

exported()
{
	nm -D --defined-only --format=posix "$out/libafsync.so" |
		awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort -u
}

check_map_is_the_header()
{
	diff <(declared) <(mapped)
}

check_shared_library_exports_the_header()
{
	diff <(declared) <(exported)
}

check_static_library_symbols_have_the_prefix()
{
	local names
	names=$(nm --defined-only --extern-only --format=posix "$out/libafsync.a" |
		awk 'NF > 1 { print $1 }' | sort -u)
	grep -q '^afsync_' <<< "$names"
	if grep -v '^afsync_' <<< "$names"; then
		return 1
	fi
}

check_soname()
{
	readelf -d "$out/libafsync.so" | grep -q 'soname: \[libafsync.so.1\]'
}

check_no_text_output_and_no_exit()
{
	# A library that prints or ends the program would have to import these.
	if nm -u --format=posix "$out/libafsync.a" |
	   grep -E '^(exit|_exit|abort|printf|puts|fputs|fprintf|perror|write|syslog|__.*printf_chk) '; then
		return 1
	fi
}

check_atomics_are_in_ring_h_only()
{
	if grep -lE 'atomic_|__sync_|stdatomic' "$src"/*.[ch] | grep -v '/ring\.h$'; then
		return 1
	fi
}

check_header_compiles_as_c_and_cpp()
{
	local ret=0 std

	printf '#include <libafsync.h>\n' > "$tmp/h.c"
	for std in c99 c11 gnu17; do
		$cc -std=$std -pedantic -Wall -Wextra -Wshadow -Werror -fsyntax-only \
			-I"$src/../../../include/uapi" -I"$src" "$tmp/h.c" || ret=1
	done
	for std in c++11 c++17 c++20; do
		${CXX:-c++} -std=$std -pedantic -Wall -Wextra -Wshadow -Werror -fsyntax-only \
			-I"$src/../../../include/uapi" -I"$src" -x c++ "$tmp/h.c" || ret=1
	done
	return $ret
}

check_pages_name_every_function()
{
	local name ret=0 man=$src/../../../Documentation/man

	for name in $(declared) afsync_for_each_cqe; do
		if [ ! -f "$man/$name.3" ]; then
			echo "no manual page $name.3"
			ret=1
		fi
	done
	return $ret
}

# The errors that the header names for the functions of a page, one per line.
errors_in_header()
{
	local name
	for name in "$@"; do
		awk -v want="^ \\* $name\\\\(\\\\) - " '
			$0 ~ want { on = 1 }
			on && /^ \* Return:/ { ret = 1 }
			on && ret { print }
			on && /\*\// { exit }' "$src/libafsync.h"
	done | grep -oE -- '-E[A-Z0-9]+' | tr -d - | sort -u
}

errors_in_page()
{
	sed -n '/^\.SH ERRORS/,/^\.SH NOTES/s/^\.B \(E[A-Z0-9]*\)$/\1/p' "$1" | sort -u
}

check_pages_list_the_errors_of_the_header()
{
	local page names ret=0

	for page in "$src"/../../../Documentation/man/afsync_*.3; do
		[ ! -L "$page" ] || continue
		names=$(sed -n '/^\.SH NAME/,/ \\- /p' "$page" | grep -oE '^afsync_[a-z0-9_]+')
		# shellcheck disable=SC2086
		diff --label "${page##*/}" --label libafsync.h -u \
			<(errors_in_page "$page") <(errors_in_header $names) || ret=1
	done
	return $ret
}

check_pages_lint_clean()
{
	local man=$src/../../../Documentation/man

	command -v mandoc > /dev/null || { echo 'mandoc is not installed'; return 1; }
	(cd "$man" && mandoc -Tlint -Wwarning libafsync.7 afsync_*.3)
}

check_examples_build_and_have_less_than_100_lines()
{
	local f

	for f in "$src"/../../afsync/examples/*.c; do
		$cc -std=gnu11 -Wall -Wextra -Werror -pthread -I"$src/../../../include/uapi" \
			-I"$src" "$f" "$out/libafsync.a" -o "$tmp/example"
		[ "$(wc -l < "$f")" -lt 100 ] || { echo "$f is too long"; return 1; }
	done
}

check_uninstall_undoes_install()
{
	local left
	make -s -C "$src" install O="$out" DESTDIR="$tmp/root" prefix=/usr > /dev/null
	for left in lib/libafsync.so lib/libafsync.a include/libafsync.h \
		    include/linux/afsync.h share/man/man7/libafsync.7; do
		[ -e "$tmp/root/usr/$left" ] || { echo "not installed: $left"; return 1; }
	done
	printf '#include <libafsync.h>\nint main(void) { return !afsync_version(); }\n' > "$tmp/p.c"
	$cc -I"$tmp/root/usr/include" "$tmp/p.c" -L"$tmp/root/usr/lib" -lafsync -o "$tmp/p"
	LD_LIBRARY_PATH=$tmp/root/usr/lib "$tmp/p"
	make -s -C "$src" uninstall O="$out" DESTDIR="$tmp/root" prefix=/usr > /dev/null
	left=$(find "$tmp/root" ! -type d)
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

checks=$(compgen -A function check_)
nr=0
bad=0
result()
{
	local status=$1 name=$2

	nr=$((nr + 1))
	if [ "$status" -eq 0 ]; then
		echo "ok $nr libafsync: $name"
	else
		echo "not ok $nr libafsync: $name"
		bad=$((bad + 1))
	fi
}

echo 'TAP version 13'
echo "1..$(($# + $(wc -w <<< "$checks")))"
for t in "$@"; do
	status=0
	"$out/tests/$t" > "$tmp/log" 2>&1 || status=$?
	sed 's/^/# /' "$tmp/log"
	result "$status" "$t"
done
for t in $checks; do
	status=0
	# In a shell of its own: set -e does not act in a function whose result is tested.
	(set -e; "$t") > "$tmp/log" 2>&1 & wait $! || status=$?
	sed 's/^/# /' "$tmp/log"
	result "$status" "$t"
done
[ "$bad" -eq 0 ]
