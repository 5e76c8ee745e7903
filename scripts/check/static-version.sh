# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static checks of the version and of the packages. Sourced by check-static.sh.

# All places contain the version in the file VERSION.
check_version() {
	local want
	want=$(cat VERSION)
	[[ $want =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "VERSION: not three numbers: $want"; return 1; }
	scripts/package/version.sh >"$SCRATCH/places"
	awk -F '\t' -v want="$want" '$2 != want { print $1 ": " ($2 == "" ? "none" : $2) }' "$SCRATCH/places" |
		none "not $want ('scripts/package/version.sh $want' writes it)"
}

# The symbols file of the package lists the library's exports, each since its version.
check_deb_symbols() {
	awk '/^LIBAFSYNC_/ { node = $1; version = substr(node, 11); print " " node "@" node, version }
		/^\t\tafsync_/ { sub(/;/, "", $1); print " " $1 "@" node, version }' tools/lib/afsync/libafsync.map |
		LC_ALL=C sort >"$SCRATCH/want"
	grep '^ ' debian/libafsync1.symbols | LC_ALL=C sort | diff "$SCRATCH/want" - ||
		{ echo "debian/libafsync1.symbols (right) does not match libafsync.map"; return 1; }
}
