#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs the Debian packages as a user does, in bare roots of Debian's suites, and
# checks that they work there, with the suite's own kernel in QEMU.
#
#	scripts/package/check-install.sh [OPTION]... [SUITE]...	bookworm and trixie
#
#	--quick		Debian's small kernel for VMs (linux-image-cloud-amd64) and no
#			recommended packages; without the Python module and debug symbols;
#			without the slow parts in the VM: the upgrade of a loaded module, which
#			compiles it, and a container
#	--debs DIR	existing packages, and in DIR/next packages of a higher
#			version; otherwise both are built
#
# In each root: apt-get installs the packages from their files; DKMS builds the module for
# the root's kernel, not for this machine's; a program is compiled with pkg-config; the root
# boots in QEMU, where the device, the command and the program are tried; the packages are
# upgraded; and all is purged, after which nothing may be left.
# The roots need mmdebstrap and root; no container engine, no loop device. Bare roots and
# the downloads of apt-get are kept in the cache (packages/). Logs: build/packages.
#
# The output is TAP, one line for each check, then a table as a comment.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"
. "$TOP/scripts/package/suite-root.sh"
. "$TOP/scripts/package/suite-vm.sh"

COLUMNS_SHOWN=(kernel install DKMS boots device command program upgrade removal seconds)
quick=0 debs='' work='' args=("$@")
while [ $# -gt 0 ]; do
	case $1 in
	--inside) work=$2; shift ;; # the script runs itself with this
	--quick) quick=1 ;;
	--debs) debs=$(realpath "$2"); shift ;;
	--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0" | sed '/^\. /,$d'; exit 0 ;;
	-*) die "unknown option $1 (--help lists them)" ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || set -- bookworm trixie
PATH=$PATH:/usr/sbin:/sbin
for tool in mmdebstrap qemu-system-x86_64 mke2fs unshare setpriv; do
	have "$tool" || die "$tool is missing: run 'scripts/setup.sh packages-check'"
done
logs=$BUILD/packages
mkdir -p "$logs"

