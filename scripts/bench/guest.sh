#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the benchmark that runs in the VM, see bench.sh. Prints the results, a JSON
# object on each line, after the last measurement: a virtual port waits for the host.
#
#	scripts/bench/guest.sh virtual	the matrix, on one CPU in virtual time
#	scripts/bench/guest.sh smp	pairs of runs, on several CPUs in real time
#
# BENCH_SIZE sets the amount, see sizes.sh. BENCH_ONLY="overwrite tmpfs" runs only
# these parts, BENCH_ENGINES="libaio afsync" only these engines.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/vm/lib-guest.sh"
. "$TOP/scripts/bench/sizes.sh"

ONLY=${BENCH_ONLY:-overwrite append processes brief log tree variants workers tmpfs memory many opener preemption}
ENGINES=${BENCH_ENGINES:-fdatasync sync syncfs by_hand threads io_uring libaio glibc afsync afsync_threads}
HERE=/tmp/bench
OUT=$HERE/results
DROPINS=$BUILD/tools/lib
failed=0

# Everything that runs later is read from memory.
copy_programs() {
	mkdir -p "$HERE"
	cp "$BUILD"/tools/bench/afsync-bench{,-memory,-many,-opener,-preemption} "$HERE/"
	cp "$DROPINS/afsync-libaio/libafsync-libaio.so.1" "$DROPINS/afsync-posix/libafsync-posix.so.1" \
		"$HERE/"
	cp "$(command -v sync)" ${AFSYNC_KO:+"$AFSYNC_KO"} "$HERE/"
	ldd "$HERE/afsync-bench" | awk '/=> \// { print $3 } /ld-linux/ { print $1 }' |
		xargs -I '{}' cp -L '{}' "$HERE/"
	export LD_LIBRARY_PATH=$HERE LC_ALL=C
	# The loader that the kernel would open on the host.
	BENCH_LOADER=$(echo "$HERE"/ld-linux*)
	export BENCH_LOADER
	: >"$OUT"
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
		case $device in
		null_blk-1ms) make_disk "$disk" 1000000 ;;
		null_blk-20us) make_disk "$disk" 20000 ;;
		null_blk-10ms) make_disk "$disk" 10000000 ;;
		esac
		make_fs "$fs" "/dev/$disk"
		mount -t "$fs" "/dev/$disk" "$mnt"
	fi
	"$@"
	umount "$mnt"
	[ -z "$disk" ] || rmdir "$NULL_BLK/$disk"
}

# cell WORKLOAD ENGINE FILES DEPTH PROCESSES OPS [OPTION]...
cell() {
	local workload=$1 engine=$2 files=$3 depth=$4 processes=$5 ops=$6 warm blocks=256
	shift 6
	# Together they must fit on the disk.
	[ "$files" -lt 64 ] || blocks=64
	[ "$files" -lt 256 ] || blocks=16
	[ "$files" -lt 16384 ] || blocks=4
	# At least one for each writer.
	[ "$blocks" -ge $((depth * processes / files)) ] || blocks=$((depth * processes / files))
	warm=$((ops / processes / 4))
	case $workload in tree | brief) warm=0 ;; esac
	echo "$fs/$device $workload $engine $files $depth $processes" >/dev/kmsg
	"$HERE/afsync-bench" --workload "$workload" --engine "$engine" --dir "$mnt/files" --files "$files" \
		--depth "$depth" --processes "$processes" --ops "$ops" --warm "$warm" --blocks "$blocks" \
		--filesystem "$fs" --device "$device" ${disk:+--disk "$disk"} "$@" >>"$OUT" || {
		say "failed: $workload on $fs/$device, $engine, $files files, depth $depth, $processes processes"
		failed=1
		rm -rf "$mnt/files"
	}
}

# Prints the number of operations for figures that repeat: many rounds of the window.
ops_for() {
	local depth=$1 ops=$OPS
	# Without a disk they are short, and the time before the first one would count.
	[ "$depth" -gt 1 ] || [ -z "$disk" ] || ops=$OPS_ALONE
	echo $((ops > depth * ROUNDS ? ops : depth * ROUNDS))
}

# among ENGINE...: those of them that are selected.
among() {
	local engine
	for engine; do
		[[ " $ENGINES " != *" $engine "* ]] || echo "$engine"
	done
}

