# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static checks of the documentation: its syntax, and that it names what exists
# and all of it. Sourced by check-static.sh.

UAPI=include/uapi/linux/afsync.h
RST=Documentation/userspace-api/afsync.rst
MAN4=Documentation/man/afsync.4
LIBH=tools/lib/afsync/libafsync.h

# same WHAT LEFT RIGHT: two lists, one name in a line, must be equal.
same() {
	local left right
	left=$(sort -u <<<"$2") right=$(sort -u <<<"$3")
	[ -n "$left" ] || { echo "$1: nothing found to compare"; return 1; }
	diff <(echo "$left") <(echo "$right") |
		sed -n 's/^</not documented:/p; s/^>/documented, does not exist:/p' |
		none "$1"
}

# The text of a man page as a reader sees it.
man_text() { mandoc -T ascii "$1" | col -b; }

all_docs() { files 'Documentation/*' README.md; }

docs_text() {
	local f
	all_docs | while read -r f; do
		case $f in
		*.[0-9]) man_text "$f" ;;
		*) cat "$f" ;;
		esac
	done
}

# rst_section TITLE: the lines below that heading, down to the next one of any kind.
rst_section() {
	awk -v title="$1" '
		NR > 1 && /^[=~-]+$/ && length($0) >= length(last) && last != "" && last !~ /^ / {
			inside = last == title
			held = ""
		}
		{ if (inside && held != "") print held; held = $0; last = $0 }
		END { if (inside) print held }' "$RST"
}

# The terms of the definition lists in a section of the page for programs.
# shellcheck disable=SC2016
rst_terms() {
	rst_section "$1" | grep -E '^``[^ ]+``(, ``[^ ]+``)*$' | grep -oE '``[^`]+``' | tr -d '`:'
}

# man_terms SECTION: the same of afsync.4, where a term is a line ".B term" after ".TP".
man_terms() {
	awk -v title="$1" '/^\.S[HS] / { inside = ($2 == title) }
		inside && last == ".TP" && /^\.B [^ ]+$/ { print $2 }
		{ last = $0 }' "$MAN4"
}

uapi_commands() { grep -oE 'AFSYNC_IOC_[A-Z]+' $UAPI | grep -v MAGIC | sort -u; }
uapi_structs() { sed -n 's/^struct \(afsync_[a-z_]*\) {$/\1/p' $UAPI; }
# Fields of a struct, as declared, in a header or in the page for programs.
struct_fields() {
	sed -n "/^ *struct $1 {\$/,/^ *};\$/p" "$2" | grep -E ';$' | grep -v '}' | sed 's/^[ \t]*//'
}
field_names() { struct_fields "$1" $UAPI | sed 's/;//; s/\[.*//; s/.* //'; }
# What the library exports, and with the macros, what a program can call.
lib_symbols() {
	gcc -fpreprocessed -E -P $LIBH | grep -v '^#' |
		grep -oE '\bafsync_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u
}
lib_functions() {
	lib_symbols
	sed -n 's/^#define \(afsync_[a-z0-9_]*\)(.*/\1/p' $LIBH
}

check_rst() {
	local f
	files '*.rst' | while read -r f; do
		rst2html --strict --halt=2 --syntax-highlight=none "$f" >/dev/null || echo "$f"
	done 2>&1 | none "not valid"
}

check_man() {
	local f
	[ -f $MAN4 ] || { echo "no $MAN4"; return 1; }
	files 'Documentation/man/*' | xargs mandoc -T lint -W warning
	files 'Documentation/man/*' | while read -r f; do
		grep -qE '^\.(SH|Sh|so) ' "$f" || echo "$f: no section"
	done | none "man pages"
}

check_abi() {
	perl "$KSRC/scripts/get_abi.pl" --dir Documentation/ABI validate 2>&1 | none "ABI files"
}

