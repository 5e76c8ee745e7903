#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Checks the exports and imports of the built libafsync-posix, and its behaviour without the device.
# Usage: check.sh BUILD-FOLDER
# Prints TAP, one line for each check, with its output as comments. Exit 0 only if all
# passed.
# shellcheck disable=SC1091,SC2034,SC2119,SC2154 # for and from the sourced files

set -euo pipefail

name=libafsync-posix
src=$(cd "$(dirname "$0")" && pwd)
out=$1
. "$src/../afsync-dropin/check.sh"

# glibc_names [OPTION]: the names of the asynchronous I/O functions of the C library that
# programs compiled with OPTION link with.
glibc_names()
{
	local libc
	# shellcheck disable=SC2086 # a command and its options
	libc=$($cc "$@" -print-file-name=libc.so.6)
	readelf --dyn-syms -W "$libc" | awk '{ print $8 }' |
		grep -E '^(aio_|lio_|__aio_suspend_time64)' | sed 's/@.*//' | sort -u
}

exported()
{
	nm -D --defined-only --format=posix "$1" | awk '{ print $1 }' | sort -u
}

check_names_are_those_of_glibc()
{
	[ -n "$(glibc_names)" ]
	diff <(glibc_names) <(exported "$lib")
}

check_names_have_no_version()
{
	if exported "$lib" | grep '@'; then
		return 1
	fi
}

check_map_is_what_is_exported()
{
	diff <(grep -oE '^ +[a-z0-9_]+;' "$out/$name.map" | tr -d ' ;' | sort) <(exported "$lib")
}

# That of 32 bits has one more.
names_of_32_bit_are_right()
{
	glibc_names -m32 | grep -q '^__aio_suspend_time64$'
	diff <(glibc_names -m32) <(exported "$1")
}

# layers: the files in the list of posix.h, from the highest to the lowest.
layers()
{
	sed -nE 's/^ \*\t([a-z]+)\.c\t.*/\1/p' "$src/posix.h"
}

check_files_call_only_those_below_them()
{
	local file

	diff <(layers | sort) <(cd "$src" && printf '%s\n' *.c | sed 's/\.c$//' | sort)
	: > "$tmp/above"
	for file in $(layers); do
		if nm -u --format=posix "$out/$file.o" | awk '{ print $1 }' |
			grep -Fxf "$tmp/above"; then
			echo "a file above $file.c has that"
			return 1
		fi
		nm --defined-only --extern-only --format=posix "$out/$file.o" |
			awk '{ print $1 }' >> "$tmp/above"
	done
	[ -s "$tmp/above" ]
}

check_needs_only_the_c_library()
{
	needs_only libc libdl libpthread
}

check_no_exit_and_no_stdio()
{
	# shellcheck disable=SC2086 # a list
	imports_none $OUTPUT_AND_EXIT
}

# A program that is built as for glibc: a write, a sync after it, and the result.
program()
{
	cat > "$tmp/program.c" <<'END'
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct aiocb write = { .aio_buf = "x", .aio_nbytes = 1 }, sync = { 0 };
	const struct aiocb *list[] = { &write, NULL, &sync };
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0600);

	write.aio_fildes = sync.aio_fildes = fd;
	if (fd < 0 || aio_write(&write) || aio_fsync(O_DSYNC, &sync))
		return 1;
	while (aio_error(&write) == EINPROGRESS || aio_error(&sync) == EINPROGRESS)
		aio_suspend(list, 3, NULL);
	return aio_return(&write) != 1 || aio_return(&sync);
}
END
	$cc -Wall -Wextra -Werror "$tmp/program.c" "$@" -o "$tmp/program"
}

check_preloaded_program_runs()
{
	program
	LD_PRELOAD=$lib AFSYNC_VERBOSE=1 "$tmp/program" "$tmp/file" 2> "$tmp/said"
	grep -qE '^libafsync-posix: (using /dev/afsync|no /dev/afsync \(.*\): glibc)' "$tmp/said"
}

check_linked_program_runs()
{
	program -L"$out" -lafsync-posix
	LD_LIBRARY_PATH=$out "$tmp/program" "$tmp/file"
}

check_says_nothing_unasked()
{
	program
	LD_PRELOAD=$lib "$tmp/program" "$tmp/file" 2> "$tmp/said"
	[ ! -s "$tmp/said" ]
}

run_checks
