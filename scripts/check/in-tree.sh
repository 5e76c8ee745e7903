#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The driver as a part of the kernel: built in, and as a module of the tree.
#
#	scripts/check/in-tree.sh [TEST]...	the tests to run there (a few)
#
# A copy of linux-source-6.1 gets the driver (scripts/kernel/add-to-tree.sh) and is built twice with the
# small configuration of the VM, CONFIG_AFSYNC=y and =m: 10 to 20 minutes. Both kernels boot,
# and the tree's own selftests run, as with 'make kselftest'. All results are in
# build/in-tree. Prints TAP.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"

case ${1:-} in
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0" | sed '/^\. /,$d'; exit 0 ;;
esac
[ $# -gt 0 ] || set -- abi_test attach_test cancel_test exactly_one_test hold_test identity_test \
	merge_test order_test
[ -e "$KSRC/Makefile" ] || die "no kernel sources in $KSRC: run 'make setup' first"
out=$BUILD/in-tree
tree=$out/linux

# in_tree STATUS TEXT LOG
in_tree() {
	[ "$1" = 0 ] || echo "# log: $3"
	result "$1" "in-tree: $2"
}

# build y|m: builds the kernel, in the directory of that name.
build() {
	local dir=$out/$1 make
	mkdir -p "$dir"
	make=(nice -n 10 make -C "$tree" "O=$dir" -j "$(nproc)")
	cat >"$dir/afsync.config" <<-END
		CONFIG_AFSYNC=$1
		CONFIG_LOCALVERSION="-in-tree-$1"
	END
	"${make[@]}" tinyconfig &&
		(cd "$tree" && scripts/kconfig/merge_config.sh -m -O "$dir" "$dir/.config" \
			"$TOP/selftests/qemu/kernel.config" "$dir/afsync.config") &&
		"${make[@]}" olddefconfig && grep -qx "CONFIG_AFSYNC=$1" "$dir/.config" &&
		"${make[@]}" bzImage modules
}

# build_tests: builds them into out/tests, in their installed form.
build_tests() {
	make -C "$tree" "O=$out/y" -j "$(nproc)" headers &&
		make -C "$tree/tools/testing/selftests" "O=$out/y" TARGETS=afsync FORCE_TARGETS=1 \
			"INSTALL_PATH=$out/tests" install
}

# warnings LOG: those about files of afsync.
warnings() { grep -E '(drivers|selftests|linux)/afsync.*(warning|error):' "$1"; }

# boot y|m TEST...
boot() {
	local choice=$1 load='' tests
	shift
	[ "$choice" = y ] || load="insmod $out/m/drivers/afsync/afsync.ko && "
	tests=$(printf -- ' -t afsync:%s' "$@")
	"$TOP/scripts/vm.sh" --kernel "$out/$choice/arch/x86/boot/bzImage" --no-module --name "in-tree-$choice" \
		--timeout 3600 -- "${load}test -c /dev/afsync && cd $out/tests && ./run_kselftest.sh$tests"
}

rm -rf "$tree" "$out/tests"
mkdir -p "$out"
say "copying $KSRC"
cp -a "$KSRC" "$tree"
"$TOP/scripts/kernel/add-to-tree.sh" "$tree"
for choice in y m; do
	rc=0
	say "building the kernel with CONFIG_AFSYNC=$choice; log: $out/build-$choice.log"
	build $choice >"$out/build-$choice.log" 2>&1 </dev/null && ! warnings "$out/build-$choice.log" || rc=1
	in_tree $rc "builds with CONFIG_AFSYNC=$choice, without a warning" "$out/build-$choice.log"
done
rc=0
build_tests >"$out/build-tests.log" 2>&1 && ! warnings "$out/build-tests.log" || rc=1
in_tree $rc "the tree's selftests build, without a warning" "$out/build-tests.log"
for choice in y m; do
	rc=0
	boot $choice "$@" >"$out/tests-$choice.tap" || rc=$?
	remark <"$out/tests-$choice.tap"
	[ "$rc" = 0 ] && [ "$(grep -cE '^ok [0-9]+ selftests: afsync:' "$out/tests-$choice.tap")" = $# ] || rc=1
	in_tree $rc "boots with CONFIG_AFSYNC=$choice, and the selftests pass" "$out/tests-$choice.tap"
done
end_results
