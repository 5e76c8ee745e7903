#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Checks that the benchmark works: runs a little of everything, and examines the
# results. A cell that is too slow is no failure here, and the figures mean nothing.
#
#	scripts/bench/self-test.sh
#
# Prints TAP. The results are in build/bench-short, the documentation made from them in its
# directory doc, those of a cell that must fail in build/bench-broken; build/bench stays unchanged.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"

export BENCH_SIZE=short BENCH_JOBS=1

# bench NAME: sets rc, its status, and said, the file of its output.
bench() {
	said=$BUILD/$1.said
	rc=0
	BENCH_DIR=$BUILD/$1 "$TOP/scripts/bench.sh" >"$said" 2>&1 || rc=$?
}

echo "TAP version 13"
bench bench-short
# Status 2: a target is missed, because the run is too short.
[ $rc != 2 ] || rc=0
[ $rc = 0 ] || remark <"$said"
result $rc "bench: every cell ran"
# Its results are numbered from 1 again.
if [ -e "$BUILD/bench-short/results.json" ]; then
	"$TOP/scripts/bench/examine.py" "$BUILD/bench-short" || failed=1
else
	result 1 "bench: there are results"
fi

rm -rf "$BUILD/bench-short/doc"
mkdir -p "$BUILD/bench-short/doc"
rc=0
"$TOP/scripts/bench/doc.py" "$BUILD/bench-short" "$BUILD/bench-short/doc" &&
	page=$BUILD/bench-short/doc/performance-results.rst &&
	rst2html --strict --halt=2 "$page" >/dev/null &&
	grep -q '^64 files, depth 64: against the best ' "$page" &&
	[ -s "$BUILD/bench-short/doc/performance/throughput-1-file.svg" ] || rc=1
result $rc "bench: the documentation of the results is valid"

rc=0
"$TOP/scripts/bench/preemption.sh" >"$BUILD/bench-preemption.said" 2>&1 || rc=$?
[ "$(grep -cE '^ +[0-9.]+ us +[0-9]+ wakes  ' "$BUILD/bench-preemption.said")" = 15 ] || rc=1
[ $rc = 0 ] || remark <"$BUILD/bench-preemption.said"
result $rc "bench: the longest times without preemption are measured"

rc=0
BENCH_DIR=$BUILD/bench-fio-short "$TOP/scripts/bench/fio.sh" >"$BUILD/bench-fio.said" 2>&1 || rc=$?
# 10 engines and 7, on two filesystems.
[ "$(grep -cE '^[a-z_]+.* [0-9,]+ +[0-9.]+ +[0-9.]+$' "$BUILD/bench-fio-short/table.txt")" = 34 ] || rc=1
[ $rc = 0 ] || remark <"$BUILD/bench-fio.said"
result $rc "bench: fio's engines are measured"

# Without the module only afsync fails.
BENCH_VM=--no-module BENCH_ONLY=tmpfs BENCH_ENGINES="fdatasync afsync" bench bench-broken
grep . "$said" | tail -n 20 | remark
result $((rc == 1 ? 0 : 1)) "bench: a cell that fails makes the status 1"
grep -q '^guest.sh: failed: overwrite on tmpfs/none, afsync, 4 files, depth 4, 1 processes$' "$said" &&
	rc=0 || rc=1
result $rc "bench: a cell that fails is named"
grep -q '"fdatasync"' "$BUILD/bench-broken/results.json" && ! grep -q '"afsync"' "$BUILD/bench-broken/results.json" &&
	rc=0 || rc=1
result $rc "bench: the other cells are there all the same"
[ $failed = 0 ]
