#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The gate of the benchmark: has a change made afsync slower? A dozen cells in virtual time,
# against figures in the tree (scripts/bench/gate.txt).
#
#	scripts/bench/gate.sh		prints TAP; fails if a cell is more than 5 % slower
#	RENEW=1 scripts/bench/gate.sh	writes the figures, from three boots
#
# The results are in build/bench-gate.

. "$(dirname "$0")/../lib.sh"

export BENCH_SIZE=gate BENCH_DIR=$BUILD/bench-gate BENCH_ONLY="overwrite tmpfs"
export BENCH_ENGINES="fdatasync by_hand libaio glibc afsync afsync_threads"
[ "${RENEW:-}" != 1 ] || export BENCH_BOOTS=3

rc=0
"$TOP/scripts/bench.sh" >"$BUILD/bench-gate.said" 2>&1 || rc=$?
# Status 2: a target is not met; most targets are not measured here.
if [ $rc != 0 ] && [ $rc != 2 ]; then
	sed 's/^/# /' "$BUILD/bench-gate.said"
	echo "not ok 1 - bench-gate: every cell ran"
	exit 1
fi
if [ "${RENEW:-}" = 1 ]; then
	"$TOP/scripts/bench/gate.py" --renew "$BENCH_DIR"
	sed -n '/repeat within/,/^$/p' "$BENCH_DIR/table.txt"
else
	"$TOP/scripts/bench/gate.py" "$BENCH_DIR"
fi
