#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio's posixaio engine: aio_write64 and aio_fsync64 from 4 jobs that are processes
# which end with _exit, or threads of one process. What was written is read back and
# its checksums compared.
#
#	selftests/programs/fio_posixaio.sh	needs: see programs.sh; fio
#
# fio says how many syncs each case asked for; the device must have got as many.

. "$(dirname "$0")/programs.sh"

size=128k
[ "$small" != 1 ] || size=32k

# issued: "reads writes syncs" of all groups in fio's report.
issued() {
	awk '/issued rwts: total=/ {
		sub(/.*total=/, ""); sub(/ .*/, ""); split($0, n, ",")
		r += n[1]; w += n[2]; s += n[4]
	} END { print r + 0, w + 0, s + 0 }' "$log"
}

# one RW DIRECT FSYNC DEPTH THREAD
one() {
	local reads writes syncs
	dropins fio --name=job --directory="$dir" --ioengine=posixaio --rw="$1" --bs=4k --size="$size" \
		--direct="$2" --fsync="$3" --iodepth="$4" ${5:+"$5"} --numjobs=4 --group_reporting \
		--verify=crc32c --do_verify=1 --unlink=1 || why "fio ended with $?" || return 1
	read -r reads writes syncs < <(issued)
	[ "$writes" -gt 0 ] && [ "$reads" = "$writes" ] ||
		why "$writes blocks written, $reads read back" || return 1
	# None follows the last block of a job.
	[ "$syncs" -ge $((writes / $3 - 4)) ] || why "only $syncs syncs for $writes blocks" || return 1
	went_through "$syncs"
}

needs fio
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan $((filesystems * 32))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	for thread in '' --thread; do
		for rw in write randwrite; do
			for direct in 0 1; do
				for fsync in 1 4; do
					for depth in 1 16; do
						begin
						rc=0
						one "$rw" "$direct" "$fsync" "$depth" "$thread" || rc=1
						verdict $rc "$fs: fio posixaio $rw direct=$direct fsync=$fsync iodepth=$depth ${thread#--}"
					done
				done
			done
		done
	done
done
exit $failed
