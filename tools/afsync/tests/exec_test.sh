#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# afsync exec: the libraries that a program runs under, its end, and the output of
# --stats. The libraries are stand-ins from fake_dropin.c: libafsync-posix counts 1
# fsync, and libafsync-libaio 2, for each program that is loaded. No device is needed.
# Prints TAP.
#
# Usage: exec_test.sh AFSYNC

. "$(dirname "$0")/claims.sh" "${1:?usage: exec_test.sh AFSYNC}"

libs=$(dirname "$afsync")/tests/lib
posix=$libs/libafsync-posix.so.1
libaio=$libs/libafsync-libaio.so.1
unset LD_PRELOAD AFSYNC_STATS AFSYNC_VERBOSE
export AFSYNC_LIBDIR=$libs

# run ARG...: runs afsync exec; leaves status, and output and errors in files.
run() {
	status=0
	"$afsync" exec "$@" >out 2>err || status=$?
}

# counted FILE LABEL: the number there.
counted() { sed -n "s/^$2: *\([0-9]*\)$/\1/p" "$1"; }

usage_error() {
	local message=$1
	shift
	run "$@" && [[ $status == 125 && ! -s out ]] && grep -qF -- "$message" err &&
		grep -q "Try 'afsync exec --help'" err
}

no_program() { usage_error "no PROGRAM given" && usage_error "no PROGRAM given" --stats --; }
unknown_option() { usage_error "nonsense" --nonsense true; }

help_text() {
	run --help && [[ $status == 0 && ! -s err ]] &&
		grep -q -- "--stats" out && grep -q -- "--help" out
}

full_output() {
	status=0
	"$afsync" exec --help >/dev/full 2>err || status=$?
	[[ $status == 125 ]] && grep -q 'standard output: No space left' err
}

options_of_the_program() {
	run sh -c 'echo "$1"' sh --stats && [[ $(<out) == --stats ]] || return 1
	run -- printf %s --help && [[ $(<out) == --help ]]
}

own_status() {
	run sh -c 'exit 7' && [[ $status == 7 ]] &&
		run --stats sh -c 'exit 7' && [[ $status == 7 ]]
}

signal_status() {
	run sh -c 'kill -9 $$' && [[ $status == 137 ]] &&
		run --stats sh -c 'kill -9 $$' && [[ $status == 137 ]]
}

not_found() {
	local option
	for option in -- --stats; do
		run "$option" ./missing && [[ $status == 127 && ! -s out ]] &&
			[[ $(<err) == "afsync: ./missing: No such file or directory" ]] || return 1
	done
}

not_executable() {
	local option
	: >plain
	for option in -- --stats; do
		run "$option" ./plain && [[ $status == 126 && ! -s out ]] &&
			[[ $(<err) == "afsync: ./plain: Permission denied" ]] || return 1
	done
}

both_are_loaded() {
	AFSYNC_VERBOSE=1 run true && [[ $status == 0 ]] &&
		[[ $(sort err) == $'libafsync-libaio: loaded\nlibafsync-posix: loaded' ]]
}

silent_unless_asked() {
	run true && [[ $status == 0 && ! -s out && ! -s err ]] &&
		AFSYNC_VERBOSE=0 run true && [[ ! -s err ]] &&
		AFSYNC_VERBOSE='' run true && [[ ! -s err ]]
}

goes_first() {
	run printenv LD_PRELOAD && [[ $(<out) == "$posix:$libaio" ]] || return 1
	cp "$posix" other.so
	LD_PRELOAD=$dir/other.so run printenv LD_PRELOAD &&
		[[ $(<out) == "$posix:$libaio:$dir/other.so" ]]
}

# layout BIN LIB-OF-POSIX LIB-OF-LIBAIO: a copy of the command, and libraries beside it.
layout() {
	rm -rf tree
	mkdir -p "tree/$1" "tree/$2" "tree/$3"
	cp "$afsync" "tree/$1"
	cp "$posix" "tree/$2"
	cp "$libaio" "tree/$3"
	status=0
	env -u AFSYNC_LIBDIR "tree/$1/afsync" exec printenv LD_PRELOAD >out 2>err || status=$?
	[[ $status == 0 ]] &&
		[[ $(<out) == "$dir/tree/$2/libafsync-posix.so.1:$dir/tree/$3/libafsync-libaio.so.1" ]]
}

found_in_the_build() { layout tools/afsync tools/lib/afsync-posix tools/lib/afsync-libaio; }
found_beside_the_installation() { layout bin lib lib; }

