# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Power cuts while dpkg upgrades a package, and the promises that have to hold after
# them. Sourced by guest.sh.
#
# dpkg's promises: a file of the package is the old one or the new one at any time, whole,
# with its mode and time; all are the new ones once its database says so; and dpkg can be run
# again.

IMAGE=/tmp/image
bad=0

# save_disk FS: saves a disk with version 1 installed, so that each run begins with it.
save_disk() {
	local way=unsafe
	new_disk "$1"
	as_way unsafe
	run 1 >/dev/null || { cat "$ROOT/tmp/run.log" >&2; die "dpkg failed"; }
	check_files 1
	umount "$MNT"
	dd if="/dev/$DISK" of=$IMAGE bs=64k conv=sparse status=none
	rmdir "$NULL_BLK/$DISK"
}

# load_disk FS: on a new null_blk, since one that has been written applies the next write of
# that page at once. Its cache is empty. Its requests take $request_ns.
request_ns=1000000
load_disk() {
	make_disk "$DISK" $request_ns 320
	dd if=$IMAGE of="/dev/$DISK" bs=64k conv=sparse,fsync status=none
	mount -t "$1" "/dev/$DISK" "$MNT"
}

# compare: prints how many files are old, new, broken, and names some of the broken ones.
compare() {
	list_files "$MNT/root" usr >/tmp/found
	awk -v old="$PACKAGES/1.list" -v new="$PACKAGES/2.list" '
		BEGIN {
			while ((getline line <old) > 0) { split(line, f, " "); was[f[1]] = line }
			while ((getline line <new) > 0) { split(line, f, " "); becomes[f[1]] = line }
		}
		{ found[$1] = $0 }
		END {
			for (path in was) {
				if (found[path] == was[path]) olds++
				else if (found[path] == becomes[path]) news++
				else if (++broken <= 3) print "    not whole: " \
					(path in found ? found[path] : path ", missing") >"/dev/stderr"
			}
			print olds + 0, news + 0, broken + 0
		}' /tmp/found
}

# A check that cannot fail proves nothing.
check_the_check() {
	local file=$MNT/root/usr/share/many/1 olds news broken memory
	load_disk "$1"
	truncate -s 0 "$file/file-60"
	printf 'x' >>"$file/file-61"
	rm "$file/file-62"
	chmod 600 "$file/file-63"
	read -r olds news broken < <(compare 2>/dev/null)
	[ "$broken" = 4 ] || die "of 4 files that were damaged on purpose the check found $broken"
	power_wires "$MNT"
	echo synced >"$MNT/synced"
	sync -f "$MNT"
	in_memory dd
	"${memory[@]}" if=/dev/urandom of="$MNT/cached" bs=64k count=1 oflag=direct status=none
	power_cut "$MNT"
	[ -s "$MNT/synced" ] || die "a file that was synced is lost"
	[ ! -s "$MNT/cached" ] || die "a file that was not synced outlived the power cut: it was none"
	remove_disk
}

