#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tables of test.sh, from the results of guest.sh on standard input.

set -euo pipefail

awk '
function row_name(way) {
	return way == "stock" ? "stock" : way == "unsafe" ? "--force-unsafe-io" : \
		way == "threads" ? "patched, no module" : "patched, module"
}
function ratio(a, b) { return b ? sprintf("%.1fx", a / b) : "-" }
$1 == "result" && $3 == "cuts" {
	if (!cuts++) {
		order[++lines] = ""
		order[++lines] = "Power cuts while version 1 is upgraded to version 2:"
		order[++lines] = sprintf("%-5s %-19s %6s %15s %13s", "", "", "cuts", "promise broken", "files broken")
	}
	order[++lines] = sprintf("%-5s %-19s %6d %15d %13d", $2, row_name($4), $5, $6, $7)
	next
}
$1 == "result" {
	# result FS JOB WAY US SYNCS FLUSHES DISK
	key = $8 " " $2 " " $3
	us[key, $4] = $5; syncs[key, $4] = $6; flushes[key, $4] = $7
	if (!(key in seen)) { seen[key] = 1; keys[++n] = key }
}
END {
	format = "%-6s %-5s %-8s %-19s %8s %8s %7s %8s %8s\n"
	printf format, "flush", "", "", "", "time", "+ time", "syncs", "flushes", "speed"
	for (i = 1; i <= n; i++) {
		split(keys[i], k, " ")
		count = split("stock threads module unsafe", ways, " ")
		for (w = 1; w <= count; w++) {
			way = ways[w]
			if (!((keys[i], way) in us)) continue
			first = w == 1
			printf format, first ? k[1] " ms" : "", first ? k[2] : "", first ? k[3] : "",
				row_name(way), sprintf("%.2f s", us[keys[i], way] / 1000000),
				sprintf("%.2f s", (us[keys[i], way] - us[keys[i], "unsafe"]) / 1000000),
				syncs[keys[i], way], flushes[keys[i], way],
				ratio(us[keys[i], "stock"], us[keys[i], way])
		}
	}
	for (i = 1; i <= lines; i++) print order[i]
}'
cat <<'END'

flush     how long each request of the disk takes
time      dpkg --install, from begin to end, in a VM of 500 million instructions a second
+ time    what of it is more than with --force-unsafe-io, which syncs no file of the package
syncs     calls of fsync(), and syncs run by the module
flushes   flushes of its cache that the disk was sent
speed     against stock
END