# As libaio.so.1: then a program that opens libaio by dlopen() gets it, too.
libaio_under_its_own_name() {
	mkdir -p both/afsync
	cp "$posix" "$libaio" both
	cp "$libaio" both/afsync/libaio.so.1
	AFSYNC_LIBDIR=both run printenv LD_PRELOAD &&
		[[ $(<out) == "$dir/both/libafsync-posix.so.1:$dir/both/afsync/libaio.so.1" ]]
}

relative_folder() {
	AFSYNC_LIBDIR=$(realpath --relative-to=. "$libs") run printenv LD_PRELOAD &&
		[[ $(<out) == "$posix:$libaio" ]]
}

missing_libraries() {
	AFSYNC_LIBDIR=/nowhere run true && [[ $status == 125 ]] &&
		[[ $(<err) == "afsync: AFSYNC_LIBDIR: no libafsync-posix.so.1 in '/nowhere'" ]] ||
		return 1
	mkdir -p alone half
	cp "$afsync" alone
	cp "$posix" half
	AFSYNC_LIBDIR=half run true && [[ $status == 125 ]] &&
		grep -q 'no libafsync-libaio.so.1' err || return 1
	[[ ! -e /usr/local/lib/libafsync-posix.so.1 ]] || return 0
	status=0
	env -u AFSYNC_LIBDIR alone/afsync exec true >out 2>err || status=$?
	[[ $status == 125 ]] && grep -q "'make lib', install it, or set AFSYNC_LIBDIR" err
}

path_with_space() {
	mkdir -p "two words"
	cp "$posix" "$libaio" "two words"
	AFSYNC_LIBDIR="two words" run true && [[ $status == 125 ]] &&
		grep -q 'no path with a space' err
}

stats_on_standard_error() {
	local label
	run --stats echo hello && [[ $status == 0 && $(<out) == hello ]] || return 1
	for label in "posix fsync:1" "posix fdatasync:0" "posix read:0" "posix write:0" \
		"posix merged:0" "posix cancelled:0" "posix failed:0" "libaio fsync:0" \
		"libaio fdsync:2" "libaio other:0" "libaio cancelled:0" "libaio past:0" "elsewhere:0"; do
		[[ $(counted err "${label%:*}") == "${label#*:}" ]] || return 1
	done
	grep -Eq '^elapsed: *[0-9]+\.[0-9]{3} ms$' err || return 1
	local device=0
	[[ ! -e /sys/class/misc/afsync/stats ]] || device=4
	[[ $(grep -Ec '^device (submitted|syncs|merged|completed): *[0-9]+$' err) == "$device" ]]
}

stats_in_a_file() {
	run --stats=numbers sh -c 'echo program >&2; exit 5' &&
		[[ $status == 5 && $(<err) == program && $(counted numbers "posix fsync") == 1 ]]
}

all_processes_count() {
	run --stats=numbers sh -c '/bin/true; /bin/true; sh -c "kill -9 \$\$"; :' &&
		[[ $(counted numbers "posix fsync") == 4 && $(counted numbers "libaio fdsync") == 8 ]]
}

runs_are_apart() {
	run --stats=numbers "$afsync" exec --stats=inner true &&
		[[ $(counted inner "posix fsync") == 1 && $(counted numbers "posix fsync") == 1 ]]
}

# Without --stats it counts for the run around it.
inner_run_without_stats() {
	run --stats=numbers "$afsync" exec true && [[ $(counted numbers "posix fsync") == 2 ]]
}

stats_file_first() {
	run --stats=missing/numbers touch ran && [[ $status == 125 && ! -e ran ]] &&
		[[ $(<err) == "afsync: missing/numbers: No such file or directory" ]]
}

stats_lost() {
	run --stats=/dev/full true && [[ $status == 125 ]] &&
		grep -q '/dev/full: No space left' err || return 1
	run --stats=/dev/full sh -c 'exit 4' && [[ $status == 4 ]]
}

# A file that is no page of counters is not changed.
foreign_page() {
	local name
	head -c 4096 /dev/zero >zeroes
	cp zeroes copy
	: >empty
	for name in copy empty missing . /dev/null; do
		AFSYNC_STATS=$name run true && [[ $status == 0 && ! -s err ]] || return 1
	done
	cmp -s copy zeroes && [[ ! -s empty && ! -e missing ]]
}

# A signal sent only to afsync ends the program; the numbers are printed all the same.
# Under nohup, or in the background, this script ignores some of these signals.
signal_is_passed_on() {
	local pid signal
	mkfifo hold ready
	for signal in TERM HUP USR1; do
		env --default-signal=$signal "$afsync" exec --stats=numbers \
			sh -c 'echo >ready; exec cat' <hold >out 2>err &
		pid=$!
		exec 9>hold
		read -r <ready
		kill -$signal "$pid"
		status=0
		wait "$pid" || status=$?
		exec 9>&-
		[[ $status == $((128 + $(kill -l $signal))) && -n $(counted numbers elsewhere) ]] || return 1
	done
}

