#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make a Debian 12 machine ready to build and test afsync.
#
#	scripts/setup.sh		install what is missing, fetch the kernels
#	scripts/setup.sh --list		only say which packages, and why
#	scripts/setup.sh --build	only what building needs, nothing for tests and VM
#	scripts/setup.sh --integrations	only what else 'make integrations' needs
#
# Packages come through apt (with sudo when not root) and only if missing, so that
# a second run is quick and needs no network. No recommended packages, and no
# service is started. Kernels are downloaded and unpacked into the cache
# (~/.cache/afsync), never installed: the machine's own kernel is not touched. The
# sources of the test suites that others wrote go there, too.

. "$(dirname "$0")/lib.sh"

# Package and reason. Everything that the Makefiles, scripts and tests call.
BUILD_PACKAGES="
gcc			compiles the module, the library and the command
make			runs the Makefiles
libc6-dev		C library headers
linux-libc-dev		kernel headers for programs
linux-headers-amd64	Debian's kernel headers, to build the module against
kmod			depmod and modprobe
pkg-config		finds libraries
"
CHECK_PACKAGES="
git			tells which files belong to the project
gcc-multilib		32-bit programs against the 64-bit kernel
g++			the library's header compiled as C++
g++-multilib		the same for 32 bits
clang			second compiler
llvm			LLVM=1 needs its binutils
lld			LLVM=1 needs its linker
sparse			make C=2
shellcheck		checks the scripts
mandoc			checks and shows the man pages
man-db			checks the man pages
python3-docutils	checks the .rst files
perl			checkpatch and kernel-doc
python3			checkpatch's spdx check and small servers in tests
file			tells what was built
binutils		nm and readelf on the library
expect			runs the command on a terminal
"
# In no list, for they are big and few checks need them, which are skipped without them:
# rustc and golang-go (two examples), mypy (the types of the Python module).
VM_PACKAGES="
qemu-system-x86		runs the VM
busybox-static		first stage of the VM
cpio			makes the initramfs
xz-utils		compressed modules and sources
zstd			compressed modules
e2fsprogs		makes and checks ext4
xfsprogs		makes and checks xfs
btrfs-progs		makes btrfs
dosfstools		makes vfat
dmsetup			devices that fail and hang
fuse3			mounts FUSE filesystems
libfuse3-dev		FUSE filesystems for tests
nfs-kernel-server	exports NFS over loopback, in the VM
nfs-common		mounts NFS over loopback, in the VM
quota			filesystems that run out of quota
util-linux		mount, losetup, unshare, fsfreeze
iproute2		the loopback interface
procps			ps and pkill
"
PROGRAM_PACKAGES="
libaio-dev		libaio's header, for tests and the drop-in
libaio1			what the drop-in stands in for
fio			real program: posixaio and libaio
stress-ng		real program: aio
glusterfs-server	real program: a brick with linux-aio
attr			looks at what the brick has stored
dpkg-dev		unpacks the source packages of the test suites
patch			applies the patches in them
"
BENCH_PACKAGES="
liburing-dev		the benchmark's io_uring engine
gnuplot-nox		draws the benchmark's plots
"
KERNEL_PACKAGES="
linux-source-6.1	kernel sources: debug kernel, kselftest, checkpatch
bc			builds kernels
bison			builds kernels
flex			builds kernels
libelf-dev		builds kernels
libssl-dev		builds kernels
dwarves			BTF of modules
"
INTEGRATION_PACKAGES="
dpkg-dev		unpacks the source of dpkg
patch			applies our patch to it
autoconf		makes its configure script
automake		makes its makefiles
autopoint		its configure script
gettext			its configure script
libtool			builds its library
pkg-config		finds its libraries
libmd-dev		dpkg: checksums
zlib1g-dev		dpkg: packages compressed with gzip
libbz2-dev		dpkg: with bzip2
liblzma-dev		dpkg: with xz
libzstd-dev		dpkg: with zstd
libselinux1-dev		dpkg: labels of files
strace			makes syncs fail
"

table() { awk 'NF { name = $1; $1 = ""; printf "    %-20s%s\n", name, $0 }' <<<"$1"; }
names() { awk 'NF { print $1 }' <<<"$1"; }

# Services must not start: the tests run them in the VM only. A policy that the
# administrator has made stays.
POLICY=/usr/sbin/policy-rc.d
no_services() {
	[ ! -e $POLICY ] || return 0
	trap allow_services EXIT
	printf '#!/bin/sh\n# afsync setup: start no service\nexit 101\n' | as_root tee $POLICY >/dev/null
	as_root chmod 755 $POLICY
}

