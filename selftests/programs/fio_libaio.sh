#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio's libaio engine: never submits a sync itself (with fsync= it calls fsync when the
# queue is empty), so it shows that reads and writes pass through the drop-in unharmed,
# also for a program that reads the kernel's ring of events itself.
#
#	selftests/programs/fio_libaio.sh	needs: see programs.sh; fio

. "$(dirname "$0")/programs.sh"

size=512k
[ "$small" != 1 ] || size=128k

# one RW DIRECT DEPTH OPTION...
one() {
	dropins fio --name=job --directory="$dir" --ioengine=libaio --rw="$1" --bs=4k --size="$size" \
		--direct="$2" --iodepth="$3" "${@:4}" --numjobs=4 --group_reporting \
		--verify=crc32c --do_verify=1 --unlink=1 || why "fio ended with $?" || return 1
	went_through 0 0
}

needs fio
cases=("write 1 1" "randwrite 1 16" "randrw 1 16" "randwrite 0 16" "randwrite 1 16 --fsync=4"
	"randrw 1 16 --thread" "randrw 1 16 --userspace_reap" "randwrite 1 16 --iodepth_batch=8")
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan $((filesystems * (${#cases[@]} + 1)))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	begin
	rc=0
	dropins cat /proc/self/maps || rc=1
	[ "$peer" = 1 ] || grep -q libafsync-libaio "$log" || rc=1
	verdict $rc "$fs: the drop-in is loaded"
	for options in "${cases[@]}"; do
		begin
		rc=0
		# shellcheck disable=SC2086 # a list
		one $options || rc=1
		verdict $rc "$fs: fio libaio $options"
	done
done
exit $failed
