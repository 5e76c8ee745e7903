# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A small root in memory, from which a program runs and is measured. Sourced after lib-guest.sh.
#
# Nothing in it comes from the host's disk: code that waits for the host must not run while
# virtual time is measured. While all of the VM waits, its clock jumps to the next timer.

ROOT=/tmp/root
MNT=$ROOT/mnt
DISK=nullb0
TRACING=/sys/kernel/tracing
TRACE=$TRACING/events/syscalls

# add_program PATH [NAME]: with its libraries.
add_program() {
	local file
	cp -L "$1" "$ROOT/bin/${2:-$(basename "$1")}"
	ldd "$1" | awk '/=> \// { print $3 } /^[ \t]*\// { print $1 }' | while read -r file; do
		mkdir -p "$ROOT$(dirname "$file")"
		[ -e "$ROOT$file" ] || cp -L "$file" "$ROOT$file"
	done
}

# begin_root NAME...: a root with these programs of this machine.
begin_root() {
	local name memory
	mkdir -p "$ROOT"/{bin,dev,tmp,mnt,proc,sys,etc}
	for name in bash xfs_io dd "$@"; do
		add_program "$(command -v "$name")"
	done
	loader=$(ldd "$BASH" | awk '/ld-linux/ { print $1 }')
	in_memory xfs_io
	# shellcheck disable=SC2034 # lib-guest.sh runs it
	XFS_IO=("${memory[@]}")
	cp "$TOP/tools/integrations/run.sh" "$ROOT/bin/run"
	mknod -m 666 "$ROOT/dev/null" c 1 3
	mount --bind /sys "$ROOT/sys"
	mount --bind /proc "$ROOT/proc"
}

# in_memory PROGRAM: sets "memory", a command that runs this program of the root, outside of it.
in_memory() {
	memory=("$ROOT$loader" --library-path "$ROOT/lib/x86_64-linux-gnu:$ROOT/usr/lib/x86_64-linux-gnu"
		"$ROOT/bin/$1")
}

# with_device / without_device: lets the program find the module, or hides it.
without_device() { rm -f "$ROOT/dev/afsync"; }
with_device() {
	without_device
	cp -a /dev/afsync "$ROOT/dev/"
}

# Counts calls of fsync and similar ones, by any program.
# shellcheck disable=SC2034 # for the caller
count_from_here() {
	local call
	for call in fsync fdatasync; do
		echo '!hist:keys=common_type' >"$TRACE/sys_enter_$call/trigger" 2>/dev/null || true
		echo 'hist:keys=common_type' >"$TRACE/sys_enter_$call/trigger"
	done
	syncs_before=$(counter syncs)
	submitted_before=$(counter submitted)
}

calls() { cat "$TRACE"/sys_enter_{fsync,fdatasync}/hist | awk '/Hits:/ { n += $2 } END { print n }'; }

remove_disk() {
	umount "$MNT"
	rmdir "$NULL_BLK/$DISK"
}