# whole_run: an upgrade that is not cut. Sets whole, its length in us, and the times at which
# the last file is extracted and the last one renamed: between these dpkg makes them durable.
whole_run() {
	load_disk "$fs"
	as_way "$way"
	tracing 1
	MARK_FD=8 run 2 8>"$TRACING/trace_marker" >/dev/null
	tracing 0
	check_files 2
	# "dpkg-stock-123 [000] ..... 12.345678: sys_rename(...", the times from the mark on.
	read -r extracted renamed whole < <(awk -v files="$FILES" '
		{ for (i = 1; i < NF && $i !~ /^[0-9]+\.[0-9]+:$/; i++) ; time = $i + 0 }
		/tracing_mark_write: begin/ { begin = time }
		begin && $1 ~ /^dpkg-/ && /sys_utime/ { extracted = time }
		begin && extracted && $1 ~ /^dpkg-/ && /sys_rename/ { if (++renames <= files) renamed = time }
		/tracing_mark_write: end/ { end = time }
		END {
			printf "%d %d %d\n", (extracted - begin) * 1000000, (renamed - begin) * 1000000,
				(end - begin) * 1000000
		}
		' "$TRACING/trace")
	((0 < extracted && extracted < renamed && renamed < whole)) ||
		die "cannot tell when dpkg extracts and renames: $extracted, $renamed of $whole us"
	remove_disk
}

# tracing 1|0: traces when files get their times, the last step of extracting one, and are renamed.
tracing() {
	local event
	for event in "$TRACE"/sys_enter_{utime*,rename*}; do
		echo "$1" >"$event/enable"
	done
	[ "$1" = 1 ] || { echo end >"$TRACING/trace_marker"; return; }
	echo mono >"$TRACING/trace_clock"
	: >"$TRACING/trace"
}

# Prints the package's state in the database, without changing it.
database() {
	# shellcheck disable=SC2016 # dpkg's variables
	chroot "$ROOT" /bin/dpkg-query --admindir=/mnt/root/var/lib/dpkg -W \
		-f '${Version} ${db:Status-Status}' many-files 2>&1 || true
}

# broken_promise WHAT
broken_promise() {
	bad=$((bad + 1))
	say "$way on $fs, $where: $1"
}

recovers() {
	as_way unsafe
	{ run 2 >/dev/null && has_files 2; } || {
		tail -n 3 "$ROOT/tmp/run.log" >&2
		broken_promise "dpkg does not recover"
	}
}

# one_cut US NUMBER: an upgrade, the power is cut after that many microseconds, and a check.
one_cut() {
	local pid before=$bad olds news broken state where duration
	where="cut $2 after $(seconds "$1")"
	load_disk "$fs"
	as_way "$way"
	power_wires "$MNT"
	duration=$(awk -v us="$1" 'BEGIN { printf "%.6f", us / 1000000 }')
	MARK_FD=8 run 2 8>&"$mark" >/dev/null 2>&1 &
	pid=$!
	read -r -u "$mark"
	# No more input comes: this only waits. sleep(1) would have to be loaded first.
	read -r -u "$mark" -t "$duration" || true
	# The wrong order, see CUT_ORDER in test.sh.
	[ "${CUT_ORDER:-}" != flushes-first ] || flushes_off
	power_off "$MNT"
	wait $pid || true
	power_on "$MNT"
	read -r olds news broken < <(compare)
	state=$(database)
	say "$way on $fs, $where: $olds old, $news new, $broken broken; the database says $state"
	[ "$broken" = 0 ] || broken_promise "$broken files are neither the old nor the new ones"
	case $state in
	"1 installed" | "1 half-configured" | "1 unpacked")
		[ "$news" = 0 ] || broken_promise "the database has nothing of $news files that are new" ;;
	"1 half-installed") ;;
	"2 installed" | "2 half-configured" | "2 unpacked")
		[ "$olds" = 0 ] || broken_promise "the database says that version 2 is unpacked, and $olds files are old" ;;
	*) broken_promise "the database says $state" ;;
	esac
	# It takes as long as all other steps together.
	[ "$2" != 1 ] || recovers
	remove_disk
	lost=$((lost + broken))
	[ $bad = "$before" ] || failed_cuts=$((failed_cuts + 1))
}

seconds() { awk -v us="$1" 'BEGIN { printf "%.2f s", us / 1000000 }'; }

# cuts N SEED FS: N random points for each program. Every other one is where dpkg makes the
# files durable and renames them, which is a small part of the time.
cuts() {
	local i n us way mark lost failed_cuts whole extracted renamed failed=0 fs=$3
	use_package cuts
	mkfifo /tmp/mark
	exec {mark}<>/tmp/mark
	save_disk "$fs"
	check_the_check "$fs"
	for way in ${CUT_WAYS:-module threads stock unsafe}; do
		lost=0 failed_cuts=0
		whole_run
		say "$way on $fs: $(seconds "$whole"), extracted after $(seconds "$extracted"), renamed after $(seconds "$renamed")"
		# The same points for each program, as fractions of its own times.
		RANDOM=$2
		n=$1
		# This program promises nothing: it shows that the cuts can break files.
		[ "$way" != unsafe ] || n=$((($1 + 3) / 4))
		for ((i = 1; i <= n; i++)); do
			# Not in a subshell, which would have random numbers of its own.
			us=$((RANDOM * 1000 / 32767))
			if ((i % 2)); then
				us=$((extracted + (renamed - extracted) * us / 1000))
			else
				us=$((whole * us / 1000))
			fi
			one_cut "$us" "$i"
		done
		echo "result $fs cuts $way $n $failed_cuts $lost"
		[ "$way" = unsafe ] || failed=$((failed + failed_cuts))
	done
	[ $failed = 0 ]
}
