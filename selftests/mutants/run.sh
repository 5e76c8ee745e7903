#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests of mutants that scripts/check/mutants.sh has built.
#
#	selftests/mutants/run.sh FOLDER NAME...
#
# FOLDER/NAME has the list tests and the programs, or FOLDER/unchanged has them. Where there is an
# afsync.ko beside the list, this is in a VM, and takes the place of the module. Prints, for each,
#
#	begin NAME TEST			for each test
#	caught NAME TEST		it failed, or had to be ended
#	survived NAME			all passed
#
# Ends early after one that cannot be got rid of: the next ones need a new VM.

set -uo pipefail

folder=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
export TSAN_OPTIONS=exitcode=99:halt_on_error=1:die_after_fork=0
# Seconds. A test that hangs must end, but not one that is slow.
limit=120
stuck=0

# ended PID SECONDS: waits for its end.
ended() { timeout "$2" tail --pid="$1" -s 0.1 -f /dev/null; }

# passes FILE LOG: false if the program fails or hangs. What it leaves behind is killed.
passes() {
	local pid rc=0
	OUTPUT=$folder/unchanged setsid "$1" >"$2" 2>&1 </dev/null &
	pid=$!
	ended $pid $limit || rc=1
	pkill -KILL -s $pid
	ended $pid 30 || { stuck=1; return 1; }
	wait $pid || rc=$?
	# 4: skipped
	[ $rc = 0 ] || [ $rc = 4 ]
}

# load NAME: its module, if it has one.
load() {
	export AFSYNC_KO=$folder/$1/afsync.ko
	[ -e "$AFSYNC_KO" ] || return 0
	unload && insmod "$AFSYNC_KO"
}

# A process that was killed may still be closing its files.
unload() {
	local tries=50
	[ -e "$AFSYNC_KO" ] && [ -d /sys/module/afsync ] || return 0
	while [ $tries -gt 0 ]; do
		rmmod afsync && return
		tries=$((tries - 1))
		sleep 0.2
	done
	stuck=1
	return 1
}

# mutant NAME: its verdict.
mutant() {
	local name=$1 test program
	echo "begin $name loading"
	load "$name" || { stuck=1; echo "caught $name loading"; return; }
	while read -r test; do
		echo "begin $name $test"
		program=$folder/$name/$test
		[ -e "$program" ] || program=$folder/unchanged/$test
		[ -e "$program" ] || program=$top/selftests/afsync/$test
		passes "$program" "$log" || { tail -n 40 "$log" >&2; echo "caught $name $test"; unload; return; }
	done <"$folder/$name/tests"
	echo "begin $name unloading"
	unload || { echo "caught $name unloading"; return; }
	echo "survived $name"
}

log=$(mktemp)
for name; do
	mutant "$name"
	[ $stuck = 0 ] || break
done
