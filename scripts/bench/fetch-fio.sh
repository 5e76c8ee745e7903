#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches the source of the installed fio, for the headers that tools/fio needs.
#
#	scripts/bench/fetch-fio.sh		fetch and configure it if missing, print its directory
#
# fio's structs differ from version to version, so it has to be this one. A second run needs no
# network. No file of it is copied into the tree.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/apt-source.sh"

FIO=$CACHE/fio

# The configuration decides which structs have which members: it is Debian's, without
# the parts that only concern other programs.
configure() {
	./configure --disable-native && sh ./FIO-VERSION-GEN && echo "$version" >debian/afsync-configured
}

fetch_fio() {
	local version
	version=$(dpkg-query -W -f '${source:Version}' fio 2>/dev/null) || die "no fio of Debian here: run 'make setup SETS=fio'"
	[ "$(cat "$FIO/debian/afsync-configured" 2>/dev/null)" != "$version" ] || return 0
	say "fetching the source of fio $version into $FIO"
	begin_fetching
	fetch_source fio "=$version" # sets fetched
	# shellcheck disable=SC2154
	(cd "$fetched" && configure) >"$apt_dir/fio.log" 2>&1 ||
		{ tail -n 20 "$apt_dir/fio.log" >&2; die "fio's configure failed (all of it: $apt_dir/fio.log)"; }
	rm -rf "$FIO"
	mv "$fetched" "$FIO"
	end_fetching
}

with_lock apt-source fetch_fio
echo "$FIO"