child_signal_ignored() {
	status=0
	env --ignore-signal=CHLD "$afsync" exec --stats sh -c 'exit 3' >out 2>err || status=$?
	[[ $status == 3 ]]
}

# The program finds signals as they were for afsync.
signals_as_before() {
	local state
	for state in --block-signal=TERM --ignore-signal=HUP --ignore-signal=CHLD --default-signal; do
		env $state grep -E '^Sig(Blk|Ign)' /proc/self/status >expected
		env $state "$afsync" exec --stats grep -E '^Sig(Blk|Ign)' /proc/self/status >out 2>err
		cmp -s expected out || return 1
	done
}

no_descriptors_left() {
	# shellcheck disable=SC2217
	"$afsync" exec --stats ls /proc/self/fd >out 2>err </dev/null
	# shellcheck disable=SC2217 # for the descriptor, not to read it
	ls /proc/self/fd >expected 2>/dev/null </dev/null
	cmp -s expected out
}

# The program finds them closed as well, and no message is written into a file of afsync.
closed_descriptors() {
	local option
	for option in -- --stats=numbers; do
		"$afsync" exec "$option" ls /proc/self/fd <&- >out
		ls /proc/self/fd >expected <&-
		cmp -s expected out || return 1
		"$afsync" exec "$option" ls /proc/self/fd >out 2>&-
		ls /proc/self/fd >expected 2>&-
		cmp -s expected out || return 1
		"$afsync" exec "$option" ls /proc/self/fd >out <&- 2>&-
		ls /proc/self/fd >expected <&- 2>&-
		cmp -s expected out || return 1
	done
	status=0
	"$afsync" exec --stats=numbers ./missing 2>&- || status=$?
	[[ $status == 127 && ! -s numbers ]] || return 1
	status=0
	"$afsync" exec --stats=numbers ./missing <&- >&- 2>&- || status=$?
	[[ $status == 127 && ! -s numbers ]]
}

# build NAME FLAG...: a program that says hello, or, with "start", becomes another one.
build() {
	local name=$1
	shift
	[[ -e hello.c ]] || cat >hello.c <<-'END'
		#include <stdio.h>
		#include <string.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			if (argc > 2 && !strcmp(argv[1], "start"))
				return execvp(argv[2], argv + 2);
			return puts("hello") < 0;
		}
	END
	gcc -w "$@" hello.c -o "$name" 2>/dev/null || {
		echo "# gcc cannot build with $*"
		return 1
	}
}

# without FILE WHY PROGRAM...: it runs, without the libraries, and one line says why.
without() {
	local option file=$1 why=$2
	shift 2
	for option in -- --stats=numbers; do
		AFSYNC_VERBOSE=1 run "$option" "$@" && [[ $status == 0 && $(<out) == hello ]] &&
			[[ $(<err) == "afsync: $file: $why; running it without the libraries" ]] ||
			return 1
	done
	[[ $(counted numbers "posix fsync") == 0 ]]
}

