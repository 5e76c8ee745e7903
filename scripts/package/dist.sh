#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes the release tarball, build/dist/afsync-VERSION.tar.xz, and prints its path.
#
# It contains the files of the project as they are now: those that git tracks, or, without
# a git repository, all but build/. The same files give the same bytes.

. "$(dirname "$0")/../lib.sh"
cd "$TOP"

name=afsync-$(cat VERSION)
out=$BUILD/dist/$name.tar.xz
# The time of all files in it: that of the version.
epoch=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n 's/^ -- .*>  //p' debian/changelog | head -n 1)" +%s)}

list() {
	if [ -e .git ]; then
		git ls-files -z
	else
		find . -path ./build -prune -o \( -type f -o -type l \) -printf '%P\0'
	fi | LC_ALL=C sort -z | while IFS= read -rd '' f; do
		# A tracked file may have been deleted.
		[ ! -e "$f" ] && [ ! -L "$f" ] || printf '%s\0' "$f"
	done
}

if [ -e .git ] && [ -n "$(git status --porcelain)" ]; then
	say "the tree differs from its last commit: new files are left out, changed ones taken as they are"
fi
mkdir -p "$BUILD/dist"
tmp=$(mktemp "$out.XXXXXX")
trap 'rm -f "$tmp"' EXIT
list | tar -c --null -T - --format=gnu --transform "flags=r;s,^,$name/," --mtime="@$epoch" --mode=u=rwX,go=rX \
	--owner=0 --group=0 --numeric-owner | xz -T1 -6 >"$tmp"
chmod 644 "$tmp"
mv "$tmp" "$out"
trap - EXIT
echo "$out"
