#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line of afsync, and its behaviour without a device. On a machine with a
# device, the tests are skipped: selftests/afsync/command_test.c tests that. Prints
# TAP.
#
# Usage: command_line_test.sh AFSYNC

. "$(dirname "$0")/claims.sh" "${1:?usage: command_line_test.sh AFSYNC}"

# With AFSYNC_VERBOSE.
note="afsync: /dev/afsync: No such file or directory: threads of the library sync"

# run ARG...: runs afsync; leaves status, and output and errors in files.
run() {
	status=0
	"$afsync" "$@" >out 2>err || status=$?
}

# err_is LINE...: the messages.
err_is() {
	if [[ $# = 0 ]]; then [[ ! -s err ]]; else printf '%s\n' "$@" | cmp -s - err; fi
}

usage_error() {
	local message=$1
	shift
	run "$@" && [[ $status == 2 && ! -s out ]] && grep -qF -- "$message" err &&
		grep -q "Try 'afsync --help'" err
}

data_and_file_system() { usage_error "--data and --file-system" -d -f .; }
recursive_file_system() { usage_error "--recursive and --file-system" -rf .; }
one_file_system_alone() { usage_error "needs --recursive" -x .; }
list_and_operands() { usage_error "exclude each other" --files0-from=- file; }
no_file() { usage_error "no FILE given"; }
unknown_option() { usage_error "nonsense" --nonsense file; }
info_with_file() {
	run info file && [[ $status == 2 && ! -s out ]] && grep -qF "./info" err &&
		grep -q "Try 'afsync info --help'" err
}

top_usage() {
	local args
	for args in file --interval=0 --interval=x --interval=1e9 --count=0 --count=-1 --nonsense; do
		run top "$args" && [[ $status == 2 && ! -s out ]] &&
			grep -q "Try 'afsync top --help'" err || return 1
	done
}
top_help_text() {
	run top --help && [[ $status == 0 && ! -s err ]] || return 1
	local option
	for option in interval count json help; do
		grep -q -- "--$option" out || return 1
	done
}
top_without_module() {
	run top && [[ $status == 1 && ! -s out ]] &&
		[[ $(head -n 1 err) == "afsync: /sys/kernel/debug/afsync/filesystems: "* ]] &&
		grep -q "^afsync: .*'modprobe afsync'" err
}

own_name() {
	local name args
	for name in '' other $'two\nlines'; do
		for args in --nonsense "info --nonsense" "exec --nonsense" "top --nonsense" \
			--files0-from; do
			# shellcheck disable=SC2086 # words
			(exec -a "$name" "$afsync" $args) >out 2>err || :
			[[ $(head -n 1 err) == "afsync: "*option* && $(wc -l <err) == 2 ]] || return 1
		done
	done
}

help_text() {
	run --help && [[ $status == 0 && ! -s err ]] || return 1
	local option
	for option in data file-system recursive one-file-system files0-from progress \
		stats help version; do
		grep -q -- "--$option" out || return 1
	done
}

info_help_text() {
	run info --help && [[ $status == 0 && ! -s err ]] && grep -q -- --json out &&
		grep -q -- --help out
}

version_text() {
	run --version && [[ $status == 0 ]] && grep -Eq '^afsync [0-9]+\.[0-9]+\.[0-9]+ ' out
}

full_output() {
	status=0
	"$afsync" --help >/dev/full 2>err || status=$?
	[[ $status == 1 ]] && grep -q 'standard output: No space left' err || return 1
	status=0
	"$afsync" --version >&- 2>err || status=$?
	[[ $status == 1 && $(<err) == "afsync: standard output: Bad file descriptor" ]] || return 1
	# Nothing to write, nothing to say.
	status=0
	"$afsync" file >&- 2>err || status=$?
	[[ $status == 0 ]] && err_is
}

silent_without_device() { run file && [[ $status == 0 ]] && err_is; }
note_on_demand() {
	AFSYNC_VERBOSE=1 run file && [[ $status == 0 ]] &&
		err_is "$note"
}
device_wanted() {
	AFSYNC_ENGINE=device run file && [[ $status == 1 ]] &&
		err_is "afsync: cannot start: No such file or directory"
}
info_without_device() {
	run info && [[ $status == 1 ]] && grep -qx "engine  *threads" out &&
		[[ $(head -n 1 err) == "afsync: /dev/afsync: No such file or directory" ]] &&
		grep -q "^afsync: .*'modprobe afsync'" err && grep -q "'make install'" err
}
file_named_info() { run ./info && [[ $status == 0 ]] && err_is; }

failing_files() {
	run missing file fifo link && [[ $status == 1 ]] &&
		err_is "afsync: missing: No such file or directory" \
			"afsync: link: No such file or directory" \
			"afsync: fifo: Invalid argument"
}

control_characters() {
	run $'a\nb' && [[ $status == 1 ]] &&
		err_is 'afsync: a\012b: No such file or directory' || return 1
	run $'\302\2332J' 'a\012b' && [[ $status == 1 ]] &&
		err_is 'afsync: \302\2332J: No such file or directory' \
			'afsync: a\\012b: No such file or directory' || return 1
	run --files0-from=$'a\nb' && [[ $status == 1 ]] &&
		[[ $(<err) == "afsync: cannot read names from 'a\\012b': No such file or directory" ]]
}

asked() { [[ $(sed -n 's/^syncs asked for: *//p' out) == "$1" ]]; }

recursive() {
	# tree, one, two, two/file; not the link, the FIFO and the target of the link
	run -r --stats tree && [[ $status == 0 ]] && err_is && asked 4
}

recursive_link_at_the_top() {
	run -r --stats to-tree && [[ $status == 0 ]] && err_is && asked 4
}

recursive_is_needed() { run --stats tree && [[ $status == 0 ]] && asked 1; }

# Longer than PATH_MAX, so only a walk reaches it.
deep_tree() {
	local name i
	name=$(printf 'd%.0s' {1..200})
	mkdir deep
	(
		cd deep
		for ((i = 0; i < 30; i++)); do
			mkdir "$name" && cd -P "$name"
		done
		: >bottom
	) 2>/dev/null
	run -r --stats deep && [[ $status == 0 ]] && asked 32
}

list() {
	run --files0-from=- --stats < <(printf 'file\0two words\0tree') &&
		[[ $status == 0 ]] && err_is && asked 3
}

list_from_file() {
	printf 'file\0' >list
	run --files0-from=list --stats && [[ $status == 0 ]] && asked 1
}

empty_list() { run --files0-from=/dev/null --stats && [[ $status == 0 ]] && asked 0; }

bad_list() {
	run --files0-from=- --stats < <(printf 'file\0\0missing\0file\0') &&
		[[ $status == 1 ]] && asked 2 &&
		err_is "afsync: -:2: empty file name" \
			"afsync: missing: No such file or directory"
}

unreadable_list() {
	run --files0-from=missing && [[ $status == 1 ]] &&
		[[ $(<err) == "afsync: cannot read names from 'missing': No such file or directory" ]]
}

list_is_directory() {
	run --files0-from=tree && [[ $status == 1 ]] && err_is "afsync: tree: Is a directory"
}

recursive_list() {
	run -r --files0-from=- --stats < <(printf 'tree\0file\0') && [[ $status == 0 ]] && asked 5
}

# More names than fit the first buffer.
long_list() {
	local i
	for ((i = 0; i < 9000; i++)); do printf '././././././././file\0'; done >list
	run -d --files0-from=list --stats && [[ $status == 0 ]] && asked 9000
}

few_descriptors() {
	(ulimit -n 8 && run -r --stats tree file && [[ $status == 0 ]] && asked 5)
}

stats_are_consistent() {
	run --stats file file file && asked 3 &&
		[[ $(sed -n 's/^syncs run: *//p' out) == 3 ]] &&
		grep -Eq '^merged: *0$' out && grep -Eq '^failed: *0$' out &&
		grep -Eq '^latency p50: *[0-9]+\.[0-9]{3} ms$' out &&
		grep -Eq '^elapsed: *[0-9]+\.[0-9]{3} ms$' out
}

operations() {
	local flag
	for flag in -d --data -f --file-system; do
		run "$flag" file && [[ $status == 0 ]] || return 1
	done
}

progress_in_a_pipe() {
	run file && ! grep -q '%' err &&
		run -p file && grep -q '^afsync: 1 of 1 synced$' err
}

progress_on_a_terminal() {
	status=0
	SHELL=/bin/sh script -qec "'$afsync' -p file file" /dev/null >out 2>err </dev/null || status=$?
	[[ $status == 0 ]] && grep -q '=\] 100%  2/2' out
}

# terminal COLUMNS ARG...: afsync on a terminal of that width.
terminal() {
	status=0
	SHELL=/bin/sh script -qec "stty cols $1 && '$afsync' ${*:2}" /dev/null \
		>out 2>err </dev/null || status=$?
	[[ $status == 0 ]]
}

# Each drawing of the progress is shorter than a line.
narrow_terminal() {
	local columns
	for columns in 1 2 9 15 19 20 30; do
		terminal "$columns" -p file file && terminal "$columns" -p -r tree || return 1
		tr '\r' '\n' <out | sed -n 's/\x1b\[K$//p' |
			awk -v max="$columns" 'length($0) >= max { bad = 1 } END { exit bad || !NR }' ||
			return 1
	done
}

interrupted() {
	local pid line
	mkfifo names errors
	AFSYNC_VERBOSE=1 "$afsync" --files0-from=names >out 2>errors &
	pid=$!
	exec 8<errors 9>names
	printf 'file\0' >&9
	# The note is printed when the signals are handled; then it waits for more names.
	read -r line <&8 && [[ $line == "$note" ]] || return 1
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	cat <&8 >err
	exec 8<&- 9>&-
	[[ $status == 143 ]] && grep -q '^afsync: interrupted: [01] synced$' err
}

if [[ -e /dev/afsync ]]; then
	echo "1..0 # SKIP there is a /dev/afsync"
	exit 0
fi
: >file; : >info; : >"two words"; mkfifo fifo; ln -s nowhere link
mkdir -p tree/two; : >tree/one; : >tree/two/file; mkfifo tree/fifo
ln -s /etc tree/link; ln -s tree to-tree

claim "data_and_file_system_exclude_each_other" data_and_file_system
claim "recursive_and_file_system_exclude_each_other" recursive_file_system
claim "one_file_system_needs_recursive" one_file_system_alone
claim "a_list_and_operands_exclude_each_other" list_and_operands
claim "no_file_is_a_usage_error" no_file
claim "unknown_option_is_a_usage_error" unknown_option
claim "info_takes_no_file" info_with_file
claim "help_names_every_option" help_text
claim "messages_begin_with_afsync_whatever_it_was_run_as" own_name
claim "info_has_help" info_help_text
claim "top_refuses_what_makes_no_sense" top_usage
claim "top_has_help" top_help_text
claim "top_without_the_module_says_what_to_do" top_without_module
claim "version_is_printed" version_text
claim "output_that_cannot_be_written_is_a_failure" full_output
claim "without_a_device_threads_sync_and_nothing_is_said" silent_without_device
claim "which_engine_it_is_is_said_on_demand" note_on_demand
claim "the_device_alone_can_be_asked_for" device_wanted
claim "info_without_a_device_says_what_to_do" info_without_device
claim "a_file_named_info_can_be_synced" file_named_info
claim "one_message_for_each_file_that_failed" failing_files
claim "names_in_messages_are_unambiguous_and_without_control_characters" control_characters
claim "recursive_takes_files_and_directories_only" recursive
claim "a_link_is_followed_at_the_top" recursive_link_at_the_top
claim "without_recursive_a_directory_is_one_file" recursive_is_needed
claim "a_tree_can_be_deeper_than_a_path" deep_tree
claim "names_come_from_standard_input" list
claim "names_come_from_a_file" list_from_file
claim "an_empty_list_is_fine" empty_list
claim "bad_names_in_a_list_do_not_stop_the_others" bad_list
claim "a_list_that_cannot_be_opened_fails" unreadable_list
claim "a_list_that_cannot_be_read_fails" list_is_directory
claim "names_of_a_list_are_walked" recursive_list
claim "a_list_can_be_long" long_list
claim "few_descriptors_are_enough" few_descriptors
claim "stats_add_up" stats_are_consistent
claim "every_operation_works" operations
claim "progress_in_a_pipe_only_on_demand" progress_in_a_pipe
claim "progress_on_a_terminal" progress_on_a_terminal
claim "progress_is_one_line_on_a_narrow_terminal" narrow_terminal
claim "a_signal_ends_the_wait_for_names" interrupted
end_of_claims
