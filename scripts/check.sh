#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests and counts them.
#
#	scripts/check.sh			all stages
#	scripts/check.sh STAGE...		these: static unit selftests kernels selftests-debug
#						programs programs-debug harness packages bench
#						crash twin fault fuzz; and static-can-fail, module,
#						exactly-one and clients, not in the default
#	TESTS="order_test" scripts/check.sh selftests	only these selftests
#	FULL=1 scripts/check.sh			all stages, and each with all of its tests
#	KERNEL=6.12-rt scripts/check.sh selftests	on another kernel than Debian's (scripts/kernel/fetch.sh)
#
# CHECK_JOBS stages run beside each other (one more than there are processors, since a VM without
# KVM waits half of its time).
#
# All stages together run in a short form: a test with the same result on Debian's kernel and
# on the debug kernel runs on one of them, and the harness is tested with each kind of fault
# once. A stage that is named runs all of its tests.
#
# Each stage writes TAP to build/check/STAGE.tap; the terminal shows the results of its
# programs, and every failure. The last line is "N passed, N failed" (and ", N skipped"
# if tests were): test programs and their single tests both count. Exits with 0 only if
# something passed and nothing failed.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/check/tests.sh"
. "$TOP/scripts/check/hunts.sh"

# In the order in which they begin: first the one that may have to build the debug kernel, then
# those that do without it, so that the others need not wait for the build.
STAGES=(selftests-debug selftests static programs packages bench crash twin unit kernels harness
	programs-debug fault fuzz)
# Only on demand. static-can-fail breaks a copy of the tree to see each static check fail;
# module and exactly-one are for other kernels; clients needs the packages of
# 'scripts/setup.sh clients'.
MORE_STAGES=(static-can-fail module exactly-one clients)
dir=${AFSYNC_RESULTS:-$BUILD/check}

# show: TAP on standard input, only the lines for a person on the terminal.
show() { grep --line-buffered -E '^(not )?ok |^(# )*not ok ' || true; }

stage_static() { "$TOP/scripts/check-static.sh"; }

