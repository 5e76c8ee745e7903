# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The stages that look for what is lost. Sourced by check.sh. SEED decides what each of them
# does, and a stage that has printed its seed can be repeated. Each also gets modules with a bug
# planted in them, selftests/plants/STAGE, and has to see it.

: "${short=}"
SEED=${SEED:-1}

# plants STAGE [NAME]...: builds the modules with these bugs, or with all of them, for Debian's
# kernel. Sets bad, the list of the modules.
plants() {
	local stage=$1 name built
	shift
	[ $# -gt 0 ] || set -- "$TOP/selftests/plants/$stage"/*.patch
	bad=()
	for name; do
		name=$stage/$(basename "$name" .patch)
		if built=$(PLANT=$name "$TOP/scripts/build-modules.sh" debian); then
			bad+=("$built/drivers/afsync/afsync.ko")
		else
			echo "not ok 0 - the module with the planted bug $name builds"
		fi
	done
}

# What was acknowledged outlives a crash. POINTS crashes of each kind of workload.
stage_crash() {
	local bad points=${POINTS:-25}
	"$TOP/scripts/build-modules.sh" debian >&2
	with_lock build make -s -C "$TOP" tools >&2
	with_lock build make -s -C "$TOP/selftests/crash" >&2
	if [ "$short" = 0 ]; then plants crash; else plants crash late_joiner; fi
	"$TOP/scripts/vm.sh" --kernel debian --no-sim --mem 3072 --name crash --timeout 14400 \
		-- "$TOP/selftests/crash/crash.sh" "$points" "$SEED" "${bad[@]}"
}
