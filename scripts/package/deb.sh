#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the Debian packages, in build/deb (those with debug symbols in build/deb/debug),
# as an ordinary user can. They are built from the unpacked release tarball, so that they
# contain nothing else.
#
#	scripts/package/deb.sh [ARG...]		ARG goes to dpkg-buildpackage, as -j1
#
# The output of the build goes to build/deb/build.log.

. "$(dirname "$0")/../lib.sh"

have dpkg-buildpackage || die "there is no dpkg-buildpackage: run 'scripts/setup.sh package'"
tarball=$("$TOP/scripts/package/dist.sh")
name=$(basename "$tarball" .tar.xz)
out=$BUILD/deb
log=$out/build.log

rm -rf "$out"
mkdir -p "$out/source"
tar -C "$out/source" -xf "$tarball"
say "building the packages of $name in $out (a minute or two; log: $log)"
# Variables that make passes on to its children are for the tree, not for the packages.
(cd "$out/source/$name" && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -us -uc -b "-j$(nproc)" "$@") \
	>"$log" 2>&1 || { tail -n 30 "$log" >&2; die "the build failed: see above, and $log"; }
mkdir "$out/debug"
mv "$out/source"/*-dbgsym_*.deb "$out/debug"
mv "$out/source"/*.deb "$out"
rm -rf "$out/source"
ls "$out"/*.deb
say "install them, as root: apt-get install $out/*.deb"
