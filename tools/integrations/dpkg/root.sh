# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A small root in memory, from which dpkg runs. Sourced by guest.sh.
#
# Nothing in it comes from the host's disk: what waits for the host must stay out of what
# is measured in virtual time.

ROOT=/tmp/root

# add_program PATH [NAME]: with its libraries.
add_program() {
	local file
	cp -L "$1" "$ROOT/bin/${2:-$(basename "$1")}"
	ldd "$1" | awk '/=> \// { print $3 } /^[ \t]*\// { print $1 }' | while read -r file; do
		mkdir -p "$ROOT$(dirname "$file")"
		[ -e "$ROOT$file" ] || cp -L "$file" "$ROOT$file"
	done
}

make_root() {
	local name
	mkdir -p "$ROOT"/{bin,dev,tmp,mnt,proc,sys,etc/dpkg}
	for name in bash sh rm tar diff ldconfig cat dpkg-split; do
		add_program "$(command -v $name)"
	done
	add_program "$DPKG/stock/src/dpkg" dpkg-stock
	add_program "$DPKG/patched/src/dpkg" dpkg-patched
	add_program "$DPKG/stock/src/dpkg-deb"
	add_program "$DPKG/stock/src/dpkg-query"
	cp "$TOP/tools/integrations/dpkg/run.sh" "$ROOT/bin/run"
	cp -r "$DPKG/packages" "$ROOT"
	mknod -m 666 "$ROOT/dev/null" c 1 3
	mount --bind /sys "$ROOT/sys"
	mount --bind /proc "$ROOT/proc"
}

# with_device / without_device: whether dpkg finds the module.
without_device() { rm -f "$ROOT/dev/afsync"; }
with_device() {
	without_device
	cp -a /dev/afsync "$ROOT/dev/"
}
