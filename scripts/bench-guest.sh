#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the benchmark that runs in the VM, see bench.sh. Prints the results, a JSON
# object on each line, when all is measured: a virtual port waits for the host.
#
#	scripts/bench-guest.sh virtual	the matrix, on one CPU in virtual time
#	scripts/bench-guest.sh smp	pairs of runs, on several CPUs in real time
#
# BENCH_QUICK=1 runs only what the targets need, with fewer operations.
# BENCH_ONLY runs only these parts, as in BENCH_ONLY="overwrite tmpfs".

. "$(dirname "$0")/lib.sh"

QUICK=${BENCH_QUICK:-}
ONLY=${BENCH_ONLY:-overwrite append processes log tree variants tmpfs memory}
HERE=/tmp/bench
OUT=$HERE/results
DEPTHS=(1 8 64 256 1024)
FILES=(1 16 64 256 1024)
ENGINES=(fdatasync by_hand threads io_uring libaio glibc afsync)
DROPINS=$BUILD/tools/lib
failed=0

# All that runs later is read from memory.
copy_programs() {
	mkdir -p "$HERE"
	cp "$BUILD"/tools/bench/afsync-bench{,-memory} "$HERE/"
	cp "$(command -v sync)" "$HERE/"
	ldd "$HERE/afsync-bench" | awk '/=> \// { print $3 } /ld-linux/ { print $1 }' |
		xargs -I '{}' cp -L '{}' "$HERE/"
	export LD_LIBRARY_PATH=$HERE LC_ALL=C
	# What the kernel would open on the host.
	BENCH_LOADER=$(echo "$HERE"/ld-linux*)
	export BENCH_LOADER
	: >"$OUT"
}

# make_disk NAME NSEC: a null_blk with a write-back cache, whose every request takes so
# long by the guest's own timers.
make_disk() {
	local dir=/sys/kernel/config/nullb/$1
	mkdir "$dir"
	echo 1 >"$dir/memory_backed"
	echo 512 >"$dir/size"
	echo 64 >"$dir/cache_size"
	echo 2 >"$dir/irqmode"
	echo "$2" >"$dir/completion_nsec"
	echo 256 >"$dir/hw_queue_depth"
	echo 1 >"$dir/power"
}

# on_disk FS DEVICE CMD...: run it with $fs, $device, $disk and $mnt set.
on_disk() {
	fs=$1 device=$2 mnt=$HERE/mnt
	shift 2
	mkdir -p "$mnt"
	if [ "$fs" = tmpfs ]; then
		disk='' device=none
		mount -t tmpfs -o size=60% bench "$mnt"
	else
		disk=nullb0
		modprobe -q null_blk nr_devices=0
		case $device in
		null_blk-1ms) make_disk "$disk" 1000000 ;;
		null_blk-20us) make_disk "$disk" 20000 ;;
		esac
		# Nothing is left to be done in the background.
		case $fs in
		ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "/dev/$disk" ;;
		xfs) mkfs.xfs -q "/dev/$disk" ;;
		esac
		mount -t "$fs" "/dev/$disk" "$mnt"
	fi
	"$@"
	umount "$mnt"
	[ -z "$disk" ] || rmdir "/sys/kernel/config/nullb/$disk"
}

# cell WORKLOAD ENGINE FILES DEPTH PROCESSES OPS [OPTION]...
cell() {
	local workload=$1 engine=$2 files=$3 depth=$4 processes=$5 ops=$6 warm blocks=256
	shift 6
	# Together they must fit on the disk.
	[ "$files" -lt 64 ] || blocks=64
	[ "$files" -lt 256 ] || blocks=16
	# Peers take many rounds until their requests have found their places in each other's.
	warm=$((ops / processes / 2))
	[ "$workload" != tree ] || warm=0
	echo "$fs/$device $workload $engine $files $depth $processes" >/dev/kmsg
	"$HERE/afsync-bench" --workload "$workload" --engine "$engine" --dir "$mnt/files" --files "$files" \
		--depth "$depth" --processes "$processes" --ops "$ops" --warm "$warm" --blocks "$blocks" \
		--filesystem "$fs" --device "$device" ${disk:+--disk "$disk"} "$@" >>"$OUT" || {
		say "failed: $workload on $fs/$device, $engine, $files files, depth $depth, $processes processes"
		failed=1
	}
}

# How many operations are enough for figures that repeat: many rounds of the window.
ops_for() {
	local depth=$1 ops=512
	[ "$depth" = 1 ] || ops=$([ -n "$QUICK" ] && echo 2048 || echo 4096)
	echo $((ops > depth * 8 ? ops : depth * 8))
}

# engines WORKLOAD FILES DEPTH [OPTION]...: every engine that this says something about.
engines() {
	local workload=$1 files=$2 depth=$3 engine
	shift 3
	for engine in "${ENGINES[@]}"; do
		# Alone there is nothing outstanding; the figure of depth 1 stands for it.
		[ "$engine" != fdatasync ] || [ "$depth" = 1 ] || [ "$files" -gt 1 ] || continue
		cell "$workload" "$engine" "$files" "$depth" 1 \
			"$(ops_for "$([ "$engine" = fdatasync ] && echo 1 || echo "$depth")")" "$@"
	done
	dropin "$workload" "$files" "$depth" libaio libaio "$@"
	dropin "$workload" "$files" "$depth" glibc posix "$@"
}

