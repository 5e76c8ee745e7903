#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build Debian's rsync twice, as it is and with our patch, with the same options.
#
#	tools/integrations/rsync/build.sh
#
# Prints the directory that holds stock-source/rsync and patched-source/rsync. Nothing is installed.

. "$(dirname "$0")/../../../scripts/lib.sh"

PATCH=$TOP/tools/integrations/rsync/rsync-libafsync.patch
OUT=$BUILD/integrations/rsync
ME=rsync-build
. "$TOP/tools/integrations/source.sh"

# Only what copies files needs.
OPTIONS=(--disable-md2man --disable-xxhash --disable-zstd --disable-lz4 --disable-openssl --disable-locale
	--disable-iconv --disable-acl-support --disable-xattr-support --with-included-popt --with-included-zlib)

# compile NAME OPTION...
compile() {
	cd "$OUT/$1-source" || exit
	step "configure of rsync ($1)" ./configure "${OPTIONS[@]}" "${@:2}"
	step "build of rsync ($1)" make -j "$(nproc)" rsync
}

build() {
	local stamp
	stamp=$(cat "$PATCH" "$0" "$LIBRARY" <(echo "$source $TOP") | sha256sum)
	[ "$(cat "$OUT/stamp" 2>/dev/null)" != "$stamp" ] || return 0
	say "building rsync $version twice, without and with the patch"
	rm -f "$OUT/stamp"
	copy_source stock
	(compile stock)
	copy_source patched "$PATCH"
	(compile patched CPPFLAGS="-DHAVE_LIBAFSYNC -I$TOP/include/uapi -I$TOP/tools/lib/afsync" \
		LIBS="$LIBRARY -pthread")
	echo "$stamp" >"$OUT/stamp"
}

# Debian's fixes of the last weeks may be a newer version.
find_source rsync bookworm
build
echo "$OUT"
