# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The stages that look for lost data and requests. Sourced by check.sh. SEED decides the work of
# each of them, and a stage that has printed its seed can be repeated. Each also gets modules
# with a bug planted in them, selftests/plants/STAGE, and has to detect it. Among all stages, each
# is shorter, and has one such module or none.

: "${short=} ${dir=}"
SEED=${SEED:-1}

# The short forms have one of each filesystem and each interface.
CRASH_KINDS="ext4-library ext4-library-pairs ext4-posix ext4-libaio xfs-library btrfs-library"
TWIN_CASES="ext4-file-once ext4-full xfs-file-for-good xfs-hole-once xfs-thin-full"

# amount FULL SHORT: of the two.
amount() { if [ "$short" = 0 ]; then echo "$1"; else echo "$2"; fi; }

# plants STAGE KERNEL [NAME]: builds the modules with all of its bugs, in the short form only with
# that one. Sets bad, the list of the modules.
plants() {
	local stage=$1 kernel=$2 name built
	set -- ${3:+"$TOP/selftests/plants/$stage/$3.patch"}
	[ "$short" != 0 ] || set -- "$TOP/selftests/plants/$stage"/*.patch
	bad=()
	for name; do
		name=$stage/$(basename "$name" .patch)
		if built=$(PLANT=$name "$TOP/scripts/kernel/build-modules.sh" "$kernel"); then
			bad+=("$built/drivers/afsync/afsync.ko")
		else
			echo "not ok 0 - the module with the planted bug $name builds"
		fi
	done
}

# Acknowledged data survives a crash. POINTS crashes of each kind of workload; CRASH_ONLY names
# kinds.
stage_crash() {
	local bad points=${POINTS:-$(amount 25 4)}
	local kinds=${CRASH_ONLY:-$(amount "" "$CRASH_KINDS")}
	"$TOP/scripts/kernel/build-modules.sh" debian >&2
	with_lock build make -s -C "$TOP" tools >&2
	with_lock build make -s -C "$TOP/selftests/crash" >&2
	plants crash debian writeback_without_flush
	"$TOP/scripts/vm.sh" --kernel debian --no-sim --mem 3072 --name crash --timeout 14400 \
		--env "CRASH_ONLY=$kinds" \
		-- "$TOP/selftests/crash/crash.sh" "$points" "$SEED" "${bad[@]}"
}

# The errors are those that the system calls report. In each case the first to the POINTS-th write
# fails; TWIN_ONLY names cases.
stage_twin() {
	local bad kernel=${KERNEL:-debian}
	local cases=${TWIN_ONLY:-$(amount "" "$TWIN_CASES")}
	"$TOP/scripts/kernel/build-modules.sh" "$kernel" AFSYNC_SIM=1 >&2
	with_lock build make -s -C "$TOP" tools >&2
	with_lock build make -s -C "$TOP/selftests/twin" >&2
	plants twin "$kernel" error_dropped
	"$TOP/scripts/vm.sh" --kernel "$kernel" --no-sim --mem 1536 --name "twin${KERNEL:+-$KERNEL}" \
		--timeout 14400 --env "TWIN_ONLY=$cases" \
		-- "$TOP/selftests/twin/twin.sh" "${POINTS:-$(amount 6 3)}" "$SEED" "${bad[@]}"
}

# Every step of the module that can fail does, one by one and under load; ROUNDS times. Without
# a point that failed, nothing was tested. planted_test.sh takes the modules with bugs.
stage_fault() {
	local bad points all=${TESTS:-}
	plants fault debug
	[ "$short" = 0 ] || local TESTS=${TESTS:-$(tests "$TOP/selftests/fault" '(submit|queued)_test')}
	vm_tests debug fault fault
	[ -z "$all" ] || return 0
	points=$(sed -nE 's/^(# )*total: ([0-9]+) points.*/\2/p' "$dir"/fault.[0-9]* |
		awk '{ sum += $1 } END { print sum + 0 }')
	echo "# figure: $points faults, one by one"
	[ "$points" -gt 0 ] || printf 'not '
	echo "ok 0 - fault: steps of the module failed"
}

# CALLS random calls of every command have documented results, and each request completes once.
# On another kernel without the planted bugs: one kernel shows that the fuzzer sees them.
stage_fuzz() {
	local bad=() kernel=${KERNEL:-debian}
	"$TOP/scripts/kernel/build-modules.sh" "$kernel" >&2
	with_lock build make -s -C "$TOP/selftests/fuzz" >&2
	[ -n "${KERNEL:-}" ] || plants fuzz "$kernel" posted_twice
	"$TOP/scripts/vm.sh" --kernel "$kernel" --no-sim --cpus 2 --name "fuzz${KERNEL:+-$KERNEL}" \
		--timeout 14400 -- "$TOP/selftests/fuzz/fuzz.sh" "${CALLS:-$(amount 100000 20000)}" "$SEED" "${bad[@]}"
}

# Random submissions from many threads, each of which completes once, without a report of the
# kernel. For kernels that look for races; the selftests have it on Debian's.
stage_exactly_one() {
	local TESTS=exactly_one_test
	vm_tests "${KERNEL:-debian}" exactly-one
}

# Programs with native AIO lose nothing: MariaDB in ROUNDS kills, and QEMU.
stage_clients() {
	"$TOP/scripts/check/fetch-qemu.sh" >&2
	vm_tests "${KERNEL:-debian}" clients clients
}