other_linker() {
	local own
	own=$(readelf -lW "$afsync" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
	cp -L "$own" ld-other.so
	build other "-Wl,--dynamic-linker=$dir/ld-other.so" || return 1
	printf '#! %s\n' "$dir/other" >script
	printf '#!%s -x\n' "$dir/script" >second
	chmod +x script second
	without ./other "its dynamic linker is $dir/ld-other.so" ./other &&
		PATH=$dir:$PATH without other "its dynamic linker is $dir/ld-other.so" other ||
		return 1
	# Scripts give it arguments.
	local name
	for name in script second; do
		AFSYNC_VERBOSE=1 run "./$name"
		[[ $(<err) == "afsync: $dir/other: its dynamic linker is "*" without the libraries" ]] ||
			return 1
	done
	# The same one by another name.
	ln -s "$own" ld-same.so
	build same "-Wl,--dynamic-linker=$dir/ld-same.so" || return 1
	run --stats=numbers ./same && [[ ! -s err && $(counted numbers "posix fsync") == 1 ]]
}

sanitizers() {
	local name
	for name in address:Address thread:Thread; do
		build "${name%:*}" "-fsanitize=${name%:*}" || continue
		without "./${name%:*}" "it is built with ${name#*:}Sanitizer" "./${name%:*}" ||
			return 1
	done
	build undefined -fsanitize=undefined || return 0
	run --stats=numbers ./undefined && [[ ! -s err && $(counted numbers "posix fsync") == 1 ]]
}

static_program() {
	build static -static || return 0
	without ./static "it is linked statically" ./static &&
		run ./static start printenv LD_PRELOAD && [[ $(<out) == "$posix:$libaio" ]]
}

other_word_size() {
	# A kernel can be without 32-bit programs, too.
	if build small -m32 && (./small) 2>/dev/null; then
		without ./small "it is a 32-bit program" ./small
		return
	fi
	# The kernel does not run a file that only claims to be a 32-bit program.
	build small && printf '\1' | dd of=small bs=1 seek=4 conv=notrunc status=none
	run ./small || :
	[[ $(head -n 1 err) == "afsync: ./small: it is a 32-bit program; running it without the libraries" ]]
}

more_rights() {
	if [[ $(id -u) != 0 ]]; then
		run su --help && [[ $status == 0 ]] &&
			[[ $(<err) == "afsync: su: it runs with more rights than its caller;"* ]]
		return
	fi
	build other-user && chown 65534 other-user && chmod 4755 other-user
	without ./other-user "it runs with more rights than its caller" ./other-user || return 1
	chown 0 other-user && chmod 4755 other-user
	run ./other-user && [[ $(<out) == hello && ! -s err ]]
}

doubtful() {
	local own size
	build whole
	# The dynamic linker is a program, too, and loads the libraries in LD_PRELOAD.
	own=$(readelf -lW whole | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
	run --stats=numbers "$own" ./whole && [[ $(<out) == hello && ! -s err ]] &&
		[[ $(counted numbers "posix fsync") == 1 ]] || return 1
	chmod 4 whole
	[[ $(id -u) == 0 ]] || { run ./whole && ! grep -q libraries err; } || return 1
	for size in 0 3 4 16 60 100 300; do
		head -c "$size" whole >short 2>/dev/null
		chmod 755 short
		run ./short
		! grep -q libraries err || return 1
	done
}

# shellcheck disable=SC2016 # a script for the shell that runs it
claim "no_program_is_a_usage_error" no_program
claim "unknown_option_is_a_usage_error" unknown_option
claim "help_names_every_option" help_text
claim "help_that_cannot_be_written_is_a_failure" full_output
claim "options_behind_the_program_are_its_own" options_of_the_program
claim "the_status_is_that_of_the_program" own_status
claim "a_killed_program_gives_128_and_the_signal" signal_status
claim "a_missing_program_gives_127" not_found
claim "a_program_that_cannot_be_run_gives_126" not_executable
claim "both_libraries_are_loaded" both_are_loaded
claim "nothing_is_said_unless_asked_for" silent_unless_asked
claim "the_libraries_go_before_others" goes_first
claim "the_libraries_are_found_in_the_build" found_in_the_build
claim "the_libraries_are_found_in_the_installation" found_beside_the_installation
claim "libaio_is_preloaded_under_its_own_name" libaio_under_its_own_name
claim "a_relative_folder_becomes_absolute" relative_folder
claim "missing_libraries_are_told_with_what_to_do" missing_libraries
claim "a_path_that_cannot_be_preloaded_is_refused" path_with_space
claim "stats_go_to_standard_error" stats_on_standard_error
claim "stats_go_to_a_file" stats_in_a_file
claim "children_and_killed_processes_count" all_processes_count
claim "a_run_inside_a_run_counts_for_itself" runs_are_apart
claim "a_run_without_stats_counts_for_the_one_around_it" inner_run_without_stats
claim "a_file_that_cannot_be_opened_is_told_before_the_run" stats_file_first
claim "numbers_that_cannot_be_written_are_a_failure" stats_lost
claim "a_file_that_is_no_page_of_counters_stays_as_it_is" foreign_page
claim "a_signal_to_afsync_reaches_the_program" signal_is_passed_on
claim "an_ignored_child_signal_does_not_matter" child_signal_ignored
claim "the_program_finds_signals_as_they_were" signals_as_before
claim "the_program_gets_no_descriptor" no_descriptors_left
claim "descriptors_that_were_closed_stay_closed_and_get_no_file" closed_descriptors
claim "a_program_of_another_dynamic_linker_runs_without_the_libraries" other_linker
claim "a_program_with_a_sanitizer_runs_without_the_libraries" sanitizers
claim "a_static_program_is_told_and_what_it_starts_is_served" static_program
claim "a_program_of_another_word_size_runs_without_the_libraries" other_word_size
claim "a_program_that_gains_rights_is_told" more_rights
claim "a_program_that_cannot_be_judged_runs_as_ever" doubtful
end_of_claims
