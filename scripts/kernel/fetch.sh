#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Finds a kernel to boot in the VM, fetches it if needed, and prints its directory.
#
#	scripts/kernel/fetch.sh [debian]	Debian's kernel, as of the installed headers
#	scripts/kernel/fetch.sh 6.1.0-56-amd64	that package of Debian
#	scripts/kernel/fetch.sh 6.12-rt		by name: see scripts/kernel/fetch-debian.sh
#	scripts/kernel/fetch.sh FILE.deb...	an image on disk, in one package or several
#	scripts/kernel/fetch.sh BZIMAGE		any bzImage; needs built-in drivers
#	scripts/kernel/fetch.sh debug		the debug kernel (builds it once), or another of the
#						kinds of scripts/kernel/build-debug.sh
#
# The directory has bzImage, release and, if the kernel has modules, lib/modules.
# Packages are downloaded and unpacked into the cache, never installed: the machine's
# own kernel and boot loader are not touched.

. "$(dirname "$0")/../lib.sh"

# unpack DEB...: the packages of one kernel into the cache, complete or not at all.
unpack() {
	local deb image release new
	# Up to Debian 13 it is in /boot, then beside the modules, in a package of its own.
	image=$(for deb; do dpkg-deb -c "$deb"; done |
		sed -nE 's,.* \./(boot/vmlinuz-[^ ]*|usr/lib/modules/[^/]*/vmlinuz)$,\1,p')
	[ -n "$image" ] || die "no kernel in $*: not the packages of a kernel's image"
	release=${image#boot/vmlinuz-}
	release=${release#usr/lib/modules/}
	release=${release%/vmlinuz}
	dir=$CACHE/kernels/$release
	[ ! -e "$dir/release" ] || return 0
	new=$(mktemp -d "$CACHE/kernels/new.XXXXXX")
	for deb; do dpkg-deb -x "$deb" "$new"; done
	ln -s "$image" "$new/bzImage"
	# From Debian 13 on the modules are below usr/lib.
	[ -e "$new/lib" ] || ln -s usr/lib "$new/lib"
	/sbin/depmod -b "$new" "$release"
	echo "$release" >"$new/release"
	chmod 755 "$new"
	rm -rf "$dir"
	mv "$new" "$dir"
}

download() {
	local version=$1 tmp
	[ ! -e "$dir/release" ] || return 0
	tmp=$(mktemp -d "$CACHE/download.XXXXXX")
	say "downloading linux-image-$version (not installed, only unpacked into $CACHE)"
	if ! (cd "$tmp" && apt-get "${APT[@]}" download "linux-image-$version" >&2 2>apt.err); then
		cat "$tmp/apt.err" >&2
		rm -rf "$tmp"
		die "no package linux-image-$version: try 'apt-get update', or KERNEL=<bzImage or .deb>"
	fi
	unpack "$tmp"/*.deb
	rm -rf "$tmp"
}

# The setup header of a bzImage contains its release (x86 boot protocol).
bzimage_release() {
	local image=$1 offset
	[ "$(dd if="$image" bs=1 skip=514 count=4 status=none)" = HdrS ] ||
		die "$image is not a bzImage"
	offset=$(od -An -tu2 -j 526 -N 2 "$image")
	dd if="$image" bs=1 skip=$((offset + 512)) count=80 status=none | tr '\0' '\n' | sed -n '1s/ .*//p'
}

mkdir -p "$CACHE/kernels"
what=${1:-}
! is_debug_kernel "$what" || exec "$TOP/scripts/kernel/build-debug.sh" "$what"
case $what in
*.deb)
	with_lock kernels unpack "$@"
	;;
*/*)
	[ -e "$what" ] || die "no such kernel: $what"
	if [ -d "$what" ]; then
		[ -e "$what/release" ] || die "$what has no file release: not a directory that this script made"
		dir=$what
	else
		release=$(bzimage_release "$what")
		dir=$CACHE/kernels/file-$(sha256sum "$what" | cut -c 1-12)
		mkdir -p "$dir"
		ln -sfn "$(realpath "$what")" "$dir/bzImage"
		echo "$release" >"$dir/release"
	fi
	;;
*)
	[ -n "$what" ] && [ "$what" != debian ] || what=$(debian_release)
	what=$(named_release "$what")
	dir=$CACHE/kernels/$what
	[ -e "$dir/release" ] || with_lock kernels download "$what"
	;;
esac
echo "$dir"
