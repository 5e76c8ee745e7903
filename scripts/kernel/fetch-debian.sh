#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches a kernel of Debian by name, with the headers to build modules for it, and prints
# its release.
#
#	scripts/kernel/fetch-debian.sh NAME		the one in the cache, or else the newest
#	scripts/kernel/fetch-debian.sh --newest NAME	ask Debian for a newer one first
#	scripts/kernel/fetch-debian.sh --headers NAME	only the headers
#	scripts/kernel/fetch-debian.sh --list		the names
#	scripts/kernel/fetch-debian.sh ARCH		the kernel of another architecture (arm64, s390x)
#
# All scripts and variables that take a kernel (fetch.sh, build-modules.sh, vm.sh,
# KERNEL=) take these names. Packages are only unpacked, into the cache (~/.cache/afsync),
# never installed. The headers of another suite than this machine's contain programs for
# the C library of that suite, and need its compiler: these are fetched with them, into a
# directory that build-modules.sh changes its root to. The headers of another architecture
# come likewise with a compiler that runs here, and with its busybox.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/kernel/suites.sh"

# Packages for building modules in the root of another suite, besides the dependencies
# of the headers.
ROOT_PACKAGES=(make bash dash coreutils sed grep mawk findutils diffutils)

# with_depends PACKAGE REGEX: the package, and its dependencies with a matching name. A
# dependency for all architectures is on the line below the package that needs it.
with_depends() {
	# The first line is the package's own name.
	suite_apt apt-cache depends "$1" | sed -nE "s/^[ |]*(Depends: )?(${1//[.+]/.}|$2)\$/\2/p" | sort -u
}

# cross_packages: those of the compiler for that architecture. Its other dependencies are
# installed with this machine's own compiler.
cross_packages() {
	suite_apt apt-cache depends --recurse --important "gcc-$triplet" "libc6-dev-$arch-cross" |
		grep -xE "[a-z].*-($triplet(-base)?|$arch-cross)" | sort -u
}

# download FOLDER PACKAGE...
download() {
	local folder=$1
	shift
	mkdir -p "$folder"
	say "downloading $*"
	(cd "$folder" && suite_apt apt-get "${APT[@]}" download "$@") >"$tmp/log" 2>&1 ||
		{ tail -n 20 "$tmp/log" >&2; die "cannot download $*"; }
}

fetch_image() {
	local packages
	[ ! -e "$CACHE/kernels/$release/release" ] || return 0
	mapfile -t packages < <(with_depends "linux-image-$release$of" "linux-(base|binary|modules)-${release//[.+]/.}")
	download "$tmp/image" "${packages[@]}"
	"$TOP/scripts/kernel/fetch.sh" "$tmp"/image/*.deb >/dev/null
}

# Makefile and scripts of headers name each other by absolute paths: change these.
relocate() {
	local root=$1 link target
	find "$root/usr/src" -maxdepth 2 -name Makefile -exec sed -i "s,/usr/src/,$root/usr/src/,g" {} +
	find "$root/usr/src" -type l | while read -r link; do
		target=$(readlink "$link")
		case $target in
		/usr/*) ln -sfn "$root$target" "$link" ;;
		esac
	done
}

# The work of the packages' own scripts, as far as a build needs it.
finish_root() {
	local root=$1
	mkdir -p "$root/dev" "$root/tmp" "$root/proc"
	[ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
	[ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
}

unpack_headers() {
	local root=$CACHE/headers/$release.root packages deb
	[ ! -e "$CACHE/headers/$release/Makefile" ] || return 0
	if [ -z "$apt_dir" ] || [ -n "$arch" ]; then
		mapfile -t packages < <(with_depends "linux-headers-$release$of" 'linux-(headers|kbuild)-[^:]*'
			[ -z "$arch" ] || { cross_packages; echo "busybox-static:$arch"; })
		download "$tmp/headers" "${packages[@]}"
	else
		say "downloading the headers of $release and the compiler of Debian $suite"
		mkdir -p "$tmp/headers/partial"
		suite_apt apt-get -o "Dir::Cache::archives=$tmp/headers" install -y --download-only \
			--no-install-recommends "linux-headers-$release" "${ROOT_PACKAGES[@]}" >"$tmp/log" 2>&1 ||
			{ tail -n 20 "$tmp/log" >&2; die "cannot download the headers of $release"; }
	fi
	rm -rf "$root"
	mkdir -p "$root"
	# First the package whose /bin and /lib are symbolic links, if there is one.
	for deb in "$tmp"/headers/base-files_*.deb "$tmp"/headers/*.deb; do
		[ ! -e "$deb" ] || dpkg-deb -x "$deb" "$root"
	done
	if [ -z "$apt_dir" ] || [ -n "$arch" ]; then relocate "$root"; else finish_root "$root"; fi
	ln -sfn "$root/usr/src/linux-headers-$release" "$CACHE/headers/$release"
}

fetch() {
	local named=$CACHE/kernels/newest-$kernel
	release=$(cat "$named" 2>/dev/null) || true
	if [ $newest = 0 ] && [ -n "$release" ] && [ -e "$CACHE/headers/$release/Makefile" ] &&
			{ [ $headers = 1 ] || [ -e "$CACHE/kernels/$release/release" ]; }; then
		return
	fi
	begin_suite "$suite" "$arch"
	if [ $newest = 1 ] || [ -z "$release" ]; then
		release=$(suite_apt apt-cache depends "linux-image-$flavour$of" 2>/dev/null |
			sed -n 's/^[ |]*Depends: linux-image-\([0-9][^:]*\).*$/\1/p' | head -n 1)
		[ -n "$release" ] || die "Debian $suite has no linux-image-$flavour here: try 'apt-get update'"
	fi
	tmp=$(mktemp -d "$CACHE/download.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	unpack_headers
	[ $headers = 1 ] || fetch_image
	end_suite
	echo "$release" >"$named"
}

newest=0 headers=0
while [ $# -gt 0 ]; do
	case $1 in
	--newest) newest=1 ;;
	--headers) headers=1 ;;
	--list) suite_kernels; exit ;;
	--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
	-*) die "unknown option $1 (--help lists them)" ;;
	*) break ;;
	esac
	shift
done
# Not "name", which is a variable of with_lock.
kernel=${1:-}
suite_kernel "$kernel" ||
	die "no such kernel: ${kernel:-(none named)} (there are: $(suite_kernels | xargs) $(arch_kernels | xargs))"
arch=${triplet:+$kernel} of=${triplet:+:$kernel}
mkdir -p "$CACHE/kernels" "$CACHE/headers"
with_lock "suite-$suite" fetch
echo "$release"
