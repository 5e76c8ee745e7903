#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The static checks: everything that can be checked without running the module.
#
#	scripts/check-static.sh			run all of them
#	scripts/check-static.sh NAME...		run these
#	scripts/check-static.sh --list		name them all
#
# Prints TAP: the output of a check as "# ..." lines, and below them "ok N - name" or
# "not ok N - name". Exits with 0 if all passed, with 1 if one failed.
#
# A check is a function check_NAME in one of the files sourced below ('-' in the name is
# '_' there). It runs in a subshell from the top of the tree, has an empty directory
# $SCRATCH, and passes if it returns 0. Its output is shown in both cases, so that a
# check may also report.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/check/tap.sh"
. "$TOP/scripts/check/static-source.sh"
. "$TOP/scripts/check/static-docs.sh"
. "$TOP/scripts/check/static-names.sh"
. "$TOP/scripts/check/static-build.sh"
. "$TOP/scripts/check/static-version.sh"

CHECKS=(
	# check/static-source.sh
	spdx words paths planted-bugs length no-version-ifs shellcheck checkpatch kernel-doc
	headers
	# check/static-docs.sh
	rst man abi htmldocs doc-paths doc-links doc-tests doc-dropin-tests
	doc-promises doc-programs
	# check/static-names.sh
	doc-names doc-structs doc-fields doc-lists doc-errnos
	# check/static-build.sh
	modules-6.1 modules-6.12 modules-clang user-warnings lib-symbols
	build-clean install-uninstall install-user odd-folder
	# check/static-version.sh
	version measured-version deb-symbols
)

# run_check NAME. Never part of a condition: that would switch off errexit inside the
# check, and a check that failed halfway would pass.
run_check() {
	local name=$1 log=$work/$1.log rc
	SCRATCH=$work/$name
	mkdir "$SCRATCH"
	set +e
	(
		set -e
		cd "$TOP"
		"check_${name//[-.]/_}"
	) >"$log" 2>&1 </dev/null
	rc=$?
	set -e
	remark <"$log"
	result $rc "$name"
	rm -rf "$SCRATCH"
}

if [ "${1:-}" = --list ]; then
	printf '%s\n' "${CHECKS[@]}"
	exit
fi
[ $# -gt 0 ] || set -- "${CHECKS[@]}"
for name; do
	[[ " ${CHECKS[*]} " == *" $name "* ]] || die "no such check: $name (see --list)"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "TAP version 13"
for name; do
	run_check "$name"
done
end_results
