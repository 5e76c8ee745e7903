#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The examples, and README's first program, work as described, with the device and with
# threads of the library. The module's count of requests and the library's messages show
# which one served a program; on a machine without the device, it has to be threads.
#
#	selftests/afsync/examples_test.sh	needs no root
#
# $OUTPUT/examples is the directory of the built examples.

set -euo pipefail

readonly SKIP=4
bin=$(realpath "${OUTPUT:-$(dirname "$0")}")/examples
submitted=/sys/class/misc/afsync/stats/submitted
number=0 failed=0

# Each claim runs in a directory of its own, with $engine.

one_fsync() {
	"$bin/one_fsync" one
	test "$(<one)" = 'one line'
}

group_commit() {
	"$bin/group_commit" log
	test "$(sort -u log | wc -l)" = 1600
}

epoll_loop() {
	seq 1000 | "$bin/epoll_loop" events >said
	seq 1000 | cmp - events
	tail -n 1 said | grep -qx 'durable: 3893 bytes'
}

# syncs_many PROGRAM: the descriptor of a device opens, although the device cannot be
# synced.
syncs_many() {
	seq 1000 | split -l 10 -a 3 - part
	"$bin/$1" part* 2>said || { cat said; return 1; }
	! "$bin/$1" partaaa missing /dev/null 2>said || return 1
	grep -q missing said
	test "$(grep -vc '^afsync: ' said)" = 2
}

many_files() { syncs_many many_files; }
many_files_rust() { syncs_many many_files_rust; }
readme() { syncs_many readme; }

group_commit_go() {
	"$bin/group_commit_go" log
	test "$(sort -u log | wc -l)" = 1600
}

requests() { cat "$submitted" 2>/dev/null || echo 0; }

# served_by_engine CLAIM: the claim is true, and the wanted engine did the syncs.
served_by_engine() {
	local before after said
	before=$(requests)
	# Not in a condition: bash would ignore a failure in the claim.
	bash -euo pipefail -c "$(declare -p bin); $(declare -f); $1" 2>errors ||
		{ echo "the claim failed"; return 1; }
	after=$(requests)
	said=$(cat errors said 2>/dev/null | grep -c 'threads of the library sync' || true)
	case $engine in
	device) [ "$after" -gt "$before" ] && [ "$said" = 0 ] ;;
	threads) [ "$after" = "$before" ] && [ "$said" -gt 0 ] ;;
	esac || { echo "not by $engine: $((after - before)) requests of the module, $said lines of the library"; return 1; }
}

result() {
	local claim=$1 folder rc=0
	number=$((number + 1))
	if [ ! -x "$bin/$claim" ]; then
		echo "ok $number $claim by $engine # SKIP not built: no compiler"
		return
	fi
	folder=$(mktemp -d)
	(cd "$folder" && served_by_engine "$claim") >"$folder.log" 2>&1 || rc=$?
	[ $rc = 0 ] || { sed 's/^/# /' "$folder.log" "$folder/errors"; failed=1; }
	echo "$([ $rc = 0 ] || echo 'not ')ok $number $claim by $engine"
	rm -r "$folder" "$folder.log"
}

[ -x "$bin/many_files" ] || { echo "1..0 # SKIP the examples are not built"; exit $SKIP; }
claims=(one_fsync group_commit epoll_loop many_files readme many_files_rust group_commit_go)
engines=(threads)
[ ! -e /dev/afsync ] || engines+=(device)
export AFSYNC_VERBOSE=1
echo "TAP version 13"
echo "1..$((${#claims[@]} * ${#engines[@]}))"
for engine in "${engines[@]}"; do
	# Without the device the library has to find that out by itself.
	unset AFSYNC_ENGINE
	[ ! -e /dev/afsync ] || export AFSYNC_ENGINE=$engine
	for claim in "${claims[@]}"; do
		result "$claim"
	done
done
exit $failed
