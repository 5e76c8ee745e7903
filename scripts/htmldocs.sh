#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make HTML of all pages of Documentation/, the manual pages included.
#
#	scripts/htmldocs.sh [OUT]	in the directory OUT, build/htmldocs if not given
#
# Fails if Sphinx or mandoc has a warning, or if a link leads to no file. Documentation/conf.py
# configures Sphinx.

. "$(dirname "$0")/lib.sh"

out=${1:-$BUILD/htmldocs}
pages=$TOP/Documentation/man
have sphinx-build || die "no sphinx-build here: run 'make setup-docs'"

rm -rf "$out"
mkdir -p "$out/man"
sphinx-build -q -W --keep-going -b html -d "$out/.doctrees" \
	"$TOP/Documentation" "$out" >&2
for page in "$pages"/*.[1-9]; do
	mandoc -T html -W warning "$page" |
		sed -E 's|<b>((lib)?afsync[a-z0-9_-]*)</b> ?\(([1-9])\)|<a href="\1.\3.html">&</a>|g' \
			>"$out/man/${page##*/}.html"
done

# Links to files, without those to other sites and within a page.
find "$out" -name '*.html' | while read -r page; do
	grep -oP '(?<=href=")[^"#:]+(?=[#"])' "$page" | sort -u | while read -r link; do
		[ -e "${page%/*}/$link" ] || echo "${page#"$out"/}: no $link"
	done
done >"$out/.broken"
[ ! -s "$out/.broken" ] || { cat "$out/.broken" >&2; die "links that lead nowhere"; }
say "$out/index.html"
