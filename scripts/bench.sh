#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The benchmark: afsync and its peers on the same work, in a VM whose clock counts its
# instructions, so that the figures depend neither on the machine nor on its load.
#
#	scripts/bench.sh
#
#	BENCH_SIZE=quick	only the cells for the targets, under five minutes (full)
#	BENCH_SIZE=short	a little of everything, to see whether it works
#	BENCH_BOOTS=N		how often the virtual machine is booted (3; quick 2; short 1)
#	BENCH_JOBS=N		boots that run at the same time (as many as there are CPUs)
#	BENCH_ONLY=...		only these parts, see bench/guest.sh
#	BENCH_ENGINES=...	only these engines
#	BENCH_DIR=...		the directory for the results (build/bench)
#	BENCH_VM=...		more options for vm.sh
#
# bench/guest.sh defines the measurements. The results are results.json, the plots,
# table.txt, and the output of each boot. A table shows the medians, the spread of the
# boots, and the targets. The status is 0 if everything ran and every target is met, 2 if
# everything ran and one is missed or was not measured, 1 if something failed.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/bench/sizes.sh"

BOOTS=${BENCH_BOOTS:-$BOOTS_DEFAULT}
JOBS=${BENCH_JOBS:-$(nproc)}
DIR=${BENCH_DIR:-$BUILD/bench}
read -ra VM <<<"${BENCH_VM:-}"
# What is measured, for the documentation.
source="version $(cat "$TOP/VERSION")"
commit=$(git -C "$TOP" describe --always --dirty --exclude '*' 2>/dev/null) || true
[ -z "$commit" ] || source+=", commit $commit"

[ -x "$BUILD/tools/bench/afsync-bench" ] || die "the benchmark is not built: run 'make bench'"

# boot FILE PART VM-OPTION... A boot with a failed cell still has the others.
boot() {
	local file=$1 part=$2 rc=0
	shift 2
	"$TOP/scripts/vm.sh" --no-sim --kernel debian --mem 2048 --timeout 7200 "$@" ${VM[@]+"${VM[@]}"} \
		--append sysctl.kernel.hung_task_timeout_secs=0 \
		--env "BENCH_SIZE=$BENCH_SIZE" --env "BENCH_SOURCE=$source" --env "BENCH_ONLY=${BENCH_ONLY:-}" \
		--env "BENCH_ENGINES=${BENCH_ENGINES:-}" \
		-- "$TOP/scripts/bench/guest.sh" "$part" >"$DIR/$file.new" || rc=$?
	mv "$DIR/$file.new" "$DIR/$file"
	return $rc
}

wait_one() {
	wait -n || status=1
	running=$((running - 1))
}

mkdir -p "$DIR"
rm -f "$DIR"/{*.jsonl,*.new,*.json,*.svg,table.txt}
# An interrupted run ends its boots.
trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
name=$(basename "$DIR")
running=0 status=0
for ((i = 1; i <= BOOTS; i++)); do
	[ "$running" -lt "$JOBS" ] || wait_one
	say "boot $i of $BOOTS, virtual time"
	boot "boot-$i.jsonl" virtual --name "$name-$i" --icount &
	running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
	wait_one
done
if [ -z "${BENCH_ONLY:-}" ]; then
	say "two CPUs, real time"
	boot smp.jsonl smp --name "$name-smp" --cpus 2 || status=1
fi
rc=0
python3 "$TOP/scripts/bench/report.py" "$DIR" >"$DIR/table.txt" || rc=$?
cat "$DIR/table.txt"
if [ $status != 0 ] || { [ $rc != 0 ] && [ $rc != 2 ]; }; then
	say "something failed, see above"
	exit 1
fi
[ $rc = 0 ] || say "everything ran; a target is missed, see above"
exit $rc
