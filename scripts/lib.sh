# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Functions that the scripts of this directory and those below share. Sourced, never run:
#	. "$(dirname "$0")/lib.sh"

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${AFSYNC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/afsync}
BUILD=$TOP/build
# The kernel source of the debug kernel and the selftests.
KSRC=${KSRC:-$CACHE/linux-source-6.1}
ME=$(basename "$0")
export TOP CACHE BUILD KSRC

say() { printf '%s: %s\n' "$ME" "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
# The same message as in the Makefile, for runs that start with a script.
[[ $TOP$CACHE != *[[:space:]:]* ]] || die "the kernel's build takes no space and no colon in a path: $TOP, $CACHE"
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# For apt-get: wait for another run, and retry failed downloads.
# shellcheck disable=SC2034 # for those that source this
APT=(-o DPkg::Lock::Timeout=600 -o Acquire::Retries=5)

# as_root CMD...: run it as root; sudo asks for the password if it has to.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		die "this step needs root, and there is no sudo here: run 'make setup' as root once"
	fi
}

# with_lock NAME CMD...: one run of CMD at a time on this machine, so that two builds
# never write the same directory of the cache.
with_lock() {
	local name=$1 fd rc
	shift
	mkdir -p "$CACHE"
	exec {fd}>"$CACHE/.lock-$name"
	flock -n "$fd" || { say "waiting for another run ($name)"; flock "$fd"; }
	# The descriptor is closed for CMD: processes that it leaves must not hold the lock.
	"$@" {fd}>&-
	rc=$?
	exec {fd}>&-
	return $rc
}

# Debian's kernel that the installed headers belong to, else the newest. Prints its release.
debian_release() {
	local v
	v=$(dpkg-query -W -f '${Depends}' linux-headers-amd64 2>/dev/null |
		sed -n 's/^linux-headers-\([^ ,]*\).*/\1/p')
	[ -n "$v" ] || v=$(apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/.*Depends: linux-image-\([0-9][^ ]*\)$/\1/p' | head -n 1)
	[ -n "$v" ] || die "cannot tell the version of Debian's kernel: run 'make setup' first"
	echo "$v"
}

# is_debug_kernel KERNEL: is it one of those that scripts/kernel/build-debug.sh builds?
is_debug_kernel() { [[ $1 = @(debug|debug-rt|kcsan|gcov) ]]; }

# named_release KERNEL: fetches a KERNEL that scripts/kernel/fetch-debian.sh has a name for,
# and prints its release; prints any other unchanged.
named_release() {
	if "$TOP/scripts/kernel/fetch-debian.sh" --list | grep -xF -- "$1" >/dev/null; then
		"$TOP/scripts/kernel/fetch-debian.sh" "$1"
	else
		echo "$1"
	fi
}

# said_by_build FILE: the output of a build of modules, without the normal lines of make
# and kbuild: each line is a warning.
said_by_build() {
	sed -E '/^ *(CC|CHECK|LD|MODPOST|BTF|AR)( |$)|^make|^\/.*\/build\/modules-|^Skipping BTF/d' "$1"
}