# Tests that need no device, on this machine.
stage_unit() {
	local part
	for part in "$TOP"/tools/lib/*/Makefile "$TOP"/tools/afsync/{,examples/}Makefile; do
		part=${part#"$TOP/"}
		part=${part%/Makefile}
		echo "# $part"
		with_lock build make -s -C "$TOP/$part" check || echo "not ok 0 - $part: 'make check' ended with an error"
	done
}

# timed FILE: passes TAP of kselftest on; the file gets "seconds program" for each.
timed() {
	local line name='' begun=0
	# Not in awk: it reads ahead.
	while IFS= read -r line; do
		printf '%s\n' "$line"
		if [[ $line = '# selftests: '* ]]; then
			name=${line##* }
			begun=$SECONDS
		elif [[ $line =~ ^(not )?ok\ [0-9]+\ selftests:\  ]]; then
			echo "$((SECONDS - begun)) $name" >>"$1"
		fi
	done
}

# vm_tests KERNEL NAME [FOLDER]: runs the selftests in the VM, or those in that directory
# below. A test that brings the VM down has failed; the others continue in a new VM.
vm_tests() {
	local kernel=$1 name=$2 folder=$TOP/selftests/${3:-} left round=0 rc done_before part bad vm=$2
	[ -z "${KERNEL:-}" ] || vm+=-$kernel
	# shellcheck disable=SC2086 # a list
	"$TOP/scripts/kernel/build-modules.sh" "$kernel" AFSYNC_SIM=1 ${AFSYNC_MODULE_ARGS:-} >&2 || { echo "not ok 0 - the module builds for $kernel"; return; }
	# On this machine: in the VM it would take many times as long.
	with_lock build make -s -C "$TOP" tools >&2 || { echo "not ok 0 - the command builds"; return; }
	with_lock build make -s -C "$folder" all >&2 || { echo "not ok 0 - the selftests build"; return; }
	left=${TESTS:-$(all_tests "$folder")}
	while [ -n "$left" ]; do
		round=$((round + 1))
		part=$dir/$name.$round
		rc=0
		"$TOP/scripts/vm.sh" --kernel "$kernel" --name "$vm-$round" --timeout 14400 \
			--env "KSRC=$KSRC" --env "ROUNDS=${ROUNDS:-}" --env "SEED=$SEED" \
			"make -s -C '$folder' run_tests TESTS='$(tr '\n' ' ' <<<"$left")'" |
			timed "$dir/$name.times" | tee "$part" || rc=$?
		done_before=$left
		# shellcheck disable=SC2086 # a list
		left=$(printf '%s\n' $left | grep -vxF -f <(sed -nE \
			's/^(not )?ok [0-9]+ selftests: [^:]*: ([^ ]*).*/\2/p' "$part") || true)
		case $rc in
		124|125)
			bad=$(sed -n 's/^# selftests: [^:]*: //p' "$part" | tail -n 1)
			if [ -z "$left" ] || [ -z "$bad" ] || ! grep -qxF -- "$bad" <<<"$left"; then
				echo "not ok $round - $name: the kernel is fine after the tests (log: $BUILD/vm/$vm-$round.log)"
				[ "$left" != "$done_before" ] || return 0
			else
				echo "not ok $round - $name: $bad brought the VM down (log: $BUILD/vm/$vm-$round.log)"
				left=$(grep -vxF -- "$bad" <<<"$left" || true)
			fi ;;
		*)
			echo "ok $round - $name: the kernel is fine after the tests"
			[ -z "$left" ] || echo "not ok $round - $name: did not run: $(tr '\n' ' ' <<<"$left")"
			return 0 ;;
		esac
	done
}
stage_selftests() {
	[ "$short" = 0 ] || local TESTS=${TESTS:-$(tests "$TOP/selftests" "$USER" "$ON_ALL" "$MAKE_FS" \
		'(exactly_one|lib|unload)_test.*')}
	vm_tests "${KERNEL:-debian}" selftests
}
# All that depend on the kernel at all.
stage_module() {
	local TESTS=${TESTS:-$(all_tests "$TOP/selftests" | grep -vxE "$USER")}
	vm_tests "${KERNEL:-debian}" module
}
stage_kernels() {
	local TESTS=${TESTS:-$(tests "$TOP/selftests" "$ON_ALL")}
	vm_tests 6.12 kernels
}
stage_selftests_debug() {
	[ "$short" = 0 ] || local TESTS=${TESTS:-$(tests "$TOP/selftests" "$BOTH"
		all_tests "$TOP/selftests" | grep -vxE "$USER|$MAKE_FS")}
	vm_tests debug selftests-debug
}
stage_programs() { vm_tests "${KERNEL:-debian}" programs programs; }
# One for each drop-in; the others spend their time in reads and writes.
stage_programs_debug() {
	[ "$short" = 0 ] || local TESTS=${TESTS:-glusterfs.sh stress_ng.sh}
	vm_tests debug programs-debug programs
}
stage_static_can_fail() { "$TOP/scripts/check/static-can-fail.sh"; }
stage_harness() { FULL=$((1 - short)) "$TOP/scripts/check/harness.sh"; }

# The packages in a bare bookworm with the small kernel, which both come from the network;
# 'make packages-check' runs the full check.
stage_packages() {
	"$TOP/scripts/package/check-install.sh" --quick bookworm
}

# The benchmark works, and no cell has become slower in virtual time.
stage_bench() {
	"$TOP/scripts/kernel/build-modules.sh" debian >&2
	with_lock build make -s -C "$TOP" bench-programs >&2
	with_lock build make -s -C "$TOP/tools/fio" >&2
	"$TOP/scripts/bench/self-test.sh"
	"$TOP/scripts/bench/gate.sh"
}

