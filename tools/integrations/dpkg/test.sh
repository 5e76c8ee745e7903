#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The integration of dpkg: builds Debian's dpkg without and with our patch, measures both, and
# cuts the power while they upgrade a package. Then syncs fail.
#
#	tools/integrations/dpkg/test.sh
#
#	CUTS=N		power cuts for each way and filesystem (20; 2 for a quick look; 0 for none)
#	SEED=N		where they are: the same number is the same points (another one each time)
#	FILES=N		files of the package (3000)
#	CUT_FILES=N	of the one during whose upgrade the power is cut (1000)
#
# All is measured in a VM whose clock counts its instructions, on a disk whose requests take
# 1 ms, and on one of 10 ms. The status is 0 if every promise was kept, however fast it was. Takes
# half an hour, with CUTS=2 ten minutes.

. "$(dirname "$0")/../../../scripts/lib.sh"

CUTS=${CUTS:-20}
SEED=${SEED:-$RANDOM}
FILES=${FILES:-3000}
CUT_FILES=${CUT_FILES:-1000}
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

# guest NAME ARG...: guest.sh in a VM; the lines with results go to NAME.results.
guest() {
	local name=$1 rc=0
	shift
	"$TOP/scripts/vm.sh" --no-sim --kernel debian --name "dpkg-$name" --mem 3072 --icount --timeout 7200 \
		--append sysctl.kernel.hung_task_timeout_secs=0 --env "CUT_WAYS=${CUT_WAYS:-}" \
		-- "$HERE/guest.sh" "$@" >"$OUT/$name.results" || rc=$?
	[ "$rc" = 0 ] || say "failed: $name (status $rc); to see it again: SEED=$SEED"
	return "$rc"
}

# packages FOR FILES OPTION...
packages() {
	local folder=$OUT/packages-$1
	shift
	[ "$(cat "$folder/stamp" 2>/dev/null)" != "$1" ] || return 0
	say "making two versions of a package of $1 files"
	"$HERE/packages.sh" "$folder" "$@"
}

# in_parallel CMD...: at most as many at a time as there are CPUs.
running=0 status=0
in_parallel() {
	[ "$running" -lt "$(nproc)" ] || wait_one
	"$@" &
	running=$((running + 1))
}
wait_one() {
	wait -n || status=1
	running=$((running - 1))
}

trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
"$HERE/build.sh" >/dev/null
packages measure "$FILES"
# Smaller and not compressed, for more cuts in the same time.
packages cuts "$CUT_FILES" -Znone
rm -f "$OUT"/*.results
for disk in 1 10; do
	in_parallel guest "measure-$disk-ms" measure $disk
done
in_parallel guest errors errors ext4
if [ "$CUTS" -gt 0 ]; then
	for fs in ext4 xfs; do
		in_parallel guest "cuts-$fs" cuts "$CUTS" "$SEED" $fs
	done
fi
while [ "$running" -gt 0 ]; do
	wait_one
done
cat "$OUT"/*.results | "$HERE/table.sh" | tee "$OUT/table.txt"
exit "$status"
