# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# Functions that the tests of the command share. Sourced, never run; sets $afsync:
#	. "$(dirname "$0")/claims.sh" AFSYNC
#
# The tests run in a directory of their own, which is removed at the end. A test that runs
# a command finds its output and errors in out and err there.

set -euo pipefail

afsync=$(readlink -f "$1")
number=0
failed=0

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# claim NAME COMMAND...: one test.
claim() {
	local name=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		sed 's/^/# /' out err
		failed=$((failed + 1))
	fi
}

end_of_claims() {
	echo "1..$number"
	[[ $failed == 0 ]]
}
