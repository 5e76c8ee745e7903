#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A GlusterFS brick with 'option linux-aio on': all its reads, writes and syncs of
# files go through libaio, as IO_CMD_FSYNC and IO_CMD_FDSYNC. One process has the brick
# and the FUSE mount in one graph: no network, no daemon. fio writes through the mount
# from several processes; its blocks are read back there and in the brick's folder.
#
#	selftests/programs/glusterfs.sh		needs: see programs.sh; glusterfs, fio, FUSE
#
# The brick opens libaio with a local dlopen. Blocks of 2 KiB, and no page cache in
# between: for requests that are a multiple of 4 KiB the brick switches to direct I/O,
# but the buffers of this version of GlusterFS are not aligned for it (EINVAL, with
# the drop-in and without).

. "$(dirname "$0")/programs.sh"

size=256k
[ "$small" != 1 ] || size=64k

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
	# What ends the process after an unmount is a signal that it sends to itself.
	wait $pid || rc=$?
	[ $rc = 0 ] || [ $rc = 15 ] || [ $rc = 143 ] || why "glusterfs ended with $rc"
}

# write_files SYNC RW
write_files() {
	local writes
	fio --name="$1-$2" --directory="$work/mount" --ioengine=psync --rw="$2" --bs=2k --size="$size" \
		"--$1=4" --numjobs=3 --group_reporting --verify=crc32c --do_verify=1 >>"$log" 2>&1 ||
		why "fio ended with $?" || return 1
	writes=$(sed -n 's/.*issued rwts: total=[0-9]*,\([0-9]*\),.*/\1/p' "$log")
	[ "$writes" -gt 0 ] || why "fio wrote nothing" || return 1
	# None follows the last block of a job.
	went_through $((writes / 4 - 3))
}

# read_back SYNC RW: without the brick's process.
read_back() {
	fio --name="$1-$2" --directory="$dir/brick" --ioengine=psync --rw="${2/write/read}" --bs=2k \
		--size="$size" --numjobs=3 --group_reporting --verify=crc32c --verify_only >>"$log" 2>&1 ||
		why "fio ended with $?"
}

needs glusterfs fio mountpoint
modprobe -q fuse || true
[ -c /dev/fuse ] || skip_all "no FUSE in this kernel"
filesystems=$(wc -w <<<"$FILESYSTEMS")
plan $((filesystems * 10))
for fs in $FILESYSTEMS; do
	scratch "$fs"
	begin
	rc=0
	mount_brick || rc=1
	verdict $rc "$fs: glusterfs serves a brick with linux-aio on"
	for sync in fsync fdatasync; do
		for rw in write randwrite; do
			begin
			rc=0
			write_files $sync $rw || rc=1
			verdict $rc "$fs: brick: $rw with $sync"
		done
	done
	begin
	rc=0
	unmount_brick || rc=1
	verdict $rc "$fs: glusterfs ends when it is unmounted"
	for sync in fsync fdatasync; do
		for rw in write randwrite; do
			begin
			rc=0
			read_back $sync $rw || rc=1
			verdict $rc "$fs: brick: $rw with $sync reads back from its folder"
		done
	done
done
exit $failed
