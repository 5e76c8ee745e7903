# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Static checks of the documentation: its syntax, its references, its programs.
# Sourced by check-static.sh. static-names.sh has the names.

RST=Documentation/userspace-api/afsync.rst	# the tutorial and the promises
MAN4=Documentation/man/afsync.4			# the reference

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

check_rst() {
	local f
	# What index.rst has, only Sphinx knows: see check_htmldocs().
	files '*.rst' | grep -vx Documentation/index.rst | while read -r f; do
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

# Sphinx and mandoc build all pages without a warning, and links lead to a file.
check_htmldocs() {
	scripts/htmldocs.sh "$SCRATCH/html"
}

# Paths of this tree that the documentation names exist.
check_doc_paths() {
	local f
	docs_text | grep -oP '(?<![\w/])(Documentation|drivers|include|tools|selftests|scripts)/[A-Za-z0-9_./-]+[A-Za-z0-9_]' |
		sort -u | while read -r f; do
			[ -e "$f" ] || echo "$f"
		done | none "no such file"
}

# Links in the .md files lead to a file, those with a "#" to a heading of it.
check_doc_links() {
	local f link target
	files '*.md' | while read -r f; do
		{ grep -oP '\]\(\K(?!https?:)[^)]+' "$f" || :; } | while read -r link; do
			target=$(dirname "$f")/${link%%#*}
			[ "${link%%#*}" ] || target=$f
			[ -e "$target" ] || { echo "$f: $link"; continue; }
			[[ $link != *#* ]] || sed -n 's/^##* //p' "$target" | tr 'A-Z ' 'a-z-' |
				sed 's/[^a-z0-9_-]//g' | grep -x -- "${link#*#}" >/dev/null || echo "$f: $link"
		done
	done | none "links that lead nowhere"
}

# Every test that the documentation names exists.
check_doc_tests() {
	local f
	docs_text | grep -oE '[a-z0-9_]+_test\.(c|sh)' | sort -u | while read -r f; do
		files "selftests/afsync/$f" "tools/*/tests/$f" | grep . >/dev/null || echo "$f"
	done | none "no such test"
}

# The tests that the pages of the drop-ins name are in the files that they name, which is a
# paragraph "``FILE``: NAME, NAME..." for each file.
check_doc_dropin_tests() {
	local page file name
	for page in Documentation/afsync/{posix,libaio}-tests.rst; do
		grep -q '_test\.c``: ' "$page" || { echo "$page: no test found"; return 1; }
	done
	awk -v RS= '$1 ~ /^``.*_test\.c``:$/ {
		gsub(/[`:,]/, "")
		for (i = 2; i <= NF; i++)
			print $1, $i
	}' Documentation/afsync/{posix,libaio}-tests.rst >"$SCRATCH/tests"
	while read -r file name; do
		grep -qE "^(TEST\w*\((\w+, )?|\s+)${name}[,)]" "selftests/afsync/$file" || echo "$file: $name"
	done <"$SCRATCH/tests" | none "no such test"
}

# Each promise P1 to P15 has a section that names the test files that prove it.
check_doc_promises() {
	local n title tests f bad=0
	for n in {1..15}; do
		title=$(grep -E "^P$n: " $RST) || { echo "P$n: no section"; bad=1; continue; }
		tests=$(rst_section "$title" | tr '\n' ' ' | grep -oE 'Tests?: .*' | grep -oE '[a-z0-9_]+_test\.(c|sh)')
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
