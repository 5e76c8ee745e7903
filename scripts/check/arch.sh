#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module, the library and their tests on other architectures, emulated by QEMU.
#
#	scripts/check/arch.sh [ARCH]...		arm64, and s390x, which is big endian; both
#
# For each architecture: fetches Debian's kernel and a compiler (scripts/kernel/fetch-debian.sh),
# builds the modules and the tests, boots the kernel with nothing but these, and runs them.
# Prints TAP, a line for each program, and the last lines of a failed one's output; the
# full output is in build/arch/ARCH.log.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"
. "$TOP/scripts/kernel/suites.sh"

# Tests that need the modules and no other program, disk or user.
TESTS=(abi args attach cancel errors exactly_one exit hold identity merge order undone waiting lib)
TESTS+=(engine_{cancel,errors,eventfd,exactly_one,file,hold,merge,order,process,signal,waiting})
TESTS=("${TESTS[@]/%/_test}")

# arch_result STATUS TEXT: the reason for a failure is on standard input.
arch_result() {
	[ "$1" = 0 ] || remark
	result "$1" "$arch: $2"
}

# build: everything for the machine.
build() {
	local make=(nice make -s -C "$TOP/selftests/afsync" "O=$out/tests" "CROSS_COMPILE=$triplet-" "CC=$triplet-gcc"
		"AR=$triplet-ar" USERLDFLAGS=-static "TESTS=${TESTS[*]}")
	# The compiler is not where its packages would have installed it.
	PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
	export PATH LD_LIBRARY_PATH
	"$TOP/scripts/kernel/build-modules.sh" "$release" AFSYNC_SIM=1 "CROSS_COMPILE=$triplet-" &&
		"${make[@]}" "${TESTS[@]/#/$out/tests/}"
}

# make_initramfs: busybox, the modules, the tests and init.
make_initramfs() {
	local new=$out/initramfs built=$BUILD/modules-$release
	rm -rf "$new"
	mkdir -p "$new/bin" "$new/dev" "$new/tests"
	cp "$root/bin/busybox" "$new/bin/"
	cp "$built/drivers/afsync/afsync.ko" "$built/selftests/sim/afsync_sim.ko" "$new/"
	cp "${TESTS[@]/#/$out/tests/}" "$new/tests/"
	install -m 755 "$TOP/selftests/qemu/init-arch" "$new/init"
	(cd "$new" && find . | cpio --quiet -o -H newc -R 0:0) >"$out/initramfs.cpio"
	rm -rf "$new"
}

# boot: until the machine has switched itself off.
boot() {
	local machine console patience
	# Watchdogs in the guest must not report the stalls of a loaded host.
	patience='rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 workqueue.watchdog_thresh=120'
	patience+=' sysctl.kernel.hung_task_timeout_secs=600'
	# shellcheck disable=SC2054 # the comma is QEMU's
	case $arch in
	arm64) machine=(qemu-system-aarch64 -machine virt -cpu max,pauth-impdef=on) console=ttyAMA0 ;;
	s390x) machine=(qemu-system-s390x -machine s390-ccw-virtio -cpu max) console=ttysclp0 ;;
	esac
	machine+=(-accel tcg -smp 2 -m 1024 -nodefaults -no-user-config -display none -nic none -no-reboot)
	# It ends with this script, however that ends.
	setpriv --pdeathsig TERM timeout --foreground 7200 "${machine[@]}" -serial "file:$log" \
		-kernel "$CACHE/kernels/$release/bzImage" -initrd "$out/initramfs.cpio" \
		-append "console=$console quiet loglevel=1 panic=-1 oops=panic $patience" </dev/null
}

# report: a line for each program that had to run. The reason for a failure is in the lines
# that are not about passed tests.
report() {
	local name said status passed skipped text
	tr -d '\r' <"$log" >"$log.new"
	mv "$log.new" "$log"
	for name in load load-sim "${TESTS[@]}" unload-sim unload kernel; do
		said=$(sed -n "/^begins: $name\$/,/^ended: $name /p" "$log")
		status=$(sed -n "s/^ended: $name //p" <<<"$said")
		skipped=$(grep -cE '^ok .* SKIP' <<<"$said") || true
		passed=$(grep -cE '^ok ' <<<"$said") || true
		text=$name
		[ "$passed" = 0 ] || text+=", $((passed - skipped)) passed"
		[ "$skipped" = 0 ] || text+=", $skipped skipped"
		arch_result "${status:-1}" "$text" < <(grep -vE '^ok |^# +(RUN|OK) ' <<<"$said" | tail -n 15)
	done
}

check() {
	local release root out=$BUILD/arch/$arch log=$BUILD/arch/$arch.log triplet
	suite_kernel "$arch"
	mkdir -p "$out/tests"
	release=$("$TOP/scripts/kernel/fetch-debian.sh" "$arch") || { arch_result 1 "fetches the kernel" </dev/null; return; }
	root=$CACHE/headers/$release.root
	rm -f "$log"
	(build) >"$out/build.log" 2>&1 || { arch_result 1 "builds" < <(tail -n 15 "$out/build.log"); return; }
	make_initramfs
	boot >&2 || true
	report
}

case ${1:-} in
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; exit ;;
esac
mapfile -t archs < <(arch_kernels)
[ $# -gt 0 ] || set -- "${archs[@]}"
for arch; do
	[[ " ${archs[*]} " = *" $arch "* ]] || die "no such architecture: $arch (${archs[*]})"
done
for arch; do
	say "$arch ($(date +%H:%M))"
	check
done
end_results
