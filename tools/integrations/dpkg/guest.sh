#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the integration of dpkg that runs in the VM, see test.sh.
#
#	guest.sh measure MS MIPS PACKAGE JOB...	time, syncs, flushes of installing and upgrading it
#	guest.sh cuts N SEED FS			the power is cut at N random points of an upgrade
#	guest.sh errors FS			failing syncs, and the calls with which dpkg syncs
#
# Results are lines that begin with "result"; the others show the progress.

. "$(dirname "$0")/../../../scripts/lib.sh"
. "$TOP/scripts/vm/lib-guest.sh"
. "$TOP/tools/integrations/files.sh"
. "$TOP/tools/integrations/root.sh"
. "$TOP/tools/integrations/dpkg/cuts.sh"
. "$TOP/tools/integrations/dpkg/errors.sh"

DPKG=$BUILD/integrations/dpkg
ME=dpkg-guest
PATH=$PATH:/usr/sbin:/sbin

# use_package NAME: one of those that test.sh has made. Sets FILES, the number of its files.
use_package() {
	package=$1
	PACKAGES=$DPKG/packages/$package
	read -r FILES _ <"$PACKAGES/stamp"
}

# new_disk FS: an empty filesystem on an empty disk, with the database of a dpkg that has
# installed nothing.
new_disk() {
	make_disk $DISK "${NSEC:-1000000}" 320
	make_fs "$1" /dev/$DISK
	mount -t "$1" /dev/$DISK "$MNT"
	new_database
}

new_database() {
	mkdir -p "$MNT/root/var/lib/dpkg"/{info,updates,triggers,parts} "$MNT/root/tmp"
	: >"$MNT/root/var/lib/dpkg/status"
	: >"$MNT/root/var/lib/dpkg/available"
	sync -f "$MNT"
}

# as_way WAY: sets program, the command line, for that variant.
as_way() {
	without_device
	case $1 in
	stock) program=(dpkg-stock) ;;
	unsafe) program=(dpkg-stock --force-unsafe-io) ;;
	threads) program=(dpkg-patched) ;;
	module)
		program=(dpkg-patched)
		with_device ;;
	*) die "no such variant: $1" ;;
	esac
}

# run VERSION: prints the microseconds, those of them idle, and flushes.
run() {
	chroot "$ROOT" /bin/run $DISK "${program[@]}" --root=/mnt/root --log=/tmp/actions.log \
		--install "/packages/$package/$1.deb"
}

# True if the files on the disk are those of VERSION.
has_files() { list_files "$MNT/root" usr | cmp -s - "$PACKAGES/$1.list"; }
check_files() {
	has_files "$1" ||
		die "$way on $fs: dpkg says that version $1 is installed, and its files are not"
}

measure_run() {
	local us idle flushed measured status=0
	sync -f "$MNT"
	count_from_here
	measured=$(run "$2") || status=$?
	read -r us idle flushed <<<"$measured"
	echo "result $fs $1 $way $us $idle $(($(calls) + $(counter syncs) - syncs_before)) $flushed" \
		"$ms $mips $package"
	if [ $status != 0 ] || ! grep -q "^Setting up many-files" "$ROOT/tmp/run.log"; then
		cat "$ROOT/tmp/run.log" >&2
		die "$way on $fs: dpkg failed with status $status"
	fi
	[ "$way" != module ] || [ "$(counter submitted)" != "$submitted_before" ] ||
		die "$way on $fs: dpkg did not use the module"
	check_files "$2"
}

# measure MS MIPS PACKAGE JOB...: on disks whose requests take MS milliseconds, with a CPU of
# MIPS million instructions a second. Jobs are install, and upgrade after it.
measure() {
	local NSEC=$(($1 * 1000000)) ms=$1 mips=$2 fs way
	use_package "$3"
	shift 3
	for fs in ext4 xfs; do
		for way in stock unsafe threads module; do
			say "measuring $way on $fs, $ms ms, $mips MIPS, $package"
			new_disk "$fs"
			as_way "$way"
			measure_run install 1
			[[ " $* " != *" upgrade "* ]] || measure_run upgrade 2
			remove_disk
		done
	done
}

make_root() {
	begin_root sh rm tar diff ldconfig cat dpkg-split
	mkdir "$ROOT/etc/dpkg"
	add_program "$DPKG/stock/src/dpkg" dpkg-stock
	add_program "$DPKG/patched/src/dpkg" dpkg-patched
	add_program "$DPKG/stock/src/dpkg-deb"
	add_program "$DPKG/stock/src/dpkg-query"
	cp -r "$DPKG/packages" "$ROOT"
}

make_root
"$@"
