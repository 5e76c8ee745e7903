# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Failing syncs, and a failing ring. Sourced by guest.sh.
#
# If a sync fails, dpkg has to fail and to leave every file of version 1 unchanged. If dpkg
# cannot queue a sync, it has to call fsync() itself.

# with_strace OPTION...: puts strace before the program. Its output goes to SEEN.
SEEN=$ROOT/tmp/strace
with_strace() { program=(/bin/strace --seccomp-bpf -f -qq -o /tmp/strace "$@" "${program[@]}"); }

# has_failed MESSAGE: after a run of dpkg with that status.
has_failed() {
	[ "$status" != 0 ] || die "$way on $fs, $what: dpkg succeeds"
	grep -q "$1" "$ROOT/tmp/run.log" ||
		{ cat "$ROOT/tmp/run.log" >&2; die "$way on $fs, $what: dpkg does not say why it failed"; }
	has_files 1 || die "$way on $fs, $what: not all files are the old ones again"
}

gets_over_it() {
	as_way "$way"
	run 2 >/dev/null || die "$way on $fs, $what: dpkg does not recover"
	check_files 2
	say "$way on $fs, $what: dpkg fails, all files are the old ones, and the next run succeeds"
}

# injected MESSAGE OPTION-OF-STRACE...: an upgrade that has to fail.
injected() {
	local status=0 message=$1
	shift
	load_disk "$fs"
	as_way "$way"
	with_strace "$@"
	run 2 >/dev/null || status=$?
	has_failed "$message"
	gets_over_it
	remove_disk
}

# The 25th fsync of a thread fails. Before the files, dpkg syncs its database less often than that.
failed_calls() {
	for way in stock threads; do
		for what in EIO ENOSPC; do
			injected "unable to sync file" -e trace=fsync -e "inject=fsync:error=$what:when=25"
		done
	done
}

# bad_table TARGET: the behaviour of the disk of the files from now on.
bad_table() {
	local table
	table="0 $(blockdev --getsz "/dev/$DISK") $1"
	if [ -e /dev/mapper/bad ]; then
		# shellcheck disable=SC2086 # an option or none
		dmsetup suspend ${2:-} bad
		dmsetup reload bad --table "$table"
		dmsetup resume bad
	else
		dmsetup create bad --table "$table"
	fi
}
# Freezing the filesystem would write to the disk that fails.
good_disk() { bad_table "linear /dev/$DISK 0" --nolockfs; }
bad_disk() { bad_table "flakey /dev/$DISK 0 0 1 1 error_writes"; }

mount_bad() {
	case $fs in
	xfs) mount -t xfs -o logdev=/dev/nullb2 /dev/mapper/bad "$MNT/root/usr" ;;
	ext4) mount -t ext4 /dev/mapper/bad "$MNT/root/usr" ;;
	esac
}

# make_bad_disk: version 1, its files on a filesystem of their own. Its journal and dpkg's
# database are on other disks, which still work when the disk of the files is bad.
make_bad_disk() {
	make_disk "$DISK" 1000000 320
	make_disk nullb1 1000000 64
	make_disk nullb2 1000000 64
	make_fs ext4 /dev/nullb1
	mount -t ext4 /dev/nullb1 "$MNT"
	new_database
	mkdir "$MNT/root/usr"
	good_disk
	case $fs in
	xfs) mkfs.xfs -q -f -l logdev=/dev/nullb2 /dev/mapper/bad ;;
	ext4)
		mkfs.ext4 -q -F -b 4096 -O journal_dev /dev/nullb2
		mkfs.ext4 -q -F -b 4096 -J device=/dev/nullb2 -E lazy_itable_init=0 /dev/mapper/bad ;;
	esac
	mount_bad
}

remove_bad_disk() {
	umount "$MNT/root/usr" "$MNT"
	dmsetup remove bad
	rmdir "$NULL_BLK"/{"$DISK",nullb1,nullb2}
}

