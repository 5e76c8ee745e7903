# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The devices and filesystems of the twins. Sourced, never run.
#
# A filesystem is on a device that fails writes (selftests/sim/faulty.c), which is on memory
# (brd), or on a thin volume of a pool in memory. It is made anew and equal each time.

UUID=6e3a40b1-1c84-4a0f-8ef2-0d2b7cf0a51e
# Blocks of a pool, and the size of its volumes: 512-byte sectors.
POOL_BLOCK=128 VOLUME=$((512 * 2048))

make_filesystem() {
	case $1 in
	ext4) mkfs.ext4 -q -F -U $UUID -N 64 -J size=4 \
		-E lazy_itable_init=0,lazy_journal_init=0,hash_seed=$UUID,nodiscard "$2" ;;
	xfs) mkfs.xfs -q -f -K -m uuid=$UUID "$2" ;;
	esac >/dev/null
}

# Only the workload starts writeback, so no timer may commit.
mount_filesystem() {
	case $1 in
	ext4) mount -t ext4 -o commit=3600 "$2" "$3" ;;
	xfs) mount -t xfs "$2" "$3" ;;
	esac
}

no_timers() {
	modprobe -a xfs ext4 dm-mod dm-thin-pool
	echo 0 >/proc/sys/vm/dirty_writeback_centisecs
	echo 360000 >/proc/sys/vm/dirty_expire_centisecs
	echo 720000 >/proc/sys/fs/xfs/xfssyncd_centisecs
}

begin_disks() { modprobe brd rd_nr=2 rd_size=$((320 * 1024)) max_part=0; }

# begin_device FILESYSTEM FAULT: /dev/mapper/afsync-twin.
begin_device() {
	local below=/dev/ram0 sectors=$((64 * 2048))
	[ "$1" = ext4 ] || sectors=$((320 * 2048))
	if [ "$2" = thin ]; then
		# Otherwise the device would still have the old pool.
		dd if=/dev/zero of=/dev/ram1 bs=4k count=1 conv=fsync status=none
		dmsetup create afsync-pool --table \
			"0 $sectors thin-pool /dev/ram1 /dev/ram0 $POOL_BLOCK 0 1 error_if_no_space"
		dmsetup message afsync-pool 0 "create_thin 0"
		dmsetup message afsync-pool 0 "create_thin 1"
		sectors=$VOLUME
		dmsetup create afsync-thin --table "0 $sectors thin /dev/mapper/afsync-pool 0"
		dmsetup create afsync-filler --table "0 $sectors thin /dev/mapper/afsync-pool 1"
		below=/dev/mapper/afsync-thin
	fi
	dmsetup create afsync-twin --table "0 $sectors afsync_faulty $below"
}

end_device() {
	local name
	for name in twin thin filler pool; do
		[ ! -e /dev/mapper/afsync-$name ] || dmsetup remove afsync-$name
	done
}
