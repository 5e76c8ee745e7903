#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio's posixaio engine: aio_write64 and aio_fsync64 from 4 jobs that are processes
# which end with _exit, or threads of one process. The written blocks are read back and
# their checksums compared.
#
#	selftests/programs/fio_posixaio.sh	needs: see programs.sh; fio
#
# One fio runs all groups of jobs, one after the other: starting it takes longer than
# they do. It reports how many syncs it queued; the device must have received as many.

. "$(dirname "$0")/programs.sh"

size=128k
[ "$small" != 1 ] || size=16k

groups=()
for rw in write randwrite; do
	for direct in 0 1; do
		for fsync in 1 4; do
			for depth in 1 16; do
				groups+=("$rw-direct=$direct-fsync=$fsync-iodepth=$depth")
			done
		done
	done
done

jobs_file() {
	local group rw direct fsync depth
	fio_global posixaio $size
	for group in "${groups[@]}"; do
		IFS=- read -r rw direct fsync depth <<<"$group"
		printf '[%s]\nnew_group\nrw=%s\n%s\n%s\n%s\n' "$group" "$rw" "$direct" "$fsync" "$depth"
	done
}

# one GROUP
one() {
	local error reads writes syncs fsync
	read -r error reads writes syncs < <(sed -n "s/^$1 //p" "$work/table") || why "fio does not report $1" || return 1
	[ "$error" = 0 ] || why "fio has error $error" || return 1
	[ "$writes" -gt 0 ] && [ "$reads" = "$writes" ] ||
		why "$writes blocks written, $reads read back" || return 1
	fsync=${1##*fsync=}
	# No sync follows the last block of a job.
	[ "$syncs" -ge $((writes / ${fsync%%-*} - 4)) ] || why "only $syncs syncs for $writes blocks"
}

needs fio
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan $((filesystems * 2 * (${#groups[@]} + 1)))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	jobs_file >"$work/jobs"
	for mode in processes threads; do
		begin
		option=()
		[ $mode = processes ] || option=(--thread)
		all=0
		dropins fio ${option[@]+"${option[@]}"} "$work/jobs" || why "fio ended with $?" || all=1
		fio_table >"$work/table"
		for group in "${groups[@]}"; do
			rc=0
			one "$group" || rc=1
			verdict $rc "$fs: fio posixaio, 4 $mode, ${group//-/ }"
		done
		syncs=$(awk '{ n += $5 } END { print n + 0 }' "$work/table")
		{ [ "$syncs" -gt 0 ] && went_through "$syncs"; } || all=1
		verdict $all "$fs: fio posixaio, 4 $mode: all syncs went through the device"
	done
done
exit $failed
