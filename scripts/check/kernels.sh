#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# On kernels of Debian: builds the modules, boots, loads them, runs the selftests, except
# those of code that runs in the program alone.
#
#	scripts/check/kernels.sh		on all supported kernels
#	scripts/check/kernels.sh NAME...	on these (scripts/kernel/fetch-debian.sh --list)
#	scripts/check/kernels.sh --table	only show the results of the last runs
#	TESTS="order_test" scripts/check/kernels.sh	only these selftests
#
# A kernel takes 10 to 60 minutes without KVM. Its results are kept in build/kernels/NAME
# until its next run, so that the table, which is printed at the end and written to
# build/kernels/table, can come from several runs. Exits with 0 only if all kernels named
# have built without a warning and passed all tests.

. "$(dirname "$0")/../lib.sh"

KERNELS=(6.1 6.1-rt 6.1-cloud 6.12 6.12-rt sid experimental)
dir=$BUILD/kernels

# keep NAME KEY VALUE: for the table.
keep() { echo "$2 $3" >>"$dir/$1/result"; }

# was NAME KEY: the value from its last run, or a dash.
was() {
	local value
	value=$(sed -n "s/^$2 //p" "$dir/$1/result" 2>/dev/null | tail -n 1) || true
	echo "${value:--}"
}

# built_clean NAME RELEASE: from scratch, including the warnings that are off by default.
built_clean() {
	local log=$dir/$1/build.log said
	rm -rf "$BUILD/modules-$2"
	"$TOP/scripts/kernel/build-modules.sh" "$2" AFSYNC_SIM=1 W=1 >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; keep "$1" clean "not built"; return 1; }
	said=$(said_by_build "$log")
	[ -z "$said" ] || { printf '%s\n' "$said" >&2; keep "$1" clean no; return 0; }
	keep "$1" clean yes
}

run_kernel() {
	local name=$1 release passed failed skipped
	rm -rf "${dir:?}/$name"
	mkdir -p "$dir/$name"
	keep "$name" date "$(date -u +%F)"
	release=$("$TOP/scripts/kernel/fetch-debian.sh" --newest "$name") || { keep "$name" clean "not fetched"; return 1; }
	keep "$name" release "$release"
	built_clean "$name" "$release" || return 1
	# With the same arguments, otherwise everything would be built again.
	KERNEL=$release AFSYNC_RESULTS=$dir/$name AFSYNC_MODULE_ARGS=W=1 "$TOP/scripts/check.sh" module || true
	if grep -qs 'afsync-vm: ready' "$BUILD/vm/module-$release-1.log"; then
		keep "$name" loaded yes
	else
		keep "$name" loaded no
	fi
	keep "$name" programs "$(grep -cE '^(not )?ok [0-9]+ selftests: ' "$dir/$name/module.tap")"
	read -r _ passed failed skipped < <(tail -n 1 "$dir/$name/summary")
	keep "$name" passed "$passed"
	keep "$name" failed "$failed"
	keep "$name" skipped "$skipped"
	[ "$(was "$name" clean) $failed" = "yes 0" ] && [ "$passed" -gt 0 ]
}

rows() {
	local row='%-13s %-23s %-8s %-7s %8s %7s %7s %8s  %s\n' name names=("${KERNELS[@]}")
	for name in $("$TOP/scripts/kernel/fetch-debian.sh" --list); do
		[[ " ${names[*]} " = *" $name "* ]] || [ ! -e "$dir/$name/result" ] || names+=("$name")
	done
	# shellcheck disable=SC2059 # a format
	printf "$row" kernel release 'no' 'loaded' programs passed failed skipped 'run on'
	# shellcheck disable=SC2059
	printf "$row" '' '' warning '' '' '' '' '' ''
	for name in "${names[@]}"; do
		if [ "$(was "$name" passed)" = - ] && [ "$(was "$name" clean)" = - ]; then
			# shellcheck disable=SC2059
			printf "$row" "$name" 'not run' - - - - - - -
			continue
		fi
		# shellcheck disable=SC2059
		printf "$row" "$name" "$(was "$name" release)" "$(was "$name" clean)" "$(was "$name" loaded)" \
			"$(was "$name" programs)" "$(was "$name" passed)" "$(was "$name" failed)" \
			"$(was "$name" skipped)" "$(was "$name" date)"
	done
}

table() { rows | sed 's/ *$//'; }

case ${1:-} in
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
--table) table; exit ;;
esac
[ $# -gt 0 ] || set -- "${KERNELS[@]}"
for name; do
	"$TOP/scripts/kernel/fetch-debian.sh" --list | grep -xF -- "$name" >/dev/null ||
		die "no such kernel: $name ($("$TOP/scripts/kernel/fetch-debian.sh" --list | xargs))"
done
mkdir -p "$dir"
bad=()
for name; do
	say "$name ($(date +%H:%M))"
	run_kernel "$name" || bad+=("$name")
done
table | tee "$dir/table"
[ ${#bad[@]} = 0 ] || die "failed on: ${bad[*]} (logs: $dir/NAME and $BUILD/vm)"
