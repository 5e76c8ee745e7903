#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The library's tests with the compiler's sanitizers and under valgrind, on this machine, with
# the engine that needs no device.
#
#	scripts/check/sanitizers.sh [TOOL]...	thread, address (with undefined), valgrind; all
#	TESTS="engine_order_test" scripts/check/sanitizers.sh	only these
#
# Each builds the library and its tests anew, in build/sanitizers/TOOL. Prints TAP: a line
# for each test program, which has to pass without a report of the tool.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"

case ${1:-} in
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0" | sed '/^\. /,$d'; exit 0 ;;
esac
[ $# -gt 0 ] || set -- thread address valgrind
lib=$TOP/tools/lib/afsync
if [ -z "${TESTS:-}" ]; then
	TESTS=$(cd "$TOP/selftests/afsync" && printf '%s\n' engine_*_test.c)
	TESTS="reap_test submit_test setup_test ${TESTS//.c/}"
fi
out=$BUILD/sanitizers

# Status 99: the tool has reported something.
export TSAN_OPTIONS=exitcode=99:halt_on_error=1:die_after_fork=0
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99
VALGRIND=(valgrind -q --error-exitcode=99 --errors-for-leak-kinds=definite
	--child-silent-after-fork=yes --fair-sched=yes)
# The valgrind of Debian 12 has no futex_waitv(), so that every handler ends a wait with a timeout,
# and keeps the last signal for itself.
VALGRIND_CANNOT='restarting_handler_ends_no_wait|restarted_wait_goes_on_with_what_is_left_of_its_time'
VALGRIND_CANNOT+='|signals_of_the_process_are_never_taken_by_a_thread_of_the_library'

# only_cannot LOG: all of the program's tests ran, and only these failed.
only_cannot() {
	awk -v cannot="[.]($VALGRIND_CANNOT)\$" '
		/^1\.\./ { plan = substr($1, 4) }
		/^(not )?ok / { seen++ }
		/^not ok / && $0 !~ cannot { bad++ }
		END { exit !plan || seen != plan || bad }' "$1"
}

for tool; do
	run=()
	case $tool in
	thread) flags=-fsanitize=thread ;;
	address) flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined' ;;
	valgrind) flags='' ;;
	*) die "no such tool: $tool (thread, address, valgrind)" ;;
	esac
	bins=()
	for test in $TESTS; do bins+=("$out/$tool/tests/$test"); done
	if ! make -s -C "$lib" "O=$out/$tool" CFLAGS="-O1 -g -fno-omit-frame-pointer $flags" "${bins[@]}" >&2; then
		result 1 "sanitizers: $tool: the tests build"
		continue
	fi
	for test in $TESTS; do
		# ThreadSanitizer has a thread of its own, and one of these tests counts
		# threads. It runs a handler when the thread next calls the C library, and the
		# other test waits for one that interrupts a system call without ending it.
		[[ "$tool $test" != thread\ engine_@(process|signal)_test ]] || continue
		# It limits the memory, of which the tools need much.
		[ "$test" != engine_memory_test ] || continue
		log=$out/$tool/$test.log
		rc=0 leaks=1 leak_check=full
		# In the child of a fork, memory on stacks of the parent's threads counts as leaked.
		[ "$test" != engine_process_test ] || leaks=0 leak_check=no
		export ASAN_OPTIONS=exitcode=99:detect_leaks=$leaks
		[ "$tool" != valgrind ] || run=("${VALGRIND[@]}" "--leak-check=$leak_check")
		(cd "$out/$tool" && "${run[@]}" "tests/$test") >"$log" 2>&1 </dev/null || rc=$?
		[ "$tool $rc" != "valgrind 1" ] || ! only_cannot "$log" || rc=0
		# A child of the test may have printed a report, and its status may be lost.
		! grep -qE 'Sanitizer:|runtime error:|^==[0-9]+==' "$log" || rc=1
		[ $rc = 0 ] || { grep -vE '^(# *RUN|# *OK|ok )' "$log" | head -n 40; echo "log: $log"; } | remark
		result $rc "sanitizers: $tool: $test"
	done
done
end_results
