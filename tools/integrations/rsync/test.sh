#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The integration of rsync: builds Debian's rsync without and with the patch, and measures both
# while they copy and update a tree with --fsync --delay-updates; then the power is cut.
#
#	tools/integrations/rsync/test.sh
#
#	FILES=N		files of the tree (3000)
#
# Everything is measured in a VM whose clock counts its instructions, on a disk whose
# requests take 1 ms. The status is 0 if every file was found after each cut, at any speed.

. "$(dirname "$0")/../../../scripts/lib.sh"

FILES=${FILES:-3000}
HERE=$TOP/tools/integrations/rsync
OUT=$BUILD/integrations/rsync
ME=integrations
[[ $FILES =~ ^[1-9][0-9]*$ ]] || die "FILES=$FILES: not a number"

"$HERE/build.sh" >/dev/null
"$TOP/scripts/vm.sh" --no-sim --kernel debian --name rsync --mem 3072 --icount --timeout 7200 \
	--append sysctl.kernel.hung_task_timeout_secs=0 -- "$HERE/guest.sh" "$FILES" >"$OUT/results" ||
	die "the measuring failed"

# All variants of a job in consecutive lines.
sort -s -k 2,3 "$OUT/results" | awk '
BEGIN {
	name["stock"] = "stock"; name["threads"] = "patched, no module"
	name["module"] = "patched, module"; name["none"] = "without --fsync"
	format = "%-5s %-7s %-19s %8s %7s %8s %7s   %s\n"
	printf format, "", "", "", "time", "syncs", "flushes", "speed", "after a power cut"
}
$1 == "result" {
	first = $4 == "stock"
	if (first) stock = $5
	printf format, first ? $2 : "", first ? $3 : "", name[$4], sprintf("%.2f s", $5 / 1000000), $7, $8,
		sprintf("%.1fx", stock / $5), $9
	# Shows that a cut loses files that were not synced.
	if ($9 != ($4 == "none" ? "lost" : "found")) bad = 1
	n++
}
END { exit bad || n != 14 }' | tee "$OUT/table.txt"
