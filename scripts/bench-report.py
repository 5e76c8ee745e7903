#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Put the boots of the benchmark together.

    scripts/bench-report.py DIR

Reads boot-*.jsonl and smp.jsonl of DIR. Writes results.json (the median of each figure over
the boots), variants.json (the same, of variants of the engines), a table on the terminal with the targets, and plots (SVG, by gnuplot).
A figure is called repeatable if the boots are at most 2 % apart.
"""

import json
import pathlib
import statistics
import sys

import bench_plots
import bench_targets

KEY = ("workload", "filesystem", "device", "engine", "files", "depth", "processes")
FIGURES = ("ops", "ops_per_s", "ns_per_op", "cpu_ns_per_op", "syncs_per_op", "flushes_per_op",
           "p50_ns", "p99_ns")
REPEATABLE = 0.02

# Other ways to do the same work: writers of one file that keep to blocks of their own, and
# io_uring with more workers than it has by itself.
VARIANTS = ("threads (apart)", "fdatasync (apart)", "afsync (apart)", "io_uring_workers")


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def key_of(run):
    return tuple(run[name] for name in KEY)


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def merge(boots):
    """One result for each cell, with the median of each figure."""
    cells = {}
    for boot in boots:
        for run in boot:
            if "engine" in run:
                cells.setdefault(key_of(run), []).append(run)
    results = []
    for key, runs in cells.items():
        result = dict(zip(KEY, key))
        for name in FIGURES:
            result[name] = median([run[name] for run in runs])
        times = [run["ns_per_op"] for run in runs]
        result["spread"] = (max(times) - min(times)) / statistics.median(times)
        result["histogram"] = runs[0].get("histogram")
        results.append(result)
    return results


def write_rows(path, results):
    rows = [{name: result[name] for name in KEY + FIGURES} for result in results]
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n",
                    encoding="utf-8")


def cell_text(result):
    if not result:
        return "-"
    text = f"{result['ops_per_s']:,.0f}"
    if result["flushes_per_op"] is not None:
        text += f" ({result['flushes_per_op']:.3f})"
    return text


def print_tables(results):
    """For each workload and disk: engines down, files and depth across."""
    tables = {}
    for result in results:
        where = tuple(result[name] for name in ("workload", "filesystem", "device"))
        tables.setdefault(where, []).append(result)
    for where, rows in tables.items():
        workload, filesystem, device = where
        cells = {(r["engine"], r["files"], r["depth"], r["processes"]): r for r in rows}
        columns = sorted({key[1:] for key in cells}, key=lambda c: (c[2], c[0], c[1]))
        print(f"\n{workload}, {filesystem} on {device}: operations per second"
              " (flushes per operation)")
        for start in range(0, len(columns), 6):
            part = columns[start:start + 6]
            heads = [f"{f} file{'s'[:f > 1]}, depth {d}" if p == 1 else f"{p} proc., {f} file{'s'[:f > 1]}"
                     for f, d, p in part]
            print(f"  {'':18}" + "".join(f"{head:>22}" for head in heads))
            for engine in dict.fromkeys(r["engine"] for r in rows):
                line = [cell_text(cells.get((engine, *column))) for column in part]
                if set(line) != {"-"}:
                    print(f"  {engine:18}" + "".join(f"{text:>22}" for text in line))


def print_spread(results, boots):
    wide = sorted((r for r in results if r["spread"] > REPEATABLE), key=lambda r: -r["spread"])
    print(f"\n{len(results)} figures from {boots} boots; {len(results) - len(wide)} repeat within"
          f" {REPEATABLE:.0%}, {len(wide)} do not:")
    for r in wide:
        print(f"  {r['spread']:6.1%}  {r['workload']}, {r['filesystem']} on {r['device']}, {r['engine']},"
              f" {r['files']} files, depth {r['depth']}, {r['processes']} processes")


def print_pairs(runs):
    """Pairs of runs on several CPUs in real time: each peer, and afsync right after it."""
    ratios = {}
    for peer, ours in zip(runs[::2], runs[1::2]):
        key = tuple(peer[name] for name in ("filesystem", "files", "depth", "processes", "engine"))
        ratios.setdefault(key, []).append(ours["ops_per_s"] / peer["ops_per_s"])
    if not ratios:
        return
    print("\nseveral CPUs, real time: afsync against each, median of the pairs (lowest to highest)")
    for (filesystem, files, depth, processes, engine), values in ratios.items():
        print(f"  {filesystem:6} {files:4} files, depth {depth:3}, {processes:3} processes, {engine:10}"
              f" {statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})")


def main():
    folder = pathlib.Path(sys.argv[1])
    boots = [read_lines(path) for path in sorted(folder.glob("boot-*.jsonl"))]
    results = merge(boots)
    if not results:
        sys.exit("bench-report.py: no results")
    write_rows(folder / "results.json", [r for r in results if r["engine"] not in VARIANTS])
    write_rows(folder / "variants.json", [r for r in results if r["engine"] in VARIANTS])
    memory = [run["memory"] for boot in boots for run in boot if "memory" in run]
    print_tables(results)
    print_spread(results, len(boots))
    if (folder / "smp.jsonl").exists():
        print_pairs(read_lines(folder / "smp.jsonl"))
    bench_targets.print_targets(results, memory)
    bench_plots.plot(folder, results)


if __name__ == "__main__":
    main()
