#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds a kernel that looks for bugs, for the VM, once, into the cache.
#
#	scripts/kernel/build-debug.sh [KIND]		build if needed; prints its directory
#	scripts/kernel/build-debug.sh --path [KIND]	only print the directory
#
# The kinds, which are also the names that KERNEL= takes:
#	debug		KASAN, lockdep, kmemleak, fault injection (if none is named)
#	debug-rt	the same with PREEMPT_RT, from linux-source-6.12
#	kcsan		data races, in modules only
#	gcov		counts the lines of modules that run, for scripts/check/coverage.sh
#
# The directory is named after the kernel's version and a hash of everything that the
# result depends on: the kind's files selftests/qemu/*.config and the compiler. In it:
# bzImage, release, config and build/ (for building modules against it).
# KSRC= takes other kernel sources, JOBS= sets the number of jobs.

. "$(dirname "$0")/../lib.sh"

# For the kernel but not for modules, which are what KCSAN has to look at.
kernel_only=()

kind() {
	local names
	kind=$1
	case $kind in
	debug) names=(kernel debug) ;;
	debug-rt) names=(kernel debug rt); rt_source ;;
	kcsan) names=(kernel kcsan); kernel_only=(KCSAN_SANITIZE=n) ;;
	gcov) names=(kernel gcov) ;;
	*) die "no such kind: $kind (debug, debug-rt, kcsan, gcov)" ;;
	esac
	fragments=("${names[@]/#/$TOP/selftests/qemu/}")
	fragments=("${fragments[@]/%/.config}")
}

# The first version of Debian that has PREEMPT_RT without a patch.
rt_source() {
	KSRC=$CACHE/linux-source-6.12
	with_lock rt-source unpack_rt_source
}

unpack_rt_source() {
	local new
	[ ! -e "$KSRC/Makefile" ] || return 0
	new=$(mktemp -d "$CACHE/new-source.XXXXXX")
	say "downloading linux-source-6.12 (150 MB, once)"
	(cd "$new" && apt-get "${APT[@]}" download linux-source-6.12) >"$new/log" 2>&1 ||
		{ cat "$new/log" >&2; rm -rf "$new"; die "no package linux-source-6.12: try 'apt-get update'"; }
	dpkg-deb --fsys-tarfile "$new"/linux-source-6.12_*.deb |
		tar -xO ./usr/src/linux-source-6.12.tar.xz | tar -C "$new" -xJ
	mv "$new/linux-source-6.12" "$KSRC"
	rm -rf "$new"
}

# Every option of a fragment must be in the final configuration: Kconfig silently drops
# options that it cannot set. A later fragment wins.
check_config() {
	local config=$1 line name bad=0
	declare -A want
	while read -r line; do
		case $line in
		CONFIG_*=*) name=${line%%=*} ;;
		"# CONFIG_"*" is not set") name=${line#\# }; name=${name%% *} ;;
		*) continue ;;
		esac
		want[$name]=$line
	done < <(cat "${fragments[@]}")
	for name in "${!want[@]}"; do
		line=${want[$name]}
		if [[ $line = "# "* ]]; then
			# An option that does not exist is not set either.
			grep -q "^$name=" "$config" || continue
		else
			grep -qxF -- "$line" "$config" && continue
		fi
		say "asked for $line, got: $(grep -E "(^| )${name}[= ]" "$config" || echo nothing)"
		bad=1
	done
	[ $bad = 0 ] || die "the configuration lacks options: add their dependencies to selftests/qemu/*.config"
}

progress() {
	local n=0
	while IFS= read -r _; do
		n=$((n + 1))
		[ $((n % 250)) != 0 ] || say "$n steps done, $((SECONDS / 60)) min $((SECONDS % 60)) s"
	done
}

build() {
	[ ! -e "$dir/bzImage" ] || return 0
	local out=$dir/build log=$dir/build.log jobs=${JOBS:-$(nproc)}
	mkdir -p "$out"
	say "building $(basename "$dir") with $jobs jobs (10 to 20 minutes, once); log: $log"
	local make=(make -C "$KSRC" O="$out" "-j$jobs")
	{
		"${make[@]}" tinyconfig
		(cd "$KSRC" && scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" "${fragments[@]}")
		"${make[@]}" olddefconfig
	} >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "configuring failed"; }
	check_config "$out/.config"
	SECONDS=0
	"${make[@]}" ${kernel_only[@]+"${kernel_only[@]}"} bzImage modules </dev/null 2>&1 | tee -a "$log" | progress ||
		{ grep -nE 'rror|\*\*\*' "$log" | tail -n 20 >&2; die "the build failed; the whole log: $log"; }
	cp "$out/.config" "$dir/config"
	# Modules need the headers, the scripts and Module.symvers, not the objects.
	find "$out" -name '*.o' -not -path "$out/scripts/*" -not -path "$out/tools/*" -delete
	rm -f "$out/vmlinux" "$out"/arch/x86/boot/vmlinux.bin "$out"/arch/x86/boot/compressed/vmlinux*
	cp "$out/include/config/kernel.release" "$dir/release"
	# Last, because its presence shows that everything else is there.
	cp "$out/arch/x86/boot/bzImage" "$dir/bzImage.new"
	mv "$dir/bzImage.new" "$dir/bzImage"
	say "done in $((SECONDS / 60)) min"
}

build_it=1
[ "${1:-}" != --path ] || { build_it=0; shift; }
kind "${1:-debug}"
[ -e "$KSRC/Makefile" ] || die "no kernel sources in $KSRC: run 'make setup' first"
version=$(make -s -C "$KSRC" kernelversion)
hash=$(cat "${fragments[@]}" <(${CC:-gcc} --version | head -n 1) | sha256sum | cut -c 1-12)
dir=$CACHE/kernels/$kind-$version-$hash

[ $build_it = 0 ] || with_lock "$kind-kernel" build
echo "$dir"
