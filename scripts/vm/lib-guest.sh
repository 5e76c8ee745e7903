# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Functions for the scripts that run in the VM. Sourced after lib.sh.

STATS=/sys/class/misc/afsync/stats
NULL_BLK=/sys/kernel/config/nullb

# counter NAME: one of the module's counters.
counter() { cat "$STATS/$1"; }

# flushes DISK: flush requests that it has completed; see Documentation/block/stat.rst.
flushes() { awk '{ print $16 }' "/sys/block/$(basename "$1")/stat"; }

# make_disk NAME NSEC [MB]: a null_blk with a write-back cache; every request takes NSEC by
# the guest's own timers. Only the first write to a page goes through the cache.
make_disk() {
	local dir=$NULL_BLK/$1
	modprobe -q null_blk nr_devices=0
	mkdir "$dir"
	echo 1 >"$dir/memory_backed"
	echo "${3:-512}" >"$dir/size"
	echo 64 >"$dir/cache_size"
	echo 2 >"$dir/irqmode"
	echo "$2" >"$dir/completion_nsec"
	echo 256 >"$dir/hw_queue_depth"
	echo 1 >"$dir/power"
}

# make_fs FS DISK: leaves no work for the background.
make_fs() {
	case $1 in
	ext4) mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$2" ;;
	xfs) mkfs.xfs -q -f "$2" ;;
	esac
}

# power_wires MNT: prepares power_off, which is then quick.
power_wires() {
	off_mnt=$1
	off_disk=$(findmnt -no SOURCE "$1")
	off_fs=$(findmnt -no FSTYPE "$1")
	off_cache=/sys/block/${off_disk#/dev/}/queue/write_cache
	[ -e "$NULL_BLK/${off_disk#/dev/}" ] || off_cache=
}

# flushes_off: from here on no flush reaches a null_blk.
flushes_off() { [ -z "$off_cache" ] || echo "write through" >"$off_cache"; }

# The command that shuts a filesystem down; changed if time must not wait for the host.
XFS_IO=(xfs_io)

# power_off MNT: from here on no write reaches the disk. Programs see errors.
power_off() {
	[ "${off_mnt:-}" = "$1" ] || power_wires "$1"
	cd /
	"${XFS_IO[@]}" -x -c shutdown "$1" || die "cannot shut the filesystem down"
	# Stops the flushes of the unmounting. Not earlier: the filesystem would continue
	# without flushes, and its writes in place reach the disk at once.
	flushes_off
}

# power_on MNT: with the contents of the disk. A null_blk has lost its cache.
power_on() {
	local power=$NULL_BLK/${off_disk#/dev/}/power
	umount "$1"
	if [ -e "$power" ]; then
		echo 0 >"$power"
		echo 1 >"$power"
	fi
	mount -t "$off_fs" "$off_disk" "$1"
	off_mnt=
}

# power_cut MNT: from here on only data on the disk exists.
power_cut() {
	power_off "$1"
	power_on "$1"
}

# Number as text, 1234567 -> 1,234,567
grouped() { sed ':a; s/\([0-9]\)\([0-9]\{3\}\)\b/\1,\2/; ta' <<<"$1"; }
