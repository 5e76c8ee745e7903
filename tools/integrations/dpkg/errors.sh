# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Syncs that fail. Sourced by guest.sh.

# fails_to_sync WHAT CMD...: an upgrade under CMD, which makes an fsync fail. dpkg has to say so,
# and to leave every file of version 1 as it was.
fails_to_sync() {
	local what=$1 status=0
	shift
	load_disk "$fs"
	as_way "$way"
	program=("$@" "${program[@]}")
	run 2 >/dev/null || status=$?
	[ $status != 0 ] || die "$way on $fs, $what: dpkg says that all is well"
	grep -q "unable to sync file" "$ROOT/tmp/dpkg.log" ||
		{ cat "$ROOT/tmp/dpkg.log" >&2; die "$way on $fs, $what: dpkg does not say why it failed"; }
	has_files 1 || die "$way on $fs, $what: not all files are the old ones again"
	as_way "$way"
	run 2 >/dev/null || die "$way on $fs, $what: dpkg does not get over it"
	check_files 2
	remove_disk
	say "$way on $fs, $what: dpkg fails, all files are the old ones, and it gets over it"
}

# errors FS: strace makes the 25th fsync of a thread fail. Before the files dpkg syncs its
# database less often than that.
errors() {
	local fs=$1 way what
	use_package cuts
	add_program "$(command -v strace)"
	save_disk "$fs"
	for way in stock threads; do
		for what in EIO ENOSPC; do
			fails_to_sync "$what" /bin/strace -f --seccomp-bpf -qq -o /tmp/strace \
				-e trace=fsync -e "inject=fsync:error=$what:when=25"
		done
	done
}