# count FILE...: "passed failed skipped", and the failures, each with the last lines that the
# test printed. A program that reports fewer tests than it planned has failed, too.
count() {
	awk '
	function flush_plan() {
		if (plan > seen) { short++; print "FAIL " FILENAME ": a test program planned " plan " tests and reported " seen }
		plan = seen = 0
	}
	function why(i) {
		for (i = said > 16 ? said - 16 : 0; i < said; i++) print "     " line[i]
	}
	FNR == 1 { said = 0 }
	{ sub(/\r$/, "") }
	!/^(# )*(not )?ok [0-9]+/ { line[said++] = $0 }
	/^# *1\.\.[0-9]+/ { flush_plan(); plan = $0; sub(/.*1\.\./, "", plan); plan += 0; next }
	/^# (not )?ok [0-9]+/ { seen++ }
	/^(not )?ok [0-9]+/ { flush_plan() }
	/^(# )?ok [0-9]+.*# *SKIP/ { skip++; print "SKIP " FILENAME ": " $0; said = 0; next }
	/^(# )?ok [0-9]+/ { pass++; said = 0 }
	/^(# )?not ok [0-9]+/ { fail++; print "FAIL " FILENAME ": " $0; why(); said = 0 }
	END { flush_plan(); print "COUNT", pass + 0, fail + short, skip + 0 }' "$@"
}

short=0
if [ $# = 0 ]; then
	set -- "${STAGES[@]}"
	[ "${FULL:-}" = 1 ] || short=1
fi
for stage; do
	[[ " ${STAGES[*]} ${MORE_STAGES[*]} " = *" $stage "* ]] ||
		die "no such stage: $stage (${STAGES[*]} ${MORE_STAGES[*]})"
done

# run_stage STAGE: its TAP, times and errors go to files in $dir.
run_stage() {
	local stage=$1 start=$SECONDS rc=0
	echo "== $stage"
	"stage_${stage//-/_}" 2>"$dir/$stage.err" | tee "$dir/$stage.tap" | show || rc=$?
	# A stage that ended in its middle must not look like one that passed.
	if [ $rc != 0 ] && ! grep -qE '^(# )*not ok ' "$dir/$stage.tap"; then
		echo "not ok 0 - $stage: ended with status $rc; see $dir/$stage.err" | tee -a "$dir/$stage.tap"
	fi
	if [ "$(count "$dir/$stage.tap" | tail -n 1)" = "COUNT 0 0 0" ]; then
		echo "not ok 0 - $stage: no test ran; see $dir/$stage.err" | tee -a "$dir/$stage.tap"
		tail -n 20 "$dir/$stage.err"
	fi
	echo "$((SECONDS - start)) s" >"$dir/$stage.took"
	echo "== $stage: $(count "$dir/$stage.tap" | tail -n 1 |
		awk '{ printf "%d passed, %d failed, %d skipped", $2, $3, $4 }'), $(<"$dir/$stage.took")"
	[ ! -e "$dir/$stage.times" ] ||
		echo "   slowest: $(sort -rn "$dir/$stage.times" | awk 'NR <= 8 { printf "%s%s %d s", sep, $2, $1; sep = ", " }')"
}

# run_stages: takes stages from the list on descriptor 3 until it is empty.
run_stages() {
	local stage
	while stage=$(exec 4>"$dir/list.lock"; flock 4; read -r -u 3 stage && echo "$stage"); do
		run_stage "$stage" 3<&-
	done
}

mkdir -p "$dir"
files=()
for stage; do
	rm -f "$dir/$stage".*
	files+=("$dir/$stage.tap")
done
exec 3< <(printf '%s\n' "$@")
# Each in a process group of its own, so that all of it ends with this script.
jobs=() indent=''
trap 'kill -- "${jobs[@]/#/-}" 2>/dev/null || true' EXIT
set -m
for ((i = 0; i < ${CHECK_JOBS:-$(nproc) + 1} && i < $#; i++)); do
	{
		# The first takes the longest.
		[ "$i" = 0 ] || renice -n 5 "$BASHPID" >/dev/null
		run_stages | sed -u "s/^/$indent/"
	} &
	jobs+=($!)
	indent+='  | '
done
set +m
wait "${jobs[@]}" || true
trap - EXIT
for stage; do
	[ -e "$dir/$stage.tap" ] || echo "not ok 0 - $stage: did not run" >"$dir/$stage.tap"
done

echo "== result (logs in $dir and $BUILD/vm)"
count "${files[@]}" >"$dir/summary"
grep -v ^COUNT "$dir/summary" || true
took=''
for stage; do
	[ ! -e "$dir/$stage.took" ] || took+="${took:+, }$stage $(<"$dir/$stage.took")"
done
echo "${took:-no stage ended}"
read -r _ passed failed skipped < <(tail -n 1 "$dir/summary")
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line+=", $skipped skipped"
echo "$line"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
