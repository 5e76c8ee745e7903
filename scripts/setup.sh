#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes a Debian 12 machine ready for afsync's builds, tests and measurements.
#
#	scripts/setup.sh [SET]...	install the missing packages, fetch the kernels
#	scripts/setup.sh --list [SET]...	only say which packages, and why
#	scripts/setup.sh --command [SET]...	only print the command that installs the
#					missing packages, for the administrator to run
#
# Sets, each including those that it needs:
#	build		the module, the libraries, the command
#	vm		build, and the virtual machine
#	demo		vm, and the programs of the demo
#	bench		vm, and the peers that the benchmark measures
#	fio		build, and the packages to build fio's engine
#	docs		the packages for 'make htmldocs'
#	test		demo, bench, fio, docs, packages-check, and everything for 'make check';
#			the default
#	clients		test, and the databases of 'scripts/check.sh clients'
#	integrations	vm, and the packages to build other projects' sources
#	arch		build, and the packages for 'make check-arch'
#	package		the packages for 'make deb'
#	packages-check	package, and the packages for 'make packages-check'
#
# Packages come through apt (with sudo when not root) and only if missing, so that a second run
# is quick and needs no network. No recommended packages are installed, and no service is
# started. Kernels are downloaded and unpacked into the cache (~/.cache/afsync), never
# installed: the machine's own kernel is not touched. The sources of fio and of other projects'
# test suites are put there, too. scripts/packages.txt lists the packages.

. "$(dirname "$0")/lib.sh"

SETS="build vm demo bench fio docs test clients integrations arch package packages-check"

# rests_on SET: that set and those that it includes.
rests_on() {
	case $1 in
	build) echo build ;;
	vm) echo build vm ;;
	demo) echo build vm demo ;;
	bench) echo build vm bench ;;
	fio) echo build fio ;;
	docs) echo docs ;;
	test) echo build vm demo bench fio docs package packages-check test ;;
	clients) echo "$(rests_on test) clients" ;;
	integrations) echo build vm integrations ;;
	arch) echo build arch ;;
	package) echo package ;;
	packages-check) echo package packages-check ;;
	*) die "no such set: $1 ($SETS)" ;;
	esac
}

# packages: "name reason" of each package of the wanted sets, once.
packages() {
	awk -v wanted=" $wanted " 'NF && !/^#/ && index(wanted, " " $1 " ") && !seen[$2]++ {
		name = $2
		sub(/^[^\t]*\t+[^\t]*\t+/, "")
		print name, $0
	}' "$TOP/scripts/packages.txt"
}

table() { awk '{ name = $1; $1 = ""; printf "    %-20s%s\n", name, $0 }'; }

# missing_packages: those of packages() that are not installed.
missing_packages() {
	local name reason
	packages | while read -r name reason; do
		installed "$name" || echo "$name $reason"
	done
}

apt_install() { echo apt-get install --no-install-recommends "$@"; }

# announce PACKAGE...: the size of the download. apt knows it without root.
announce() {
	apt-get install --print-uris -qq -y --no-install-recommends "$@" 2>/dev/null |
		awk '$3 ~ /^[0-9]+$/ { n++; bytes += $3 }
		END { if (n) printf "%d packages with dependencies, %d MB to fetch at most: usually %d to %d minutes\n",
			n, bytes / 1e6 + 1, 1 + bytes / 200e6, 3 + bytes / 60e6 }'
}

# Services must not start: the tests run them only in the VM. An administrator's
# existing policy stays.
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

# apt_get ARG...: as root. A terminal shows apt's output, otherwise the log has it.
apt_get() {
	if [ -t 2 ]; then
		as_root env DEBIAN_FRONTEND=noninteractive apt-get "${APT[@]}" "$@" >&2
	else
		as_root env DEBIAN_FRONTEND=noninteractive apt-get "${APT[@]}" "$@" -q >>"$log" 2>&1
	fi
}

install_packages() {
	local missing names log=$CACHE/apt.log
	missing=$(missing_packages)
	[ -n "$missing" ] || { say "all packages are there ($*)"; return; }
	read -ra names <<<"$(awk '{ print $1 }' <<<"$missing" | tr '\n' ' ')"
	say "these packages are missing and will be installed through apt:"
	table <<<"$missing" >&2
	have apt-get || die "this is not Debian: install what corresponds to the above by hand"
	[ "$(id -u)" = 0 ] || have sudo ||
		die "that needs root, and there is no sudo here. An administrator can run: $(apt_install "${names[@]}")"
	: >"$log"
	# An unreachable source of the administrator need not stop the setup.
	apt_get update || say "apt-get update failed in part; continuing with the existing lists"
	say "$(announce "${names[@]}")"
	no_services
	apt_get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "${names[@]}" ||
		{ tail -n 20 "$log" >&2; die "apt failed: see above, and $log; then run 'make setup' again"; }
	allow_services
	# Nor at the next boot of a machine that did not have them before.
	[[ " ${names[*]} " != *" nfs-kernel-server "* ]] || ! have systemctl ||
		as_root systemctl --quiet disable nfs-server rpcbind.service rpcbind.socket >>"$log" 2>&1 || true
	say "installed"
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

action=install
case ${1:-} in
--list) action=list; shift ;;
--command) action=print_command; shift ;;
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
-*) die "unknown option $1 (--help lists them)" ;;
esac
[ $# -gt 0 ] || set -- test
wanted=
for name; do
	wanted+=" $(rests_on "$name")"
done

case $action in
list)
	packages | table
	exit ;;
print_command)
	missing=$(missing_packages | awk '{ print $1 }')
	[ -n "$missing" ] || { say "all packages are there ($*)"; exit; }
	# shellcheck disable=SC2086 # a list
	apt_install $missing
	exit ;;
esac

mkdir -p "$CACHE"
install_packages "$@"
[[ " $wanted " != *" test "* && " $wanted " != *" arch "* ]] || with_lock source unpack_source
if [[ " $wanted " = *" test "* ]]; then
	# A newer kernel, to check that the module builds and runs there, too.
	"$TOP/scripts/kernel/fetch-debian.sh" 6.12 >/dev/null ||
		say "no kernel 6.12 of Debian here (bookworm-security has it): the module is not tested with it"
	"$TOP/scripts/check/fetch-test-suites.sh" >/dev/null
fi
[[ " $wanted " != *" fio "* ]] || "$TOP/scripts/bench/fetch-fio.sh" >/dev/null
[[ " $wanted " != *" vm "* ]] || "$TOP/scripts/kernel/fetch.sh" >/dev/null
say "ready (cache: $CACHE)"
