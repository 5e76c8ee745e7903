#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs of others that use libafsync by a patch of ours: build them, measure them, and
# see in the VM that they keep their promises.
#
#	scripts/integrations.sh [NAME]...	run these (all)
#
# Each is a folder in tools/integrations with a patch, a README.md, and test.sh, which this
# runs. CUTS=2 is a quick look, see there.

. "$(dirname "$0")/lib.sh"

cd "$TOP/tools/integrations"
[ $# -gt 0 ] || set -- */
failed=()
for name; do
	name=${name%/}
	[ -x "$name/test.sh" ] || die "no such integration: $name (there are: $(echo */ | tr -d /))"
	"$name/test.sh" || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
