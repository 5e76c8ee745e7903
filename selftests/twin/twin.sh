#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# With afsync, the same open files report the same errors as with the system calls.
#
#	selftests/twin/twin.sh [POINTS [SEED [KO...]]]	as root, in the VM
#
# The same workload runs on two equal images, once with fsync(2), fdatasync(2), syncfs(2) and
# sync_file_range(2), once with afsync: by libafsync, by libaio and by aio_fsync() with the
# drop-ins. In both the i-th write fails, for i from 1 to POINTS, and the results of each
# open file have to be the same, whatever this kernel reports. In other cases an event
# changes the filesystem at each of three points. Each KO is a module with a bug planted in
# it (selftests/plants/twin), which has to be detected. Prints TAP, a line for each case:
#
#	points, results compared, how many of them are errors, deviations from the twin, and
#	requests that were served by another one's sync
#
# A case without an error has failed: it has compared nothing. With up to 6 points, only some
# of the cases run. TWIN_ONLY="ext4-file-once" runs only these.

set -euo pipefail

SHORT=6
points=${1:-$SHORT} seed=${2:-1}
PLANTED=${*:3}
here=$(realpath "$(dirname "$0")")
top=${here%/*/*}
# shellcheck source-path=SCRIPTDIR
. "$here/devices.sh"
bin=${O:-$top/build/selftests/twin}
afsync=$top/build/tools/afsync/afsync
merged_file=/sys/class/misc/afsync/stats/merged
dir=$(mktemp -d)
number=0 failed=0
PATH=$PATH:/usr/sbin:/sbin
export TWIN_FILLER=/dev/mapper/afsync-filler

# FILESYSTEM FAULT once|for-good|- EVENT SYNCER...; work.c and event.c describe these.
CASES=(
	"ext4 file once - library posix libaio"
	"ext4 device for-good - library"
	"ext4 hole once - posix"
	"ext4 none - shutdown libaio"
	"ext4 none - gone library"
	"ext4 none - full library"
	"xfs file for-good - library"
	"xfs hole once - libaio"
	"xfs thin - thin-full library"
	"xfs none - shutdown library"
	"xfs file once freeze library"
)
# These run only with more points than a short run has.
MORE_CASES=(
	"ext4 file for-good - library libaio"
	"ext4 device once - library posix"
	"ext4 hole once - library libaio"
	"ext4 hole for-good - library posix"
	"ext4 thin - thin-full library"
	"ext4 none - readonly library"
	"ext4 none - shutdown-log library posix"
	"ext4 none - shutdown-now library"
	"ext4 none - gone posix libaio"
	"ext4 none - abort library libaio"
	"ext4 file once freeze library posix"
	"xfs file once - library posix libaio"
	"xfs device once - library posix"
	"xfs device for-good - library libaio"
	"xfs hole once - library"
	"xfs hole for-good - library posix"
	"xfs none - full library"
	"xfs none - readonly library"
	"xfs none - shutdown-log library"
	"xfs none - shutdown-now library"
	"xfs none - gone library posix libaio"
)
[ "$points" -le "$SHORT" ] && [ -z "${TWIN_ONLY:-}" ] || CASES+=("${MORE_CASES[@]}")

finish() {
	dmsetup message afsync-twin 0 release 2>/dev/null || true
	umount -q "$dir/mnt" 2>/dev/null || true
	end_device 2>/dev/null || true
	rmmod brd afsync_faulty 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT

# run SYNCER LOG FILESYSTEM FAULT TIMES EVENT POINTS: all points, on as many images as needed.
run() {
	local syncer=$1 log=$2 fs=$3 fault=$4 times=0 event=$6 last=$7 next=1 rc exec=()
	[ "$5" != once ] || times=1
	[ "$event" != - ] || event=
	case $syncer in posix | libaio) exec=("$afsync" exec) ;; esac
	: >"$log"
	while [ "$next" -le "$last" ]; do
		begin_device "$fs" "$fault" || return 1
		make_filesystem "$fs" /dev/mapper/afsync-twin || return 1
		mount_filesystem "$fs" /dev/mapper/afsync-twin "$dir/mnt" || return 1
		rc=0
		"${exec[@]}" "$bin/work" "$dir/mnt" afsync-twin "$syncer" "$fault" "$times" \
			"$next" "$last" "$seed" ${event:+"$event"} >>"$log" || rc=$?
		umount "$dir/mnt" && end_device || return 1
		[ $rc = 0 ] || [ $rc = 3 ] || return 1
		next=$(sed -n '$s/^end //p' "$log")
		next=$((next + 1))
	done
}

# compare TWIN LOG MERGED: prints the figures, and the first deviations. False if there are
# any, or no errors.
compare() {
	awk -v merged="$3" '
	FNR == NR { twin[FNR] = $0; lines = FNR; next }
	/^[0-9]/ && !($1 in seen) { seen[$1]; split($1, at, "."); points += !(at[1] in known); known[at[1]] }
	$NF ~ /^(0|E[A-Z0-9]+)$/ { results++; errors += $NF != "0" }
	$0 != twin[FNR] && ++deviations <= 5 { print "# twin: " twin[FNR] "\n# here: " $0 }
	END {
		if (FNR != lines) { deviations++; print "# twin: " lines " lines, here: " FNR }
		printf "%d points, %d results, %d errors, %d deviations, %d merged\n", points, results,
			errors, deviations, merged
		exit deviations || !errors
	}' "$1" "$2"
}

result() {
	local rc=$1 claim=$2
	number=$((number + 1))
	[ "$rc" = 0 ] || failed=1
	echo "$([ "$rc" = 0 ] || echo 'not ')ok $number - $claim"
}

# side SYNCER TWIN CASE...: runs one side and compares it; the file said has its figures.
side() {
	local syncer=$1 twin=$2 merged rc=0
	shift 2
	merged=$(<$merged_file)
	run "$syncer" "$dir/log" "$@" 2>"$dir/errors" || rc=1
	merged=$(($(<$merged_file) - merged))
	if [ $rc != 0 ]; then
		{ tail -n 5 "$dir/log"; cat "$dir/errors"; } | sed 's/^/# /' >"$dir/said"
		echo "did not end" >>"$dir/said"
	else
		compare "$twin" "$dir/log" "$merged" >"$dir/said" || rc=1
		[ "$merged" != 0 ] || rc=1
	fi
	return $rc
}

# figures: for the sums of 'make soak'.
figures() {
	sed -nE '$s/^[0-9]+ points, ([0-9]+) results, ([0-9]+) errors.*/# figure: \1 results compared\n# figure: \2 errors/p' \
		"$dir/said"
}

