# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static checks of names: every public name is documented, and every name of afsync in
# the documentation exists. Sourced by check-static.sh, after static-docs.sh.

UAPI=include/uapi/linux/afsync.h
LIBH=tools/lib/afsync/libafsync.h

# man_section TITLE: the lines of that section of the reference.
man_section() {
	awk -v title="$1" '/^\.S[HS] / { inside = substr($0, 5) == title; next } inside' "$MAN4"
}

# man_terms TITLE: the terms of its lists, each a line ".B term" below a ".TP" or a ".TQ".
man_terms() {
	man_section "$1" | awk 'last ~ /^\.T[PQ]$/ && /^\.B [^ ]+$/ { print $2 } { last = $0 }'
}

uapi_commands() { grep -oE 'AFSYNC_IOC_[A-Z]+' $UAPI | grep -v MAGIC | sort -u; }
uapi_structs() { sed -n 's/^struct \(afsync_[a-z_]*\) {$/\1/p' $UAPI; }
# Fields of a struct, as declared, in the header or in the reference.
struct_fields() {
	sed -n "/^ *struct $1 {\$/,/^ *};\$/p" "$2" | grep -E ';$' | grep -v '}' | sed 's/^[ \t]*//'
}
field_names() { struct_fields "$1" $UAPI | sed 's/;//; s/\[.*//; s/.* //'; }
# The symbols that the library exports, and with the macros, the names that a program can call.
lib_symbols() {
	gcc -fpreprocessed -E -P $LIBH | grep -v '^#' |
		grep -oE '\bafsync_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u
}
lib_functions() {
	lib_symbols
	sed -n 's/^#define \(afsync_[a-z0-9_]*\)(.*/\1/p' $LIBH
}

# Every public name is documented, and every name of afsync in the documentation exists.
check_doc_names() {
	local f name bad=0
	docs_text >"$SCRATCH/text"
	files | grep -vE '^(Documentation/|README\.md$)' | xargs cat |
		grep -aoE '\b_?(AFSYNC|afsync)_[A-Za-z0-9_]+' | sort -u >"$SCRATCH/code"

	man_text "$MAN4" >"$SCRATCH/page"
	{
		grep -oE '^#define AFSYNC_[A-Z0-9_]+' $UAPI | cut -d ' ' -f 2 | grep -vx AFSYNC_IOC_MAGIC
		grep -oE '^'$'\t''AFSYNC_[A-Z0-9_]+' $UAPI | tr -d '\t'
		uapi_structs
		uapi_structs | while read -r name; do
			field_names "$name"
		done
	} | while read -r name; do
		grep -qw -- "$name" "$SCRATCH/page" || echo "$name"
	done | none "missing in $MAN4" || bad=1

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

	# A name that ends in '_' is a prefix of several names.
	grep -oE '\b(AFSYNC|afsync)_[A-Za-z0-9_]+' "$SCRATCH/text" | sort -u | while read -r name; do
		case $name in
		*_) grep -q "^$name" "$SCRATCH/code" || echo "$name" ;;
		*) grep -qx "$name" "$SCRATCH/code" || echo "$name" ;;
		esac
	done | none "documented, does not exist" || bad=1
	return $bad
}

# The structs shown in the reference are those of the header.
check_doc_structs() {
	local name
	for name in $(uapi_structs); do
		diff -u --label "$UAPI: struct $name" --label "$MAN4: struct $name" \
			<(struct_fields "$name" $UAPI) <(struct_fields "$name" "$MAN4")
	done
}

# The text of a section explains each field of the structs that it shows.
check_doc_fields() {
	local section name
	for section in $(uapi_commands) 'COMPLETION BY KERNEL AIO' 'THE RING'; do
		man_section "$section" >"$SCRATCH/section"
		man_terms "$section" >"$SCRATCH/terms"
		sed -n 's/^ *struct \(afsync_[a-z_]*\) {$/\1/p' "$SCRATCH/section" | while read -r name; do
			field_names "$name" | { grep -vxFf "$SCRATCH/terms" || :; } | sed "s/^/$section: $name./"
		done
	done | none "fields that are not explained"
}

# Lists of the documentation contain exactly the names that the sources define.
check_doc_lists() {
	local bad=0 source
	source=$(cat drivers/afsync/*.c | grep -oE 'module_param(_named|_cb)?\([a-z_]+' | sed 's/.*(//')
	same "module parameters, $MAN4" "$source" "$(man_terms PARAMETERS)" || bad=1

	source=$(counters)
	same "counters, $MAN4" "$source" "$(man_terms COUNTERS)" || bad=1
	same "counters, ABI" "$source" \
		"$(sed -n 's|^What:.*/stats/||p' Documentation/ABI/testing/sysfs-class-misc-afsync)" || bad=1

	source=$(grep -oE '(TRACE_EVENT|DEFINE_EVENT\([a-z_]+,) *\(?[a-z_]+' drivers/afsync/trace.h |
		sed 's/.*[( ]//')
	same "tracepoints, $MAN4" "$source" "$(man_terms TRACEPOINTS)" || bad=1

	source=$(grep -ohE '"(--)?[a-z0-9-]+",[[:space:]]*(no|required|optional)_argument|"--[a-z0-9-]+"' tools/afsync/*.c |
		sed 's/"\(--\)\{0,1\}\([^"]*\)".*/--\2/')
	same "options, afsync.1" "$source" \
		"$(man_text Documentation/man/afsync.1 | sed '/^EXAMPLES/q' | grep -oE -- '--[a-z][a-z0-9-]+')" || bad=1
	return $bad
}

counters() { grep -oE '&dev_attr_[a-z_]+\.attr' drivers/afsync/stats.c | sed 's/.*dev_attr_//; s/\.attr//'; }

# The reference has the errors of each command, and each of them is provoked by a test:
# a file that names the errno and the command, or a helper for it.
check_doc_errnos() {
	local cmd helper errno errnos bad=0 tests
	for cmd in $(uapi_commands); do
		errnos=$(man_terms "$cmd" | grep '^E' | sort -u)
		[ -n "$errnos" ] || { echo "$cmd: no errors found in $MAN4"; bad=1; }
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
