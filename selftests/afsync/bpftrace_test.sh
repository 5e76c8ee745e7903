#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tools/bpftrace/afsync-latency.bt counts as many syncs of a filesystem as the module does.
#
#	selftests/afsync/bpftrace_test.sh		as root, with afsync loaded
#
# Skipped without bpftrace, or on a kernel that cannot run it. $TEST_DIR is the directory of
# the files that it syncs (/mnt/ext4 if there is one).

set -euo pipefail

readonly SKIP=4
here=$(cd "$(dirname "$0")" && pwd)
script=$here/../../tools/bpftrace/afsync-latency.bt
dir=${TEST_DIR:-/mnt/ext4}
[ -d "$dir" ] || dir=/var/tmp
skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }

[ -e /dev/afsync ] || skip_all "no /dev/afsync"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v bpftrace >/dev/null || skip_all "no bpftrace"
command -v afsync >/dev/null || skip_all "no afsync on the path"
bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1 || skip_all "bpftrace does not run on this kernel"
[ -d /sys/kernel/tracing/events/afsync ] || skip_all "the kernel has no tracepoints"

work=$(mktemp -d "$dir/bpftrace.XXXXXX")
trap 'rm -rf "$work"' EXIT
for i in {1..20}; do echo "$i" >"$work/$i"; done
device=$(mountpoint -d "$(findmnt -n -o TARGET --target "$work")")
syncs() { cat /sys/class/misc/afsync/stats/syncs; }

echo "1..2"
before=$(syncs)
bpftrace "$script" -c "$(command -v afsync) -r $work" >"$work.out" 2>&1 || cat "$work.out"
ran=$(($(syncs) - before))
sed 's/^/# /' "$work.out"
result=ok
grep -qxF "@syncs[${device/:/, }]: $ran" "$work.out" || result="not ok"
echo "$result 1 the_script_counts_every_sync_of_a_filesystem"
result=ok
grep -qF "@latency_us[${device/:/, }]:" "$work.out" || result="not ok"
echo "$result 2 it_prints_their_latencies"
rm -f "$work.out"
