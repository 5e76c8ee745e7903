# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static checks of the sources, file by file. Sourced by check-static.sh.

# The files of the project: tracked, and new ones that are not ignored.
files() {
	git ls-files --cached --others --exclude-standard -- "$@" |
		while read -r f; do [ ! -f "$f" ] || echo "$f"; done
}

# none WHAT: fails if there is input, and shows it.
none() {
	local found
	found=$(cat)
	[ -n "$found" ] || return 0
	echo "$1:"
	echo "$found"
	return 1
}

# search GREP-ARGS: the matches of grep in the files named on standard input. They
# include grep's complaints, so that a search that was impossible is noticed.
search() {
	xargs -d '\n' grep "$@" /dev/null 2>&1 || [ $? = 123 ]
}

# licence_of FILE: sets licence to the one that it must have, by its path.
licence_of() {
	case $1 in
	include/uapi/*) licence="GPL-2.0-only WITH Linux-syscall-note" ;;
	tools/afsync/examples/*) licence=MIT ;;
	tools/integrations/dpkg/*.patch) licence="GPL-2.0-or-later" ;;
	tools/integrations/rsync/*.patch) licence="GPL-3.0-or-later" ;;
	tools/lib/*) licence="LGPL-2.1-or-later OR MIT" ;;
	Documentation/man/libafsync* | Documentation/man/afsync_*) licence='' ;;
	*) licence=GPL-2.0-only ;;
	esac
}

# spdx_lines FILE...: each, a tab, and what its first three lines say.
spdx_lines() {
	awk '
		FNR > 3 { nextfile }
		!(FILENAME in found) && match($0, /SPDX-License-Identifier: /) {
			found[FILENAME] = substr($0, RSTART + RLENGTH)
		}
		END { for (i = 1; i < ARGC; i++) print ARGV[i] "\t" found[ARGV[i]] }' "$@"
}

check_spdx() {
	local f line licence names
	# Those in debian/ have a format without comments; debian/copyright covers them, too.
	mapfile -t names < <(files |
		grep -vxE 'COPYING|LICENSES/.*|VERSION|debian/(changelog|copyright|source/format)')
	spdx_lines "${names[@]}" | while IFS=$'\t' read -r f line; do
		licence_of "$f"
		line=${line%% \*/*}
		line=${line%% -->*}
		if [ -z "$line" ]; then
			echo "$f: no SPDX line in the first three"
		elif [[ $line != "$licence"* ]]; then
			echo "$f: '$line', expected '$licence'"
		fi
	done | none "wrong or no licence"
}

# Text that must not stay in a file: notes to oneself, and paths of one machine. The
# brackets keep this line from finding itself.
check_words() {
	files | grep -vx COPYING | search -nIwE \
		'TO[D]O|FIX[M]E|XX[X]|HA[C]K|/wor[k]/[a-z]+|/roo[t]/[.a-z]+|/hom[e]/[a-z]+' |
		none "left behind"
}

# Paths below scripts/ and selftests/ exist, in comments and Makefiles, too. Paths below the other
# directories, and below scripts/kconfig, may be those of the kernel. A part in capitals is no name.
check_paths() {
	local f path
	files | grep -vx COPYING | search -oIP \
		'(?:\$\(?(?:TOP|top|tree|new)\)?"?/\K|(?<![\w/}.-]))(scripts|selftests)/[\w./-]*\w' |
		sort -u | while IFS=: read -r f path; do
			[[ -e $path || $path == scripts/kconfig* || $path =~ /[A-Z]+(/|$) ]] || echo "$f: $path"
		done | none "no such file"
}

# The bugs that tests have to detect: a patch that applies elsewhere is another bug, or none.
check_planted_bugs() {
	local patch
	files 'selftests/plants/*.patch' 'selftests/mutants/*.patch' | while read -r patch; do
		patch -s -p0 -F0 --dry-run <"$patch" >/dev/null || echo "$patch"
	done | none "does not apply exactly"
}

