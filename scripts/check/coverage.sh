#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Counts which lines of the module and of the libraries run in their tests, with gcov.
#
#	scripts/check/coverage.sh		both
#	scripts/check/coverage.sh module	the module, on the kernel "gcov": the selftests that the debug
#						kernel runs of it, and those that make its steps fail
#	scripts/check/coverage.sh libraries	the libraries: their unit tests, on this machine, and their
#						selftests, in the VM
#	TESTS="order_test submit_test"		only these; then many lines have not run
#
# Prints a table of the files, and each line that has not run with its reason from
# selftests/coverage; it stays in build/coverage/PART.table. Fails if a test fails, if a line has no
# reason, if a reason is out of date, or if less than 95 % of the lines of a directory have run.
# What a process ran in a library does not count if a signal ended it.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tests.sh"

# Not those for 32 bits, which run the same sources.
LIBRARIES='((lib|lib_cpp|exec|(engine|libaio|posix)_.*)_test|python_test.sh)'

failed=0

# chosen: of the tests on standard input, those that TESTS names, if it names any.
chosen() {
	if [ -z "${TESTS:-}" ]; then cat; else grep -xF -f <(tr ' ' '\n' <<<"$TESTS") || echo none; fi
}

# wrong WHAT: the measurement goes on, and fails at the end.
wrong() {
	say "$1 (log: $out.log)"
	failed=1
}

# run_in_vm KERNEL COUNTS COMMAND: brings the counts that are in the guest's directory COUNTS after
# the command to $out. They leave the VM as a tar on its standard output, since the guest's writes
# are lost.
run_in_vm() {
	"$TOP/scripts/vm.sh" --kernel "$1" --name "coverage-$part" --timeout 14400 --env "KSRC=$KSRC" \
		"{ $3; } >&2
		ran=\$?
		mkdir /tmp/counts && cd '$2' &&
			find . -name '*.gcda' -exec cp --parents -t /tmp/counts {} + &&
			tar -C /tmp/counts -c . && exit \$ran" >"$out.tar" 2>>"$out.log" ||
		wrong "the tests in the VM ended with status $?"
	grep -E '^(# )*not ok ' "$out.log" >&2 || true
	tar -C "$out" -xf "$out.tar" || die "no counts came out of the VM (log: $out.log)"
	rm "$out.tar"
}

# Each of these leaves the notes and the counts in $out.

count_module() {
	local built tests faults
	built=$("$TOP/scripts/kernel/build-modules.sh" gcov AFSYNC_SIM=1)
	with_lock build make -s -C "$TOP" tools
	with_lock build make -s -C "$TOP/selftests" all
	with_lock build make -s -C "$TOP/selftests/fault" all
	tests=$(all_tests "$TOP/selftests" | grep -vxE "$USER|$MAKE_FS" | chosen | xargs)
	faults=$(all_tests "$TOP/selftests/fault" | grep '_test$' | chosen | xargs)
	# The kernel keeps the counts of modules that were unloaded.
	run_in_vm gcov "/sys/kernel/debug/gcov$built/drivers/afsync" \
		"make -s -C '$TOP/selftests' run_tests TESTS='$tests'; first=\$?
		make -s -C '$TOP/selftests/fault' run_tests TESTS='$faults' && [ \$first = 0 ]"
	cp "$built"/drivers/afsync/*.gcno "$out"
}

count_libraries() {
	local folder test tests link="--coverage $out/dump.o -L$out -lcoverage -Wl,-rpath,$out"
	# Without optimization, which would merge lines.
	local flags="-O0 -g --coverage" ours="-O2 -Wall -Wextra -fPIC"
	"$TOP/scripts/kernel/build-modules.sh" debian AFSYNC_SIM=1 >/dev/null
	with_lock build make -s -C "$TOP" tools
	# shellcheck disable=SC2086 # a list
	gcc $ours -shared -o "$out/libcoverage.so" "$TOP/selftests/coverage/exit.c"
	# shellcheck disable=SC2086
	gcc $ours -c -o "$out/dump.o" "$TOP/selftests/coverage/dump.c"
	for folder in afsync afsync-libaio; do
		make -s -C "$TOP/tools/lib/$folder" O="$out/$folder" CFLAGS="$flags" LDFLAGS="$link" tests
		for test in "$out/$folder"/tests/*_test; do
			"$test" >>"$out.log" 2>&1 || wrong "$test ended with status $?"
		done
	done
	tests=$(tests "$TOP/selftests" "$LIBRARIES" | chosen | xargs)
	make -s -C "$TOP/selftests/afsync" O="$out/selftests" LIBRARY_CFLAGS="$flags" LDFLAGS="$link" \
		TESTS="$tests" all
	# Other users add to the counts, too.
	run_in_vm debian "$out" \
		"find '$out' -name '*.gcno' | sed 's/gcno\$/gcda/' | xargs touch && chmod -R a+rwX '$out'
		AFSYNC_COMMAND='$BUILD/tools/afsync/afsync' make -s -C '$TOP/selftests/afsync' \
			O='$out/selftests' run_tests TESTS='$tests'"
	# Those of objects that no test ran.
	find "$out" -name '*.gcda' -empty -delete
}

declare -A sources=(
	[module]='drivers/afsync/[a-z_]+\.[ch]'
	[libraries]='tools/lib/afsync(-[a-z]+)?/[a-z0-9_]+\.[ch]'
)
[ $# -gt 0 ] || set -- module libraries
for part; do
	[ -n "${sources[$part]:-}" ] || die "no such part: $part (module, libraries)"
done
for part; do
	out=$BUILD/coverage/$part
	rm -rf "$out"
	mkdir -p "$out"
	: >"$out.log"
	"count_$part" >&2
	"$TOP/scripts/check/coverage.py" "$TOP/selftests/coverage/$part.txt" "${sources[$part]}" "$out" |
		tee "$out.table" || failed=1
done
exit $failed
