# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static checks that build: in a copy of the tree, so that no earlier build hides a
# warning, and nothing is left behind. Sourced by check-static.sh.

# copy_tree: sets $tree, a git repository with the files of the project.
copy_tree() {
	tree=$SCRATCH/tree
	mkdir "$tree"
	files | tar -c -T - | tar -x -C "$tree"
	git -C "$tree" init -q
	git -C "$tree" add -A
	git -C "$tree" -c user.name=check -c user.email=check commit -q -m copy
}

# The libraries: tools/lib/afsync-dropin is not one, it has no Makefile.
lib_folders() { files 'tools/lib/*/Makefile' | sed 's|/Makefile$||'; }

# headers_of VERSION: a directory of kernel headers, the newest of that version.
headers_of() {
	local dir
	for dir in "$CACHE/headers/$1".*[0-9]-amd64 "/usr/src/linux-headers-$1".*[0-9]-amd64; do
		[ ! -e "$dir/Makefile" ] || echo "$dir"
	done | sort -V | tail -n 1
}

# modules VERSION MAKE-ARGS...: the three modules build without any message.
modules() {
	local kdir log=$SCRATCH/log
	kdir=$(headers_of "$1")
	[ -n "$kdir" ] || { echo "no headers for $1: run 'make setup'"; return 1; }
	shift
	copy_tree
	"$tree/scripts/kernel/build-modules.sh" "$kdir" "$@" AFSYNC_SIM=1 >"$log" 2>&1 || { tail -n 40 "$log"; return 1; }
	[ "$(find "$tree/build" -name '*.ko' | wc -l)" = 3 ] || { echo "not three modules"; return 1; }
	said_by_build "$log" | none "said by the build"
}

check_modules_6_1() { modules 6.1 W=1 C=2; }
check_modules_6_12() { modules 6.12 W=1 C=2; }
check_modules_clang() { modules 6.1 LLVM=1; }

# warnings CC DIR...: the programs there build without a warning.
warnings() {
	local cc=$1 dir log=$SCRATCH/log
	shift
	for dir; do
		make -s -C "$dir" O="$SCRATCH/$cc/$dir" CC="$cc" \
			CFLAGS="-O2 -g -Wall -Wextra -Werror" all >"$log" 2>&1 ||
			{ tail -n 30 "$log"; return 1; }
	done
}

# The kernel's test harness is not free of clang's warnings.
check_user_warnings() {
	local libs
	mapfile -t libs < <(lib_folders)
	warnings gcc "${libs[@]}" tools/afsync tools/fio selftests
	warnings clang "${libs[@]}" tools/afsync tools/fio
}

