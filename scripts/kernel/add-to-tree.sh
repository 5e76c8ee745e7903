#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Puts the driver into a tree of the kernel: the code with its Kconfig, the header for
# programs, the documentation, and the selftests that need no library.
#
#	scripts/kernel/add-to-tree.sh TREE
#
# TREE is a directory with the sources of a kernel, 6.1 or later. There, choose CONFIG_AFSYNC (y
# or m) and build as always; 'make -C tools/testing/selftests TARGETS=afsync' builds the
# tests, after 'make headers'. A second run brings the tree up to date. 'make check-in-tree'
# does all this with linux-source-6.1, and boots the result.

. "$(dirname "$0")/../lib.sh"

case ${1:-} in
--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0" | sed '/^\. /,$d'; exit 0 ;;
esac
[ $# = 1 ] || die "usage: scripts/kernel/add-to-tree.sh TREE (--help says more)"
tree=$1
for file in drivers/Kconfig tools/testing/selftests/lib.mk; do
	[ -e "$tree/$file" ] || die "$tree: no sources of a kernel, there is no $file"
done
TESTS=tools/testing/selftests/afsync

# copy FROM... TO: below the tree.
copy() {
	local to=$tree/${*: -1}
	mkdir -p "$to"
	cp -R "${@:1:$#-1}" "$to/"
}

# line FILE LINE COMMAND: sed's COMMAND puts LINE into that file of the tree, once.
line() {
	grep -qxF -- "$2" "$tree/$1" || sed -i "$3" "$tree/$1"
	grep -qxF -- "$2" "$tree/$1" || die "$tree/$1: there is no place for '$2'"
}

put_driver() {
	rm -rf "${tree:?}/drivers/afsync"
	copy "$TOP"/drivers/afsync/* drivers/afsync
	copy "$TOP/include/uapi/linux/afsync.h" include/uapi/linux
	line drivers/Kconfig 'source "drivers/afsync/Kconfig"' '/^endmenu$/i source "drivers/afsync/Kconfig"\n'
	# shellcheck disable=SC2016 # for make
	line drivers/Makefile 'obj-$(CONFIG_AFSYNC)		+= afsync/' '$a obj-$(CONFIG_AFSYNC)		+= afsync/'
}

put_documentation() {
	rm -rf "${tree:?}/Documentation/afsync"
	copy "$TOP"/Documentation/afsync/* Documentation/afsync
	# About this tree, and about its libraries.
	rm "$tree"/Documentation/afsync/{hacking,posix-tests,libaio-tests}.rst
	copy "$TOP"/Documentation/userspace-api/afsync.rst Documentation/userspace-api
	copy "$TOP"/Documentation/ABI/testing/* Documentation/ABI/testing
	cat >"$tree/Documentation/afsync/index.rst" <<-'EOF'
		.. SPDX-License-Identifier: GPL-2.0-only

		==================
		Asynchronous fsync
		==================

		.. toctree::
		   :maxdepth: 1

		   admin
		   design
		   faq
		   performance
		   reliability
	EOF
	line Documentation/subsystem-apis.rst '   afsync/index' '/^   accounting\/index$/a \   afsync/index'
	line Documentation/userspace-api/index.rst '   afsync' '/^   seccomp_filter$/i \   afsync'
}

# tests: those that call the device directly; the others test the libraries or the command.
tests() {
	(cd "$TOP/selftests/afsync" && printf '%s\n' *_test.c) |
		grep -vE '^((command|exec|lib)_|engine_|posix_|libaio_)'
}

# headers FILE...: those of selftests/afsync that these files include, and what those include.
headers() {
	local name
	while read -r name; do
		[ ! -e "$TOP/selftests/afsync/$name" ] || { echo "$name"; headers "$TOP/selftests/afsync/$name"; }
	done < <(sed -n 's/^#include "\(.*\)"$/\1/p' "$@" | sort -u)
}

put_tests() {
	local test names=() headers
	rm -rf "${tree:?}/$TESTS"
	for test in $(tests); do
		copy "$TOP/selftests/afsync/$test" $TESTS
		names+=("${test%.c}")
	done
	copy "$TOP"/selftests/afsync/{unload_work.c,unload_background.c,unload_test.sh,settings,config} \
		"$TOP/selftests/sim/afsync_sim.h" $TESTS
	mapfile -t headers < <(headers "$tree/$TESTS"/*.c | sort -u)
	copy "${headers[@]/#/$TOP/selftests/afsync/}" $TESTS
	cat >"$tree/$TESTS/Makefile" <<-EOF
		# SPDX-License-Identifier: GPL-2.0-only
		TEST_GEN_PROGS := $(fmt -w 80 <<<"${names[*]}" | sed '$!s/$/ \\/; 2,$s/^/	/')
		TEST_PROGS := unload_test.sh
		TEST_GEN_PROGS_EXTENDED := unload_work unload_background
		LOCAL_HDRS := afsync_sim.h ${headers[*]}
		CFLAGS += -O2 -g -std=gnu11 -Wall -pthread -I.. \$(KHDR_INCLUDES)

		include ../lib.mk
	EOF
	line tools/testing/selftests/Makefile 'TARGETS += afsync' '0,/^TARGETS += /s//TARGETS += afsync\n&/'
}

put_driver
put_documentation
put_tests
say "$tree has afsync $(cat "$TOP/VERSION"): choose CONFIG_AFSYNC, and build"
