#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The demo: afsync in three jobs, measured in a VM, compared with programs without it.
#
#	scripts/demo.sh
#
# 1. Several thousand files of an installed package are unpacked on an ext4 filesystem
#    and made durable: with fsync() on one after the other, with sync(1), with io_uring, with
#    afsync, and with syncfs(), which syncs the whole filesystem.
# 2. 64 producers append records to one write-ahead log, and each continues when its
#    record is durable: with fdatasync() one after the other, with fdatasync() in all
#    of them at once, with afsync and an event loop.
# 3. fio, as Debian ships it, queues a sync after each write with aio_fsync(): served
#    by the C library, and by the drop-in library under 'afsync exec'.
#
# The disk is null_blk with a write cache. Each request takes 1 ms, about the time of a flush of
# a consumer SSD. After each run the power is cut: the filesystem is shut down without writing
# one more byte, the disk loses its cache, and everything is mounted again and read back. The
# status is 0 only if everything was there and the counts agree with those of the module. All
# numbers come from the run itself.
#
# Started on the host, it packs the files (one archive is read faster through 9p than
# thousands of files) and starts itself in the VM. DEMO_FILES, DEMO_PRODUCERS,
# DEMO_RECORDS and DEMO_BLOCKS change the size of the jobs.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm/lib-guest.sh"

FILES=${DEMO_FILES:-3000}
PRODUCERS=${DEMO_PRODUCERS:-64}
RECORDS=${DEMO_RECORDS:-24}
BLOCKS=${DEMO_BLOCKS:-1024}
DEPTH=64
ARCHIVE=$BUILD/demo/files.tar
TOOLS=$BUILD/tools/afsync
DISK=nullb0
REQUEST_NS=1000000
MNT=/tmp/disk
PATH=$PATH:/usr/sbin:/sbin

# On the host

# The first directory of installed files that has enough of them. The headers exist on
# every machine that has built the module.
pick_tree() {
	local tree count
	for tree in /usr/src/linux-headers-*-common/include /usr/include /usr/share /usr; do
		[ -d "$tree" ] || continue
		count=$(find "$tree" -xdev -type f -readable | sed -n "1,${FILES}p" | wc -l)
		if [ "$count" = "$FILES" ]; then
			echo "$tree"
			return
		fi
	done
	die "no directory with $FILES files on this machine"
}

pack_files() {
	local tree
	tree=$(pick_tree)
	mkdir -p "$(dirname "$ARCHIVE")"
	find "$tree" -xdev -type f -readable -printf '%P\n' | LC_ALL=C sort |
		sed -n "1,${FILES}p" >"$ARCHIVE.names"
	tar -C "$tree" -cf "$ARCHIVE.new" --verbatim-files-from -T "$ARCHIVE.names"
	mv "$ARCHIVE.new" "$ARCHIVE"
	echo "$tree" >"$ARCHIVE.tree"
}

host_part() {
	[ -x "$TOOLS/demo-wal" ] || die "the programs of the demo are not built: run 'make demo'"
	pack_files
	exec "$TOP/scripts/vm.sh" --no-sim --name demo --kernel debian --env "DEMO_FILES=$FILES" \
		--env "DEMO_PRODUCERS=$PRODUCERS" --env "DEMO_RECORDS=$RECORDS" --env "DEMO_BLOCKS=$BLOCKS" \
		-- "$TOP/scripts/demo.sh"
}

# In the VM

# equal WHAT EXPECTED FOUND
equal() { [ "$2" = "$3" ] || die "$1: expected $2, found $3"; }

mark() {
	before_flushes=$(flushes "$DISK")
	before_submitted=$(counter submitted)
	before_merged=$(counter merged)
	before_syncs=$(counter syncs)
	before_us=${EPOCHREALTIME/[.,]/}
}

# since_mark: sets us and flushed.
since_mark() {
	us=$((${EPOCHREALTIME/[.,]/} - before_us))
	flushed=$(($(flushes "$DISK") - before_flushes))
}

# The counts of a program have to be those of the module.
check_counters() {
	equal "requests that the module counted" "$1" $(($(counter submitted) - before_submitted))
	equal "syncs that the module counted" "$2" $(($(counter syncs) - before_syncs))
	equal "merged requests that the module counted" "$3" $(($(counter merged) - before_merged))
	equal "syncs run and merged" "$1" $(($2 + $3))
	equal "requests in flight at the end" 0 "$(counter in_flight)"
}

