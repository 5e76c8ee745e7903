#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build Debian's dpkg twice, as it is and with our patch, with the same options.
#
#	tools/integrations/dpkg/build.sh
#
# Prints the folder that holds stock/src/dpkg and patched/src/dpkg. The source is fetched into
# the cache, a folder for each version; remove dpkg there to look for a newer one. Nothing
# is installed. CFLAGS are for both.

. "$(dirname "$0")/../../../scripts/lib.sh"
. "$TOP/scripts/apt-source.sh"

HERE=$TOP/tools/integrations/dpkg
PATCH=$HERE/dpkg-libafsync.patch
OUT=$BUILD/integrations/dpkg
LIBRARY=$BUILD/tools/lib/afsync/libafsync.a
CFLAGS=${CFLAGS:--O2 -g}
ME=dpkg-build

# The newest source in the cache.
newest() { printf '%s\n' "$CACHE"/dpkg/*/debian/control | sort -V | tail -n 1; }

fetch() {
	local version
	[ ! -e "$(newest)" ] || return 0
	say "fetching the source of dpkg into $CACHE/dpkg"
	begin_fetching
	fetch_source dpkg # sets fetched
	# shellcheck disable=SC2154
	version=$(dpkg-parsechangelog -l "$fetched/debian/changelog" -S Version)
	mkdir -p "$CACHE/dpkg"
	mv "$fetched" "$CACHE/dpkg/$version"
	end_fetching
}

# step WHAT CMD...: what it prints is only shown if it fails.
step() {
	local what=$1 log=$OUT/log
	shift
	"$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "$what failed: see above, all of it is in $log"; }
}

# prepare NAME: a copy of the source, patched or not, with a configure script of its own.
prepare() {
	local from=$OUT/$1-source
	rm -rf "$from" "${OUT:?}/$1"
	cp -a "$source" "$from"
	if [ "$1" = patched ]; then
		patch -d "$from" -p 1 --dry-run -s -f <"$PATCH" >&2 ||
			die "the patch does not apply to dpkg $version: it was made for dpkg 1.21 of Debian 12"
		patch -d "$from" -p 1 -s -f <"$PATCH"
	fi
	(cd "$from" && step "autoreconf of dpkg" ./autogen)
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
		prepare patched
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

[ -e "$LIBRARY" ] || die "$LIBRARY is missing: run 'make lib'"
mkdir -p "$OUT"
with_lock apt-source fetch
source=$(dirname "$(dirname "$(newest)")")
version=$(basename "$source")
build
echo "$OUT"
