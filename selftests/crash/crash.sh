#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Acknowledged data survives a crash, at whatever moment that comes.
#
#	selftests/crash/crash.sh [POINTS [SEED [KO...]]]	as root, in the VM
#
# Processes change files and sync them on a filesystem whose disk keeps a log of all writes
# (dm-log-writes), in the order in which they became durable. After each acknowledgment, a
# mark goes into the log. Then the log is replayed to POINTS moments of each kind of
# workload, and everything acknowledged before each of them has to be there: contents,
# sizes, modes, names. Each KO is a module with a bug planted in it (selftests/plants/crash),
# which the crashes have to reveal. Prints TAP. CRASH_ONLY="ext4-library xfs-posix" runs only
# these.
#
# The disk is memory (brd), which has no queues that could reorder a flush; dm-delay gives a
# flush a time, so that requests are merged.

set -euo pipefail

points=${1:-40} seed=${2:-1} until=
PLANTED=${*:3}
here=$(realpath "$(dirname "$0")")
top=${here%/*/*}
# shellcheck source-path=SCRIPTDIR
. "$here/filesystems.sh"
bin=${O:-$top/build/selftests/crash}
afsync=$top/build/tools/afsync/afsync
dir=$(mktemp -d)
number=0 failed=0
PATH=$PATH:/usr/sbin:/sbin

# FILESYSTEM MB PROCESSES SYNCER [VARIABLE=VALUE]...
# "call" is fsync(2) itself: if a crash loses data that it acknowledged, the filesystem is at
# fault.
KINDS=(
	"ext4 64 3 library"
	"ext4 64 1 library CRASH_INLINE=1"
	"ext4 64 1 library STEPS=pairs"
	"ext4 64 2 posix"
	"ext4 64 2 libaio"
	"ext4 64 2 command"
	"ext4-journal 64 2 library"
	"xfs 320 3 library"
	"xfs 320 1 library STEPS=pairs"
	"xfs 320 2 posix"
	"btrfs 160 2 library KEEP_NAMES=1"
	"vfat 64 2 library NO_JOURNAL=1"
)
# Runs only by name.
CONTROLS=("ext4 64 2 call" "xfs 320 2 call" "btrfs 160 2 call KEEP_NAMES=1" "vfat 64 2 call NO_JOURNAL=1")

begin_disks() {
	local mb=$1
	# Made anew each time: memory that was never written is zero and takes no pages.
	modprobe brd rd_nr=4 rd_size=$((mb * 4 * 1024)) max_part=0
	mapped=$((mb * 2048))
}

end_disks() {
	umount -q "$dir/crashed" "$dir/live" 2>/dev/null || true
	dmsetup remove afsync-crashed 2>/dev/null || true
	dmsetup remove afsync-log 2>/dev/null || true
	dmsetup remove afsync-slow 2>/dev/null || true
	rmmod brd 2>/dev/null || true
}
trap 'end_disks; rm -rf "$dir"' EXIT

run_workload() {
	local fs=$1 processes=$2 syncer=$3 i rc=0 exec=() pids=()
	dmsetup create afsync-slow --table "0 $mapped delay /dev/ram0 0 0 /dev/ram0 0 0 /dev/ram0 0 1"
	make_filesystem "$fs" /dev/mapper/afsync-slow
	dd if=/dev/mapper/afsync-slow of=/dev/ram2 bs=1M conv=sparse,fsync status=none
	dmsetup create afsync-log --table "0 $mapped log-writes /dev/mapper/afsync-slow /dev/ram1"
	mount_filesystem "$fs" /dev/mapper/afsync-log "$dir/live"
	for ((i = 0; i < processes; i++)); do mkdir "$dir/live/p$i"; done
	sync -f "$dir/live"
	"$bin/mark" afsync-log begin
	case $syncer in posix | libaio) exec=("$afsync" exec) ;; esac
	for ((i = 0; i < processes; i++)); do
		"${exec[@]}" "$bin/work" "$dir/live/p$i" "$dir/history$i" "$i" "$steps" "$seed" "$syncer" \
			afsync-log >>"$dir/said" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || rc=1; done
	umount "$dir/live"
	dmsetup remove afsync-log
	return $rc
}

# attempt FILESYSTEM MB PROCESSES SYNCER [VARIABLE=VALUE]...: runs the workload and crashes.
attempt() {
	local fs=$1 mb=$2 processes=$3 syncer=$4 rc=0
	shift 4
	: >"$dir/said"
	# In a subshell, for the variables of this kind.
	(
		for variable; do export "${variable?}"; done
		steps=${STEPS:-${syncer_steps[$syncer]}}
		begin_disks "$mb"
		run_workload "$fs" "$processes" "$syncer"
		export mapped seed dir bin
		"$bin/replay" /dev/ram1 /dev/ram2 "$points" "$seed" "$here/point.sh $fs" ${until:+"$until"}
	) >>"$dir/said" 2>"$dir/errors" || rc=1
	end_disks
	return $rc
}

# figures: sums of the numbers that the programs print, for 'make soak'.
figures() {
	awk '/ syncs acknowledged$/ { syncs += $(NF - 2) } / points, [0-9]+ failed$/ { points += $3 }
		END { printf "figure: %d crashes\nfigure: %d syncs acknowledged\n", points, syncs }' "$dir/said"
}

result() {
	local rc=$1 claim=$2
	number=$((number + 1))
	[ "$rc" = 0 ] || { failed=1; cat "$dir/errors" >>"$dir/said"; }
	tail -n 40 "$dir/said" | sed 's/^/# /'
	echo "$([ "$rc" = 0 ] || echo 'not ')ok $number $claim"
}

kind() {
	local name=$1-$4 rc=0
	case ${5:-} in
	CRASH_INLINE=1) name+=-inline ;;
	STEPS=pairs) name+=-pairs ;;
	esac
	[ -z "${CRASH_ONLY:-}" ] || [[ " $CRASH_ONLY " = *" $name "* ]] || return 0
	attempt "$@" || rc=$?
	figures >"$dir/figures"
	cat "$dir/figures" >>"$dir/said"
	result $rc "$name: what was acknowledged outlives a crash"
}

# plant KO: a module with a bug, which one of the crashes has to reveal.
plant() {
	local name fs rc=1 until=first points=$((points > 100 ? points : 100))
	name=${1##*/plants/crash/}
	name=${name%%/*}
	rmmod afsync
	insmod "$1"
	for fs in "ext4 64" "xfs 320"; do
		# shellcheck disable=SC2086 # a list
		attempt $fs 3 library || true
		# Does not count a run that merely ended early.
		! grep -qE 'points, [1-9][0-9]* failed' "$dir/said" || { rc=0; break; }
	done
	tail -n 3 "$dir/said" | sed 's/^/# /'
	: >"$dir/said"
	result $rc "the planted bug $name is seen"
	rmmod afsync
	insmod "$AFSYNC_KO"
}

# The command is a process for each sync.
declare -A syncer_steps=([library]=150 [posix]=150 [libaio]=150 [command]=30 [call]=150)

mkdir "$dir/live" "$dir/crashed"
echo "TAP version 13"
[ -z "${CRASH_ONLY:-}" ] || KINDS+=("${CONTROLS[@]}")
for words in "${KINDS[@]}"; do
	# shellcheck disable=SC2086 # a list
	kind $words
done
for ko in $PLANTED; do
	plant "$ko"
done
echo "1..$number"
exit $failed
