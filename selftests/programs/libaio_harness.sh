#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libaio's own test harness, 21 cases: errors, limits, bad pointers, many threads,
# polling, timeouts and signals. None of them syncs, so this shows that all other calls
# pass through the drop-in unchanged.
#
#	selftests/programs/libaio_harness.sh	needs: see programs.sh; mkfs.ext2, loop
#						devices; built by the Makefile
#
# Cases 11, 18 and 20 are many rounds that do the same on any filesystem: they run only
# on the first one. On the debug kernel all cases do. Cases 8 and 10 need a small ext2
# of their own, whose image is on the filesystem. Case 20 makes as many contexts as the
# system allows; the limit is 1024 while it runs. The Makefile describes where the sizes
# of other cases are reduced.

. "$(dirname "$0")/programs.sh"

# loop_mount IMAGE FOLDER
loop_mount() {
	mkdir -p "$2"
	mount -o loop -t ext2 "$1" "$2"
}

# files: made as the harness makes them for each run.
files() {
	local name
	mkdir -p testdir
	for name in ro wo rw; do
		rm -f testdir/${name}file
		echo test >testdir/${name}file
	done
	chmod 400 testdir/rofile
	chmod 200 testdir/wofile
	chmod 600 testdir/rwfile
}

one() {
	local rc=0
	files
	dropins "$OUTPUT/repeat" 1 1 1000 "$OUTPUT/libaio/$1" || why "repeat ended with $?" || return 1
	grep -qx "1 exit 0" "$log" || why "the case did not pass" || return 1
	went_through 0 0 || rc=1
	return $rc
}

[ "$small" != 1 ] || FILESYSTEMS=${FILESYSTEMS%% *}
needs mkfs.ext2 losetup
modprobe -q loop || true
mapfile -t cases < <(find "$OUTPUT/libaio" -type f -regex '.*/[0-9]+' -printf '%f\n' | sort -n)
[ ${#cases[@]} = 21 ] || { echo "Bail out! ${#cases[@]} cases of libaio's harness instead of 21: build them"; exit 1; }
filesystems=$(wc -w <<<"$FILESYSTEMS")
allowed=$(cat /proc/sys/fs/aio-max-nr)
many=" 11 18 20 "
plan $((filesystems * 21 - (filesystems - 1) * 3))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	cd "$dir"
	truncate -s 10M ext2.img
	mkfs.ext2 -q -F -b 4096 ext2.img
	cp "$OUTPUT/libaio/ext2-enospc.img" .
	loop_mount ext2.img testdir.ext2
	loop_mount ext2-enospc.img testdir.enospc
	for case in "${cases[@]}"; do
		[ "$fs" = "${FILESYSTEMS%% *}" ] || [[ $many != *" $case "* ]] || continue
		begin
		rc=0
		[ "$case" != 20 ] || echo 1024 >/proc/sys/fs/aio-max-nr
		one "$case" || rc=1
		echo "$allowed" >/proc/sys/fs/aio-max-nr
		verdict $rc "$fs: libaio harness case $case"
	done
	umount testdir.ext2 testdir.enospc
	cd "$TOP"
done
exit $failed
