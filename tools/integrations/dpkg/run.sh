#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One run of dpkg, measured; started by guest.sh in the small root, on the disk at /mnt.
#
#	run DISK PROGRAM OPTION...
#
# Prints the microseconds and the flushes of the disk that it took. What dpkg says is in
# /tmp/dpkg.log. The status is that of dpkg.

disk=$1
shift
export PATH=/bin

flushes() {
	local fields
	read -ra fields <"/sys/block/$disk/stat"
	echo "${fields[15]}"
}

before=$(flushes)
start=${EPOCHREALTIME/[.,]/}
status=0
"$@" >/tmp/dpkg.log 2>&1 || status=$?
us=$((${EPOCHREALTIME/[.,]/} - start))
echo "$us $(($(flushes) - before))"
exit $status
