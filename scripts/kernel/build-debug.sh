#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the debug kernel for the VM, once, into the cache.
#
#	scripts/kernel/build-debug.sh		build if needed; prints its folder
#	scripts/kernel/build-debug.sh --path	only print the folder
#
# The folder is named after the kernel's version and a hash of everything that the
# result depends on: selftests/qemu/*.config and the compiler. In it: bzImage, release,
# config and build/ (for building modules against it).
# KSRC= takes other kernel sources, JOBS= sets the number of jobs.

. "$(dirname "$0")/../lib.sh"

fragments=("$TOP/selftests/qemu/kernel.config" "$TOP/selftests/qemu/debug.config")

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
	local make=(nice -n 10 make -C "$KSRC" O="$out" "-j$jobs")
	{
		"${make[@]}" tinyconfig
		(cd "$KSRC" && scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" "${fragments[@]}")
		"${make[@]}" olddefconfig
	} >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "configuring failed"; }
	check_config "$out/.config"
	SECONDS=0
	"${make[@]}" bzImage modules </dev/null 2>&1 | tee -a "$log" | progress ||
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

[ -e "$KSRC/Makefile" ] || die "no kernel sources in $KSRC: run 'make setup' first"
version=$(make -s -C "$KSRC" kernelversion)
hash=$(cat "${fragments[@]}" <(${CC:-gcc} --version | head -n 1) | sha256sum | cut -c 1-12)
dir=$CACHE/kernels/debug-$version-$hash

[ "${1:-}" = --path ] || with_lock debug-kernel build
echo "$dir"
