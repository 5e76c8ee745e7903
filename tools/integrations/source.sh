# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The source of one of Debian's packages, built without and with a patch. Sourced after lib.sh,
# with OUT set to the directory of the builds.

. "$TOP/scripts/apt-source.sh"

LIBRARY=$BUILD/tools/lib/afsync/libafsync.a
[ -e "$LIBRARY" ] || die "$LIBRARY is missing: run 'make lib'"
mkdir -p "$OUT"

# newest PACKAGE: its source in the cache.
newest() { dirname "$(dirname "$(printf '%s\n' "$CACHE/$1"/*/debian/control | sort -V | tail -n 1)")"; }

fetch_once() {
	local version
	[ ! -e "$(newest "$1")/debian" ] || return 0
	say "fetching the source of $1 into $CACHE/$1"
	begin_fetching
	fetch_source "$@" # sets fetched
	# shellcheck disable=SC2154
	version=$(dpkg-parsechangelog -l "$fetched/debian/changelog" -S Version)
	mkdir -p "$CACHE/$1"
	mv "$fetched" "$CACHE/$1/$version"
	end_fetching
}

# find_source PACKAGE [RELEASE]: sets source, the directory of the source in the cache, and version.
find_source() {
	with_lock apt-source fetch_once "$@"
	source=$(newest "$1")
	# shellcheck disable=SC2034 # for the caller
	version=$(basename "$source")
}

# step WHAT CMD...: shows the output only if it fails.
step() {
	local what=$1 log=$OUT/log
	shift
	"$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "$what failed: see above, all of it is in $log"; }
}

# copy_source NAME [PATCH]: into OUT/NAME-source.
copy_source() {
	local to=$OUT/$1-source
	rm -rf "$to"
	cp -a "$source" "$to"
	[ $# = 1 ] || step "patching $version, for which $(basename "$2") was not made," patch -d "$to" -p 1 -f -i "$2"
}
