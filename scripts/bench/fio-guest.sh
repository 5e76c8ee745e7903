#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of fio.sh that runs in the VM. Prints the results, a JSON object on each
# line, after the last measurement: a virtual port waits for the host.
#
# Each engine has the options that an expert would choose; the reason is beside them.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/vm/lib-guest.sh"

HERE=/tmp/bench-fio
OUT=$HERE/results
MNT=$HERE/mnt
DISK=nullb0
AFSYNC=external:$HERE/afsync.so
case ${BENCH_SIZE:-full} in
full) DEPTHS=(1 16 64) RUNTIME=1s ;;
short) DEPTHS=(4) RUNTIME=20ms ;;
*) die "no such size: $BENCH_SIZE (full or short)" ;;
esac
failed=0

# Everything that runs later is read from memory.
copy_programs() {
	mkdir -p "$MNT"
	cp "$(command -v fio)" "$BUILD/tools/fio/afsync.so" "$HERE/"
	ldd "$HERE/fio" | awk '/=> \// { print $3 } /ld-linux/ { print $1 }' | xargs -I '{}' cp -L '{}' "$HERE/"
	export LD_LIBRARY_PATH=$HERE LC_ALL=C
	: >"$OUT"
}

# cell ENGINE OPTION...: the job is $job, with the shell's variables depth and options.
cell() {
	local engine=$1 before
	shift
	echo "$fs $job $depth $engine" >/dev/kmsg
	sync -f "$MNT"
	before=$(flushes $DISK)
	if "$HERE/fio" --name="$job" --directory="$MNT" --bs=4k --time_based --runtime=$RUNTIME --group_reporting \
		--thread --clocksource=clock_gettime --output="$HERE/json" --output-format=json \
		"${options[@]}" "$@" >"$HERE/said" 2>&1; then
		printf '{"fs": "%s", "job": "%s", "depth": %d, "engine": "%s", "flushes": %d, "fio": %s}\n' \
			"$fs" "$job" "$depth" "$engine" $(($(flushes $DISK) - before)) \
			"$(sed -n '/^{/,$p' "$HERE/json" | tr -d '\n')" >>"$OUT"
	else
		say "failed: $job on $fs, depth $depth, $engine"
		cat "$HERE/said" >&2
		failed=1
	fi
	rm -f "$MNT"/append*
}

# 4 KiB over existing data, each to be durable, with $depth of them outstanding in one file.
overwrite() {
	local depth options queue sync=--fdatasync=1 dsync=(--sync=dsync --direct=1)
	dd if=/dev/zero of="$MNT/overwrite" bs=1M count=16 status=none
	job=overwrite
	for depth in "${DEPTHS[@]}"; do
		options=(--filename=overwrite --rw=randwrite --norandommap --size=16m)
		queue=(--iodepth="$depth" --iodepth_batch_submit="$depth" --iodepth_batch_complete_max="$depth")
		# This engine blocks: a thread for each request.
		cell "sync, threads" --ioengine=psync --numjobs="$depth" $sync
		# fio calls fdatasync itself when the queue is empty.
		cell "libaio" --ioengine=libaio --iodepth="$depth" $sync
		# So an expert uses a thread for each here, too, or no syncs.
		cell "libaio, threads" --ioengine=libaio --numjobs="$depth" $sync
		cell "libaio, O_DSYNC" --ioengine=libaio "${queue[@]}" "${dsync[@]}"
		# Its syncs do not wait for the writes before them.
		cell "io_uring" --ioengine=io_uring --registerfiles=1 --iodepth="$depth" $sync
		cell "io_uring, threads" --ioengine=io_uring --registerfiles=1 --numjobs="$depth" $sync
		cell "io_uring, O_DSYNC" --ioengine=io_uring --registerfiles=1 "${queue[@]}" "${dsync[@]}"
		cell "posixaio" --ioengine=posixaio --iodepth="$depth" $sync
		cell "afsync" --ioengine="$AFSYNC" --engine=device "${queue[@]}" $sync
		cell "afsync, no module" --ioengine="$AFSYNC" --engine=threads "${queue[@]}" $sync
	done
}

# 4 KiB at the end of each of $depth files in turn.
append() {
	local depth options sync=--fsync=1 many one
	job=append
	for depth in "${DEPTHS[@]}"; do
		options=(--rw=write --fallocate=none --filesize=4m --unlink=1)
		# A job for each file: otherwise fio cannot sync the file that was written.
		many=(--numjobs="$depth" --size=4m)
		cell "sync, threads" --ioengine=psync "${many[@]}" $sync
		cell "libaio, threads" --ioengine=libaio "${many[@]}" $sync
		cell "io_uring, threads" --ioengine=io_uring --registerfiles=1 "${many[@]}" $sync
		cell "posixaio, threads" --ioengine=posixaio "${many[@]}" $sync
		cell "afsync, threads" --ioengine="$AFSYNC" --engine=device "${many[@]}" $sync
		# One job for all files: the second of two operations on a file is the sync.
		one=(--nrfiles="$depth" --size=$((depth * 4))m --file_service_type=roundrobin:2
			--iodepth="$depth" --iodepth_batch_submit="$depth" --iodepth_batch_complete_max="$depth")
		cell "afsync" --ioengine="$AFSYNC" --engine=device "${one[@]}" $sync
		cell "afsync, no module" --ioengine="$AFSYNC" --engine=threads "${one[@]}" $sync
	done
}

copy_programs
for fs in ext4 xfs; do
	make_disk $DISK 1000000
	make_fs $fs /dev/$DISK
	mount -t $fs /dev/$DISK "$MNT"
	overwrite
	append
	umount "$MNT"
	rmdir "$NULL_BLK/$DISK"
done
cat "$OUT"
exit $failed
