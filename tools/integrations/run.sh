#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One run of a program, measured; started in the small root of root.sh.
#
#	run DISK PROGRAM OPTION...
#
# Writes a line to MARK_FD, if that is set, when the program begins. Prints the microseconds
# that it took, those of them in which the CPU was idle, and the flushes of the disk. The
# program's output is in /tmp/run.log. The status is its own.

disk=$1
shift
export PATH=/bin

flushes() {
	local fields
	read -ra fields <"/sys/block/$disk/stat"
	echo "${fields[15]}"
}

# In ticks of 10 ms; waiting for a disk counts as idle.
idle() {
	local fields
	read -ra fields </proc/stat
	echo $((fields[4] + fields[5]))
}

before=$(flushes)
idle=$(idle)
[ -z "${MARK_FD:-}" ] || echo begin >&"$MARK_FD"
start=${EPOCHREALTIME/[.,]/}
status=0
"$@" >/tmp/run.log 2>&1 || status=$?
us=$((${EPOCHREALTIME/[.,]/} - start))
echo "$us $((($(idle) - idle) * 10000)) $(($(flushes) - before))"
exit $status
