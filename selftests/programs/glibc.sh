#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# glibc's own tests of aio (rt/tst-aio*.c), 11 programs, each run 10 times on each
# filesystem: reads, writes, lists, syncs, cancelling, waiting, and notification by
# signal and by thread.
#
#	selftests/programs/glibc.sh	needs: see programs.sh; built by the Makefile
#
# Three of them wait 2 or 3 seconds without using the CPU, so the runs of one program
# are started at the same time. On the debug kernel there are 2 runs each.

. "$(dirname "$0")/programs.sh"

# On each filesystem.
filesystems=$(wc -w <<<"$FILESYSTEMS")
runs=$((20 / filesystems))
[ "$small" != 1 ] || runs=2

# one PROGRAM
one() {
	local syncs=0
	dropins "$OUTPUT/repeat" $runs 10 60 "$OUTPUT/glibc/$1" || why "repeat ended with $?" || return 1
	grep -qx "$runs exit 0" "$log" || why "not all of $runs runs succeeded" || return 1
	# These two queue one sync each.
	case $1 in
	tst-aio | tst-aio64) syncs=$runs ;;
	esac
	went_through $syncs $syncs
}

needs mount
programs=(tst-aio tst-aio{2..10} tst-aio64)
plan $((filesystems * ${#programs[@]}))
for fs in $FILESYSTEMS; do
	tmp_is "$fs"
	for program in "${programs[@]}"; do
		begin
		rc=0
		one "$program" || rc=1
		verdict $rc "$fs: glibc $program, $runs runs"
	done
	tmp_was
done
exit $failed