allow_services() {
	! grep -qs 'afsync setup' $POLICY || as_root rm -f $POLICY
	trap - EXIT
}

install_packages() {
	local missing=() name log=$CACHE/apt.log
	for name in $(names "$1"); do
		installed "$name" || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || { say "all packages are there"; return; }
	say "these packages are missing and will be installed through apt:"
	for name in "${missing[@]}"; do
		table "$1" | grep -F -- "    $name " >&2
	done
	have apt-get || die "this is not Debian: install what corresponds to the above by hand"
	# A source of the administrator that does not answer need not stop us.
	as_root apt-get "${APT[@]}" update -q >"$log" 2>&1 ||
		say "apt-get update failed in part; going on with the lists there are ($log)"
	no_services
	as_root env DEBIAN_FRONTEND=noninteractive apt-get "${APT[@]}" install -q -y --no-install-recommends \
		-o Dpkg::Options::=--force-confold "${missing[@]}" >>"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "apt failed: see above, all of it is in $log; then run 'make setup' again"; }
	allow_services
	# Nor at the next boot of a machine that had none of them before.
	! [[ " ${missing[*]} " = *" nfs-kernel-server "* ]] || ! have systemctl ||
		as_root systemctl --quiet disable nfs-server rpcbind.service rpcbind.socket >>"$log" 2>&1 || true
	say "installed (all that apt said: $log)"
}

unpack_source() {
	[ ! -e "$CACHE/linux-source-6.1/Makefile" ] || return 0
	say "unpacking linux-source-6.1 into $CACHE"
	rm -rf "$CACHE/new-source"
	mkdir -p "$CACHE/new-source"
	tar -C "$CACHE/new-source" -xf /usr/src/linux-source-6.1.tar.xz
	mv "$CACHE/new-source/linux-source-6.1" "$CACHE/"
	rmdir "$CACHE/new-source"
}

# The headers of a newer kernel, to see that the module builds there too. They
# depend on the kernel's image, which must not be installed; so they are unpacked
# into the cache and the paths in them changed.
fetch_headers() {
	local version=$1 release tmp new
	for release in "$CACHE/headers/$version".*-amd64; do
		[ ! -e "$release/Makefile" ] || return 0
	done
	release=$(apt-cache search --names-only "^linux-headers-${version}[.0-9]*\+(deb12|bpo)-amd64\$" |
		sed 's/^linux-headers-\([^ ]*\) .*/\1/' | sort -V | tail -n 1)
	if [ -z "$release" ]; then
		say "Debian has no linux-headers-$version here (add bookworm-backports?): the module is not built against it"
		return 0
	fi
	say "downloading the headers of $release (only unpacked into $CACHE)"
	tmp=$(mktemp -d "$CACHE/download.XXXXXX")
	new=$CACHE/headers/$release.root
	rm -rf "$new"
	mkdir -p "$new"
	(cd "$tmp" && apt-get "${APT[@]}" download -q "linux-headers-$release" "linux-headers-${release%-amd64}-common" \
		"linux-kbuild-${release%-amd64}") >&2 2>"$tmp/err" || { cat "$tmp/err" >&2; die "download failed"; }
	for deb in "$tmp"/*.deb; do
		dpkg-deb -x "$deb" "$new"
	done
	# Makefile and scripts name each other by absolute paths.
	find "$new/usr/src" -maxdepth 2 -name Makefile -exec sed -i "s,/usr/src/,$new/usr/src/,g" {} +
	find "$new/usr/src" -type l | while read -r link; do
		target=$(readlink "$link")
		case $target in
		/usr/*) ln -sfn "$new$target" "$link" ;;
		esac
	done
	ln -sfn "$new/usr/src/linux-headers-$release" "$CACHE/headers/$release"
	rm -rf "$tmp"
}

mkdir -p "$CACHE"
all="$BUILD_PACKAGES$CHECK_PACKAGES$VM_PACKAGES$PROGRAM_PACKAGES$BENCH_PACKAGES$KERNEL_PACKAGES"
case ${1:-} in
--list)
	table "$all$INTEGRATION_PACKAGES"
	exit ;;
--build)
	install_packages "$BUILD_PACKAGES"
	exit ;;
--integrations)
	install_packages "$INTEGRATION_PACKAGES"
	exit ;;
"") ;;
*) die "unknown option $1" ;;
esac

install_packages "$all"
with_lock source unpack_source
with_lock headers fetch_headers 6.12
"$TOP/scripts/fetch-kernel.sh" >/dev/null
"$TOP/scripts/fetch-suites.sh" >/dev/null
say "ready (cache: $CACHE)"
