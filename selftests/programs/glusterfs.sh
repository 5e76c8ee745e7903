#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A GlusterFS brick with 'option linux-aio on': all its reads, writes and syncs of
# files go through libaio, as IO_CMD_FSYNC and IO_CMD_FDSYNC. One process has the brick
# and the FUSE mount in one graph: no network, no daemon. fio writes through the mount
# from several processes; its blocks are read back there and in the brick's directory.
#
#	selftests/programs/glusterfs.sh		needs: see programs.sh; glusterfs, fio, FUSE
#
# The brick opens libaio with a local dlopen. Blocks of 2 KiB, and no page cache in
# between: for requests that are a multiple of 4 KiB the brick switches to direct I/O,
# but the buffers of this version of GlusterFS are not aligned for it (EINVAL, with
# the drop-in and without).

. "$(dirname "$0")/programs.sh"

size=96k
[ "$small" != 1 ] || size=16k

volume() {
	cat <<-EOF
		volume brick
		    type storage/posix
		    option directory $dir/brick
		    option linux-aio on
		end-volume
		volume locks
		    type features/locks
		    subvolumes brick
		end-volume
		volume threads
		    type performance/io-threads
		    subvolumes locks
		end-volume
	EOF
}

mount_brick() {
	mkdir -p "$dir/brick" "$work/mount"
	volume >"$work/volume"
	dropins glusterfs --volfile="$work/volume" --no-daemon --log-file="$work/glusterfs.log" \
		--direct-io-mode=enable "$work/mount" &
	pid=$!
	until mountpoint -q "$work/mount"; do
		kill -0 $pid 2>/dev/null || { cat "$work/glusterfs.log" >>"$log"; why "glusterfs ended"; return 1; }
		sleep 0.1
	done
}

unmount_brick() {
	local rc=0
	umount "$work/mount" || why "cannot unmount" || return 1
	# The process ends after an unmount by a signal that it sends to itself.
	wait $pid || rc=$?
	[ $rc = 0 ] || [ $rc = 15 ] || [ $rc = 143 ] || why "glusterfs ended with $rc"
}

# jobs FOLDER: the same for writing and for reading back.
jobs() {
	local sync rw
	printf '[global]\ndirectory=%s\nioengine=psync\nbs=2k\nsize=%s\nnumjobs=2\n' "$1" "$size"
	printf 'group_reporting\nverify=crc32c\ndo_verify=1\nstonewall\n'
	for sync in fsync fdatasync; do
		for rw in write randwrite; do
			printf '[%s-%s]\nnew_group\nrw=%s\n%s=4\n' $rw $sync $rw $sync
		done
	done
}

# blocks COLUMN: 1 read, 2 written, in all groups of fio's report.
blocks() { sed -n "s/.*issued rwts: total=\([0-9]*\),\([0-9]*\),.*/\\$1/p" "$log" | awk "{ n += \$1 } END { print n + 0 }"; }

write_files() {
	jobs "$work/mount" >"$work/jobs"
	fio "$work/jobs" >>"$log" 2>&1 || why "fio ended with $?" || return 1
	written=$(blocks 2)
	[ "$written" -gt 0 ] && [ "$(blocks 1)" = "$written" ] ||
		why "$written blocks written, $(blocks 1) read back" || return 1
	# No sync follows the last block of each of the 8 jobs.
	went_through $((written / 4 - 8))
}

# read_back: without the brick's process.
read_back() {
	jobs "$dir/brick" >"$work/jobs"
	fio --verify_only "$work/jobs" >>"$log" 2>&1 || why "fio ended with $?" || return 1
	[ "$(blocks 1)" = "$written" ] || why "$written blocks written, $(blocks 1) read back"
}

needs glusterfs fio mountpoint
modprobe -q fuse || true
[ -c /dev/fuse ] || skip_all "no FUSE in this kernel"
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan $((filesystems * 4))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	written=0
	begin
	rc=0
	mount_brick || rc=1
	verdict $rc "$fs: glusterfs serves a brick with linux-aio on"
	begin
	rc=0
	write_files || rc=1
	verdict $rc "$fs: brick: files written with fsync and with fdatasync read back"
	begin
	rc=0
	unmount_brick || rc=1
	verdict $rc "$fs: glusterfs ends when it is unmounted"
	begin
	rc=0
	read_back || rc=1
	verdict $rc "$fs: brick: the files read back from its folder"
done
exit $failed
