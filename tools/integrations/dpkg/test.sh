#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The integration of dpkg: builds Debian's dpkg without and with the patch, measures both, and
# cuts the power while they upgrade a package. Then syncs fail.
#
#	tools/integrations/dpkg/test.sh
#
#	CUTS=N		power cuts for each program and filesystem (20; 2 for a quick look; 0 for none)
#	SEED=N		chooses the points: the same number gives the same points (random by default)
#	FILES=N		files of the package (3000)
#	CUT_FILES=N	files of the package whose upgrade is cut (500)
#	CUT_WAYS=...	only these programs, of module, threads, stock and unsafe
#	CUT_FS=...	only these filesystems, of ext4 and xfs
#	CUT_ORDER=flushes-first	a wrong cut, to see its effect on stock dpkg: the disk ignores
#			flushes, and the filesystem continues for a moment (README.md)
#	ONLY=...	only these parts, of measure, errors and cuts
#	JOBS=N		virtual machines at the same time (as many as there are CPUs)
#
# Everything is measured in a VM whose clock counts its instructions, on a disk whose requests
# take 1 ms: with a package as dpkg-deb compresses it and 500 million instructions a second, and
# with one that is not compressed and 1000 million, where the CPU's part is smaller. The status
# is 0 if every promise was kept, at any speed.

. "$(dirname "$0")/../../../scripts/lib.sh"

CUTS=${CUTS:-20}
SEED=${SEED:-$RANDOM}
FILES=${FILES:-3000}
CUT_FILES=${CUT_FILES:-500}
CUT_FS=${CUT_FS:-ext4 xfs}
ONLY=${ONLY:-measure errors cuts}
JOBS=${JOBS:-$(nproc)}
HERE=$TOP/tools/integrations/dpkg
OUT=$BUILD/integrations/dpkg
ME=integrations

# number NAME VALUE LEAST
number() {
	if ! [[ $2 =~ ^[0-9]+$ ]] || [ "$2" -lt "$3" ]; then
		die "$1=$2: not a number of at least $3"
	fi
}
number CUTS "$CUTS" 0
number SEED "$SEED" 0
number FILES "$FILES" 500
number CUT_FILES "$CUT_FILES" 500
number JOBS "$JOBS" 1

# guest NAME CLOCK ARG...: runs guest.sh in a VM; the lines with results go to NAME.results.
guest() {
	local name=$1 clock=$2 rc=0
	shift 2
	"$TOP/scripts/vm.sh" --no-sim --kernel debian --name "dpkg-$name" --mem 3072 "$clock" --timeout 7200 \
		--append sysctl.kernel.hung_task_timeout_secs=0 \
		--env "CUT_WAYS=${CUT_WAYS:-}" --env "CUT_ORDER=${CUT_ORDER:-}" \
		-- "$HERE/guest.sh" "$@" >"$OUT/$name.results" || rc=$?
	[ "$rc" = 0 ] || say "failed: $name (status $rc); to see it again: SEED=$SEED"
	return "$rc"
}

# packages NAME FILES OPTION...
packages() {
	local folder=$OUT/packages/$1
	shift
	[ "$(cat "$folder/stamp" 2>/dev/null)" != "$*" ] || return 0
	say "making two versions of a package of $1 files"
	"$HERE/packages.sh" "$folder" "$@"
}

# in_parallel CMD...: at most JOBS at a time.
running=0 status=0
in_parallel() {
	[ "$running" -lt "$JOBS" ] || wait_one
	"$@" &
	running=$((running + 1))
}
wait_one() {
	wait -n || status=1
	running=$((running - 1))
}

wanted() { [[ " $ONLY " = *" $1 "* ]]; }

# Each in a process group of its own, whose end ends all its processes.
set -m
trap 'jobs -p | sed "s/^/-/" | xargs -r kill -- 2>/dev/null || true' EXIT
"$HERE/build.sh" >/dev/null
packages xz "$FILES" -Zxz
packages none "$FILES" -Znone
# Smaller and uncompressed, for more cuts in the same time.
packages cuts "$CUT_FILES" -Znone
rm -f "$OUT"/*.results
if wanted measure; then
	in_parallel guest measure-1-xz --icount measure 1 500 xz install upgrade
	in_parallel guest measure-2-fast-none --icount-fast measure 1 1000 none install
fi
! wanted errors || in_parallel guest errors --icount errors ext4
if wanted cuts && [ "$CUTS" -gt 0 ]; then
	for fs in $CUT_FS; do
		in_parallel guest "cuts-$fs" --icount cuts "$CUTS" "$SEED" "$fs"
	done
fi
while [ "$running" -gt 0 ]; do
	wait_one
done
cat "$OUT"/*.results | "$HERE/table.sh" | tee "$OUT/table.txt"
exit "$status"
