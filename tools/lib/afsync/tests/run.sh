#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Runs the unit tests of libafsync and checks the exports of the built library.
# Usage: run.sh BUILD-FOLDER TEST...
# Prints TAP: one line per test program or check, with its own output as comments.
# Exit 0 only if all of them passed.
# shellcheck disable=SC1091,SC2034,SC2119,SC2154 # for and from the sourced files

set -euo pipefail

name=libafsync
src=$(cd "$(dirname "$0")/.." && pwd)
out=$1
shift
. "$src/../check.sh"

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

check_no_text_output_and_no_exit()
{
	# A library that prints or ends the program would have to import these. For
	# AFSYNC_VERBOSE engine.o has fprintf.
	if nm -u --format=posix "$out/libafsync.a" |
	   awk '/\[.*\]:$/ { engine = /\[engine\.o\]/ } !(engine && /fprintf/)' |
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

# The library, and the tests of its arithmetic, as a 32-bit program of either time_t.
check_32_bit_builds_without_a_warning()
{
	local flags runs=

	echo 'int main(void) { return 0; }' > "$tmp/m.c"
	if ! $cc -m32 "$tmp/m.c" -o "$tmp/m" 2> /dev/null; then
		echo 'SKIP: no 32-bit C library (gcc-multilib)'
		return
	fi
	# Some kernels do not run it.
	"$tmp/m" 2> /dev/null || { echo 'not run: this kernel has no 32-bit programs'; runs=:; }
	for flags in '' '-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64'; do
		# shellcheck disable=SC2086
		$cc -m32 -O2 -std=gnu11 -Wall -Wextra -Wshadow -Wpointer-arith -Werror $flags \
			-I"$src/../../../include/uapi" -I"$src" \
			"$src"/*.c "$src/tests/header_test.c" -o "$tmp/m"
		$runs "$tmp/m"
	done
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
	local pages=("$src"/../../../Documentation/man/afsync_*.3)

	pages_lint_clean libafsync.7 "${pages[@]##*/}"
}

check_examples_build_and_have_less_than_100_lines()
{
	local f

	for f in "$src"/../../afsync/examples/*.c; do
		$cc -std=gnu11 -Wall -Wextra -Werror -pthread -I"$src/../../../include/uapi" \
			-I"$src" "$f" "$out/libafsync.a" -o "$tmp/example"
	done
	for f in "$src"/../../afsync/examples/*.*; do
		[ "$(wc -l < "$f")" -lt 100 ] || { echo "$f is too long"; return 1; }
	done
}

# On the threads of the library, whose fsync() python_gate.c stops. The selftests run it on
# the device.
check_python_module()
{
	command -v python3 > /dev/null || { echo 'SKIP: no python3'; return; }
	$cc -O2 -Wall -Wextra -Werror -shared -fPIC -pthread "$src/tests/python_gate.c" \
		-o "$tmp/gate.so"
	mkdir "$tmp/python"
	CC=$cc AFSYNC_ENGINE=threads TEST_DIR=$tmp/python LD_LIBRARY_PATH=$out \
		LD_PRELOAD=$tmp/gate.so python3 -W error "$src/tests/python_test.py"
}

# It is installed where the Python that finds modules below /usr looks for them.
check_python_module_is_installed()
{
	[ -x /usr/bin/python3 ] || { echo 'SKIP: no /usr/bin/python3'; return; }
	make -s -C "$src" install O="$out" DESTDIR="$tmp/dest" prefix=/usr \
		PYTHON=/usr/bin/python3 > /dev/null
	LD_LIBRARY_PATH=$tmp/dest/usr/lib PYTHONPATH=$(dirname "$tmp"/dest/usr/lib/*/*/afsync.py) \
		/usr/bin/python3 -c 'import afsync; print(afsync.__file__, afsync.version())'
	make -s -C "$src" uninstall O="$out" DESTDIR="$tmp/dest" prefix=/usr \
		PYTHON=/usr/bin/python3 > /dev/null
	if find "$tmp/dest" ! -type d | grep .; then
		return 1
	fi
}

check_python_types()
{
	command -v mypy > /dev/null || { echo 'SKIP: no mypy'; return; }
	mypy --strict --python-version 3.9 --cache-dir "$tmp/mypy" "$src/python/afsync.py"
}

# example LANGUAGE COMPILER: the example in a language other than C, on the threads of the library.
example()
{
	command -v "$2" > /dev/null || { echo "SKIP: no $2"; return; }
	mkdir -p "$tmp/$1"
	make -s --no-print-directory -C "$src/../../afsync/examples" O="$tmp/$1" LIB_O="$out" "$1"
}

check_example_in_rust()
{
	example rust rustc || return
	[ -x "$tmp/rust/many_files_rust" ] || return 0
	cd "$tmp/rust"
	export AFSYNC_ENGINE=threads
	seq 1000 | split -l 10 -a 3 - part
	./many_files_rust . part*
	! ./many_files_rust partaaa missing /dev/null 2> said || return 1
	[ "$(wc -l < said)" = 2 ]
}

check_example_in_go()
{
	example go go || return
	[ -x "$tmp/go/group_commit_go" ] || return 0
	cd "$tmp/go"
	AFSYNC_ENGINE=threads ./group_commit_go log > said
	[ "$(wc -l < log)" = 1600 ] && [ "$(sort -u log | wc -l)" = 1600 ]
	grep -qE '^1600 records durable with [0-9]+ syncs$' said
}

# installed PREFIX: a program can be built with the installed files.
installed()
{
	printf '#include <libafsync.h>\nint main(void) { return !afsync_version(); }\n' > "$tmp/p.c"
	$cc -I"$1/include" "$tmp/p.c" -L"$1/lib" -lafsync -o "$tmp/p"
	LD_LIBRARY_PATH=$1/lib "$tmp/p"
}

check_uninstall_undoes_install()
{
	uninstall_undoes_install lib/libafsync.so lib/libafsync.a include/libafsync.h \
		include/linux/afsync.h share/man/man7/libafsync.7
}

run_checks "$@"