# The library exports what its header declares, and nothing else is global in it.
check_lib_symbols() {
	local out=$SCRATCH/lib exported global
	make -s -C tools/lib/afsync O="$out" all >"$SCRATCH/log" 2>&1 || { tail -n 30 "$SCRATCH/log"; return 1; }
	exported=$(nm -D --defined-only "$out/libafsync.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
	global=$(nm --defined-only --extern-only "$out/libafsync.a" | awk 'NF == 3 { print $3 }')
	same "shared library" "$(lib_symbols)" "$exported"
	sed '/^afsync_/d' <<<"$global" | none "global in the archive without the prefix afsync_"
	readelf -d "$out/libafsync.so" | grep 'SONAME.*libafsync\.so\.1' >/dev/null || { echo "no soname"; return 1; }
}

# Building leaves no file that git sees, and 'make clean' leaves no built file.
check_build_clean() {
	copy_tree
	make -s -C "$tree" >"$SCRATCH/log" 2>&1 || { tail -n 40 "$SCRATCH/log"; return 1; }
	git -C "$tree" status --porcelain | none "left by the build"
	make -s -C "$tree" clean
	git -C "$tree" status --porcelain --ignored | none "left by 'make clean'"
}

# installed DEST: everything but the module is there.
installed_in() {
	local f lib
	for f in bin/afsync include/libafsync.h include/linux/afsync.h lib/pkgconfig/libafsync.pc \
		lib/udev/rules.d/60-afsync.rules lib/sysusers.d/afsync.conf \
		share/bash-completion/completions/afsync share/man/man1/afsync.1 share/man/man3/afsync_submit.3 \
		share/man/man4/afsync.4 share/man/man7/libafsync.7; do
		[ -e "$1/usr/$f" ] || { echo "not installed: $f"; return 1; }
	done
	for lib in $(lib_folders); do
		for f in "lib${lib##*/}.so.1" "pkgconfig/lib${lib##*/}.pc"; do
			[ -e "$1/usr/lib/$f" ] || { echo "not installed: $f"; return 1; }
		done
	done
}

# 'make uninstall' removes all files of 'make install'.
check_install_uninstall() {
	local dest=$SCRATCH/dest ko f
	copy_tree
	make -s -C "$tree" install DESTDIR="$dest" prefix=/usr >"$SCRATCH/said" 2>"$SCRATCH/log" ||
		{ tail -n 40 "$SCRATCH/log"; return 1; }
	installed_in "$dest"
	ko=$(find "$dest/lib/modules" -name afsync.ko)
	[ -n "$ko" ] || { echo "not installed: afsync.ko"; return 1; }
	readelf -SW "$ko" | { grep -F ' .debug_' || :; } | none "in the installed module"
	for f in "$ko" "$dest/usr/lib/udev/rules.d/60-afsync.rules" "$dest/usr/lib/modules-load.d/afsync.conf"; do
		grep -qF "$f" "$SCRATCH/said" || { echo "did not say that it installs $f"; return 1; }
	done
	tail -n 1 "$SCRATCH/said" | grep 'Next.*modprobe afsync$' >/dev/null || { echo "did not say what is next"; return 1; }
	find "$tree/build" "$dest" -name '*sim*.ko' | none "built or installed, but only for tests"
	make -s -C "$tree" uninstall DESTDIR="$dest" prefix=/usr >/dev/null
	find "$dest" ! -type d | none "left by 'make uninstall'"
}

# Without kernel headers 'make install' does nothing and names the command that installs the rest.
check_install_user() {
	local dest=$SCRATCH/dest make
	copy_tree
	make=(make -s -C "$tree" KVER=0.0.0-none DESTDIR="$dest" prefix=/usr)
	! "${make[@]}" install >"$SCRATCH/log" 2>&1 || { echo "'make install' finds no fault"; return 1; }
	grep 'make install-user' "$SCRATCH/log" >/dev/null || { echo "does not say 'make install-user':"; cat "$SCRATCH/log"; return 1; }
	[ ! -e "$dest" ] || find "$dest" ! -type d | none "installed in part"
	"${make[@]}" install-user >"$SCRATCH/log" 2>&1 || { tail -n 40 "$SCRATCH/log"; return 1; }
	installed_in "$dest"
	find "$dest" -name '*.ko' -o -name modules-load.d | none "of the module"
	"${make[@]}" uninstall >/dev/null
	find "$dest" ! -type d | none "left by 'make uninstall'"
}

# In a directory that the kernel's build cannot use, all entry points say so in one line.
check_odd_folder() {
	local folder cmd
	copy_tree
	for folder in 'with a space' 'with:a-colon'; do
		mv "$tree" "$SCRATCH/$folder"
		tree=$SCRATCH/$folder
		for cmd in make 'make check' 'make vm' 'make install' scripts/check.sh scripts/vm.sh scripts/setup.sh \
			scripts/kernel/build-modules.sh; do
			! (cd "$tree" && $cmd) >"$SCRATCH/log" 2>&1 || { echo "$folder: '$cmd' succeeds"; return 1; }
			[ "$(grep -c '' "$SCRATCH/log") $(grep -cF "no space and no colon in a path" "$SCRATCH/log")" = "1 1" ] ||
				{ echo "$folder: '$cmd' says:"; cat "$SCRATCH/log"; return 1; }
		done
	done
}
