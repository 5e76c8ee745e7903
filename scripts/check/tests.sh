# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The lists of selftests that check.sh and coverage.sh run. Sourced after lib.sh.
# shellcheck disable=SC2034 # for those that source this

# all_tests FOLDER: the names of its tests.
all_tests() { make -s -C "$1" emit_tests | sed 's/.*://'; }

# tests FOLDER REGEX...: those whose whole names are like one of them, in the directory's order.
tests() {
	local folder=$1
	shift
	all_tests "$folder" | grep -xE "$(IFS='|'; echo "$*")"
}

# The tests that depend most on the kernel; scripts/check/kernels.sh runs all on several kernels.
ON_ALL='(abi|attach|cancel|errors|exit|fdinfo|hold|identity|merge|order|shutdown_fs|undone)_test'
# Tests of code in the program: Debian's kernel runs them faster.
USER='((command|exec|lib_cpp|(engine|libaio|posix)_.*)_test|(admin|bpftrace|examples|python|top)_test.sh'
USER+='|(engine|lib|libaio|posix)_.*_(32|t64))'
# Of those, the ones that cancel, fork and exit with requests of the device in flight. The
# debug kernel runs them, too.
BOTH='(exec|engine_(cancel|process)|libaio_(cancel|fsync|process)|posix_(cancel|process|queue))_test'

# Tests that make one filesystem after the other: on the debug kernel that takes nearly all
# their time, and other tests cover the module's part of it.
MAKE_FS='(filesystems|isolation_fs|no_space|writeback_errors)_test'