# longest_functions FILE...: "file: function: lines" for functions past 60 lines.
long_functions() {
	awk '/^[a-zA-Z].*[(]/ { name = $0; sub(/[(].*/, "", name); sub(/.*[ *]/, "", name) }
	     /^{/ { start = FNR }
	     /^}/ && start { if (FNR - start > 61)
			print FILENAME ": " name ": " FNR - start - 1 " lines"; start = 0 }' "$@"
}

check_length() {
	# Reported, but no failure: a long function can be the plainest one.
	files 'drivers/*.c' | while read -r f; do long_functions "$f"; done
	files 'drivers/*.[ch]' 'tools/*.c' | grep -v /tests/ | xargs wc -l |
		awk '$2 != "total" && $1 > 350 { print $2 ": " $1 " lines" }' |
		none "longer than 350 lines"
}

check_no_version_ifs() {
	files 'drivers/*.[ch]' 'selftests/sim/*.[ch]' | grep -v '/compat\.h$' |
		search -nE 'LINUX_VERSION_CODE|KERNEL_VERSION|^[ \t]*#[ \t]*(if|elif)[a-z]*.*CONFIG_' |
		none "only compat.h may know that kernels differ"
}

# SC2317 takes functions that are called by a name in a variable for unreachable.
check_shellcheck() {
	files | while read -r f; do
		if [[ $f == *.sh ]] || head -n 1 "$f" | grep -aqE '^#!.*[ /](ba)?sh( |$)'; then
			echo "$f"
		fi
	done | xargs shellcheck -x -P SCRIPTDIR -e SC2317
}

# checkpatch WHERE FILE...: the reports of checkpatch that checkpatch-accepted does not list.
checkpatch() {
	local where=$1 types
	shift
	types=$(sed -n "s/^$where \([A-Z_]*\)$/--ignore \1/p" scripts/check/checkpatch-accepted)
	sed -n "s/^$where \"\(.*\)\"$/\1/p" scripts/check/checkpatch-accepted >"$SCRATCH/texts"
	# It leaves a file in the directory where it runs, and looks for headers in its root.
	mkdir -p "$SCRATCH/root"
	ln -sf "$TOP"/{drivers,include,selftests,tools} "$SCRATCH/root"
	# Its exit status says only that it found something; the text says more.
	# shellcheck disable=SC2086
	{
		cd "$SCRATCH/root" || exit
		perl "$KSRC/scripts/checkpatch.pl" --root=. --no-tree --strict --no-summary \
			--terse --show-types $types -f "$@" 2>&1 || :
	} | { grep -vFf "$SCRATCH/texts" || :; }
}

check_checkpatch() {
	local kernel user
	mapfile -t kernel < <(files 'drivers/*.[ch]' 'include/*.h' 'selftests/sim/*.[ch]')
	mapfile -t user < <(files 'tools/*.[ch]' 'selftests/*.[ch]' | grep -v '^selftests/sim/')
	[ -f "$KSRC/scripts/checkpatch.pl" ] || { echo "no kernel sources in $KSRC: run 'make setup'"; return 1; }
	{
		checkpatch kernel "${kernel[@]}"
		checkpatch user "${user[@]}"
	} | none "checkpatch"
}

check_kernel_doc() {
	local list
	list=$(files 'drivers/*.[ch]' 'include/*.h' 'selftests/sim/*.[ch]' 'tools/lib/*.h')
	# shellcheck disable=SC2086
	"$KSRC/scripts/kernel-doc" -none $list 2>&1 | none "kernel-doc"
}

# Public headers compile alone, as C and as C++, on 64 and 32 bit.
check_headers() {
	local warn=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I include/uapi -I tools/lib/afsync)
	local header std bits
	for header in linux/afsync.h libafsync.h; do
		echo "#include <$header>" >"$SCRATCH/alone.c"
		cp "$SCRATCH/alone.c" "$SCRATCH/alone.cc"
		for bits in -m64 -m32; do
			for std in c99 c11 gnu17; do
				gcc "${warn[@]}" $bits -std=$std "$SCRATCH/alone.c"
			done
			for std in c++11 c++20; do
				g++ "${warn[@]}" $bits -std=$std "$SCRATCH/alone.cc"
			done
		done
	done
}
