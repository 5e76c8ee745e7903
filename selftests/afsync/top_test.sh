#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# afsync top: the printed numbers match the syncs; on a terminal it quits with q, fits any
# size, and restores the terminal however it ends.
#
#	selftests/afsync/top_test.sh		as root, with afsync loaded
#
# Needs debugfs, python3 and expect. $TEST_DIR is the directory of the files that it syncs
# (/mnt/ext4 if there is one); $SCRATCH_DEV, an unused block device, is synced if it is set.
# shellcheck disable=SC2317 # the tests are called by name

set -euo pipefail

readonly SKIP=4
dir=${TEST_DIR:-/mnt/ext4}
[ -d "$dir" ] || dir=/var/tmp
number=0 failed=0
skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }

[ -e /dev/afsync ] || skip_all "no /dev/afsync"
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -e /sys/kernel/debug/afsync ] || skip_all "no debugfs"
for program in afsync python3 expect; do
	command -v $program >/dev/null || skip_all "no $program"
done

work=$(mktemp -d)
data=$(mktemp -d "$dir/top.XXXXXX")
trap 'rm -rf "$work" "$data"' EXIT
mount=$(findmnt -n -o TARGET --target "$data")
device=$(mountpoint -d "$mount")

# test NAME CMD...
run_test() {
	number=$((number + 1))
	if "${@:2}"; then
		echo "ok $number $1"
	else
		echo "not ok $number $1"
		failed=1
	fi
}

# value DEVICE TYPE FIELD: of the JSON on standard input.
value() {
	python3 -c '
import json, sys
found = [fs for fs in json.loads(sys.stdin.readline())["filesystems"]
         if [fs["device"], fs["type"]] == sys.argv[1:3]]
print(found[0][sys.argv[3]] if found else 0)' "$@"
}
top() { afsync top --json --count=1 --interval=0.1; }

type=$(findmnt -n -o FSTYPE --target "$data")
counts_are_those_of_the_syncs() {
	local requests syncs i
	for i in {1..30}; do echo "$i" >"$data/$i"; done
	afsync "$data"
	requests=$(top | value "$device" "$type" requests)
	syncs=$(top | value "$device" "$type" syncs)
	# 30 files and their directory, each with a sync of its own.
	afsync -r "$data"
	[ "$(top | value "$device" "$type" requests)" = $((requests + 31)) ] &&
		[ "$(top | value "$device" "$type" syncs)" = $((syncs + 31)) ] &&
		[ "$(top | value "$device" "$type" in_flight)" = 0 ] &&
		[ "$(top | value "$device" "$type" filesystem)" = "$mount" ]
}

a_block_device_has_its_own_line() {
	[ -n "${SCRATCH_DEV:-}" ] || return 0
	local number
	number=$(lsblk -dno MAJ:MIN "$SCRATCH_DEV" | tr -d ' ')
	afsync "$SCRATCH_DEV"
	[ "$(top | value "$number" bdev filesystem)" = "$SCRATCH_DEV" ]
}

# With any intervals: the sum of all rates is the number of requests.
rates_are_of_the_interval() {
	python3 - "$device" "$type" "$data" <<-'PYTHON'
		import json, subprocess, sys
		top = subprocess.Popen(["afsync", "top", "--json", "--interval=0.1"],
		                       stdout=subprocess.PIPE)
		def read():
		    line = json.loads(top.stdout.readline())
		    fs = [fs for fs in line["filesystems"]
		          if [fs["device"], fs["type"]] == sys.argv[1:3]][0]
		    return fs["requests"], fs["requests_per_s"] * line["interval_s"]
		before, more = read()
		for i in range(20):
		    subprocess.run(["afsync", sys.argv[3]], check=True)
		now, total = before, 0
		while now < before + 20:
		    now, more = read()
		    total += more
		top.terminate()
		sys.exit(now != before + 20 or abs(total - 20) > 0.5)
	PYTHON
}

text_where_there_is_no_terminal() {
	afsync top --count=2 --interval=0.1 >"$work/out"
	[ "$(grep -c 'reqs/s.*filesystem$' "$work/out")" = 2 ] &&
		[ "$(grep -c " $type  *$mount\$" "$work/out")" = 2 ] &&
		! grep -q $'\033' "$work/out"
}

