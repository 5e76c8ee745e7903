#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Checks that every static check can fail: breaks a copy of the tree, once for each
# check, and expects the check to say "not ok".
#
#	scripts/check/static-can-fail.sh		all
#	scripts/check/static-can-fail.sh NAME...	these
#
# Prints TAP as check-static.sh does. A check must pass before its break, otherwise the
# break would prove nothing.

# Backquotes and dollars in the sed scripts are literal.
# shellcheck disable=SC2016

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"

UAPI=include/uapi/linux/afsync.h
RST=Documentation/userspace-api/afsync.rst
MAN4=Documentation/man/afsync.4

# break_NAME changes the copy, in which it runs.
break_spdx() { sed -i 1d drivers/afsync/Kbuild; }
break_words() { echo "/* TO""DO */" >>drivers/afsync/main.c; }
break_paths() { echo '# See scr''ipts/no-such-file.sh.' >>Makefile; }
break_planted_bugs() { sed -i '/afsync_cond_resched(count++)/d' drivers/afsync/req.c; }
break_length() { printf '/* %s */\n' {1..400} >>drivers/afsync/main.c; }
break_no_version_ifs() { printf '#ifdef CONFIG_SMP\n#endif\n' >>drivers/afsync/main.c; }
break_shellcheck() { echo 'rm $1' >>scripts/check-static.sh; }
break_checkpatch() { echo 'int  *  x;' >>drivers/afsync/main.c; }
break_kernel_doc() { sed -i '/^ \* @min_complete:/d' $UAPI; }
break_headers() { sed -i '/#include <linux\/types.h>/d; /#include <linux\/ioctl.h>/d' $UAPI; }
break_rst() { sed -i 's/``AFSYNC_IOC_SETUP``/``AFSYNC_IOC_SETUP/' $RST; }
break_man() { echo '.XYZ' >>$MAN4; }
break_abi() { sed -i '/^\t\t/d' Documentation/ABI/testing/sysfs-class-misc-afsync; }
break_doc_names() { sed -i 's/AFSYNC_CANCEL_ALL/AFSYNC_CANCEL_EVERY/' $MAN4; }
break_doc_structs() { sed -i 's/__u32 wait_flags;/__u64 wait_flags;/' $MAN4; }
break_doc_fields() { sed -i 's/^\.B cqes_offset$/.B x/' $MAN4; }
break_doc_lists() { sed -i 's/^\.B merged$/.B joined/' $MAN4; }
break_doc_errnos() { sed -i 's/^\.B EALREADY$/.B EILSEQ/' $MAN4; }
break_doc_paths() { echo 'scr''ipts/no-such-file.sh' >>README.md; }
break_doc_links() { sed -i 's/^### Kernels$/### Systems/' README.md; }
break_doc_tests() { echo 'no_such_test.c' >>README.md; }
break_doc_dropin_tests() { sed -i 's/sync_waits_for_it,/sync_waits_for_nothing,/' Documentation/afsync/posix-tests.rst; }
break_htmldocs() { sed -i '/^   afsync\/admin$/d' Documentation/index.rst; }
break_doc_promises() { sed -i 's/^P7: /P77: /' $RST; }
break_doc_programs() { sed -i 's/AFSYNC_IOC_SETUP, &setup/AFSYNC_IOC_SETUP, setup/' $RST README.md; sed -i 's/afsync_submit/afsync_submitt/' README.md; }
break_modules() { sed -i 's/^static int __init afsync_init/int __init afsync_init/' drivers/afsync/main.c; }
break_modules_6_1() { break_modules; }
break_modules_6_12() { break_modules; }
break_modules_clang() { sed -i 's/^static int __init afsync_init(void)$/&;\nstatic int unused_variable;\n&/' drivers/afsync/main.c; }
break_user_warnings() { sed -i '0,/^{/s//{\n\tint unused_variable;/' tools/afsync/main.c; }
break_lib_symbols() { echo 'int stray_symbol;' >>tools/lib/afsync/setup.c; }
break_build_clean() { sed -i 's|^/build/$||' .gitignore; }
break_deb_symbols() { sed -i '/afsync_start@/d' debian/libafsync1.symbols; }
break_version() { sed -i 's/^MODULE_VERSION.*/MODULE_VERSION("0.9.0");/' drivers/afsync/main.c; }
break_measured_version() { sed -i 's/figures of version [0-9.]*[0-9]/figures of version 0.9.0/' Documentation/afsync/performance-results.rst; }
break_install_uninstall() { sed -i 's/^\(un\)\{0,1\}install:.*/&\n\t@:/; s/rm -f/: rm -f/' Makefile tools/lib/*/Makefile tools/lib/*/*.mk tools/afsync/Makefile; }

if [ $# = 0 ]; then
	mapfile -t names < <("$TOP/scripts/check-static.sh" --list)
	set -- "${names[@]}"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$TOP"
git ls-files --cached --others --exclude-standard | while read -r f; do [ ! -f "$f" ] || echo "$f"; done |
	tar -c -T - | tar -x -C "$work"
cd "$work"
git init -q
git add -A
git -c user.name=check -c user.email=check commit -q -m copy

echo "TAP version 13"
for name; do
	before=$(scripts/check-static.sh "$name") || true
	"break_${name//[-.]/_}"
	after=$(scripts/check-static.sh "$name") || true
	git checkout -q .
	git clean -qfd
	rc=0
	grep -q '^ok ' <<<"$before" || { rc=1; echo "# it failed on the whole tree already"; }
	grep -q '^not ok ' <<<"$after" || { rc=1; echo "# it did not fail on the broken tree"; }
	result $rc "$name fails on a broken tree"
done
end_results
