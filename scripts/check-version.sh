# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static check of the version. Sourced by check-static.sh.

# All places have the version that the file VERSION has.
check_version() {
	local want
	want=$(cat VERSION)
	[[ $want =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "VERSION: not three numbers: $want"; return 1; }
	scripts/version.sh >"$SCRATCH/places"
	awk -F '\t' -v want="$want" '$2 != want { print $1 ": " ($2 == "" ? "none" : $2) }' "$SCRATCH/places" |
		none "not $want ('scripts/version.sh $want' writes it)"
}
