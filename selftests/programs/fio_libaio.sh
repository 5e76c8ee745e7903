#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio's libaio engine: never submits a sync itself (with fsync= it calls fsync when the
# queue is empty), so it shows that reads and writes pass through the drop-in unharmed,
# even for a program that reads the kernel's ring of events itself (userspace_reap).
#
#	selftests/programs/fio_libaio.sh	needs: see programs.sh; fio

. "$(dirname "$0")/programs.sh"

size=256k
[ "$small" != 1 ] || size=16k

groups=("write 1 1" "randwrite 1 16" "randrw 1 16" "randwrite 0 16" "randwrite 1 16 fsync=4"
	"randrw 1 16 thread" "randrw 1 16 userspace_reap" "randwrite 1 16 iodepth_batch=8")

jobs_file() {
	local group rw direct depth option
	fio_global libaio $size
	for group in "${groups[@]}"; do
		read -r rw direct depth option <<<"$group"
		printf '[%s]\nnew_group\nrw=%s\ndirect=%s\niodepth=%s\n%s\n' "${group// /-}" "$rw" "$direct" \
			"$depth" "$option"
	done
}

# one GROUP
one() {
	local error reads writes _
	read -r error reads writes _ < <(sed -n "s/^${1// /-} //p" "$work/table") || why "fio does not report $1" || return 1
	[ "$error" = 0 ] || why "fio has error $error" || return 1
	if [ "$writes" = 0 ] || [ "$reads" -lt "$writes" ]; then
		why "$writes blocks written, $reads read back"
	fi
}

needs fio
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan $((filesystems * (${#groups[@]} + 2)))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	begin
	rc=0
	dropins cat /proc/self/maps || rc=1
	[ "$peer" = 1 ] || grep -q "/afsync/libaio\.so\.1" "$log" || rc=1
	verdict $rc "$fs: the drop-in is loaded"
	jobs_file >"$work/jobs"
	begin
	all=0
	dropins fio "$work/jobs" || why "fio ended with $?" || all=1
	fio_table >"$work/table"
	for group in "${groups[@]}"; do
		rc=0
		one "$group" || rc=1
		verdict $rc "$fs: fio libaio $group"
	done
	went_through 0 0 || all=1
	verdict $all "$fs: fio libaio ends well, and queues no sync"
done
exit $failed
