#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio's own engines and its engine for libafsync on the same work, in a VM whose clock counts
# its instructions.
#
#	scripts/bench/fio.sh
#
#	BENCH_SIZE=short	a little of everything, to see whether it works (full)
#	BENCH_DIR=...		the directory for the results (build/bench-fio)
#
# fio-guest.sh defines the measurements. The results are results.jsonl and table.txt,
# which is also printed. The status is 0 if everything ran, at any speed.

. "$(dirname "$0")/../lib.sh"

DIR=${BENCH_DIR:-$BUILD/bench-fio}

[ -e "$BUILD/tools/fio/afsync.so" ] || die "fio's engine is not built: run 'make bench-fio'"
mkdir -p "$DIR"
rm -f "$DIR"/{results.jsonl,table.txt}
rc=0
"$TOP/scripts/vm.sh" --no-sim --kernel debian --mem 2048 --timeout 7200 --icount --name "$(basename "$DIR")" \
	--append sysctl.kernel.hung_task_timeout_secs=0 --env "BENCH_SIZE=${BENCH_SIZE:-full}" \
	-- "$TOP/scripts/bench/fio-guest.sh" >"$DIR/results.jsonl" || rc=$?
python3 "$TOP/scripts/bench/fio-report.py" "$DIR/results.jsonl" | tee "$DIR/table.txt"
[ $rc = 0 ] || say "something failed, see above"
exit $rc
