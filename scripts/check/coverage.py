#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of the sources have run, and why the others have not.

    scripts/check/coverage.py REASONS SOURCES DIR...

DIR is searched for the notes (.gcno) that gcc has made of each object, and for the counts
(.gcda) beside them. SOURCES is a regular expression for the paths, from the top of the tree,
of the files to look at; a line has run if it has in any object. REASONS says why lines do not
run:

    drivers/afsync/pool.c pool_new()
        The reason, of one line or more. It is for the whole function.
    drivers/afsync/pool.c pool_new(): goto free;
        It is for the lines of the function that have this text.
    drivers/afsync/pool.c pool_get()
        In some runs: a reason that begins like this is for lines that may run, too.

Prints a table of the files, and all lines that have not run, each with its reason. Fails if
such a line has no reason, if a reason is for no such line, or if less than 95 % of the lines of
a directory have run.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOOR = 95.0
SOMETIMES = "In some runs: "
# From 'int name(' in the first column on, lines belong to the function of that name.
FUNCTION = re.compile(r"[A-Za-z_][^;=]*?\b(\w+)\(")

Line = collections.namedtuple("Line", "path number function text")


def counts(sources, folders):
    """{path: {number of the line: how often it has run}}"""
    found = {}
    notes = [str(note) for folder in folders
             for note in sorted(pathlib.Path(folder).rglob("*.gcno"))]
    said = subprocess.run(["gcov", "--json-format", "--stdout", *notes], check=True,
                          stdout=subprocess.PIPE).stdout if notes else b""
    for report in said.splitlines():
        for file in json.loads(report)["files"]:
            path = re.search(rf"(?:^|/)({sources})$", os.path.normpath(file["file"]))
            if not path:
                continue
            lines = found.setdefault(path[1], collections.Counter())
            for line in file["lines"]:
                lines[line["line_number"]] += line["count"]
    return found


def missed_lines(path, lines):
    """Those that have not run."""
    function, missed = "", []
    for number, text in enumerate((TOP / path).read_text().splitlines(), 1):
        begins = FUNCTION.match(text)
        function = begins[1] if begins else function
        if lines.get(number) == 0:
            missed.append(Line(path, number, function, text.strip()))
    return missed


def reasons_in(file):
    """{(path, function, text or None): reason}"""
    reasons, key = {}, None
    for text in pathlib.Path(file).read_text().splitlines():
        entry = re.fullmatch(r"(\S+) (\w+)\(\)(?:: (.+))?", text)
        if entry:
            key = entry.groups()
            if key in reasons:
                sys.exit(f"{file}: twice: {text}")
            reasons[key] = ""
        elif text.startswith("\t") and key:
            reasons[key] = f"{reasons[key]} {text.strip()}".strip()
        elif text and not text.startswith("#"):
            sys.exit(f"{file}: neither an entry nor its reason: {text}")
    return reasons


def print_table(found):
    """The directories that are under the floor."""
    row = "{:<42} {:>6} {:>6} {:>7.1f}".format
    sums, low = {}, []
    print("{:<42} {:>6} {:>6} {:>7}".format("file", "lines", "ran", "%"))
    for path, lines in sorted(found.items()):
        ran = sum(count > 0 for count in lines.values())
        print(row(path, len(lines), ran, 100 * ran / len(lines)))
        total = sums.setdefault(str(pathlib.Path(path).parent), [0, 0])
        total[0] += len(lines)
        total[1] += ran
    print()
    for folder, (lines, ran) in sums.items():
        print(row(folder, lines, ran, 100 * ran / lines))
        if 100 * ran / lines < FLOOR:
            low.append(folder)
    return low


def main():
    reasons = reasons_in(sys.argv[1])
    found = counts(sys.argv[2], sys.argv[3:])
    if not found:
        sys.exit("coverage: nothing was counted")
    low = print_table(found)
    used, bare = set(), 0
    for path, lines in sorted(found.items()):
        for line in missed_lines(path, lines):
            keys = [(line.path, line.function, text) for text in (line.text, None)]
            key = next((key for key in keys if key in reasons), None)
            used.add(key)
            bare += not reasons.get(key)
            print(f"\n{line.path}:{line.number} {line.function}(): {line.text}"
                  f"\n\t{reasons.get(key) or 'NO REASON'}")
    stale = [key for key in reasons if key not in used and not reasons[key].startswith(SOMETIMES)]
    print()
    for path, function, text in stale:
        print(f"has run, or is not there: {path} {function}(){': ' + text if text else ''}")
    for folder in low:
        print(f"under {FLOOR:.0f} %: {folder}")
    if bare:
        print(f"{bare} lines have not run and have no reason in {sys.argv[1]}")
    sys.exit(1 if stale or low or bare else 0)


main()
