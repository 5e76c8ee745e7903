#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of this directory detect a bug in an error path of the module: each patch in
# selftests/plants/fault plants one and names the call and the program that have to fail.
#
#	selftests/fault/planted_test.sh		as root, with afsync loaded
#
# Needs the modules that PLANT=fault/NAME scripts/kernel/build-modules.sh builds, and loads
# $AFSYNC_KO again at the end.

set -euo pipefail

readonly SKIP=4
top=$(cd "$(dirname "$0")/../.." && pwd)
programs=${OUTPUT:-$top/build/selftests/fault}
plants=("$top"/selftests/plants/fault/*.patch)
number=0 failed=0

skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }

# planted PATCH: the module with that bug.
planted() {
	local name
	name=$(basename "$1" .patch)
	echo "$top/build/plants/fault/$name/modules-$(uname -r)/drivers/afsync/afsync.ko"
}

# found PATCH: the program that it names fails, and reports an error in this call.
found() {
	local call program ret=0 log
	read -r call program < <(sed -n 's/^Found by \(.*\) of \(.*\)\.$/\1 \2/p' "$1")
	log=$(mktemp)
	rmmod afsync
	insmod "$(planted "$1")"
	CALL=$call "$programs/$program" >"$log" 2>&1 || ret=$?
	rmmod afsync
	insmod "$AFSYNC_KO"
	grep "^# $call: .* fails, the call says" "$log" || ret=0
	rm -f "$log"
	[ $ret != 0 ]
}

[ -n "${AFSYNC_KO:-}" ] || skip_all "no module to load again: set AFSYNC_KO"
[ -e /proc/self/fail-nth ] || skip_all "no fault injection in this kernel"
for patch in "${plants[@]}"; do
	[ -e "$(planted "$patch")" ] || skip_all "not built: $(planted "$patch")"
done

echo "TAP version 13"
echo "1..${#plants[@]}"
for patch in "${plants[@]}"; do
	number=$((number + 1))
	word=ok
	found "$patch" || { word="not ok"; failed=1; }
	echo "$word $number bug $(basename "$patch" .patch) is found"
done
exit $failed
