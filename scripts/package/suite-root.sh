# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Roots of Debian's suites, for check-install.sh, which sources this. As root.
#
# A root is a plain directory. What is mounted in it is mounted for one command, in a mount
# namespace of that command, and its processes end with it: nothing can be left over.

# Set there.
: "${work=}" "${logs=}" "${debs_cache=}"
MIRROR=${AFSYNC_MIRROR:-http://deb.debian.org/debian}
SECURITY=${AFSYNC_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
# What a machine has besides the essential packages, before afsync comes to it.
BASE=(systemd-sysv dbus udev kmod initramfs-tools zstd)
# An initramfs with the modules of QEMU's disk and no others is made and unpacked in less time.
# shellcheck disable=SC2016 # for mmdebstrap's shell
INITRAMFS='cd "$1" && mkdir -p etc/initramfs-tools/conf.d usr/share/initramfs-tools/modules.d &&
	echo MODULES=list >etc/initramfs-tools/conf.d/qemu &&
	printf "%s\n" virtio_pci virtio_blk ext4 >usr/share/initramfs-tools/modules.d/qemu'
# After so many days a root of the cache is made anew: Debian's archive has moved on.
DAYS=3
# Their packages are not needed a second time, nor is what they hold worth a sync.
QUICK=(-o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0)

# in_root ROOT CMD...: run CMD in it, with no environment of ours.
in_root() {
	local root=$1
	shift
	mkdir -p "$debs_cache"
	# shellcheck disable=SC2016 # for that shell
	unshare --mount --propagation private --pid --fork --kill-child bash -c '
		mount -t proc proc "$1/proc" &&
		mount --bind "$2" "$1/var/cache/apt/archives" &&
		shift 2 && exec chroot "$@"' - "$root" "$debs_cache" "$root" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TERM=dumb \
		DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# apt_in ROOT ARG...
apt_in() {
	local root=$1
	shift
	in_root "$root" apt-get "${APT[@]}" "${QUICK[@]}" -q -y "$@"
}

# new_root SUITE KERNEL TAR: a bare Debian that can boot, as a tar file.
new_root() {
	local suite=$1 kernel=$2 tar=$3 new=$work/new-root
	[ -z "$(find "$tar" -mtime "-$DAYS" 2>/dev/null)" ] || return 0
	say "making a bare $suite with $kernel (a few minutes, once in $DAYS days; log: $logs/$suite-root.log)"
	rm -rf "$new"
	{
		TMPDIR=$work mmdebstrap --mode=root --variant=minbase --skip=cleanup/apt/lists \
			--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --dpkgopt=force-unsafe-io \
			--essential-hook="$INITRAMFS" \
			--include="$(IFS=,; echo "${BASE[*]},$kernel")" "$suite" "$new" "deb $MIRROR $suite main" \
			"deb $MIRROR $suite-updates main" "deb $SECURITY $suite-security main" || return
		rm "$new/etc/dpkg/dpkg.cfg.d/99mmdebstrap" || return
		cp /etc/resolv.conf "$new/etc/resolv.conf" || return
		# No service starts in a root that is not booted.
		printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
		chmod 755 "$new/usr/sbin/policy-rc.d"
		mkdir -p "${tar%/*}"
		tar -C "$new" --numeric-owner --one-file-system -cf "$tar.new" . || return
		rm -f "${tar%-*}"-*.tar
		mv "$tar.new" "$tar"
		rm -rf "$new"
	} >"$logs/$suite-root.log" 2>&1
}

# root_from TAR ROOT
root_from() {
	mkdir "$2"
	tar -C "$2" --numeric-owner -xf "$1"
}

# snapshot ROOT: a line for each file, with what can be seen of it; of those that programs
# read as lists the lines; of other small ones in which packages leave words a checksum.
# Without logs, the state of dpkg and apt, and backups and caches that any package changes.
snapshot() (
	cd "$1" || exit
	find . -xdev \( -path ./var/log -o -path ./var/cache -o -path ./var/lib/apt -o -path ./var/lib/dpkg \
		-o -path ./tmp -o -path ./run -o -path ./proc -o -path ./sys -o -path './etc/*-' \) -prune \
		-o -printf '%P %M %u:%g %l\n'
	grep -H '' etc/passwd etc/group etc/shadow etc/gshadow etc/subuid etc/subgid
	# modules.dep and the others: that of a removed module must not be in them.
	find etc lib/modules/*/modules.* -type f ! -name ld.so.cache ! -name '*-' \
		! -path etc/passwd ! -path etc/group ! -path etc/shadow ! -path etc/gshadow -exec sha256sum {} +
)

# names_in ROOT: all packages of which dpkg knows anything, also those that left a
# configuration file.
names_in() {
	# shellcheck disable=SC2016 # for dpkg-query
	in_root "$1" dpkg-query -W -f '${Package} ${db:Status-Status}\n' | grep -v ' not-installed$'
}
