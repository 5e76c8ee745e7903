# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Kernels of Debian's suites by name, and apt for a suite. Sourced after lib.sh.

. "$TOP/scripts/apt-source.sh"

# Name, suite, and the part after linux-image- and linux-headers- in the names of the
# packages that depend on the newest kernel of that kind.
SUITE_KERNELS="
6.1		bookworm	amd64
6.1-rt		bookworm	rt-amd64
6.1-cloud	bookworm	cloud-amd64
6.12		bookworm	6.12-amd64
6.12-rt		bookworm	6.12-rt-amd64
sid		sid		amd64
experimental	experimental	amd64
5.10		bullseye	amd64
"
# The same for other architectures, which are the names; at the end the prefix of the compiler's
# name.
ARCH_KERNELS="
arm64		bookworm	arm64	aarch64-linux-gnu
s390x		bookworm	s390x	s390x-linux-gnu
"

suite_kernels() { awk 'NF { print $1 }' <<<"$SUITE_KERNELS"; }
arch_kernels() { awk 'NF { print $1 }' <<<"$ARCH_KERNELS"; }

# suite_kernel NAME: sets suite and flavour, and triplet to nothing or to that of
# another architecture; false if NAME is in no table.
suite_kernel() {
	# shellcheck disable=SC2034 # for the caller
	read -r suite flavour triplet < <(awk -v name="$1" '$1 == name { print $2, $3, $4 }' \
		<<<"$SUITE_KERNELS$ARCH_KERNELS")
}

# The suite of this machine.
own_suite() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }

# suite_sources SUITE: from the mirrors that this machine uses.
suite_sources() {
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v suite="$1" -v key=/usr/share/keyrings/debian-archive-keyring.gpg '
		$1 == "Debian" && $4 == "main" && $3 ~ /-security$/ { security = $2 }
		$1 == "Debian" && $4 == "main" && $3 !~ /-/ { mirror = $2 }
		function line(uri, of) { if (uri) print "deb [signed-by=" key "] " uri, of, "main" }
		END {
			line(mirror, suite)
			if (suite == "experimental") line(mirror, "sid")
			else if (suite != "sid") line(security, suite "-security")
		}'
}

# begin_suite SUITE [ARCH]: the suite that suite_apt uses from then on. It knows the
# packages of another architecture as PACKAGE:ARCH, beside those of this machine's.
begin_suite() {
	apt_suite=$1 apt_arch=${2:-}
	[ "$1:$apt_arch" != "$(own_suite):" ] || { apt_dir=; return 0; }
	apt_dir=$CACHE/apt-suites/$1${2:+-$2}
	mkdir -p "$apt_dir/state/lists/partial" "$apt_dir/cache/archives/partial"
	suite_sources "$1" >"$apt_dir/sources.list"
	[ -s "$apt_dir/sources.list" ] || die "apt has no mirror of Debian here: see sources.list(5)"
	say "reading the lists of Debian $1"
	suite_apt apt-get update >"$apt_dir/log" 2>&1 ||
		{ tail -n 20 "$apt_dir/log" >&2; die "cannot read the lists of Debian $1 (all of it: $apt_dir/log)"; }
}

# suite_apt TOOL ARG...: uses the machine's own lists for its own suite, otherwise separate
# ones. Then no package counts as installed, and no lock of the machine is taken.
suite_apt() {
	local tool=$1
	[ -n "$apt_dir" ] || { "$@"; return; }
	shift
	# Packages of experimental count only on request.
	[ "$apt_suite" != experimental ] || set -- -o APT::Default-Release=experimental "$@"
	[ -z "$apt_arch" ] || set -- -o "APT::Architectures::=$apt_arch" "$@"
	our_apt "$tool" -o Dir::State::status=/dev/null -o Debug::NoLocking=1 "$@"
}

end_suite() { [ -z "$apt_dir" ] || rm -rf "$apt_dir/state" "$apt_dir/cache"; }