# The same program as for the engine, with the drop-in library under it.
dropin() {
	local workload=$1 files=$2 depth=$3 engine=$4 name=$5
	local library=$DROPINS/afsync-$name/libafsync-$name.so.1
	shift 5
	[ -e "$library" ] || return 0
	[ -e "$HERE/${library##*/}" ] || cp "$library" "$HERE/"
	LD_PRELOAD=$HERE/${library##*/} cell "$workload" "$engine" "$files" "$depth" 1 \
		"$(ops_for "$depth")" --label "$engine+afsync" "$@"
}

# matrix WORKLOAD: fewer requests than files are outstanding only one by one.
matrix() {
	local workload=$1 files depth
	shift
	if [ -n "$QUICK" ]; then
		for cell in "1 1" "1 64" "64 64" "256 256"; do
			# shellcheck disable=SC2086 # two words
			engines "$workload" $cell "$@"
		done
		return
	fi
	for files in "${FILES[@]}"; do
		for depth in "${DEPTHS[@]}"; do
			[ "$depth" -ge "$files" ] || [ "$depth:$files" = 1:16 ] || continue
			engines "$workload" "$files" "$depth" "$@"
		done
	done
}

processes() {
	local files engine count ops
	for count in 1 64; do
		for files in 1 16; do
			[ "$count" = 64 ] || [ "$files" = 16 ] || continue
			[ "$count" = 64 ] || [ -z "$QUICK" ] || continue
			ops=$((count == 1 ? 512 : 4096))
			[ -z "$QUICK" ] || ops=$((ops / 2))
			for engine in fdatasync io_uring libaio glibc afsync; do
				cell overwrite "$engine" "$files" 1 "$count" "$ops"
				case $count:$files:$engine in
				64:1:fdatasync | 64:1:afsync) apart "$engine" "$files" 1 "$count" "$ops" ;;
				esac
			done
		done
	done
}

# apart ENGINE FILES DEPTH PROCESSES OPS: without writers that meet, see files.c.
apart() {
	cell overwrite "$@" --apart --label "$1 (apart)"
}

log() {
	local producers engine
	for producers in 1 4 16 64 256; do
		[ -z "$QUICK" ] || [ "$producers" = 64 ] || continue
		for engine in "${ENGINES[@]}"; do
			[ "$engine" != fdatasync ] || [ "$producers" = 1 ] || continue
			cell log "$engine" 1 "$producers" 1 "$(ops_for "$producers")" --histogram
		done
	done
}

tree() {
	local files=10000 engine depth
	[ -z "$QUICK" ] || files=2000
	for engine in fdatasync sync by_hand; do
		cell tree "$engine" "$files" 1 1 "$files"
	done
	for depth in 16 256; do
		[ -z "$QUICK" ] || [ "$depth" = 16 ] || continue
		for engine in threads io_uring libaio glibc afsync; do
			cell tree "$engine" "$files" "$depth" 1 "$files"
		done
	done
}

# The cost of a sync by the number of files that are queued.
queued() {
	local files engine
	for files in 16 64 256 1024 4096; do
		for engine in fdatasync afsync; do
			cell overwrite "$engine" "$files" "$files" 1 $((files * 4 > 4096 ? files * 4 : 4096)) --no-latency
		done
	done
}

tmpfs() {
	if [ -n "$QUICK" ]; then
		engines overwrite 1 1 --no-latency
		engines overwrite 1 64 --no-latency
		engines overwrite 64 64 --no-latency
	else
		matrix overwrite --no-latency
	fi
	queued
}

memory() {
	mkdir "$mnt/memory"
	"$HERE/afsync-bench-memory" "$mnt/memory" >>"$OUT" || failed=1
}

disk_parts() {
	local part
	for part in overwrite append processes log tree variants; do
		[[ " $ONLY " = *" $part "* ]] || continue
		case $part:$fs-$device in
		overwrite:*) matrix overwrite ;;
		append:*)
			# The full matrix is for overwriting; the journal shows with these.
			[ -z "$QUICK" ] || continue
			for cell in "1 1" "1 64" "64 64" "256 256"; do
				# shellcheck disable=SC2086 # two words
				engines append $cell
			done ;;
		*:*-null_blk-1ms) $part ;;
		esac
	done
}

# Other ways to do the same, for a fair judgement; not part of results.json.
variants() {
	local files
	apart threads 1 64 1 "$(ops_for 64)"
	for files in 1 64; do
		cell overwrite io_uring_workers "$files" 64 1 "$(ops_for 64)"
	done
}

virtual() {
	local part
	on_disk ext4 null_blk-1ms disk_parts
	if [ -z "$QUICK" ]; then
		on_disk xfs null_blk-1ms disk_parts
		on_disk ext4 null_blk-20us disk_parts
		on_disk xfs null_blk-20us disk_parts
	fi
	for part in tmpfs memory; do
		[[ " $ONLY " != *" $part "* ]] || on_disk tmpfs none "$part"
	done
}

pairs() {
	local round engine
	for round in 1 2 3 4 5; do
		for engine in fdatasync afsync io_uring afsync libaio afsync; do
			cell overwrite "$engine" 16 1 64 1024
		done
		for engine in threads afsync io_uring afsync libaio afsync; do
			cell overwrite "$engine" 64 64 1 2048
		done
		[ -z "$QUICK" ] || [ "$round" -lt 2 ] || break
	done
}

smp() {
	on_disk tmpfs none pairs
	on_disk ext4 null_blk-1ms pairs
}

BENCH_CPUS=$(nproc)
export BENCH_CPUS
copy_programs
"$1"
cat "$OUT"
exit $failed
