#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches the sources of other projects' test suites, as Debian has them.
#
#	scripts/check/fetch-test-suites.sh	fetch the missing ones, print their directory
#
# Prints the directory that holds glibc, libaio and posixtestsuite, each unpacked and with
# Debian's patches. A second run needs no network. No file of them gets into the
# tree.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/apt-source.sh"

SUITES=(glibc libaio posixtestsuite)
suites=$CACHE/suites

fetch_suites() {
	local suite missing=()
	for suite in "${SUITES[@]}"; do
		[ -e "$suites/$suite/debian" ] || missing+=("$suite")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "fetching the sources of ${missing[*]} into $suites"
	mkdir -p "$suites"
	begin_fetching
	for suite in "${missing[@]}"; do
		fetch_source "$suite"
		rm -rf "${suites:?}/$suite"
		mv "$fetched" "$suites/$suite"
	done
	end_fetching
}

with_lock apt-source fetch_suites
echo "$suites"