# one_case FILESYSTEM FAULT TIMES EVENT SYNCER...
one_case() {
	local name=$1-$2-$3 last=$points syncer rc case=("${@:1:4}")
	[ "$4" = - ] || { name=$1-$4; last=3; }
	[ -z "${TWIN_ONLY:-}" ] || [[ " $TWIN_ONLY " = *" $name "* ]] || return 0
	case+=("$last")
	if ! run call "$dir/twin" "${case[@]}" 2>"$dir/errors"; then
		sed 's/^/# /' "$dir/errors"
		result 1 "$name: the twin runs"
		return
	fi
	for syncer in "${@:5}"; do
		rc=0
		side "$syncer" "$dir/twin" "${case[@]}" || rc=1
		head -n -1 "$dir/said"
		figures
		result $rc "$name: $syncer tells what the system calls tell: $(tail -n 1 "$dir/said")"
	done
}

# plant KO: the module has a bug, which has to be detected as a deviation.
plant() {
	local name rc=1 case=(ext4 file once - 4)
	name=${1##*/plants/twin/}
	name=${name%%/*}
	rmmod afsync
	insmod "$1"
	run call "$dir/twin" "${case[@]}"
	side library "$dir/twin" "${case[@]}" || true
	! grep -qE ', [1-9][0-9]* errors, [1-9][0-9]* deviations' "$dir/said" || rc=0
	head -n -1 "$dir/said"
	result $rc "the planted bug $name is seen: $(tail -n 1 "$dir/said")"
	rmmod afsync
	insmod "$AFSYNC_KO"
}

mkdir "$dir/mnt"
no_timers
begin_disks
insmod "${AFSYNC_KO%/drivers/*}/selftests/sim/afsync_faulty.ko"
echo "TAP version 13"
for words in "${CASES[@]}"; do
	# shellcheck disable=SC2086 # a list
	one_case $words
done
for ko in $PLANTED; do
	plant "$ko"
done
echo "1..$number"
exit $failed
