#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts the boots of the benchmark together.

    scripts/bench/report.py DIR

Reads boot-*.jsonl and smp.jsonl of DIR. Writes results.json (the median of each figure over
the boots), variants.json (the same, of variants of the engines), a table on the terminal
with the targets, and plots (SVG, by gnuplot). The status is 2 if a target is not met.
"""

import json
import pathlib
import statistics
import sys

import plots
import targets
from results import FIGURES, KEY, REPEATABLE, Run, is_variant, repeats


def write_rows(path, results):
    rows = [{name: result[name] for name in KEY + FIGURES} for result in results]
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n",
                    encoding="utf-8")


def cell_text(result):
    if not result:
        return "-"
    text = f"{'' if repeats(result) else '~'}{result['ops_per_s']:,.0f}"
    if result["flushes_per_op"] is not None:
        text += f" ({result['flushes_per_op']:.3f})"
    return text


def print_tables(run):
    """For each workload and disk: engines down, files and depth across."""
    for (workload, filesystem, device), rows in run.tables().items():
        cells = {(r["engine"], r["files"], r["depth"], r["processes"]): r for r in rows}
        columns = sorted({key[1:] for key in cells}, key=lambda c: (c[2], c[0], c[1]))
        print(f"\n{workload}, {filesystem} on {device}: operations per second"
              " (flushes per operation)"
              + ("" if all(map(repeats, rows)) else f"; ~ differs by more than {REPEATABLE:.0%}"))
        for start in range(0, len(columns), 6):
            part = columns[start:start + 6]
            heads = [f"{f} file{'s'[:f > 1]}, depth {d}" if p == 1 else f"{p} proc., {f} file{'s'[:f > 1]}"
                     for f, d, p in part]
            print(f"  {'':21}" + "".join(f"{head:>24}" for head in heads))
            for engine in dict.fromkeys(r["engine"] for r in rows):
                line = [cell_text(cells.get((engine, *column))) for column in part]
                if set(line) != {"-"}:
                    print(f"  {engine:21}" + "".join(f"{text:>24}" for text in line))


def print_spread(run):
    count, wide = len(run.results), run.unsteady()
    if run.boots == 1:
        print(f"\n{count} figures from one boot: how far they repeat is not known")
        return
    print(f"\n{count} figures from {run.boots} boots; {count - len(wide)} repeat within"
          f" {REPEATABLE:.0%}, {len(wide)} do not{':' * bool(wide)}")
    for r in wide:
        print(f"  {r['spread']:6.1%}  {r['workload']}, {r['filesystem']} on {r['device']}, {r['engine']},"
              f" {r['files']} files, depth {r['depth']}, {r['processes']} processes")


def print_pairs(run):
    """Pairs of runs on several CPUs in real time: each peer, and afsync right after it."""
    if not run.pairs:
        return
    print("\nseveral CPUs, real time: afsync against each, median of the pairs (lowest to highest)")
    for (filesystem, files, depth, processes, engine), values in run.pairs.items():
        print(f"  {filesystem:6} {files:4} files, depth {depth:3}, {processes:3} processes, {engine:10}"
              f" {statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})")


def main():
    folder = pathlib.Path(sys.argv[1])
    run = Run(folder)
    if not run.results:
        sys.exit("report.py: no results")
    write_rows(folder / "results.json", [r for r in run.results if not is_variant(r)])
    write_rows(folder / "variants.json", [r for r in run.results if is_variant(r)])
    print_tables(run)
    print_spread(run)
    print_pairs(run)
    met = targets.print_targets(run)
    plots.plot(folder, run.results)
    sys.exit(0 if met else 2)


if __name__ == "__main__":
    main()
