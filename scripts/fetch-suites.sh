#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetch the sources of test suites that others wrote, as Debian has them.
#
#	scripts/fetch-suites.sh		fetch what is missing, say where they are
#
# Prints the folder that holds glibc, libaio and posixtestsuite, each unpacked and
# with Debian's patches. A second run needs no network. The machine's own lists and
# sources of apt stay as they are: this keeps its own in the cache. The packages are
# checked with Debian's archive key, and nothing of them gets into the tree.

. "$(dirname "$0")/lib.sh"

SUITES=(glibc libaio posixtestsuite)
apt_dir=$CACHE/apt-source
suites=$CACHE/suites

# The mirrors of the machine serve sources, too.
sources_list() {
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $4 == "main" && !seen[$0]++ {
			print "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " $2, $3, $4 }'
}

# our_apt TOOL ARG...: with lists and caches of our own.
our_apt() {
	local tool=$1
	shift
	"$tool" -q "${APT[@]}" -o "Dir::Etc::SourceList=$apt_dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o "Dir::State=$apt_dir/state" -o "Dir::State::status=/var/lib/dpkg/status" \
		-o "Dir::Cache=$apt_dir/cache" -o APT::Sandbox::User= "$@"
}

fetch_suites() {
	local suite missing=() new=$apt_dir/new
	for suite in "${SUITES[@]}"; do
		[ -e "$suites/$suite/debian" ] || missing+=("$suite")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "fetching the sources of ${missing[*]} into $suites"
	mkdir -p "$apt_dir/state/lists/partial" "$apt_dir/cache/archives/partial" "$suites"
	sources_list >"$apt_dir/sources.list"
	[ -s "$apt_dir/sources.list" ] || die "apt knows no mirror of Debian here"
	our_apt apt-get update >&2
	for suite in "${missing[@]}"; do
		rm -rf "$new"
		mkdir -p "$new"
		(cd "$new" && our_apt apt-get source "$suite") >"$apt_dir/$suite.log" 2>&1 ||
			{ tail -n 20 "$apt_dir/$suite.log" >&2; die "cannot fetch $suite (all of it: $apt_dir/$suite.log)"; }
		rm -rf "${suites:?}/$suite"
		mv "$new/$suite"-*/ "$suites/$suite"
	done
	rm -rf "$new" "$apt_dir/state" "$apt_dir/cache"
}

with_lock suites fetch_suites
echo "$suites"