ends_when_nobody_reads() {
	local status
	# The reader at the other end of the pipe takes one line.
	{ afsync top --interval=0.1 || echo $? >&3; } 3>"$work/status" | head -n 1 >"$work/out"
	status=$(<"$work/status")
	[ "$status" = 141 ]
}

only_root_can() {
	local status=0
	setpriv --reuid 1 --clear-groups "$(command -v afsync)" top --count=1 2>"$work/err" ||
		status=$?
	[ "$status" = 1 ] && grep -q "run 'afsync top' as root" "$work/err"
}

# screen ROWS COLUMNS HOW: afsync top on a terminal; "key" or the name of a signal ends it.
screen() {
	log="$work/log" rows=$1 columns=$2 how=$3 expect -f - >"$work/expect" 2>&1 <<-'EXPECT'
		set timeout 120
		log_file -noappend $env(log)
		set stty_init "rows $env(rows) columns $env(columns)"
		spawn -noecho sh -c {
			echo before $(stty -g)
			afsync top --interval=0.1
			echo status $?
			echo after $(stty -g)
		}
		expect -re {before (\S+)\r} { set before $expect_out(1,string) }
		# Twice: the second one is a view with rates.
		expect -re {\[J.*\[J} {} timeout { exit 3 }
		set pid [exec pgrep -P [exp_pid] afsync]
		if {$env(how) eq "key"} {
			send q
		} elseif {$env(how) eq "STOP"} {
			exec kill -TSTP $pid
			# The terminal is restored while it is stopped.
			expect -re {\[\?1049l} {} timeout { exit 4 }
			exec kill -CONT $pid
			expect -re {\[\?1049h.*\[J} {} timeout { exit 5 }
			send q
		} else {
			exec kill -$env(how) $pid
		}
		expect -re {\[\?25h.*\[\?7h.*\[\?1049l.*status (\d+)\r.*after (\S+)\r} {
			set status $expect_out(1,string)
			set after $expect_out(2,string)
		} timeout { exit 6 }
		if {$before ne $after} { exit 7 }
		exit [expr {$status == 0 ? 0 : $status}]
	EXPECT
}
ends_with() {
	local status=0
	screen 24 80 "$1" || status=$?
	[ "$status" != "$2" ] || return 0
	echo "# status $status"
	tail -n 20 "$work/expect" | cat -v | sed 's/^/# /'
	return 1
}
# A view that is higher than the terminal would scroll.
low_enough() {
	python3 - "$work/log" "$1" <<-'PYTHON'
		import re, sys
		log = open(sys.argv[1], "rb").read()
		views = re.findall(rb"\x1b\[H(.*?)\x1b\[J", log, re.S)
		sys.exit(not views or any(v.count(b"\n") >= int(sys.argv[2]) for v in views))
	PYTHON
}
every_size_of_terminal() {
	local size
	for size in "1 1" "2 7" "3 200" "5 20" "50 40"; do
		# shellcheck disable=SC2086 # two words
		screen $size key || { echo "# $size: status $?"; return 1; }
		low_enough "${size% *}" || { echo "# $size: too high"; return 1; }
	done
}

echo "1..12"
run_test counts_are_those_of_the_syncs counts_are_those_of_the_syncs
run_test a_block_device_has_its_own_line a_block_device_has_its_own_line
run_test rates_are_of_the_interval rates_are_of_the_interval
run_test text_where_there_is_no_terminal text_where_there_is_no_terminal
run_test ends_when_nobody_reads ends_when_nobody_reads
run_test only_root_can only_root_can
run_test q_quits ends_with key 0
run_test term_gives_the_terminal_back ends_with TERM 143
run_test a_crash_gives_the_terminal_back ends_with SEGV 139
run_test hangup_gives_the_terminal_back ends_with HUP 129
run_test stop_gives_the_terminal_back ends_with STOP 0
run_test every_size_of_terminal every_size_of_terminal
exit $failed
