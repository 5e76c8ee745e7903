# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# Functions that the tests of this directory share. Sourced, never run:
#	. "$(dirname "$0")/programs.sh"
#
# Each test runs a program of another project, as Debian ships it, on ext4 and on xfs
# under 'afsync exec --stats'. A case passes only if the program succeeds, its data
# verifies, and the counters of the device show that its syncs went through it.
#
# Needs: root, /dev/afsync, nothing else that uses it, /mnt/ext4 and /mnt/xfs.
#	AFSYNC_PEER=1		without the drop-ins: glibc and kernel AIO answer, and
#				the test does not check the counters
#	AFSYNC_DEBUG_KERNEL=1	smaller files and fewer runs, the same cases
#	FILESYSTEMS=ext4	only there

set -euo pipefail

readonly SKIP=4
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OUTPUT=${OUTPUT:-$TOP/build/selftests/programs}
STATS=/sys/class/misc/afsync/stats
FILESYSTEMS=${FILESYSTEMS:-ext4 xfs}
small=${AFSYNC_DEBUG_KERNEL:-0}
peer=${AFSYNC_PEER:-0}
PATH=$PATH:/usr/sbin:/sbin
number=0 failed=0
log='' dir=''

plan() {
	echo "TAP version 13"
	echo "1..$1"
}

skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }

# needs TOOL...: and the device, the filesystems and the drop-ins.
needs() {
	local what
	for what; do
		command -v "$what" >/dev/null || skip_all "no $what: run 'make setup'"
	done
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	for what in $FILESYSTEMS; do
		[ "$(stat -f -c %T "/mnt/$what" 2>/dev/null)" = "$(magic "$what")" ] || skip_all "no $what on /mnt/$what"
	done
	[ "$peer" = 1 ] || [ -c /dev/afsync ] || skip_all "no /dev/afsync: load the module"
	work=$(mktemp -d /run/programs.XXXXXX)
	log=$work/log
	trap 'rm -rf "$work"' EXIT
}

magic() { if [ "$1" = ext4 ]; then echo ext2/ext3; else echo "$1"; fi; }

# scratch FS: sets dir to a new empty directory there.
scratch() { dir=$(mktemp -d "/mnt/$1/programs.XXXXXX"); }

# dropins CMD...: runs it under the drop-ins; its output goes to the log, the counts of
# the drop-ins to $work/stats.
dropins() {
	if [ "$peer" = 1 ]; then
		"$@" >>"$log" 2>&1
	else
		afsync exec --stats -- "$@" >>"$log" 2>&1
	fi
}

counter() { cat "$STATS/$1"; }

# begin: a new case. It does not count the requests of earlier ones.
begin() {
	local name
	: >"$log"
	[ "$peer" = 0 ] || return 0
	for name in submitted completed failed; do
		printf -v "before_$name" %s "$(counter $name)"
	done
}

why() { echo "afsync: $*" >>"$log"; return 1; }

# went_through LOWEST [HIGHEST]: since begin, the device received so many syncs, none of
# them failed and none is left.
went_through() {
	local lowest=$1 highest=${2:-} submitted left i
	[ "$peer" = 0 ] || return 0
	# The program is gone; its queued requests end soon after.
	for ((i = 0; i < 600; i++)); do
		left=$(counter in_flight)
		[ "$left" != 0 ] || break
		sleep 0.1
	done
	# shellcheck disable=SC2154 # set by begin
	submitted=$(($(counter submitted) - before_submitted))
	echo "afsync: $submitted syncs submitted" >>"$log"
	[ "$left" = 0 ] || why "$left syncs never ended" || return 1
	[ "$submitted" -ge "$lowest" ] || why "at least $lowest syncs expected" || return 1
	[ -z "$highest" ] || [ "$submitted" -le "$highest" ] || why "at most $highest syncs expected" || return 1
	# shellcheck disable=SC2154 # set by begin
	[ "$(counter failed)" = "$before_failed" ] || why "$(($(counter failed) - before_failed)) syncs failed"
}

# verdict STATUS NAME: the result of a case; of one that failed, the end of the log.
verdict() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		failed=1
		tail -n 40 "$log" | sed 's/^/# /'
		echo "not ok $number $2"
	fi
}

# case_is NAME CMD...: a case that is one command. If it fails, the end of $error_log is shown, too.
case_is() {
	local name=$1 rc=0
	shift
	begin
	"$@" || rc=1
	[ $rc = 0 ] || [ -z "${error_log:-}" ] || tail -n 30 "$error_log" >>"$log"
	verdict $rc "$name"
}

# tmp_is FS: /tmp is a directory of that filesystem, for programs that have the path in
# them, until tmp_was. The tree stays where it is.
tmp_is() {
	scratch "$1"
	chmod 1777 "$dir"
	if [[ $TOP == /tmp/* ]]; then
		mkdir -p "$dir/${TOP#/tmp/}"
		mount --bind "$TOP" "$dir/${TOP#/tmp/}"
	fi
	mount --rbind "$dir" /tmp
	cd /tmp
}

tmp_was() {
	# Leaves the tree: if that is below /tmp, its current mount is there.
	cd /
	umount -R /tmp
	[[ $TOP != /tmp/* ]] || umount "$dir/${TOP#/tmp/}"
	cd "$TOP"
}

# fio_global ENGINE SIZE: the options that all jobs of a file for fio have in common.
fio_global() {
	cat <<-EOF
		[global]
		directory=$dir
		ioengine=$1
		bs=4k
		size=$2
		numjobs=4
		group_reporting
		verify=crc32c
		do_verify=1
		unlink=1
		stonewall
	EOF
}

# fio_table: "group error reads writes syncs" for each group in fio's report in the log.
fio_table() {
	awk '
	/groupid=[0-9]+, jobs=/ { name = $1; sub(/:$/, "", name); sub(/.*err= */, ""); sub(/[^0-9].*/, ""); error = $0 }
	/issued rwts: total=/ { sub(/.*total=/, ""); sub(/ .*/, ""); split($0, n, ","); print name, error, n[1], n[2], n[4] }
	' "$log"
}