# next_debs DIR: from the same files, with a version whose last number is one higher.
next_debs() {
	local tarball new=$logs/next-source version
	tarball=$("$TOP/scripts/package/dist.sh")
	rm -rf "$new"
	mkdir "$new"
	tar -C "$new" --strip-components=1 -xf "$tarball"
	version=$(cat "$new/VERSION")
	"$new/scripts/package/version.sh" "${version%.*}.$((${version##*.} + 1))"
	"$new/scripts/package/deb.sh" >&2
	rm -rf "$1"
	mkdir "$1"
	cp "$new"/build/deb/*.deb "$1"
	rm -rf "$new"
}

build_debs() {
	with_lock deb "$TOP/scripts/package/deb.sh" >&2
	next_debs "$debs/next"
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local job
	trap '' INT TERM
	for job in $(jobs -p); do
		# The child of unshare(1): its end also ends its namespace's others, then unshare.
		# shellcheck disable=SC2046 # a list
		kill -KILL $(cat "/proc/$job/task/$job/children") 2>/dev/null || kill -KILL "$job" || true
		# The build has a group of its own.
		kill -KILL -- "-$job" 2>/dev/null || true
		wait "$job" 2>/dev/null || true
	done
	rm -rf "$logs/next-source"
	[ -z "$work" ] || rm -rf --one-file-system "$work"
	chown -R --reference="$TOP" "$logs" "$CACHE/packages" 2>/dev/null || true
}

# The roots are made and booted in a namespace of processes and one of mounts, so that a
# signal leaves none of them.
if [ -z "$work" ]; then
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# As the user that started this: only the roots are made as root.
	if [ -z "$debs" ]; then
		debs=$BUILD/deb
		args=(--debs "$debs" "${args[@]}")
		set -m
		build_debs </dev/null &
		set +m
		wait $!
	fi
	if [ "$(id -u)" != 0 ]; then
		as_root true
		exec sudo env AFSYNC_CACHE="$CACHE" "$0" "${args[@]}"
	fi
	work=$(mktemp -d "$logs/work.XXXXXX")
	setpriv --pdeathsig KILL unshare --mount-proc --pid --fork --kill-child \
		"$0" --inside "$work" "${args[@]}" </dev/null &
	wait $!
	exit
fi

declare -A cell
# seen STATUS COLUMN TEXT: a result, and its cell of the table.
seen() {
	result "$1" "packages, $suite: $3"
	if [ "$1" != 0 ]; then
		cell[$suite,$2]=FAILED
	elif [ "${cell[$suite,$2]:-}" != FAILED ]; then
		cell[$suite,$2]=ok
	fi
}

# check COLUMN TEXT CMD...: runs CMD in a subshell, with a log of its own. False if CMD fails.
check() {
	local column=$1 text=$2 rc=0 log=$logs/$suite-$((number + 1)).log begun=$SECONDS
	shift 2
	("$@") >"$log" 2>&1 || rc=$?
	[ $rc = 0 ] || { tail -n 15 "$log"; echo "log: $log"; } | remark
	seen $rc "$column" "$text ($((SECONDS - begun)) s)"
	return $rc
}

# files DIR: the packages there that are installed.
files() {
	if [ $quick = 1 ]; then
		printf '%s\n' "$1"/*.deb | grep -vE '/(python3-|[^/]*-dbgsym_)'
	else
		printf '%s\n' "$1"/*.deb
	fi
}

ours() { local deb; for deb in $(files "$debs"); do dpkg-deb -f "$deb" Package; done; }

install_debs() {
	mkdir "$root/debs"
	# shellcheck disable=SC2046 # a list
	cp $(files "$1") "$root/debs"
	# By a shell in that directory, as in the documentation.
	in_root "$root" sh -c 'cd /debs && exec apt-get "$@" ./*.deb' - "${APT[@]}" "${QUICK[@]}" -q -y \
		"${RECOMMENDS[@]}" install "${@:2}" || return
	rm -r "$root/debs"
}

# dkms_built DEBS: one module, of that version, for the root's kernel.
dkms_built() {
	local version status
	version=$(dpkg-deb -f "$1"/afsync-dkms_*.deb Version)
	version=${version%%-*}
	status=$(in_root "$root" dkms status | tee /dev/stderr)
	[ "$status" = "afsync/$version, $release, x86_64: installed" ] || return
	[ "$(modinfo -F version "$root/lib/modules/$release/updates/dkms"/afsync.ko*)" = "$version" ] || return
	[[ $(modinfo -F vermagic "$root/lib/modules/$release/updates/dkms"/afsync.ko*) = "$release "* ]]
}

# An example of libafsync-dev, built as in the documentation.
compile() {
	# shellcheck disable=SC2016 # for that shell
	in_root "$root" sh -c 'gcc -Wall -Werror -o /tmp/program /usr/share/doc/libafsync-dev/examples/one_fsync.c \
		$(pkg-config --cflags --libs libafsync)' || return
	mv "$root/tmp/program" "$work/program"
}

# fetch_podman DIR: its packages and those that it needs here, which the VM installs.
fetch_podman() {
	mkdir -p "$root/podman/partial"
	in_root "$root" apt-get "${APT[@]}" -q -y --no-install-recommends --download-only \
		-o Dir::Cache::archives=/podman install podman netavark aardvark-dns iptables nftables || return
	rm -rf "$root/podman/partial" "$root/podman/lock" "$1"
	mv "$root/podman" "$1"
}

vm() {
	local line image=$work/root.img verdict more=()
	if [ $quick = 0 ]; then
		check command "the packages of podman can be fetched" fetch_podman "$work/podman" || return 0
		more=("$debs/next" "$work/podman")
	fi
	make_image "$root" "$image" "${more[@]}"
	trouble=''
	boot_image "$root" "$image" "$logs/$suite-console.log" "$logs/$suite-guest.log" || true
	rm -f "$image"
	while read -r line; do
		case $line in
		"ok "*) verdict=0 ;;
		"not ok "*) verdict=1 ;;
		"#"*) echo "$line"; continue ;;
		*) continue ;;
		esac
		line=${line#*ok }
		seen $verdict "${line%% *}" "${line#* }"
	done < <(tr -d '\r' <"$logs/$suite-guest.log")
	verdict=0
	[ -z "$trouble" ] || { verdict=1; echo "$trouble; log: $logs/$suite-console.log" | remark; }
	seen $verdict boots "$release boots and powers off, with no complaint about the module"
}

purge_ours() {
	local left
	# shellcheck disable=SC2046 # a list
	apt_in "$root" purge $(ours) || return
	! names_in "$root" | grep -xF -f <(ours | sed 's/$/ config-files/') || return
	# With their dependencies still installed. dpkg and apt keep logs of the names.
	left=$(cd "$root" && find . -xdev \( -path ./var/log -o -path ./proc \) -prune -o -name '*afsync*' -print)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
	left=$(in_root "$root" dkms status) || return
	[ -z "$left" ] || { echo "dkms status: $left"; return 1; }
}

# Purges the packages that came with afsync's, too: then the root must be as before.
purge_all() {
	local names left
	names=$(comm -13 <(sort "$work/names") <(names_in "$root" | sort) | cut -d ' ' -f 1)
	# sudo, which DKMS recommends, refuses its removal from a root without a password.
	# shellcheck disable=SC2086 # a list
	in_root "$root" env SUDO_FORCE_REMOVE=yes \
		apt-get "${APT[@]}" "${QUICK[@]}" -q -y purge $names || return
	snapshot "$root" | sort >"$work/after"
	# The group stays, as Debian has it: a file may still belong to it. Of Debian's own packages,
	# netbase leaves /etc/hosts, and dkms the key with which it signed the module.
	left=$(diff "$work/before" "$work/after" | grep '^[<>]' |
		grep -vE '^> etc/g(roup|shadow):afsync:' |
		grep -vE '^> ([0-9a-f]{64}  etc/hosts|etc/hosts |var/lib/dkms |var/lib/dkms/mok\.(key|pub) )') || true
	[ -z "$left" ] || { echo "$left"; return 1; }
}

# check_suite: stops at a failure that makes the rest meaningless.
check_suite() {
	local begun=$SECONDS kernel=linux-image-amd64 recipe tar headers=() RECOMMENDS=()
	if [ $quick = 1 ]; then
		kernel=linux-image-cloud-amd64
		headers=(linux-headers-cloud-amd64)
		RECOMMENDS=(--no-install-recommends)
	fi
	# shellcheck disable=SC2034 # suite-root.sh reads it
	debs_cache=$CACHE/packages/debs-$suite
	recipe=$( (echo "$MIRROR"; cat "$TOP/scripts/package/suite-root.sh") | sha256sum | cut -c 1-12)
	tar=$CACHE/packages/$suite-$kernel-$recipe.tar
	if ! with_lock "packages-$suite" new_root "$suite" "$kernel" "$tar"; then
		tail -n 20 "$logs/$suite-root.log" | remark
		seen 1 install "a bare root can be made"
		return 0
	fi
	root=$work/$suite
	root_from "$tar" "$root"
	release=$(basename "$root"/lib/modules/*)
	cell[$suite,kernel]=$release
	snapshot "$root" | sort >"$work/before"
	names_in "$root" >"$work/names"

	check install "apt-get install ${headers[*]} ./*.deb" install_debs "$debs" "${headers[@]}" || return 0
	check DKMS "DKMS has built the module for $release" dkms_built "$debs" || return 0
	check install "apt-get install gcc libc6-dev pkg-config" \
		apt_in "$root" install gcc libc6-dev pkg-config || return 0
	check program "a program compiles with pkg-config" compile || return 0
	vm
	check upgrade "apt-get installs a higher version" install_debs "$debs/next" || return 0
	check upgrade "DKMS has built the module again, and only that is left" dkms_built "$debs/next" || true
	check removal "after a purge no file of ours is left, and no module" purge_ours || true
	check removal "after a purge of what came with them the root is what it was" purge_all || true
	cell[$suite,seconds]=$((SECONDS - begun))
	rm -rf --one-file-system "$root"
}

table() {
	local column
	printf '# %-10s' ''
	printf '%-22s' "${COLUMNS_SHOWN[0]}"
	printf '%-9s' "${COLUMNS_SHOWN[@]:1}"
	echo
	for suite; do
		printf '# %-10s%-22s' "$suite" "${cell[$suite,kernel]:--}"
		for column in "${COLUMNS_SHOWN[@]:1}"; do printf '%-9s' "${cell[$suite,$column]:--}"; done
		echo
	done
}

for suite; do
	check_suite
	[ -n "${cell[$suite,seconds]:-}" ] || seen 1 removal "the rest did not run"
done
table "$@"
say "$number results, $failed failed (logs: $logs)"
end_results
