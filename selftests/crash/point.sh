#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Looks at the filesystem as a crash has left it: for replay, which crash.sh runs.
#
#	point.sh FILESYSTEM ENTRY ACKS...	for each process its acknowledgments so far
#
# It is mounted through a snapshot, so that the replay can continue from here.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/filesystems.sh"

# Variables of crash.sh.
: "${mapped:?}" "${seed:?}" "${dir:?}" "${bin:?}"
fs=$1 entry=$2
shift 2
process=0 rc=0
dd if=/dev/zero of=/dev/ram3 bs=4k count=1 conv=fsync status=none
dmsetup create afsync-crashed --table "0 $mapped snapshot /dev/ram2 /dev/ram3 N 8"
if mount_filesystem "$fs" /dev/mapper/afsync-crashed "$dir/crashed"; then
	for acks; do
		"$bin/verify" "$dir/crashed/p$process" "$dir/history$process" "$process" "$acks" || rc=1
		process=$((process + 1))
	done
	umount "$dir/crashed"
else
	rc=1
	echo "cannot be mounted"
fi
dmsetup remove afsync-crashed
[ "$rc" = 0 ] || echo "crash at entry $entry, seed $seed: see above"
exit "$rc"
