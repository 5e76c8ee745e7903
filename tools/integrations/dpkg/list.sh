# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What is there of a package's files. Sourced by packages.sh and guest.sh.

# list_files ROOT FOLDER: "path checksum mode mtime" of each file below, without those that
# dpkg left unfinished, in a fixed order.
list_files() {
	local tmp
	tmp=$(mktemp)
	(
		cd "$1" || exit
		find "$2" -type f ! -name '*.dpkg-*' -printf '%p %m %Ts\n' | LC_ALL=C sort >"$tmp"
		cut -d ' ' -f 1 "$tmp" | xargs -r md5sum | cut -d ' ' -f 1 | paste -d ' ' "$tmp" - |
			awk '{ print $1, $4, $2, $3 }'
	)
	rm -f "$tmp"
}
