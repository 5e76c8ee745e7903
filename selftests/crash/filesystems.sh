# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Making and mounting the filesystems of the crash tests. Sourced, never run.

make_filesystem() {
	case $1 in
	ext4 | ext4-journal) mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$2" ;;
	xfs) mkfs.xfs -q -f "$2" ;;
	btrfs) mkfs.btrfs -q -f "$2" ;;
	vfat) mkfs.vfat "$2" ;;
	esac >/dev/null
}

mount_filesystem() {
	case $1 in
	ext4-journal) mount -t ext4 -o data=journal "$2" "$3" ;;
	xfs) mount -t xfs -o nouuid "$2" "$3" ;;
	vfat) mount -t vfat -o tz=UTC "$2" "$3" ;;
	*) mount -t "$1" "$2" "$3" ;;
	esac
}
