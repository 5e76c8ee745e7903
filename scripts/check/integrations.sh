#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs of other projects with a patch that makes them use libafsync: builds them,
# measures them, and checks in the VM that they keep their promises.
#
#	scripts/check/integrations.sh [NAME]...	run these (all)
#
# Each is a directory in tools/integrations with a patch, a README.md, and test.sh, which this
# script runs. CUTS=2 is a quick look, see test.sh.

. "$(dirname "$0")/../lib.sh"

cd "$TOP/tools/integrations"
[ $# -gt 0 ] || set -- */
failed=()
for name; do
	name=${name%/}
	[ -x "$name/test.sh" ] || die "no such integration: $name (there are: $(echo */ | tr -d /))"
	"$name/test.sh" || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