# row JOB METHOD REQUESTS RUN: keeps a line of the table, with us and flushed.
rows=()
row() {
	local speed=1.0
	if [ "$1" != "$last_job" ]; then
		last_job=$1
		first_us=$us
	else
		speed=$(awk -v a="$first_us" -v b="$us" 'BEGIN { printf "%.1f", a / b }')
	fi
	rows+=("$(printf '%s|%s|%s|%s|%s|%s s|%sx' "$1" "$2" "$(grouped "$3")" "$(grouped "$4")" \
		"$(grouped "$flushed")" "$(awk -v u="$us" 'BEGIN { printf "%.2f", u / 1000000 }')" "$speed")")
	echo "  $2: $(awk -v u="$us" 'BEGIN { printf "%.2f", u / 1000000 }') s, then power cut, everything found"
}
last_job=''

print_table() {
	local line job method asked run flush time speed previous=''
	local format='%-13s %-23s %9s %6s %8s %8s %6s\n'
	echo
	# shellcheck disable=SC2059 # the format is above
	printf "$format" '' '' syncs syncs '' '' ''
	# shellcheck disable=SC2059
	printf "$format" job method 'asked for' run flushes time speed
	for line in "${rows[@]}"; do
		IFS='|' read -r job method asked run flush time speed <<<"$line"
		[ -z "$previous" ] || [ "$previous" = "$job" ] || echo
		# shellcheck disable=SC2059
		printf "$format" "$([ "$previous" = "$job" ] || echo "$job")" "$method" "$asked" "$run" \
			"$flush" "$time" "$speed"
		previous=$job
	done
	echo
}

# unpack_files METHOD: unpacks files that are not durable yet, into a durable directory.
unpack_files() {
	dir=$MNT/$1
	mkdir "$dir"
	sync -f "$MNT"
	tar -C "$dir" -xf "$TMP/files.tar"
}

same_files() { diff -r "$SOURCE" "$dir" || die "$1: files are lost"; }

# If the check after a power cut cannot fail, it proves nothing.
control() {
	local lost
	unpack_files control
	power_cut "$MNT"
	# With -N a missing directory does not hide the files in it.
	lost=$({ diff -rqN "$SOURCE" "$dir" || :; } | wc -l)
	[ "$lost" -gt 0 ] || die "unsynced files survived the power cut: the cut does not work"
	echo "  no sync at all: power cut, $(grouped "$lost") files lost (to see that this check can fail)"
}

files_job() {
	local method names asked run merged
	job="$(grouped "$FILES") files"
	for method in fsync sync io_uring afsync syncfs; do
		unpack_files "$method"
		names=$NAMES
		mark
		case $method in
		fsync)
			asked=$(find "$dir" -print0 | "$TOOLS/demo-fsync")
			run=$asked
			title='fsync() one by one'
			;;
		sync)
			asked=$NAMES
			find "$dir" -print0 | xargs -0 sync
			run=$asked
			title='coreutils sync FILE...'
			;;
		io_uring)
			asked=$(find "$dir" -print0 | "$TOOLS/demo-uring")
			run=$asked
			title='io_uring, 64 at a time'
			;;
		afsync)
			"$TOOLS/afsync" -r --stats "$dir" >"$TMP/stats"
			title='afsync -r'
			;;
		syncfs)
			sync -f "$dir"
			names=1 asked=1 run=1
			title='syncfs() of everything'
			;;
		esac
		since_mark
		if [ "$method" = afsync ]; then
			asked=$(sed -n 's/^syncs asked for: *//p' "$TMP/stats")
			run=$(sed -n 's/^syncs run: *//p' "$TMP/stats")
			merged=$(sed -n 's/^merged: *//p' "$TMP/stats")
			check_counters "$asked" "$run" "$merged"
		fi
		equal "syncs by $method" "$names" "$asked"
		power_cut "$MNT"
		same_files "$method"
		row "$job" "$title" "$asked" "$run"
	done
}

wal_job() {
	local method result records asked run merged ns
	job="$PRODUCERS producers"
	for method in serial fdatasync afsync; do
		case $method in
		serial) title='fdatasync() one by one' ;;
		fdatasync) title='fdatasync() in each' ;;
		afsync) title='afsync, event loop' ;;
		esac
		sync -f "$MNT"
		mark
		result=$("$TOOLS/demo-wal" "$method" "$MNT/log-$method" "$PRODUCERS" "$RECORDS")
		since_mark
		read -r records asked run merged ns <<<"$result"
		us=$((ns / 1000))
		equal "records acknowledged" $((PRODUCERS * RECORDS)) "$records"
		[ "$method" != afsync ] || check_counters "$asked" "$run" "$merged"
		power_cut "$MNT"
		found=$("$TOOLS/demo-wal" verify "$MNT/log-$method" "$PRODUCERS" "$RECORDS")
		equal "records in the log" "$records" "$found"
		row "$job" "$title" "$asked" "$run"
	done
}

