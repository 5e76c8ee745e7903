#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the tables of test.sh, from the results of guest.sh on standard input.

set -euo pipefail

awk '
function row_name(way) {
	return way == "stock" ? "stock" : way == "unsafe" ? "--force-unsafe-io" : \
		way == "threads" ? "patched, no module" : "patched, module"
}
function ratio(a, b) { return b ? sprintf("%.1fx", a / b) : "-" }
function seconds(us) { return sprintf("%.2f s", us / 1000000) }
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
	# result FS JOB WAY US IDLE SYNCS FLUSHES MS MIPS PACKAGE
	group = $9 " ms, " $10 " MIPS, " $11
	key = group SUBSEP $2 SUBSEP $3
	us[key, $4] = $5; idle[key, $4] = $6; syncs[key, $4] = $7; flushes[key, $4] = $8
	if (!(key in seen)) { seen[key] = 1; keys[++n] = key }
}
END {
	format = "%-5s %-8s %-19s %8s %8s %8s %7s %8s %8s %7s\n"
	count = split("stock threads module unsafe", ways, " ")
	for (i = 1; i <= n; i++) {
		split(keys[i], k, SUBSEP)
		if (k[1] != last) {
			last = k[1]
			printf("%s%s:\n", (i > 1 ? "\n" : ""), last)
			printf format, "", "", "", "time", "CPU", "idle", "syncs", "flushes", "fewer", "speed"
		}
		for (w = 1; w <= count; w++) {
			way = ways[w]
			if (!((keys[i], way) in us)) continue
			first = w == 1
			printf format, first ? k[2] : "", first ? k[3] : "", row_name(way),
				seconds(us[keys[i], way]), seconds(us[keys[i], way] - idle[keys[i], way]),
				seconds(idle[keys[i], way]), syncs[keys[i], way], flushes[keys[i], way],
				ratio(flushes[keys[i], "stock"], flushes[keys[i], way]),
				ratio(us[keys[i], "stock"], us[keys[i], way])
		}
	}
	for (i = 1; i <= lines; i++) print order[i]
}'
cat <<'END'

ms        how long each request of the disk takes
MIPS      million instructions a second of the CPU of the VM
xz, none  how the package is compressed
time      dpkg --install, from start to end
CPU       the part of it in which the CPU was busy: dpkg, the unpacking, the kernel
idle      the part of it in which the CPU waited for the disk
syncs     calls of fsync(), and syncs run by the module
flushes   cache flushes sent to the disk
fewer     stock's flushes against these
speed     stock's time against this
END
