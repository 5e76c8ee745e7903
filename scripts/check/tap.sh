# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The results of a script, in TAP. Sourced. The explanation of a result is printed before it,
# as a comment: check.sh shows the last of these lines with a failure.

number=0 failed=0

# result STATUS TEXT: one line; STATUS is 0 for passed, like that of a command.
result() {
	local word='not ok'
	number=$((number + 1))
	if [ "$1" = 0 ]; then word=ok; else failed=$((failed + 1)); fi
	echo "$word $number - $2"
}

# remark: standard input as a comment.
remark() { sed 's/^/# /'; }

# end_results: the plan and the counts. False if a result is a failure, or if there is none.
end_results() {
	echo "1..$number"
	echo "# $((number - failed)) passed, $failed failed"
	[ $failed = 0 ] && [ $number -gt 0 ]
}