# Every public name is documented, and every name of ours in the documentation exists.
check_doc_names() {
	local f name bad=0
	docs_text >"$SCRATCH/text"
	files | grep -vE '^(Documentation/|README\.md$)' | xargs cat |
		grep -aoE '\b_?(AFSYNC|afsync)_[A-Za-z0-9_]+' | sort -u >"$SCRATCH/code"

	for f in $RST $MAN4; do
		man_or_cat "$f" >"$SCRATCH/page"
		{
			grep -oE '^#define AFSYNC_[A-Z0-9_]+' $UAPI | cut -d ' ' -f 2 | grep -vx AFSYNC_IOC_MAGIC
			grep -oE '^'$'\t''AFSYNC_[A-Z0-9_]+' $UAPI | tr -d '\t'
			uapi_structs
			uapi_structs | while read -r name; do
				field_names "$name"
			done
		} | while read -r name; do
			grep -qw -- "$name" "$SCRATCH/page" || echo "$name"
		done | none "missing in $f" || bad=1
	done

	lib_functions | while read -r name; do
		[ -f "Documentation/man/$name.3" ] || echo "$name"
	done | none "library functions without a man page" || bad=1
	files 'Documentation/man/*.3' | sed 's|.*/||; s|\.3$||' | while read -r name; do
		lib_functions | grep -x "$name" >/dev/null || echo "$name"
	done | none "man pages of no function" || bad=1
	files 'Documentation/man/*.3' | while read -r f; do
		name=$(basename "$f" .3)
		grep -q '^\.so ' "$f" && f=Documentation/$(sed -n 's/^\.so *//p' "$f" | sed 's|^man3/|man/|')
		man_text "$f" | sed -n '/^NAME/,/^[A-Z]/p;/^SYNOPSIS/,/^DESCRIPTION/p' | grep -w "$name" >/dev/null ||
			echo "$name"
	done | none "functions that their man page does not name" || bad=1

	# A name that ends in '_' stands for all that begin so.
	grep -oE '\b(AFSYNC|afsync)_[A-Za-z0-9_]+' "$SCRATCH/text" | sort -u | while read -r name; do
		case $name in
		*_) grep -q "^$name" "$SCRATCH/code" || echo "$name" ;;
		*) grep -qx "$name" "$SCRATCH/code" || echo "$name" ;;
		esac
	done | none "documented, does not exist" || bad=1
	return $bad
}

man_or_cat() {
	case $1 in
	*.[0-9]) man_text "$1" ;;
	*) cat "$1" ;;
	esac
}

# The structs shown in the page for programs are those of the header.
check_doc_structs() {
	local name
	for name in $(uapi_structs); do
		diff -u --label "$UAPI: struct $name" --label "$RST: struct $name" \
			<(struct_fields "$name" $UAPI) <(struct_fields "$name" $RST)
	done
}

# The text of a section explains each field of the structs that it shows.
check_doc_fields() {
	local section name
	for section in $(uapi_commands) 'The ring'; do
		rst_section "$section" >"$SCRATCH/section"
		rst_terms "$section" >"$SCRATCH/terms"
		sed -n 's/^ *struct \(afsync_[a-z_]*\) {$/\1/p' "$SCRATCH/section" | while read -r name; do
			field_names "$name" | { grep -vxFf "$SCRATCH/terms" || :; } | sed "s/^/$section: $name./"
		done
	done | none "fields that are not explained"
}

