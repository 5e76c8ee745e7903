#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# P7 clean end: the module unloads right after the last close, even if the last user
# died with a thousand requests in flight; and it does not unload before, nor while a
# ring whose close did not wait ends in the background (these tests need afsync_sim).
#
#	selftests/afsync/unload_test.sh		as root, with afsync loaded
#
# Loads the module again each time, from $AFSYNC_KO or with modprobe, and leaves it
# loaded. $TEST_DIR is the directory of the files that it syncs (/mnt/ext4 if there is
# one).
# AFSYNC_DEBUG_KERNEL=1 does a tenth of the rounds.
# shellcheck disable=SC2317 # the tests are called by name

set -euo pipefail

readonly SKIP=4
here=$(cd "$(dirname "$0")" && pwd)
work=${OUTPUT:-$here}/unload_work
rounds=100
[ "${AFSYNC_DEBUG_KERNEL:-}" != 1 ] || rounds=10
dir=${TEST_DIR:-/mnt/ext4}
[ -d "$dir" ] || dir=/var/tmp
background=${OUTPUT:-$here}/unload_background
tests=5 number=0 failed=0

skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }
result() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		failed=1
	fi
}

load() {
	if [ -n "${AFSYNC_KO:-}" ]; then
		insmod "$AFSYNC_KO"
	else
		modprobe afsync
	fi
	[ -c /dev/afsync ]
}

# Right after the last close: the first try has to succeed.
unload() { rmmod afsync; }

module_in_use_does_not_unload() {
	local ret=1
	exec 3<>/dev/afsync
	rmmod afsync 2>/dev/null || ret=0
	exec 3>&-
	return "$ret"
}

module_unloads_right_after_the_last_close() {
	local i
	for ((i = 0; i < rounds; i++)); do
		exec 3<>/dev/afsync
		exec 3>&-
		unload || return 1
		load || return 1
	done
}

module_unloads_when_the_last_user_died_with_1000_requests_in_flight() {
	local i
	for ((i = 0; i < rounds; i++)); do
		"$work" "$dir" || return 1
		unload || return 1
		load || return 1
	done
}

# ring_in_the_background WAY: see unload_background.c.
ring_in_the_background() {
	local sim ret=0
	sim=$(mktemp -d)
	mount -t afsync_sim none "$sim" || return 1
	"$background" "$sim" "$1" || ret=1
	umount "$sim" && rmdir "$sim"
	[ -c /dev/afsync ] || load || return 1
	return "$ret"
}

module_does_not_unload_before_the_sync_of_a_ring_that_io_uring_dropped_has_ended() {
	ring_in_the_background io_uring
}

module_does_not_unload_before_the_sync_of_a_ring_that_another_user_dropped_has_ended() {
	ring_in_the_background user
}

[ -c /dev/afsync ] || skip_all "no /dev/afsync: load the module"
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -n "${AFSYNC_KO:-}" ] || modinfo -n afsync >/dev/null 2>&1 ||
	skip_all "no module to load again: set AFSYNC_KO"
for program in "$work" "$background"; do
	[ -x "$program" ] || { echo "Bail out! no $program: build the tests"; exit 1; }
done

echo "TAP version 13"
echo "1..$tests"
for test in module_in_use_does_not_unload module_unloads_right_after_the_last_close \
	module_unloads_when_the_last_user_died_with_1000_requests_in_flight \
	module_does_not_unload_before_the_sync_of_a_ring_that_io_uring_dropped_has_ended \
	module_does_not_unload_before_the_sync_of_a_ring_that_another_user_dropped_has_ended; do
	if [[ $test = *of_a_ring_that* ]] && ! grep -qw afsync_sim /proc/filesystems; then
		result 0 "$test # SKIP no afsync_sim: load its module"
		continue
	fi
	if "$test"; then result 0 "$test"; else result 1 "$test"; fi
done
[ -c /dev/afsync ] || load
exit $failed
