#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The benchmark: afsync and its peers on the same work, in a VM whose clock counts its
# instructions, so that the figures depend neither on the machine nor on its load.
#
#	scripts/bench.sh
#
#	BENCH_QUICK=1	only what the targets need, under five minutes
#	BENCH_BOOTS=N	how often the virtual machine is booted (3; quick 2)
#	BENCH_JOBS=N	boots that run at the same time (as many as there are CPUs)
#	BENCH_ONLY=...	only these parts, see bench-guest.sh
#
# What is measured is in bench-guest.sh. The results go to build/bench: results.json,
# the plots, and of each boot what it printed. A table shows the medians, how far the boots
# are apart, and the targets. The status is 0 if everything ran, however fast it was.

. "$(dirname "$0")/lib.sh"

QUICK=${BENCH_QUICK:-}
BOOTS=${BENCH_BOOTS:-$([ -n "$QUICK" ] && echo 2 || echo 3)}
JOBS=${BENCH_JOBS:-$(nproc)}
DIR=$BUILD/bench

[ -x "$BUILD/tools/bench/afsync-bench" ] || die "the benchmark is not built: run 'make bench'"

# boot FILE PART VM-OPTION...
boot() {
	local file=$1 part=$2
	shift 2
	"$TOP/scripts/vm.sh" --no-sim --kernel debian --mem 2048 --timeout 7200 "$@" \
		--append sysctl.kernel.hung_task_timeout_secs=0 \
		--env "BENCH_QUICK=$QUICK" --env "BENCH_ONLY=${BENCH_ONLY:-}" \
		-- "$TOP/scripts/bench-guest.sh" "$part" >"$DIR/$file.new"
	mv "$DIR/$file.new" "$DIR/$file"
}

rm -rf "$DIR"
mkdir -p "$DIR"
# A boot that fails ends the others.
trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
running=0
for ((i = 1; i <= BOOTS; i++)); do
	if [ "$running" -ge "$JOBS" ]; then
		wait -n
		running=$((running - 1))
	fi
	say "boot $i of $BOOTS, virtual time"
	boot "boot-$i.jsonl" virtual --name "bench-$i" --icount &
	running=$((running + 1))
done
for ((; running > 0; running--)); do
	wait -n
done
if [ -z "${BENCH_ONLY:-}" ]; then
	say "two CPUs, real time"
	boot smp.jsonl smp --name bench-smp --cpus 2
fi
python3 "$TOP/scripts/bench-report.py" "$DIR"
