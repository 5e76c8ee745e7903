#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests that look for lost data and requests, again and again, each time with other
# random numbers, until the time is over.
#
#	scripts/soak.sh SECONDS [STAGE[@KERNEL]]...	these stages of check.sh (all of CHAINS below),
#						on that kernel (the stage's own)
#	SEED=N scripts/soak.sh SECONDS		begin with that seed (the time of day)
#
# Two stages run beside each other. A turn that has begun is finished, so the script takes up
# to a quarter of an hour longer; it first builds the kernels that are not in the cache, half
# an hour each. Prints a line for each turn, and at the end a table of
# turns, results and counts. The output of a turn is in build/soak/STAGE-SEED, and a failed
# turn is named: SEED=N [KERNEL=K] scripts/check.sh STAGE repeats it. The status is 0 only if all
# turns passed.

. "$(dirname "$0")/lib.sh"

# Each line runs one stage after the other.
CHAINS=("crash fuzz exactly-one@kcsan fuzz@debug-rt" "twin fault fuzz@kcsan exactly-one@debug-rt clients")
dir=$BUILD/soak

usage() { sed -n '4,/^$/s/^# \{0,1\}//p' "$0" | sed '/^\. /,$d'; }

# kernel_of STAGE@KERNEL: the kernel, or nothing.
kernel_of() { [[ $1 != *@* ]] || echo "${1#*@}"; }

# turn STAGE[@KERNEL] SEED
turn() {
	local out=$dir/$1-$2 rc=0 begun=$SECONDS kernel
	kernel=$(kernel_of "$1")
	mkdir -p "$out"
	SEED=$2 KERNEL=$kernel AFSYNC_RESULTS=$out "$TOP/scripts/check.sh" "${1%@*}" >"$out/log" 2>&1 || rc=$?
	echo "$rc" >"$out/status"
	[ $rc = 0 ] || say "FAILED: SEED=$2 ${kernel:+KERNEL=$kernel }scripts/check.sh ${1%@*} (its output: $out)"
	say "$1, seed $2: $(tail -n 1 "$out/log") ($((SECONDS - begun)) s)"
}

# chain STAGE...: one after the other, until the time is over.
chain() {
	local number=0 stage
	while :; do
		for stage; do
			[ "$SECONDS" -lt "$limit" ] || return 0
			turn "$stage" $((seed + number))
		done
		number=$((number + 1))
	done
}

# figures STAGE[@KERNEL]: the sums of its lines "figure: NUMBER WHAT".
figures() {
	cat "$dir/$1"-*/"${1%@*}.tap" | sed -nE 's/^[# ]*figure: ([0-9]+) (.*)/\1 \2/p' |
		awk '{ n = $1; $1 = ""; if (!($0 in sum)) order[++kinds] = $0; sum[$0] += n }
			END { for (i = 1; i <= kinds; i++) printf "%14d %s\n", sum[order[i]], order[i] }'
}

# table: false if a turn failed, or a stage had none.
table() {
	local stage turns passed failed status bad=0
	echo "$(date -u +%F), $(git -C "$TOP" rev-parse --short HEAD 2>/dev/null || cat "$TOP/VERSION"), $((SECONDS - begun)) s:"
	for stage; do
		turns=0 passed=0 failed=0
		for status in "$dir/$stage"-*/status; do
			[ -e "$status" ] || continue
			turns=$((turns + 1))
			[ "$(cat "$status")" = 0 ] || bad=1
			read -r _ a b _ < <(tail -n 1 "${status%status}summary")
			passed=$((passed + a)) failed=$((failed + b))
		done
		echo "$stage: $turns turns, $passed results passed, $failed failed"
		figures "$stage"
		[ "$turns" -gt 0 ] || bad=1
	done
	return $bad
}

case ${1:-} in
--help) usage; exit ;;
esac
[[ ${1:-} =~ ^[1-9][0-9]*$ ]] || die "how many seconds? (--help says more)"
limit=$1
seed=${SEED:-$(date +%s)}
shift
if [ $# -gt 0 ]; then
	CHAINS=("" "")
	for stage; do
		# Added to the shorter of the two.
		short=0
		[ "$(wc -w <<<"${CHAINS[1]}")" -ge "$(wc -w <<<"${CHAINS[0]}")" ] || short=1
		CHAINS[short]+=" $stage"
	done
fi
# shellcheck disable=SC2068 # lists
for stage in ${CHAINS[@]}; do
	kernel=$(kernel_of "$stage")
	[ -z "$kernel" ] || "$TOP/scripts/kernel/fetch.sh" "$kernel" >&2
done
begun=$SECONDS
limit=$((limit + begun))
rm -rf "$dir"
mkdir -p "$dir"
trap 'jobs -p | sed "s/^/-/" | xargs -r kill -- 2>/dev/null || true' EXIT
set -m
for stages in "${CHAINS[@]}"; do
	# shellcheck disable=SC2086 # a list
	[ -z "$stages" ] || chain $stages &
done
wait
# shellcheck disable=SC2068 # lists
table ${CHAINS[@]} | tee "$dir/table"
