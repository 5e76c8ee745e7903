#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Runs the unit tests of libafsync-libaio and checks the exports and imports of the built
# library, and its behaviour without the device.
# Usage: check.sh BUILD-FOLDER TEST...
# LIBAIO is the libaio.so.1 to compare with (the system's).
# Prints TAP: one line for each test program or check, with its output as comments. Exit 0
# only if all passed.
# shellcheck disable=SC1091,SC2034,SC2119,SC2154 # for and from the sourced files

set -euo pipefail

name=libafsync-libaio
src=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
. "$src/../afsync-dropin/check.sh"
libaio=${LIBAIO:-$($cc -print-file-name=libaio.so.1)}

# The functions of a library with their versions, one per line: io_submit@@LIBAIO_0.1.
functions()
{
	readelf --dyn-syms -W "$1" |
		awk '$4 == "FUNC" && $7 != "UND" { print $8 }' | sort -u
}

# Its versions, and which one follows which.
versions()
{
	readelf -V -W "$1" | awk '
		/^Version definition section/ { on = 1 }
		/^Version needs section/ { on = 0 }
		on && / Name: LIBAIO/ { sub(/.* Name: /, ""); print }
		on && /Parent/ { sub(/.* Parent/, "Parent"); print }'
}

check_functions_and_versions_are_those_of_libaio()
{
	[ -e "$libaio" ] || { echo "no $libaio"; return 1; }
	functions "$libaio" | grep -q '^io_submit@@LIBAIO_0.1$'
	diff <(functions "$libaio") <(functions "$lib")
}

# Names that Debian 13 added to libaio for 32-bit programs; programs of Debian 12 do not need them.
names_of_32_bit_are_right()
{
	diff <({
		functions "$libaio"
		echo io_getevents_time64@@LIBAIO_0.6
		echo io_pgetevents_time64@@LIBAIO_0.6
	} | sort) <(functions "$1")
}

check_versions_inherit_as_in_libaio()
{
	versions "$libaio" | grep -q LIBAIO_0.5
	diff <(versions "$libaio") <(versions "$lib")
}

check_uninstall_undoes_install()
{
	uninstall_undoes_install "lib/$name.so" "lib/$name.so.1" lib/afsync/libaio.so.1 \
		"share/man/man7/$name.7"
}

check_needs_only_the_c_library()
{
	needs_only libc libpthread
}

check_no_exit_no_stdio_and_no_malloc()
{
	# shellcheck disable=SC2086 # a list
	imports_none $OUTPUT_AND_EXIT malloc calloc
}

# A program that is built for libaio: a write and a sync after it.
program()
{
	cat > "$tmp/program.c" <<'END'
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	struct iocb iocbs[2], *list[] = { &iocbs[0], &iocbs[1] };
	struct io_event events[2];
	io_context_t ctx = NULL;
	FILE *file = tmpfile();

	if (argc != 1 || !argv[0] || !file || io_queue_init(2, &ctx))
		return 1;
	io_prep_pwrite(&iocbs[0], fileno(file), "text", 4, 0);
	io_prep_fsync(&iocbs[1], fileno(file));
	if (io_submit(ctx, 2, list) != 2 || io_getevents(ctx, 2, 2, events, NULL) != 2)
		return 2;
	if ((long)(events[0].res + events[1].res) != 4 || io_queue_run(ctx) != 0)
		return 3;
	return io_queue_release(ctx) ? 4 : 0;
}
END
	$cc -Wall -Wextra -Werror -o "$tmp/program" "$tmp/program.c" "$@"
}

# Here only the device is missing. In a VM that has it, this tests more.
check_runs_a_program_of_libaio()
{
	program -laio
	LD_PRELOAD=$lib "$tmp/program"
	LD_PRELOAD=$lib LD_DEBUG=bindings "$tmp/program" 2>&1 |
		grep "symbol .io_submit' \[LIBAIO_0.1\]" | grep -q "to $lib"
}

check_can_be_linked_in_place_of_libaio()
{
	program -L"$out" -lafsync-libaio
	if readelf -d "$tmp/program" | grep 'NEEDED.*\[libaio'; then
		return 1
	fi
	LD_LIBRARY_PATH=$out "$tmp/program"
}

check_says_that_there_is_no_device_only_if_asked()
{
	[ ! -e /dev/afsync ] || return 0
	program -laio
	LD_PRELOAD=$lib "$tmp/program" 2> "$tmp/quiet"
	LD_PRELOAD=$lib AFSYNC_VERBOSE=1 "$tmp/program" 2> "$tmp/verbose"
	[ ! -s "$tmp/quiet" ] || { cat "$tmp/quiet"; return 1; }
	[ "$(wc -l < "$tmp/verbose")" = 1 ]
	grep -q '^libafsync-libaio: no /dev/afsync (.*): ' "$tmp/verbose"
}

# The one that afsync exec preloads.
check_preloaded_library_is_the_same_but_for_its_name()
{
	local other=$out/afsync/libaio.so.1

	readelf -d "$other" | grep -q 'soname: \[libaio.so.1\]'
	diff <(functions "$lib") <(functions "$other")
	diff <(versions "$lib") <(versions "$other")
}

# A program that gets libaio only by dlopen(), like bindings of other languages. It
# prints the libraries of the functions that it gets.
dlopen_program()
{
	cat > "$tmp/dlopen.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	static const char * const names[][2] = {
		{ "io_submit", "LIBAIO_0.1" }, { "io_cancel", "LIBAIO_0.1" },
		{ "io_cancel", "LIBAIO_0.4" }, { "io_getevents", "LIBAIO_0.1" },
		{ "io_getevents", "LIBAIO_0.4" }, { "io_pgetevents", "LIBAIO_0.5" },
	};
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;
	void *functions[2];
	Dl_info info;
	unsigned int i, j;

	if (!library)
		return 1;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		functions[0] = dlsym(library, names[i][0]);
		functions[1] = dlvsym(library, names[i][0], names[i][1]);
		for (j = 0; j < 2; j++) {
			if (!functions[j] || !dladdr(functions[j], &info))
				return 2;
			puts(info.dli_fname);
		}
	}
	return 0;
}
END
	$cc -Wall -Wextra -Werror -o "$tmp/dlopen" "$tmp/dlopen.c" -ldl
}

check_preloaded_library_is_what_dlopen_of_libaio_finds()
{
	local other=$out/afsync/libaio.so.1

	dlopen_program
	LD_PRELOAD=$other "$tmp/dlopen" libaio.so.1 | sort -u > "$tmp/found"
	[ "$(cat "$tmp/found")" = "$other" ] || { cat "$tmp/found"; return 1; }
	# a library that is named by its path is that file
	LD_PRELOAD=$other "$tmp/dlopen" "$libaio" | sort -u > "$tmp/found"
	[ "$(cat "$tmp/found")" = "$libaio" ] || { cat "$tmp/found"; return 1; }
}

check_preloaded_library_answers_for_a_linked_libaio()
{
	program -laio
	LD_PRELOAD=$out/afsync/libaio.so.1 LD_DEBUG=files "$tmp/program" 2> "$tmp/files"
	if grep 'calling init' "$tmp/files" | grep -F "$(basename "$libaio")" |
			grep -v "$out/afsync/"; then
		return 1
	fi
	# with both names of the library as well
	program -Wl,--no-as-needed -L"$out" -lafsync-libaio -laio
	LD_LIBRARY_PATH=$out LD_PRELOAD=$out/afsync/libaio.so.1 "$tmp/program"
}

run_checks "$@"
