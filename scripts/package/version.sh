#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The project's version, which is one number for the module, the library, the command, the
# manual pages and the packages. The file VERSION holds it; the other places repeat it.
#
#	scripts/package/version.sh		print each place and the version there
#	scripts/package/version.sh X.Y.Z	write that version into all places
#
# Two places also need a text, and are written by hand: NEWS, and debian/changelog. With
# X.Y.Z the latter gets an entry that says so.
#
# These are other numbers, and stay unchanged: AFSYNC_VERSION in the header of the
# device counts the versions of its interface; the sonames and LIBAFSYNC_1.x in
# libafsync.map name the version that introduced a function.

. "$(dirname "$0")/../lib.sh"
cd "$TOP"

HEADER=tools/lib/afsync/libafsync.h

# The other pages are symbolic links.
pages() { find Documentation/man -type f | LC_ALL=C sort; }

# first PLACE PATTERN: prints PLACE and the first match of PATTERN there.
first() { printf '%s\t%s\n' "$1" "$(sed -nE "s/$2/\1/p" "$1" | head -n 1)"; }

header_version() {
	sed -nE 's/^#define LIBAFSYNC_VERSION_(MAJOR|MINOR|PATCH)\t([0-9]+)$/\2/p' $HEADER | paste -sd .
}

show() {
	local page
	printf 'VERSION\t%s\n' "$(cat VERSION)"
	printf '%s\t%s\n' $HEADER "$(header_version)"
	first drivers/afsync/main.c '^MODULE_VERSION\("(.*)"\);$'
	first NEWS '^([0-9][^ ]*)( .*)?$'
	first debian/changelog '^afsync \(([^)]*)\).*'
	first tools/packaging/afsync.spec '^Version: *(.*)$'
	first tools/packaging/PKGBUILD '^pkgver=(.*)$'
	for page in $(pages); do
		first "$page" '^\.TH [^ ]+ [1-8] [-0-9]+ "afsync ([^"]*)".*'
	done
}

set_version() {
	local version=$1 part
	local -a parts
	[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "a version has three numbers, as 1.4.0; this is: $version"
	IFS=. read -ra parts <<<"$version"
	echo "$version" >VERSION
	for part in MAJOR MINOR PATCH; do
		sed -i "s/^\(#define LIBAFSYNC_VERSION_$part\t\).*/\1${parts[0]}/" $HEADER
		parts=("${parts[@]:1}")
	done
	sed -i "s/^MODULE_VERSION(.*/MODULE_VERSION(\"$version\");/" drivers/afsync/main.c
	sed -i "s/^\(Version: *\).*/\1$version/" tools/packaging/afsync.spec
	sed -i "s/^pkgver=.*/pkgver=$version/" tools/packaging/PKGBUILD
	# shellcheck disable=SC2046 # a list
	sed -i "s/^\(\.TH [^ ]* [1-8] [-0-9]* \)\"[^\"]*\"/\1\"afsync $version\"/" $(pages)
	[ "$(first debian/changelog '^afsync \(([^)]*)\).*' | cut -f 2)" = "$version" ] || changelog "$version"
	grep -qE "^$version( |$)" NEWS || say "NEWS has no entry for $version yet: write it at the top"
}

# changelog VERSION: an entry on top of the others.
changelog() {
	local new
	new=$(mktemp)
	{
		printf 'afsync (%s) unstable; urgency=medium\n\n  * Version %s: see NEWS.\n\n' "$1" "$1"
		printf ' -- %s  %s\n\n' "$(sed -n 's/^Maintainer: //p' debian/control)" "$(LC_ALL=C date -uR)"
		cat debian/changelog
	} >"$new"
	cat "$new" >debian/changelog
	rm -f "$new"
}

case $# in
0) show ;;
1) set_version "$1" ;;
*) die "usage: scripts/package/version.sh X.Y.Z" ;;
esac
