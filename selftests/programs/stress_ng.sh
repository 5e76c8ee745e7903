#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# stress-ng's aio stressor: two processes with 16 requests each, notified of every
# completion by a signal, call aio_fsync64 with both operations and aio_cancel64, and
# check the data that they have read.
#
#	selftests/programs/stress_ng.sh		needs: see programs.sh; stress-ng

. "$(dirname "$0")/programs.sh"

ops=2000
[ "$small" != 1 ] || ops=60

needs stress-ng
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan "$filesystems"
for fs in $FILESYSTEMS; do
	scratch "$fs"
	begin
	rc=0
	{
		dropins stress-ng --aio 2 --aio-requests 16 --verify --aio-ops "$ops" --temp-path "$dir" \
			--timeout 300 --metrics-brief || why "stress-ng ended with $?"
	} && went_through 2 || rc=1
	verdict $rc "$fs: stress-ng --aio 2 --aio-requests 16 --verify"
done
exit $failed
