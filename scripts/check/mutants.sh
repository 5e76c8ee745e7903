#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Plant small bugs, one at a time, and see whether the tests catch them.
#
#	scripts/check/mutants.sh			all sets
#	scripts/check/mutants.sh SET...			these: libafsync posix libaio module
#	scripts/check/mutants.sh SET/NAME...		only these mutants
#	scripts/check/mutants.sh --build [SET...]	only see that each applies and builds
#
# A mutant is a bug of a few lines that breaks a promise: selftests/mutants/SET/NAME.patch says
# what it is, and after "Tests:" which tests of selftests/afsync and of the library have to see
# it; thread/TEST is one that is built with ThreadSanitizer, which sees a barrier that is missing.
# It is built in build/mutants/SET. Then its tests run, up to the first that fails: those of
# libafsync on this machine, with the engine that needs no device, the others in the VM on
# Debian's kernel. A test that hangs, a report of the kernel and a module that cannot be unloaded
# count as caught, too. Before that, the same tests have to pass on the code as it is.
#
# Prints TAP: a line for each mutant, "caught by" a test or "survived", and the counts of each
# set. The exit status is 0 if at least 19 of 20 are caught in each: a set may have a survivor,
# which is "not ok" all the same.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"

SETS=(libafsync posix libaio module)
mutants=$TOP/selftests/mutants

# tests_of SET NAME: one per line.
tests_of() { sed -n 's/^Tests: //p' "$mutants/$1/$2.patch" | tr ' ' '\n'; }

# sources TREE: a copy to plant in. A new one each time: nothing that was planted is left in it.
sources() {
	rm -rf "$1"
	mkdir -p "$1"
	(cd "$TOP" && cp -a Kbuild VERSION drivers include scripts selftests tools "$1")
}

# build_SET TREE FOLDER TEST...: all that these tests need, in the directory.

