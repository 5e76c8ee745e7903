#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches QEMU's tools of Debian 13, whose native AIO queues syncs; Debian 12's does not.
#
#	scripts/check/fetch-qemu.sh	fetch them if they are missing, print their directory
#
# Prints a directory for chroot(8) with qemu-io, qemu-img and all that they need, unpacked and not
# installed. A second run needs no network.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/kernel/suites.sh"

root=$CACHE/qemu-trixie

fetch_qemu() {
	local new deb name
	[ ! -e "$root/usr/bin/qemu-io" ] || return 0
	begin_suite trixie
	say "downloading qemu-utils of Debian 13 with what it needs (once)"
	suite_apt apt-get install -y --no-install-recommends --download-only qemu-utils >"$apt_dir/log" 2>&1 ||
		{ tail -n 20 "$apt_dir/log" >&2; die "cannot download qemu-utils (all of it: $apt_dir/log)"; }
	new=$(mktemp -d "$CACHE/new-qemu.XXXXXX")
	for name in bin sbin lib lib64; do
		mkdir -p "$new/usr/$name"
		ln -s "usr/$name" "$new/$name"
	done
	for deb in "$apt_dir"/cache/archives/*.deb; do
		# Not through the links: dpkg-deb would put directories in their place.
		dpkg-deb --fsys-tarfile "$deb" | tar -C "$new" --keep-directory-symlink -x
	done
	end_suite
	mkdir -p "$new/proc" "$new/dev" "$new/mnt"
	chmod 755 "$new"
	rm -rf "$root"
	mv "$new" "$root"
}

with_lock qemu-trixie fetch_qemu
echo "$root"
