#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the command's tests that need no device: the unit tests and the tests of the command
# line, of running without a device and of `afsync exec`. Prints one TAP report; exit status 1
# if something failed.
#
# Usage: run.sh BUILD-FOLDER

set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
build=${1:?usage: run.sh BUILD-FOLDER}
number=0
failed=0

echo "TAP version 13"
for test in "$build"/tests/stats_test "$build"/tests/progress_test \
	"$build"/tests/elf_test "$build"/tests/top_test "$build"/tests/versions_test \
	"$here/command_line_test.sh" "$here/exec_test.sh" "$here/completion_test.sh"; do
	echo "# $(basename "$test")"
	status=0
	output=$("$test" "$build/afsync") || status=$?
	ended=no
	while read -r line; do
		case $line in
		"ok "* | "not ok "*)
			number=$((number + 1))
			[[ $line == ok* ]] || failed=$((failed + 1))
			echo "${line%%ok*}ok $number ${line#*ok * }"
			;;
		1..*) ended=yes ;;
		*) echo "$line" ;;
		esac
	done <<<"$output"
	# A test that died halfway printed no failure of its own.
	if [[ $ended == no || ($status != 0 && $output != *"not ok "*) ]]; then
		number=$((number + 1))
		failed=$((failed + 1))
		echo "not ok $number $(basename "$test") ended with status $status"
	fi
done
echo "1..$number"
[[ $failed == 0 ]]
