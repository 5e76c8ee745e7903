#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio with its engine for libafsync (tools/fio), the device and the threads of the library: the
# blocks are read back, and the module has counted as many syncs as fio reports.
#
#	selftests/programs/fio_afsync.sh	needs: see programs.sh; fio, python3, xfs_io;
#						built by the Makefile
#
# Also: synced data survives a power cut, a sync that fails is an error of the job, and a
# trim is refused.

. "$(dirname "$0")/programs.sh"
. "$TOP/scripts/vm/lib-guest.sh"

ENGINE=external:$OUTPUT/fio/afsync.so
size=128k
[ "$small" != 1 ] || size=32k

# rw, direct, iodepth, sync, and more options
groups=("write 0 1 fsync=1" "randwrite 0 16 fsync=1" "randwrite 0 16 fdatasync=4"
	"randwrite 0 16 sync_file_range=write:2" "randwrite 1 16 fsync=2 thread"
	"write 0 16 fsync=1 iodepth_batch=16 iodepth_batch_complete_max=16"
	"write 0 16 fsync=1 nrfiles=4 file_service_type=roundrobin:2")

# group_name GROUP: fio allows no space in it.
group_name() { tr ' =:' '---' <<<"$1"; }

# jobs_file ENGINE
jobs_file() {
	local group rw direct depth options
	fio_global "$ENGINE" $size
	echo "engine=$1"
	for group in "${groups[@]}"; do
		read -r rw direct depth options <<<"$group"
		printf '[%s]\nnew_group\nrw=%s\ndirect=%s\niodepth=%s\n' "$(group_name "$group")" "$rw" "$direct" "$depth"
		# shellcheck disable=SC2086 # a list
		printf '%s\n' $options
	done
}

# json_table FILE: "group error reads writes syncs" of each group. The text that fio prints
# counts datasyncs as something else.
json_table() {
	python3 - "$1" <<-'EOF'
		import json, sys
		text = open(sys.argv[1]).read()
		for job in json.loads(text[text.index("{"):])["jobs"]:
		    print(job["jobname"], job["error"], job["read"]["total_ios"], job["write"]["total_ios"],
		          job["sync"]["lat_ns"]["N"])
	EOF
}

# one GROUP
one() {
	local error reads writes syncs sync
	read -r error reads writes syncs < <(sed -n "s/^$(group_name "$1") //p" "$work/table") ||
		why "fio does not report $1" || return 1
	[ "$error" = 0 ] || why "fio has error $error" || return 1
	[ "$writes" -gt 0 ] && [ "$reads" = "$writes" ] ||
		why "$writes blocks written, $reads read back" || return 1
	read -r _ _ _ sync _ <<<"$1"
	sync=${sync##*[=:]}
	# No sync follows the last block of each of the 4 jobs.
	[ "$syncs" = $((writes / sync - 4)) ] || why "$syncs syncs for $writes blocks, one for each $sync expected"
}

# all_groups ENGINE: one fio runs all of them, because starting it takes longer than they do.
all_groups() {
	local engine=$1 group rc all=0 syncs
	jobs_file "$engine" >"$work/jobs"
	begin
	fio --output="$work/json" --output-format=json "$work/jobs" >>"$log" 2>&1 || why "fio ended with $?" || all=1
	cat "$work/json" >>"$log"
	json_table "$work/json" >"$work/table" 2>>"$log" || all=1
	for group in "${groups[@]}"; do
		rc=0
		one "$group" || rc=1
		verdict $rc "$fs: fio afsync, $engine, $group"
	done
	syncs=$(awk '{ n += $5 } END { print n + 0 }' "$work/table")
	echo "fio: $syncs syncs" >>"$log"
	if [ "$engine" = threads ]; then
		went_through 0 0 || all=1
	else
		{ [ "$syncs" -gt 0 ] && went_through "$syncs" "$syncs"; } || all=1
	fi
	verdict $all "$fs: fio afsync, $engine: fio says as many syncs as the module"
}

# written_and_cut NAME OPTION...: writes 64 blocks of a new file, then cuts the power. False
# unless all blocks are there, except the last one, which no sync follows.
written_and_cut() {
	local job=(fio --name=cut "--directory=$dir" --filename="$1" --ioengine="$ENGINE" --rw=write --bs=4k
		--iodepth=16 --verify=crc32c)
	shift
	"${job[@]}" --size=256k --do_verify=0 "$@" >>"$log" 2>&1 || why "fio ended with $?" || return 1
	power_cut "/mnt/$fs" >>"$log" 2>&1 || why "cannot cut the power" || return 1
	"${job[@]}" --size=252k --verify_only >>"$log" 2>&1
}

cut() {
	local engine rc
	for engine in device threads; do
		begin
		rc=0
		AFSYNC_ENGINE=$engine written_and_cut "cut-$engine" --fsync=1 || rc=1
		verdict $rc "$fs: fio afsync, $engine: what was synced is there after a power cut"
	done
	# Shows that the cut can lose data. The name is a new one, since the cut can also undo
	# the removal of an old file.
	begin
	rc=0
	! written_and_cut cut-none || rc=1
	verdict $rc "$fs: fio afsync: what was not synced is lost"
}

# refused TEXT OPTION...: fio fails, and prints TEXT.
refused() {
	local text=$1
	shift
	! timeout 60 fio --name=refused --ioengine="$ENGINE" --bs=4k --size=64k "$@" >>"$log" 2>&1 || why "fio succeeds" || return 1
	grep -qE "$text" "$log" || why "fio does not say: $text"
}

refusals() {
	local engine rc
	for engine in device threads; do
		begin
		rc=0
		refused 'io_u error on file /dev/null: Invalid argument: sync ' --engine=$engine --filename=/dev/null \
			--rw=write --fsync=1 --iodepth=4 || rc=1
		verdict $rc "fio afsync, $engine: a sync that fails is an error of the job"
	done
	begin
	rc=0
	refused 'rw=trim: this engine has no trims' --filename=/dev/null --rw=trim || rc=1
	verdict $rc "fio afsync: trims are refused"
}

[ "$peer" = 0 ] || skip_all "it is no drop-in"
needs fio python3 xfs_io
[ -e "${ENGINE#*:}" ] || { echo "Bail out! ${ENGINE#*:} is missing: build it"; exit 1; }
plan $(($(wc -w <<<"$FILESYSTEMS") * (2 * (${#groups[@]} + 1) + 3) + 3))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	all_groups device
	all_groups threads
	cut
done
refusals
exit $failed
