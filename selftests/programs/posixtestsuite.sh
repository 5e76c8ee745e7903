#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The programs of posixtestsuite that call aio_fsync, each run 10 times on each
# filesystem. Ten of the twelve give a verdict; 2-1 and 3-1 end with "untested" (5) if
# all succeeded, because they cannot see whether the file is on disk. Most of them end
# while their sync runs, with the control block on the stack: under glibc some of those
# die.
#
#	selftests/programs/posixtestsuite.sh	needs: see programs.sh; built by the Makefile
#
# On the debug kernel there are 2 runs each, except for 5-1.

. "$(dirname "$0")/programs.sh"

# On each filesystem.
filesystems=$(wc -w <<<"$FILESYSTEMS")
runs=$((20 / filesystems))
[ "$small" != 1 ] || runs=2

# exits STATUS: how many runs ended with it.
exits() { awk -v status="$1" '$2 == "exit" && $3 == status { n = $1 } END { print n + 0 }' "$log"; }

# one PROGRAM
one() {
	local good=0 runs=$runs syncs ended
	# Unsure (5) in those runs whose sync ended before the program looked.
	[ "$1" != 5-1 ] || runs=10
	syncs=$runs
	case $1 in
	2-1 | 3-1) good=5 ;;
	# These check that it refuses a bad descriptor and a bad operation.
	12-1 | 14-1) syncs=0 ;;
	esac
	dropins "$OUTPUT/repeat" $runs 2 60 "$OUTPUT/posixtestsuite/$1" || why "repeat ended with $?" || return 1
	ended=$(exits $good)
	[ "$1" != 5-1 ] || [ "$ended" = 0 ] || ended=$((ended + $(exits 5)))
	[ "$ended" = "$runs" ] || why "$ended of $runs runs succeeded" || return 1
	went_through $syncs $syncs
}

needs mount
programs=(4-1 4-2 5-1 8-1 8-2 8-3 8-4 9-1 12-1 14-1 2-1 3-1)
plan $((filesystems * ${#programs[@]}))
for fs in $FILESYSTEMS; do
	tmp_is "$fs"
	for program in "${programs[@]}"; do
		begin
		rc=0
		one "$program" || rc=1
		verdict $rc "$fs: posixtestsuite aio_fsync $program"
	done
	tmp_was
done
exit $failed
