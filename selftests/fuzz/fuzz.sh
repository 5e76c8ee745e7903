#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every command of the device, called at random, gives the documented results.
#
#	selftests/fuzz/fuzz.sh [CALLS [SEED [KO...]]]	as root, in the VM
#
# Root makes calls on files of every kind, then an ordinary user, and then two runs have the
# same seed. Each KO is a module with a bug planted in it (selftests/plants/fuzz), which the
# fuzzer has to find. Prints TAP. PATIENCE is the time limit of a request in seconds.

set -euo pipefail

calls=${1:-100000} seed=${2:-1}
PLANTED=${*:3}
here=$(realpath "$(dirname "$0")")
top=${here%/*/*}
bin=${O:-$top/build/selftests/fuzz}
patience=${PATIENCE:-300}
dir=$(mktemp -d)
user=65534
number=0 failed=0
PATH=$PATH:/usr/sbin:/sbin

# It ends when its standard input does.
begin_fuse() {
	mkfifo "$dir/control" "$dir/said"
	"$bin/fuse" fuzz-fuse <"$dir/control" >"$dir/said" &
	fuse=$!
	exec {control}>"$dir/control"
	read -r _ <"$dir/said"
}

end_fuse() {
	exec {control}>&-
	wait "$fuse" || true
	rmdir /mnt/fuzz-fuse
}

make_folders() {
	local fs who
	mkdir -p "$dir/tmpfs"
	mountpoint -q "$dir/tmpfs" || mount -t tmpfs none "$dir/tmpfs"
	for fs in /mnt/ext4 /mnt/xfs "$dir/tmpfs"; do
		for who in 0 $user; do
			mkdir -p "$fs/fuzz-$who"
			chown "$who" "$fs/fuzz-$who"
		done
	done
	chmod 711 "$dir"
}

# fuzz WHO OPTION...: as that user; its output is in $dir/out.
fuzz() {
	local who=$1 files=()
	shift
	files=("/mnt/ext4/fuzz-$who" "/mnt/xfs/fuzz-$who" "$dir/tmpfs/fuzz-$who")
	[ ! -e /mnt/fuzz-fuse/file ] || files+=(--fuse /mnt/fuzz-fuse)
	[ "$who" != 0 ] || files+=(--device "$SCRATCH_DEV")
	# The time limit is for a fuzzer that hangs itself.
	timeout --kill-after=60 14000 setpriv --reuid "$who" --regid "$who" --clear-groups \
		"$bin/fuzz" --patience "$patience" "${files[@]}" "$@" >"$dir/out" 2>&1
}

result() {
	local rc=$1 claim=$2
	number=$((number + 1))
	[ "$rc" = 0 ] || failed=1
	tail -n 80 "$dir/out" | sed 's/^/# /'
	# For the sums of 'make soak'.
	sed -nE 's/^([0-9]+) calls, .*/# figure: \1 calls/p
		s/^([0-9]+) requests accepted, .*/# figure: \1 requests accepted/p' "$dir/out"
	echo "$([ "$rc" = 0 ] || echo 'not ')ok $number $claim"
}

# The sequence of calls is in the last line.
check_seed() {
	local first rc=0
	fuzz 0 --calls $((calls / 50 + 1000)) --seed "$seed" || rc=1
	first=$(tail -n 1 "$dir/out")
	fuzz 0 --calls $((calls / 50 + 1000)) --seed "$seed" || rc=1
	[ -n "$first" ] && [ "$first" = "$(tail -n 1 "$dir/out")" ] || rc=1
	tail -n 1 "$dir/out" >"$dir/last"
	{ echo "$first"; cat "$dir/last"; } >"$dir/out"
	result $rc "the same seed makes the same calls"
}

# plant KO: a module with a bug, which the fuzzer has to find.
plant() {
	local name rc=1
	name=${1##*/fuzz/}
	name=${name%%/*}
	rmmod afsync
	insmod "$1"
	fuzz 0 --calls 200000 --seed "$seed" --patience 20 || true
	! grep -q '^FAILED: ' "$dir/out" || rc=0
	result $rc "the planted bug $name is found"
	rmmod afsync
	insmod "$AFSYNC_KO"
}

trap 'end_fuse; umount -q "$dir/tmpfs" || true; rm -rf "$dir"' EXIT
begin_fuse
make_folders
echo "TAP version 13"
rc=0
fuzz 0 --calls "$calls" --seed "$seed" || rc=1
result $rc "the calls of root are answered as documented"
rc=0
fuzz $user --calls $((calls / 4)) --seed "$seed" || rc=1
result $rc "the calls of an ordinary user are answered as documented"
check_seed
for ko in $PLANTED; do
	plant "$ko"
done
echo "1..$number"
exit $failed