# The disk of the files fails to write. The error comes from the kernel, even with the module.
failed_writes() {
	local status
	export DM_DISABLE_UDEV=1
	what="a disk that fails to write"
	for way in stock threads module; do
		status=0
		make_bad_disk
		as_way unsafe
		run 1 >/dev/null || { cat "$ROOT/tmp/run.log" >&2; die "dpkg failed"; }
		as_way "$way"
		bad_disk
		run 2 >/dev/null || status=$?
		good_disk
		umount "$MNT/root/usr"
		mount_bad
		has_failed "unable to sync file"
		gets_over_it
		remove_bad_disk
	done
}

# own_calls CMD...: an upgrade that has to succeed. Sets calls, the number of fsync() calls of
# dpkg's main thread.
own_calls() {
	load_disk "$fs"
	"$@" || { cat "$ROOT/tmp/run.log" >&2; die "$way on $fs, $what: dpkg failed"; }
	check_files 2
	remove_disk
	calls=$(awk 'NR == 1 { first = $1 } $1 == first && /fsync\(/ { n++ } END { print n + 0 }' "$SEEN")
}

# upgrade OPTION-OF-STRACE...
upgrade() {
	as_way "$way"
	with_strace "$@"
	run 2 >/dev/null
}

# expects LEAST MOST: the bounds of calls.
expects() {
	((calls >= $1 && calls <= $2)) ||
		die "$way on $fs, $what: dpkg called fsync() $calls times itself, not $1 to $2 times"
	say "$way on $fs, $what: dpkg succeeds, and called fsync() $calls times itself"
}

# limited: few requests at a time, so that dpkg has to wait for free slots.
limited() {
	local limit=/sys/module/afsync/parameters/max_user_requests before status=0
	before=$(<"$limit")
	echo 5 >"$limit"
	upgrade -e trace=fsync || status=$?
	echo "$before" >"$limit"
	return $status
}

no_ring() {
	local calls own submitted
	what="all is well"
	way=stock
	own_calls upgrade -e trace=fsync
	# The calls for the database.
	own=$((calls - FILES))
	expects "$FILES" $((FILES + 100))
	for way in threads module; do
		own_calls upgrade -e trace=fsync
		expects "$own" "$own"
	done
	way=threads what="no ring can be made"
	AFSYNC_ENGINE=device own_calls upgrade -e trace=fsync
	expects $((FILES + own)) $((FILES + own))
	way=module what="100 requests are refused"
	own_calls upgrade -e trace=fsync,ioctl -e inject=ioctl:error=ENOMEM:when=200..299
	expects $((own + 100)) $((own + 100))
	what="all requests are refused"
	own_calls upgrade -e trace=fsync,ioctl -e inject=ioctl:error=ENOMEM:when=5+
	expects $((FILES + own - 5)) $((FILES + own))
	what="5 requests at a time"
	submitted=$(counter submitted)
	own_calls limited
	expects "$own" "$own"
	((submitted + FILES == $(counter submitted))) || die "$what: not all requests went to the module"
}

# The ring is lost while dpkg waits: the results of its syncs are not known. The disk is so slow
# that dpkg has submitted all requests when the first of them ends, and waits in each run at the
# same call.
lost_ring() {
	# shellcheck disable=SC2034 # load_disk reads it
	local waits request_ns=20000000
	way=module what="the ring is lost"
	own_calls upgrade -e trace=fsync,ioctl
	# The number of the first wait among dpkg's own calls of ioctl; strace counts each process.
	waits=$(awk 'NR == 1 { first = $1 } $1 != first { next }
		/ioctl\(/ { n++ } /ioctl\(.*, 0x43, / { print n; exit }' "$SEEN")
	[ -n "$waits" ] || { head -n 5 "$SEEN" >&2; die "dpkg did not wait for the module"; }
	injected "unable to wait for the sync" -e trace=fsync,ioctl -e "inject=ioctl:error=EIO:when=$waits+"
}

# errors FS
errors() {
	local fs=$1 way what
	use_package cuts
	add_program "$(command -v strace)"
	save_disk "$fs"
	failed_calls
	no_ring
	lost_ring
	for fs in ext4 xfs; do
		failed_writes
	done
}
