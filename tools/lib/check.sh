# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
#
# Functions that the checks of the libraries share. Sourced, never run, by a script that has set
#
#	name	the library, as libafsync
#	src	its directory
#	out	where it was built
#
# and that ends with `run_checks TEST...`. Its own checks are functions check_*, which fail
# as a command does under set -e. Defined here: tmp, a directory for their files; cc; lib, the
# shared library; and the checks that every library has to pass.
# shellcheck disable=SC2034,SC2154 # set, and used, by the sourcing script

set -euo pipefail

cc=${CC:-cc}
lib=$out/$name.so.1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

check_soname()
{
	readelf -d "$lib" | grep -q "soname: \\[$name.so.1\\]"
}

# uninstall_undoes_install FILE...: of those below the prefix, at least, before it runs
# `installed`, if there is such a function.
uninstall_undoes_install()
{
	local left
	make -s -C "$src" install O="$out" DESTDIR="$tmp/root" prefix=/usr > /dev/null
	for left; do
		[ -e "$tmp/root/usr/$left" ] || { echo "not installed: $left"; return 1; }
	done
	if declare -F installed > /dev/null; then
		installed "$tmp/root/usr"
	fi
	make -s -C "$src" uninstall O="$out" DESTDIR="$tmp/root" prefix=/usr > /dev/null
	left=$(find "$tmp/root" ! -type d)
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# pages_lint_clean PAGE...: in the directory of the manual pages.
pages_lint_clean()
{
	command -v mandoc > /dev/null || { echo 'mandoc is not installed'; return 1; }
	(cd "$src/../../../Documentation/man" && mandoc -Tlint -Wwarning "$@")
}

nr=0
bad=0
result()
{
	local status=$1 skip

	# "SKIP: reason", and nothing else.
	skip=$(sed -n '1s/^SKIP: / # SKIP /p' "$tmp/log")
	[ -n "$skip" ] || sed 's/^/# /' "$tmp/log"
	nr=$((nr + 1))
	if [ "$status" -eq 0 ]; then
		echo "ok $nr $name: $2$skip"
	else
		echo "not ok $nr $name: $2"
		bad=$((bad + 1))
	fi
}

# run_checks TEST...: the unit tests, then all checks. Prints TAP, one line for each, with
# its output as comments. Fails if one of them did.
run_checks()
{
	local t status checks
	checks=$(compgen -A function check_)

	echo 'TAP version 13'
	echo "1..$(($# + $(wc -w <<< "$checks")))"
	for t; do
		status=0
		"$out/tests/$t" > "$tmp/log" 2>&1 || status=$?
		result "$status" "$t"
	done
	for t in $checks; do
		status=0
		# In a subshell: set -e has no effect in a function whose result is
		# tested.
		(set -e; "$t") > "$tmp/log" 2>&1 & wait $! || status=$?
		result "$status" "$t"
	done
	[ "$bad" -eq 0 ]
}