# counted LABEL: that number of 'afsync exec --stats'.
counted() { sed -n "s/^$1: *//p" "$TMP/stats"; }

# fio_run BLOCKS ARG...: fio writes a file in order, and queues a sync after each block.
fio_run() {
	local blocks=$1
	shift
	"$@" fio --name=job --directory="$dir" --ioengine=posixaio --thread --rw=write --bs=4k \
		--size=$((blocks * 4))k --iodepth=$DEPTH --fsync=1 \
		--verify=crc32c --verify_fatal=1 "${verify[@]}" >"$TMP/fio" 2>&1 ||
		{ cat "$TMP/fio"; die "fio failed"; }
}

# fio_issued: "reads writes syncs" by fio's own count.
fio_issued() { sed -n 's/.*issued rwts: total=\([0-9]*\),\([0-9]*\),[0-9]*,\([0-9]*\).*/\1 \2 \3/p' "$TMP/fio"; }

fio_job() {
	local method reads writes asked run merged verify
	job='fio'
	for method in glibc exec; do
		dir=$MNT/fio-$method
		mkdir "$dir"
		sync -f "$MNT"
		verify=(--do_verify=0)
		mark
		case $method in
		glibc)
			fio_run "$BLOCKS" env
			title='aio_fsync() of glibc'
			;;
		exec)
			fio_run "$BLOCKS" "$TOOLS/afsync" exec --stats="$TMP/stats"
			title='the same, afsync exec'
			;;
		esac
		since_mark
		read -r reads writes asked < <(fio_issued)
		us=$(sed -n 's/.* WRITE: .*run=[0-9]*-\([0-9]*\)msec.*/\1/p' "$TMP/fio")000
		equal "blocks written by fio" "$BLOCKS" "$writes"
		run=$asked
		if [ "$method" = exec ]; then
			equal "syncs that went elsewhere" 0 "$(counted elsewhere)"
			# fio does not count the last sync of a job that is ending.
			asked=$(counted 'posix fsync')
			run=$(counted 'device syncs')
			merged=$(counted 'posix merged')
			check_counters "$asked" "$run" "$merged"
		fi
		power_cut "$MNT"
		# When it has written all blocks, fio may end without a sync after the last ones.
		verify=(--verify_only)
		fio_run $((BLOCKS - DEPTH)) env
		read -r reads _ < <(fio_issued)
		equal "blocks that fio found intact" $((BLOCKS - DEPTH)) "$reads"
		row "$job" "$title" "$asked" "$run"
	done
}

guest_part() {
	TMP=$(mktemp -d)
	SOURCE=$TMP/source
	mkdir "$SOURCE" "$MNT"
	make_disk $DISK $REQUEST_NS
	make_fs ext4 /dev/$DISK
	mount -t ext4 /dev/$DISK $MNT
	if [ "$(grep -c '' "$ARCHIVE.names" 2>/dev/null)" != "$FILES" ]; then
		say "packing $FILES files inside the VM, which is slow: start this script on the host"
		ARCHIVE=$TMP/files.tar
		pack_files
	else
		cp "$ARCHIVE" "$TMP/files.tar"
	fi
	tar -C "$SOURCE" -xf "$TMP/files.tar"
	equal "files in the archive" "$FILES" "$(find "$SOURCE" -type f | wc -l)"
	NAMES=$(find "$SOURCE" | wc -l)

	echo "$(grouped "$FILES") files and $(grouped $((NAMES - FILES))) directories of $(<"$ARCHIVE.tree")" \
		"($(du -sm --apparent-size "$SOURCE" | cut -f 1) MB), unpacked on ext4 and made durable:"
	control
	files_job
	echo "A write-ahead log, $PRODUCERS producers with $RECORDS records each:"
	wal_job
	echo "fio writes $(grouped "$BLOCKS") blocks and queues a sync behind each with aio_fsync():"
	fio_job
	print_table
	cat <<-'END'
	syncs run  by the module's own count; for the other methods each call is one
	flushes    cache flushes sent to the disk, whose every request takes 1 ms
	time       making it durable, without the unpacking; in this VM
	speed      against the first method of the same job
	syncfs() has the filesystem to itself here. It writes what other programs have
	written, too, and says of errors only that there was one.
	Read back after each power cut: every file equals its original, every record
	that was acknowledged is in the log, and fio verifies all blocks except the last
	ones, which it may not have synced before it ended.
	END
}

# In the VM, programs have the path of the module.
if [ -n "${AFSYNC_KO:-}" ]; then
	guest_part
else
	host_part
fi
