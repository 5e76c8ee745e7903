#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build Debian's dpkg twice, as it is and with our patch, with the same options.
#
#	tools/integrations/dpkg/build.sh
#
# Prints the directory that holds stock/src/dpkg and patched/src/dpkg. The source is fetched into
# the cache, a directory for each version; remove dpkg there to look for a newer one. Nothing
# is installed. CFLAGS are for both.

. "$(dirname "$0")/../../../scripts/lib.sh"

PATCH=$TOP/tools/integrations/dpkg/dpkg-libafsync.patch
OUT=$BUILD/integrations/dpkg
CFLAGS=${CFLAGS:--O2 -g}
ME=dpkg-build
. "$TOP/tools/integrations/source.sh"

# prepare NAME [PATCH]: a copy of the source, patched or not, with a configure script of its own.
prepare() {
	rm -rf "${OUT:?}/$1"
	copy_source "$@"
	(cd "$OUT/$1-source" && step "autoreconf of dpkg" ./autogen)
}

# configure NAME OPTION...
configure() {
	local name=$1
	shift
	mkdir -p "$OUT/$name"
	(cd "$OUT/$name" && step "configure of dpkg ($name)" "../$name-source/configure" --prefix=/usr \
		--sysconfdir=/etc --localstatedir=/var --disable-nls --disable-dselect \
		--disable-start-stop-daemon --disable-update-alternatives \
		CFLAGS="$CFLAGS -Wall -Wextra -Wno-missing-field-initializers -Wno-unused-parameter" "$@")
}

# compile NAME: only what the runs need.
compile() {
	step "build of dpkg ($1)" make -C "$OUT/$1/lib" -j "$(nproc)"
	step "build of dpkg ($1)" make -C "$OUT/$1/src" -j "$(nproc)" dpkg dpkg-deb dpkg-query
	[ -x "$OUT/$1/src/dpkg" ] || die "no $OUT/$1/src/dpkg, though its build went well"
}

build() {
	local stamp
	# All that goes into it, but for the library, which make looks at.
	stamp=$(cat "$PATCH" "$0" <(echo "$source $CFLAGS $TOP") | sha256sum)
	if [ "$(cat "$OUT/stamp" 2>/dev/null)" != "$stamp" ]; then
		say "building dpkg $version twice, without and with the patch"
		rm -f "$OUT/stamp"
		prepare stock
		configure stock
		compile stock
		prepare patched "$PATCH"
		configure patched --with-libafsync LIBAFSYNC_LIBS="$LIBRARY -pthread" \
			LIBAFSYNC_CFLAGS="-I$TOP/include/uapi -I$TOP/tools/lib/afsync"
		compile patched
		echo "$stamp" >"$OUT/stamp"
	elif [ "$LIBRARY" -nt "$OUT/patched/src/dpkg" ]; then
		say "linking dpkg with the new libafsync"
		rm -f "$OUT/patched/src/dpkg"
		compile patched
	fi
}

find_source dpkg
build
echo "$OUT"