# engines WORKLOAD FILES DEPTH [OPTION]...: every engine for which this says something.
engines() {
	local workload=$1 files=$2 depth=$3 engine ops
	shift 3
	for engine in $(among fdatasync syncfs by_hand threads io_uring libaio glibc afsync afsync_threads); do
		ops=$(ops_for "$depth")
		case $engine:$files in
		fdatasync:*)
			# With one file nothing is outstanding; the figure of depth 1 applies.
			[ "$depth" = 1 ] || [ "$files" -gt 1 ] || continue
			ops=$(ops_for 1) ;;
		glibc:1)
			# One after the other, too, and it looks through all waiting ones each time.
			[ "$depth" = 1 ] || ops=$((OPS / 4 > depth * 2 ? OPS / 4 : depth * 2)) ;;
		esac
		cell "$workload" "$engine" "$files" "$depth" 1 "$ops" "$@"
	done
	dropins "$workload" "$files" "$depth" "$(ops_for "$depth")" "$@"
}

# dropins WORKLOAD FILES DEPTH OPS [OPTION]...: the same programs as for the engines, with the
# drop-in libraries under them. These must not have fallen back to glibc or libaio.
dropins() {
	local workload=$1 files=$2 depth=$3 ops=$4 engine library before
	shift 4
	for engine in $(among libaio glibc); do
		library=$HERE/libafsync-libaio.so.1
		[ "$engine" = libaio ] || library=$HERE/libafsync-posix.so.1
		before=$(counter submitted)
		LD_PRELOAD=$library cell "$workload" "$engine" "$files" "$depth" 1 "$ops" \
			--label "$engine+afsync" "$@"
		[ "$(counter submitted)" -gt "$before" ] || {
			say "failed: $engine+afsync did not use the device"
			failed=1
		}
	done
}

# matrix WORKLOAD "FILES DEPTH"... [-- OPTION...]
matrix() {
	local workload=$1 cells=() where
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		cells+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	for where in ${cells[@]+"${cells[@]}"}; do
		# shellcheck disable=SC2086 # two words
		engines "$workload" $where "$@"
	done
}

processes() {
	local where count files engine ops
	for where in "${PROCESSES[@]}"; do
		read -r count files <<<"$where"
		ops=$(ops_for "$count")
		for engine in $(among fdatasync io_uring libaio glibc afsync); do
			cell overwrite "$engine" "$files" 1 "$count" "$ops"
			case $count:$files:$engine in
			64:1:fdatasync | 64:1:afsync) same_blocks "$engine" "$files" 1 "$count" "$ops" ;;
			esac
		done
	done
}

# same_blocks ENGINE FILES DEPTH PROCESSES OPS: with writers that meet, see files.c.
same_blocks() {
	cell overwrite "$@" --same-blocks --label "$1 (same blocks)"
}

# Processes that live for a few operations: the set-up and the end of a ring count.
brief() {
	local count=$BRIEF engine
	for engine in $(among fdatasync io_uring libaio glibc afsync); do
		cell brief "$engine" 1 1 "$count" $((count * 12))
	done
}

log() {
	local producers
	for producers in "${PRODUCERS[@]}"; do
		engines log 1 "$producers" --histogram
	done
}

tree() {
	local engine depth
	for engine in $(among fdatasync sync syncfs); do
		cell tree "$engine" "$TREE_FILES" 1 1 "$TREE_FILES"
	done
	for depth in "${TREE_DEPTHS[@]}"; do
		for engine in $(among threads io_uring libaio glibc afsync afsync_threads); do
			cell tree "$engine" "$TREE_FILES" "$depth" 1 "$TREE_FILES"
		done
	done
	dropins tree "$TREE_FILES" "${TREE_DEPTHS[0]}" "$TREE_FILES"
}

# The cost of a sync by the number of queued files.
queued() {
	local files engine
	for files in ${QUEUED[@]+"${QUEUED[@]}"}; do
		for engine in $(among fdatasync afsync); do
			cell overwrite "$engine" "$files" "$files" 1 $((files * 4 > 4096 ? files * 4 : 4096)) --no-latency
		done
	done
}

tmpfs() {
	matrix overwrite "${TMPFS[@]}" -- --no-latency
	queued
}

# program NAME: one that prints its own result, in a directory of its own.
program() {
	mkdir "$mnt/$1"
	"$HERE/afsync-bench-$1" "$mnt/$1" || failed=1
}

memory() { program memory >>"$OUT"; }

