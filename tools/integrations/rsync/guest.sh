#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the integration of rsync that runs in the VM, see test.sh.
#
#	guest.sh FILES
#
# Results are lines that begin with "result"; the others show the progress.

. "$(dirname "$0")/../../../scripts/lib.sh"
. "$TOP/scripts/vm/lib-guest.sh"
. "$TOP/tools/integrations/files.sh"
. "$TOP/tools/integrations/root.sh"

RSYNC=$BUILD/integrations/rsync
FILES=$1
ME=rsync-guest
PATH=$PATH:/usr/sbin:/sbin

# as_way WAY: sets program and options for that variant.
as_way() {
	without_device
	options=(--fsync)
	case $1 in
	stock) program=rsync-stock ;;
	none) program=rsync-stock options=() ;;
	threads) program=rsync-patched ;;
	module)
		program=rsync-patched
		with_device ;;
	esac
}

# copy VERSION: prints the microseconds, those of them idle, and flushes.
copy() {
	chroot "$ROOT" /bin/run $DISK "$program" -a --delay-updates "${options[@]}" "/tree$1/" /mnt/tree
}

# all_there VERSION: true if all files are there, whole, with mode and time.
all_there() { [ -d "$MNT/tree/usr" ] && list_files "$MNT/tree" usr | cmp -s - "$ROOT/tree$1.list"; }

# job NAME VERSION: copies that version and cuts the power at once, since the kernel writes
# everything by itself after some seconds.
job() {
	local us idle flushed syncs found=lost measured status=0
	sync -f "$MNT"
	count_from_here
	measured=$(copy "$2") || status=$?
	read -r us idle flushed <<<"$measured"
	syncs=$(($(calls) + $(counter syncs) - syncs_before))
	# rsync does not sync directories: this does.
	[ "$way" = none ] || sync "${folders[@]/#/$MNT/tree/}"
	power_cut "$MNT"
	if [ $status != 0 ] || [ -s "$ROOT/tmp/run.log" ]; then
		cat "$ROOT/tmp/run.log" >&2
		die "$way on $fs: rsync failed with status $status"
	fi
	[ "$way" != module ] || [ "$(counter submitted)" != "$submitted_before" ] ||
		die "$way on $fs: rsync did not use the module"
	! all_there "$2" || found=found
	echo "result $fs $1 $way $us $idle $syncs $flushed $found"
}

begin_root cat
add_program "$RSYNC/stock-source/rsync" rsync-stock
add_program "$RSYNC/patched-source/rsync" rsync-patched
for version in 1 2; do
	write_files "$ROOT/tree$version" $version "$FILES"
	list_files "$ROOT/tree$version" usr >"$ROOT/tree$version.list"
done
mapfile -t folders < <(cd "$ROOT/tree1" && find . -type d)
for fs in ext4 xfs; do
	for way in stock threads module none; do
		say "measuring $way on $fs"
		make_disk $DISK 1000000 320
		make_fs $fs /dev/$DISK
		mount -t $fs /dev/$DISK "$MNT"
		as_way $way
		job copy 1
		# After a power cut that lost files there is no tree to update.
		[ $way = none ] || job update 2
		remove_disk
	done
done