# Linked with the library, statically. thread/TEST: with ThreadSanitizer.
build_libafsync() {
	local tree=$1 to=$2 test out flags
	for test in "${@:3}"; do
		out=$tree/build flags='-O2 -g'
		[[ $test != thread/* ]] || { out+=/thread; flags='-O1 -g -fsanitize=thread'; }
		make -s -C "$tree/tools/lib/afsync" "O=$out" "CFLAGS=$flags" "$out/tests/${test##*/}"
		cp -T "$out/tests/${test##*/}" "$to/$test"
	done
}

# They load the library from lib/ beside them.
build_dropin() {
	local tree=$1 to=$2
	shift 2
	make -s -C "$tree/selftests/afsync" "O=$tree/build" "${@/#/$tree/build/}"
	cp "${@/#/$tree/build/}" "$to"
	mkdir "$to/lib"
	cp -r "$tree"/build/lib/*.so.1 "$to/lib"
	[ ! -d "$tree/build/lib/afsync" ] || cp -r "$tree/build/lib/afsync" "$to/lib"
}
build_posix() { build_dropin "$@"; }
build_libaio() { build_dropin "$@"; }

# The programs are the same for all mutants of the module.
build_module() {
	local tree=$1 to=$2 out programs
	shift 2
	out=$(AFSYNC_CACHE=$CACHE "$tree/scripts/kernel/build-modules.sh" debian)
	cp "$out/drivers/afsync/afsync.ko" "$to"
	[ "$to" = "${to%/*}/unchanged" ] || return 0
	mapfile -t programs < <(printf '%s\n' "$@" | grep -v '\.sh$')
	make -s -C "$tree/selftests/afsync" "O=$tree/build/selftests" "TESTS=$*" all
	(cd "$tree/build/selftests" && cp "${programs[@]}" unload_work unload_background "$to")
}

# built SET NAME TEST...: in its directory, with the tests that run there. False if that fails.
built() {
	local set=$1 folder=$BUILD/mutants/$1/$2
	rm -rf "$folder"
	mkdir -p "$folder/thread"
	printf '%s\n' "${@:3}" >"$folder/tests"
	# In a shell of its own: set -e does not act in a function whose result is tested.
	(set -e; "build_$set" "$BUILD/mutants/$set/tree" "$folder" "${@:3}") \
		>"$folder/build.log" 2>&1 & wait $!
}

# plant SET NAME: builds it. False, with a result, if there is no such mutant.
plant() {
	local set=$1 name=$2 tree=$BUILD/mutants/$1/tree patch=$mutants/$1/$2.patch tests rc=0
	mapfile -t tests < <(tests_of "$set" "$name")
	if ! patch -s -F0 -d "$tree" -p0 <"$patch" >"$BUILD/mutants/$set/patch.log" 2>&1; then
		remark <"$BUILD/mutants/$set/patch.log"
		result 1 "$set/$name applies"
		sources "$tree"
		return 1
	fi
	built "$set" "$name" "${tests[@]}" || rc=$?
	patch -s -R -d "$tree" -p0 <"$patch"
	[ $rc != 0 ] || return 0
	tail -n 20 "$BUILD/mutants/$set/$name/build.log" | remark
	result 1 "$set/$name builds"
	return 1
}

# run SET NAME...: what selftests/mutants/run.sh prints of them, run where their tests can run.
run() {
	local cmd=("$mutants/run.sh" "$BUILD/mutants/$1" "${@:2}")
	[ "$1" != libafsync ] || { "${cmd[@]}"; return; }
	"$TOP/scripts/vm.sh" --kernel debian --name "mutants-$1" --timeout 14400 -- "${cmd[@]}"
}

# verdicts SET NAME...: a line for each, "NAME survived" or "NAME caught by TEST". One that brings
# the VM down is caught, and the others go on in a new VM.
verdicts() {
	local set=$1 left word name what begun n
	shift
	left=("$@")
	while [ ${#left[@]} -gt 0 ]; do
		begun='' n=0
		while read -r word name what; do
			case $word in
			begin) begun=$what; say "$set/$name: $what" ;;
			caught) begun='' n=$((n + 1)); echo "$name caught by $what" ;;
			survived) begun='' n=$((n + 1)); echo "$name survived" ;;
			esac
		done < <(run "$set" "${left[@]}" 2>>"$BUILD/mutants/$set/run.err")
		if [ -n "$begun" ]; then
			echo "${left[n]} caught by $begun, which brought the VM down"
			n=$((n + 1))
		fi
		# The VM did not even begin.
		[ $n -gt 0 ] || return 0
		left=("${left[@]:n}")
	done
}

# unchanged SET NAME...: do the tests of these mutants pass on the code as it is?
unchanged() {
	local set=$1 tests verdict
	shift
	mapfile -t tests < <(for name; do tests_of "$set" "$name"; done | sort -u)
	if ! built "$set" unchanged "${tests[@]}"; then
		tail -n 20 "$BUILD/mutants/$set/unchanged/build.log" | remark
		result 1 "$set: the code as it is builds"
		return 1
	fi
	[ "$build_only" = 0 ] || return 0
	# The VM begins with it.
	[ "$set" = libafsync ] || "$TOP/scripts/kernel/build-modules.sh" debian AFSYNC_SIM=1 >&2
	verdict=$(verdicts "$set" unchanged)
	if [ "$verdict" != "unchanged survived" ]; then
		remark <<<"${verdict:-it did not run} (log: $BUILD/mutants/$set)"
		result 1 "$set: the tests pass on the code as it is"
		return 1
	fi
}

# check SET NAME...: these mutants of the set. False if too few are caught.
check() {
	local set=$1 names=() name verdict survived caught=0 wanted
	shift
	wanted=$((($# * 19 + 19) / 20))
	sources "$BUILD/mutants/$set/tree"
	: >"$BUILD/mutants/$set/run.err"
	unchanged "$set" "$@" || return 1
	for name; do
		say "$set/$name: building"
		! plant "$set" "$name" || names+=("$name")
	done
	if [ "$build_only" = 1 ]; then
		result $((${#names[@]} != $#)) "$set: ${#names[@]} of $# apply and build"
		[ ${#names[@]} = $# ]
		return
	fi
	while read -r name verdict; do
		survived=0
		[ "$verdict" != survived ] || survived=1
		caught=$((caught + 1 - survived))
		result $survived "$set/$name: $verdict"
	done < <(verdicts "$set" ${names[@]+"${names[@]}"})
	result $((caught < wanted)) "$set: $caught of $# caught, at least $wanted"
	[ $caught -ge $wanted ]
}

build_only=0
case ${1:-} in
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
--build) build_only=1; shift ;;
esac
[ $# -gt 0 ] || set -- "${SETS[@]}"
declare -A wanted=()
for arg; do
	set=${arg%%/*}
	[[ " ${SETS[*]} " = *" $set "* ]] || die "no such set: $set (${SETS[*]})"
	if [ "$arg" = "$set" ]; then
		wanted[$set]=$(cd "$mutants/$set" && printf '%s\n' *.patch | sed 's/\.patch$//')
	else
		[ -e "$mutants/$arg.patch" ] || die "no such mutant: $arg"
		wanted[$set]+=" ${arg#*/}"
	fi
done

echo "TAP version 13"
status=0
for set in "${SETS[@]}"; do
	[ -n "${wanted[$set]:-}" ] || continue
	# shellcheck disable=SC2086 # a list
	check "$set" ${wanted[$set]} || status=1
done
end_results || true
exit $status