# One request among many. The filesystem fails from then on.
many() { program many >>"$OUT"; }

# A file that another opener queues syncs for.
opener() { program opener >>"$OUT"; }

# The longest time without preemption, of all operations.
preemption() {
	program preemption >"$HERE/preemption"
	awk '$1 > worst { worst = $1 } END { printf "{\"preemption_us\": %s}\n", worst + 0 }' \
		"$HERE/preemption" >>"$OUT"
}

variant_engines() {
	[ -z "$(among io_uring)" ] || echo io_uring_default io_uring_all
	[ -z "$(among afsync)" ] || echo afsync_queued
}

# The same with other settings, for a fair comparison; not part of results.json.
variants() {
	local where files depth engine
	for where in "${VARIANTS[@]}"; do
		read -r files depth <<<"$where"
		if [ "$files" = 1 ] && [ -n "$(among threads)" ]; then
			same_blocks threads 1 "$depth" 1 "$(ops_for "$depth")"
		fi
		for engine in $(variant_engines); do
			cell overwrite "$engine" "$files" "$depth" 1 "$(ops_for "$depth")"
		done
	done
}

# load_again [PARAMETER=VALUE]
load_again() {
	if ! rmmod afsync || ! insmod "$HERE/${AFSYNC_KO##*/}" "$@"; then
		say "failed: cannot load the module again"
		failed=1
		return 1
	fi
}

# Is the part about workers selected?
wants_workers() {
	[ -n "$(only workers)" ] && [ -n "$(among afsync)" ] && [ ${#WORKERS[@]} -gt 0 ]
}

# The benefit of the limit of workers, and its cost; not part of results.json either.
workers() {
	local count workload files ops
	wants_workers || return 0
	ops=$(ops_for "$WORKERS_DEPTH")
	for count in "${WORKERS[@]}"; do
		load_again "workers_per_fs=$count" || return 0
		for workload in overwrite append tree; do
			files=$WORKERS_DEPTH
			[ "$workload" != tree ] || files=$ops
			cell "$workload" afsync "$files" "$WORKERS_DEPTH" 1 "$ops" --label "afsync ($count workers)"
		done
	done
	load_again || true
}

# The full matrix is for overwriting; a few cells are enough for the journal. The other parts
# are for the first disk.
disk_parts() {
	local part
	for part in $ON_DISK; do
		case $part:$fs-$device in
		overwrite:ext4-null_blk-1ms) matrix overwrite "${OVERWRITE[@]}" ;;
		overwrite:*) matrix overwrite ${OTHERS[@]+"${OTHERS[@]}"} ;;
		append:*) matrix append ${APPEND[@]+"${APPEND[@]}"} ;;
		workers:*) workers ;;
		*:ext4-null_blk-1ms) "$part" ;;
		esac
	done
}

# only PART...: those of them that are selected.
only() {
	local part
	for part; do
		[[ " $ONLY " != *" $part "* ]] || echo "$part"
	done
}

virtual() {
	local where part
	ON_DISK=$(only overwrite append processes brief log tree variants workers)
	for where in "${DISKS[@]}"; do
		# shellcheck disable=SC2086 # two words
		[ -z "$ON_DISK" ] || on_disk $where disk_parts
	done
	! wants_workers || on_disk ext4 null_blk-10ms workers
	[ -z "$(only many)" ] || on_disk ext4 null_blk-20us many
	[ -z "$(only opener)" ] || on_disk ext4 null_blk-1ms opener
	for part in $(only tmpfs memory preemption); do
		on_disk tmpfs none "$part"
	done
}

pairs() {
	local round engine
	for ((round = 0; round < PAIRS; round++)); do
		for engine in fdatasync afsync io_uring afsync libaio afsync; do
			cell overwrite "$engine" 16 1 64 "$PAIR_OPS"
		done
		for engine in threads afsync io_uring afsync libaio afsync; do
			cell overwrite "$engine" 64 64 1 $((PAIR_OPS * 2))
		done
	done
}

smp() {
	on_disk tmpfs none pairs
	on_disk ext4 null_blk-1ms pairs
}

BENCH_CPUS=$(nproc)
export BENCH_CPUS
copy_programs
printf '{"kernel": "%s", "source": "%s"}\n' "$(uname -r)" "$BENCH_SOURCE" >>"$OUT"
"$1"
cat "$OUT"
exit $failed
