#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Check the VM's harness itself: a run that goes wrong must be seen as gone wrong.
#
#	scripts/check-harness.sh		all of them
#	scripts/check-harness.sh NAME...	these
#	scripts/check-harness.sh --list		name them all
#
# Prints TAP. Each check is a function run_NAME that boots a VM and must leave the
# exit status that the harness promises, and the reason in what it says.

. "$(dirname "$0")/lib.sh"

CHECKS=(good status panic warn oops silent_exit hang lockup hung_boot
	debug_good debug_leak debug_deadlock debug_atomic debug_freed)

# The module that misbehaves, for kernel NAME.
bad_module() {
	local kdir=$1 out
	kdir=$("$TOP/scripts/fetch-kernel.sh" "$1")
	out=$BUILD/bad-$(cat "$kdir/release")
	bad=$out/afsync_bad.ko
	mkdir -p "$out"
	cp -u "$TOP"/selftests/qemu/bad/* "$out/"
	if [ -d "$kdir/build" ]; then
		kdir=$kdir/build
	else
		kdir=/usr/src/linux-headers-$(cat "$kdir/release")
	fi
	nice make -s -C "$kdir" "M=$out" modules >&2
}

vm() {
	rc=0
	"$TOP/scripts/vm.sh" --no-module --name "harness-$check" "$@" >"$out/stdout" 2>"$out/stderr" || rc=$?
}

# expect STATUS [PATTERN]: what vm returned, and what it said.
expect() {
	[ "$rc" = "$1" ] || { echo "exit status $rc, expected $1"; cat "$out/stderr"; return 1; }
	[ -z "${2:-}" ] || grep -qE "$2" "$out/stderr" ||
		{ echo "did not say '$2':"; cat "$out/stderr"; return 1; }
}

load() { vm --kernel "$kernel" "${@:2}" "insmod $bad what=$1; echo still here"; }

run_good() {
	vm 'echo out; echo err >&2'
	expect 0
	[ "$(cat "$out/stdout")" = out ] || { echo "stdout is not just the command's:"; cat "$out/stdout"; return 1; }
	# But for a kernel that had to be started once more.
	[ "$(grep -v '^vm.sh: .* did not boot within .*: once more' "$out/stderr")" = err ] || { echo "stderr is not just the command's:"; cat "$out/stderr"; return 1; }
}
run_status() { vm 'exit 7'; expect 7; }
run_panic() { vm 'echo c >/proc/sysrq-trigger'; expect 125 'without a word'; }
run_warn() { load warn; expect 125 'afsync_bad: a warning'; }
run_oops() { load oops; expect 125 'Oops|BUG:'; }
run_silent_exit() { vm 'echo b >/proc/sysrq-trigger; sleep inf'; expect 125 'without a word'; }
run_hang() { vm --timeout 45 'echo started; sleep inf'; expect 124 'time was up'; }
# One CPU, so that nothing else runs either.
run_lockup() { load lockup --timeout 45 --cpus 1; expect 124 'time was up'; }
# No kernel boots at once, so this one gets its second start, and only that one counts.
run_hung_boot() {
	AFSYNC_BOOT_SECONDS=0 vm 'echo out'
	expect 0 'did not boot within 0 s: once more'
	[ "$(cat "$out/stdout")" = out ] || { echo "stdout is not just the command's:"; cat "$out/stdout"; return 1; }
}
run_debug_good() { vm --debug true; expect 0; }
run_debug_leak() { load leak; expect 125 'unreferenced object|kmemleak has found a leak'; }
run_debug_deadlock() { load deadlock; expect 125 'possible circular locking|lockdep'; }
run_debug_atomic() { load atomic; expect 125 'sleeping function|scheduling while atomic'; }
run_debug_freed() { load freed; expect 125 'KASAN'; }

if [ "${1:-}" = --list ]; then
	printf '%s\n' "${CHECKS[@]}"
	exit
fi
[ $# -gt 0 ] || set -- "${CHECKS[@]}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
number=0
echo "TAP version 13"
echo "1..$#"
for check; do
	[[ " ${CHECKS[*]} " = *" $check "* ]] || die "no such check: $check (see --list)"
	number=$((number + 1))
	kernel=debian
	[[ $check != debug_* ]] || kernel=debug
	bad_module $kernel
	# Not a condition: that would switch errexit off inside.
	set +e
	(set -e; "run_$check") >"$out/said" 2>&1
	ok=$?
	set -e
	if [ $ok = 0 ]; then
		echo "ok $number - harness: $check"
	else
		failed=$((failed + 1))
		sed 's/^/# /' "$out/said"
		echo "not ok $number - harness: $check"
	fi
done
[ $failed = 0 ]
