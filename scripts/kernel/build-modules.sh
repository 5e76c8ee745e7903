#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds afsync.ko for one kernel, in build/modules-<release>.
#
#	scripts/kernel/build-modules.sh			for the running kernel, else Debian's
#	scripts/kernel/build-modules.sh KERNEL		as for scripts/kernel/fetch.sh, or a directory of headers
#	scripts/kernel/build-modules.sh KERNEL W=1 C=2	further arguments go to make
#
# PLANT=STAGE/NAME in the environment plants the bug selftests/plants/STAGE/NAME.patch in the
# copy that is built, in build/plants/STAGE/NAME: tests have to find it. With AFSYNC_SIM=1 as
# a further argument the test modules (selftests/sim) are built, too. The sources are copied,
# so that builds for several kernels exist side by side and nothing is ever built beside a
# source file. Prints the directory.

. "$(dirname "$0")/../lib.sh"

NONE="install linux-headers-<its release>, or give KDIR=<its build directory>; 'make lib tools' and 'make install-user' need none"

# headers NAME: sets kdir, the directory to build modules for that kernel against.
headers() {
	local name=$1 dir
	if is_debug_kernel "$name"; then
		kdir=$("$TOP/scripts/kernel/build-debug.sh" "$name")/build
		return
	fi
	case $name in
	debian) name=$(debian_release) ;;
	*/*)
		if [ -e "$name/Makefile" ]; then
			kdir=$name
			return
		elif [ -e "$name/build/Makefile" ]; then
			kdir=$name/build
			return
		fi
		dir=$("$TOP/scripts/kernel/fetch.sh" "$name")
		name=$(cat "$dir/release") ;;
	*) name=$(named_release "$name") ;;
	esac
	for kdir in "$CACHE/headers/$name" "/lib/modules/$name/build" "/usr/src/linux-headers-$name"; do
		[ ! -e "$kdir/Makefile" ] || return 0
	done
	die "no headers for kernel $name: $NONE"
}

name=${1:-}
[ $# = 0 ] || shift
if [ -z "$name" ]; then
	name=$(uname -r)
	if [ ! -e "/lib/modules/$name/build/Makefile" ]; then
		running=$name
		name=$(debian_release 2>/dev/null) || true
		[ -e "/usr/src/linux-headers-${name:-none}/Makefile" ] ||
			die "no headers for the running kernel $running: $NONE"
		say "no headers for the running kernel $running: building for $name (KVER= or KDIR= choose another)"
	fi
fi
headers "$name"
# Without early inlining, because gcov loses lines of functions that are inlined early.
[ "$name" != gcov ] || set -- "$@" GCOV_PROFILE=y KCFLAGS=-fno-early-inlining

# The release as modules see it. Debian's headers have it in one file only.
release=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$kdir/include/generated/utsrelease.h" 2>/dev/null)
[ -n "$release" ] || release=$(make -s -C "$kdir" kernelrelease)
out=$BUILD/${PLANT:+plants/$PLANT/}modules-$release

# Headers of another suite of Debian are in a root that has their compiler and a shell.
root=$CACHE/headers/$release.root
[ "$kdir" = "$CACHE/headers/$release" ] && [ -e "$root/bin/sh" ] || root=

# in_root CMD...: runs CMD in that root, with the same directory to build in.
in_root() {
	local map=()
	[ "$(id -u)" = 0 ] || map=(--map-root-user)
	mkdir -p "$root$out"
	# shellcheck disable=SC2016 # for the other shell
	unshare --mount "${map[@]}" bash -c '
		mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" && mount --rbind "$2" "$1$2" &&
		exec chroot "$1" /usr/bin/env -i PATH=/usr/bin:/bin LC_ALL=C "${@:3}"' in_root "$root" "$out" "$@"
}

build() {
	local path
	# The bugs are planted in the copy.
	[ -z "${PLANT:-}" ] || rm -rf "${out:?}/drivers"
	mkdir -p "$out/drivers" "$out/include" "$out/selftests"
	# -u keeps unchanged files, so that make rebuilds only changed ones.
	for path in Kbuild drivers/afsync include/uapi selftests/sim; do
		[ -e "$TOP/$path" ] || continue
		cp -ruT "$TOP/$path" "$out/$path"
	done
	# A file that was removed from the sources must not be built any longer.
	(cd "$out" && find drivers include selftests \( -name '*.[ch]' -o -name Kbuild \) ! -name '*.mod.c') |
	while read -r path; do
		[ -e "$TOP/$path" ] || rm -f "${out:?}/$path"
	done
	[ -z "${PLANT:-}" ] || patch -s -F0 -d "$out" -p0 <"$TOP/selftests/plants/$PLANT.patch" >&2
	if [ -n "$root" ]; then
		in_root nice make -j "$(nproc)" --no-print-directory -C "/usr/src/linux-headers-$release" "M=$out" "$@" modules >&2
	else
		nice make --no-print-directory -C "$kdir" "M=$out" "$@" modules >&2
	fi
}

mkdir -p "$out"
with_lock "build-$(sha256sum <<<"$out" | cut -c 1-12)" build "$@"
echo "$out"