# Lists of the documentation hold exactly what the sources define.
check_doc_lists() {
	local bad=0 source
	source=$(cat drivers/afsync/*.c | grep -oE 'module_param(_named|_cb)?\([a-z_]+' | sed 's/.*(//')
	same "module parameters, $RST" "$source" "$(rst_terms 'Module parameters')" || bad=1
	same "module parameters, $MAN4" "$source" "$(man_terms PARAMETERS)" || bad=1

	source=$(counters)
	same "counters, $RST" "$source" "$(rst_terms Counters)" || bad=1
	same "counters, $MAN4" "$source" "$(man_terms COUNTERS)" || bad=1
	same "counters, ABI" "$source" \
		"$(sed -n 's|^What:.*/stats/||p' Documentation/ABI/testing/sysfs-class-misc-afsync)" || bad=1

	source=$(grep -oE '(TRACE_EVENT|DEFINE_EVENT\([a-z_]+,) *\(?[a-z_]+' drivers/afsync/trace.h |
		sed 's/.*[( ]//')
	same "tracepoints, $RST" "$source" "$(rst_terms Tracepoints)" || bad=1
	same "tracepoints, $MAN4" "$source" "$(man_terms TRACEPOINTS)" || bad=1

	source=$(grep -ohE '"(--)?[a-z0-9-]+",[[:space:]]*(no|required|optional)_argument|"--[a-z0-9-]+"' tools/afsync/*.c |
		sed 's/"\(--\)\{0,1\}\([^"]*\)".*/--\2/')
	same "options, afsync.1" "$source" \
		"$(man_text Documentation/man/afsync.1 | grep -oE -- '--[a-z][a-z0-9-]+')" || bad=1
	return $bad
}

counters() { grep -oE '&dev_attr_[a-z_]+\.attr' drivers/afsync/stats.c | sed 's/.*dev_attr_//; s/\.attr//'; }

# Both pages have the same errors for each command, and each of them is provoked
# by a test: a file that names the errno and the command, or a helper for it.
check_doc_errnos() {
	local cmd helper errno errnos bad=0 tests
	for cmd in $(uapi_commands); do
		errnos=$(rst_terms "$cmd" | grep '^E' | sort -u)
		same "errors of $cmd, left $RST, right $MAN4" "$errnos" "$(man_terms "$cmd")" || bad=1
		helper=${cmd#AFSYNC_IOC_}
		helper=${helper,,}
		[ "$helper" != submit ] || helper='(submit|queue)'
		for errno in $errnos; do
			tests=$(files 'selftests/afsync/*_test.c' |
				search -lwE "$cmd|(afsync_cmd|ring)_$helper" | search -lw "$errno")
			[ -n "$tests" ] || { echo "$cmd: no test provokes $errno"; bad=1; }
		done
	done
	return $bad
}

# Paths of this tree that the documentation names exist.
check_doc_paths() {
	local f
	docs_text | grep -oP '(?<![\w/])(Documentation|drivers|include|tools|selftests|scripts)/[A-Za-z0-9_./-]+[A-Za-z0-9_]' |
		sort -u | while read -r f; do
			[ -e "$f" ] || echo "$f"
		done | none "no such file"
}

# Each promise P1 to P13 has a section that names the test files that prove it.
check_doc_promises() {
	local n title tests f bad=0
	for n in {1..13}; do
		title=$(grep -E "^P$n: " $RST) || { echo "P$n: no section"; bad=1; continue; }
		tests=$(rst_section "$title" | tr '\n' ' ' | grep -oE 'Tests?: .*' | grep -oE '[a-z0-9_]+_test\.c')
		[ -n "$tests" ] || { echo "P$n: names no test"; bad=1; }
		for f in $tests; do
			[ -e "selftests/afsync/$f" ] || { echo "P$n: no test file $f"; bad=1; }
		done
	done
	return $bad
}

# The complete programs in the documentation compile without a warning.
check_doc_programs() {
	local cc=(gcc -Wall -Wextra -Werror -O2 -I include/uapi -I tools/lib/afsync -c -x c -o "$SCRATCH/a.o")
	rst_section 'A first program' | sed -n '/#include/,/^    }$/s/^    //p' >"$SCRATCH/rst.c"
	# shellcheck disable=SC2016
	sed -n '/^```c$/,/^```$/{/^```/!p}' README.md >"$SCRATCH/readme.c"
	local f
	for f in "$SCRATCH"/{rst,readme}.c; do
		grep -q 'int main' "$f" || { echo "$(basename "$f"): no program found"; return 1; }
		"${cc[@]}" "$f"
	done
	[ "$(wc -l <"$SCRATCH/readme.c")" -lt 60 ] || { echo "README.md: program of 60 lines or more"; return 1; }
}
