#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of Documentation/afsync/admin.rst work: those of each block that begins with
# "# tested", in the order of the page, a test for each.
#
#	selftests/afsync/admin_test.sh		as root, with afsync loaded
#
# The tests load and unload the module, so modprobe has to find it; the script installs it
# from $AFSYNC_KO. Needs debugfs and tracefs.

set -euo pipefail

readonly SKIP=4
here=$(cd "$(dirname "$0")" && pwd)
page=$here/../../Documentation/afsync/admin.rst
modules=/lib/modules/$(uname -r)
parameter=/sys/module/afsync/parameters/max_user_requests
skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }

# In a mount namespace of its own.
if [ "${1:-}" != inside ]; then
	[ -e /dev/afsync ] || skip_all "no /dev/afsync"
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	[ -e "$page" ] || skip_all "no $page"
	[ -e /sys/kernel/debug/afsync ] || skip_all "no debugfs"
	for program in afsync modprobe fuser; do
		command -v $program >/dev/null || skip_all "no $program"
	done
	exec unshare -m "$0" inside
fi

work=$(mktemp -d)
limit=$(cat "$parameter")
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -e "$parameter" ] || modprobe afsync
	echo "$limit" >"$parameter"
	umount -l "$modules" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

if ! modprobe -n afsync 2>/dev/null; then
	[ -n "${AFSYNC_KO:-}" ] || skip_all "modprobe does not find the module"
	mkdir "$work/upper" "$work/work"
	mount -t overlay -o "lowerdir=$modules,upperdir=$work/upper,workdir=$work/work" overlay \
		"$modules" || skip_all "no overlay filesystem for $modules"
	install -D -m 644 -t "$modules/extra" "$AFSYNC_KO"
	depmod
fi

# A file for each block: the lines that are indented as much as its first one, or more.
awk -v dir="$work" '
	/^ *# tested$/ { indent = index($0, "#"); n++; file = sprintf("%s/%02d", dir, n); next }
	file != "" && $0 != "" && substr($0, 1, indent - 1) ~ /[^ ]/ { file = "" }
	file != "" { print substr($0, indent) >file }' "$page"

export TEXTFILES=$work
failed=0 number=0
echo "1..$(find "$work" -maxdepth 1 -type f | wc -l)"
for block in "$work"/[0-9][0-9]; do
	number=$((number + 1))
	result=ok
	(cd "$work" && bash -euo pipefail "$block") >"$work/out" 2>&1 </dev/null || result="not ok"
	[ "$result" = ok ] || failed=1
	sed 's/^/# /' "$block" "$work/out"
	echo "$result $number $(grep -m 1 . "$block" | tr -c 'a-zA-Z0-9/\n' _)"
done
exit $failed
