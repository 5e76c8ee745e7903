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

# The figures of the benchmark are of this release, or nothing that they measure has changed.
check_measured_version() {
	local page=Documentation/afsync/performance-results.rst version commit
	version=$(sed -nE 's/^These are the figures of version ([0-9.]+)(, commit .*)?\.$/\1/p' "$page")
	commit=$(sed -nE 's/^These are the figures .*, commit ([0-9a-f]+)\.$/\1/p' "$page")
	[ -n "$version" ] || { echo "$page does not say what was measured"; return 1; }
	[ "$version" != "$(cat VERSION)" ] || return 0
	if [ -z "$commit" ] || ! git diff --quiet "$commit" -- drivers include/uapi tools/lib 2>/dev/null; then
		echo "$page has the figures of $version: run 'make bench', then 'make bench-doc'"
		return 1
	fi
}

# The symbols file of the package lists the library's exports, each since its version.
check_deb_symbols() {
	awk '/^LIBAFSYNC_/ { node = $1; version = substr(node, 11); print " " node "@" node, version }
		/^\t\tafsync_/ { sub(/;/, "", $1); print " " $1 "@" node, version }' tools/lib/afsync/libafsync.map |
		LC_ALL=C sort >"$SCRATCH/want"
	grep '^ ' debian/libafsync1.symbols | LC_ALL=C sort | diff "$SCRATCH/want" - ||
		{ echo "debian/libafsync1.symbols (right) does not match libafsync.map"; return 1; }
}
