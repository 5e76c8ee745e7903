#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts the results of the benchmark into the documentation.

    scripts/bench/doc.py DIR OUT

Reads the results of a run in DIR (build/bench). Writes OUT/performance-results.rst, which
performance.rst includes, and copies the plots to OUT/performance.
"""

import pathlib
import shutil
import statistics
import sys

from results import REPEATABLE, VARIANTS, WORKERS, Run, is_variant, repeats
from targets import is_met, targets

ENGINES = ("fdatasync", "sync", "syncfs", "by_hand", "threads", "io_uring", "libaio", "libaio+afsync", "glibc",
           "glibc+afsync", "afsync_threads", "afsync")
DEVICES = {"null_blk-1ms": "a disk of 1 ms", "null_blk-20us": "a disk of 20 us",
           "null_blk-10ms": "a disk of 10 ms", "none": "no disk"}
FIRST = ("ext4", "null_blk-1ms")
PLOTS = {
    "throughput-1-file": "Durable writes per second by the requests outstanding, one file",
    "throughput-many-files": "Durable writes per second by the requests outstanding, a file for each",
    "latency-1-file": "Median time of a write by the requests outstanding, one file",
    "latency-many-files": "Median time of a write by the requests outstanding, a file for each",
    "cost-1-file": "Time of a write and a sync on tmpfs by the requests outstanding, one file",
    "cost-many-files": "Time of a write and a sync on tmpfs by the files queued",
    "log": "Durable records per second by the number of producers",
    "log-latency-64": "Share of the records that are durable after a time, 64 producers",
    "log-latency-256": "Share of the records that are durable after a time, 256 producers",
}


def heading(text, line="-"):
    return [text, line * len(text), ""]


def table(head, rows):
    """A simple table; numbers are right-aligned."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    line = "  ".join("=" * width for width in widths)

    # Columns of numbers only; the first one is left-aligned, because the syntax
    # requires text there.
    right = [i > 0 and all(row[i].strip("~-")[:1].isdigit() or row[i] == "-" for row in rows)
             for i in range(len(head))]

    def text(row):
        return "  ".join(cell.rjust(width) if right[i] else cell.ljust(width)
                         for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
    return [line, text(head), line, *map(text, rows), line, ""]


def figure(name, plots):
    if name not in plots:
        return []
    return [f".. image:: performance/{name}.svg", f"   :alt: {PLOTS[name]}", ""]


def where_text(filesystem, device):
    return "tmpfs" if filesystem == "tmpfs" else f"{filesystem} on {DEVICES[device]}"


def mark(result, text):
    return text if repeats(result) else "~" + text


def rate(result):
    return mark(result, f"{result['ops_per_s']:,.0f}")


def by_shape(results, value, shape=("files", "depth"), engines=ENGINES):
    """A row for each kind of requests, a column for each engine."""
    engines = [e for e in engines if any(r["engine"] == e for r in results)]
    cells = {(tuple(r[name] for name in shape), r["engine"]): r for r in results}
    rows = []
    for where in sorted({key[0] for key in cells}):
        found = [cells.get((where, engine)) for engine in engines]
        rows.append([*(f"{n:,}" for n in where), *(value(r) if r else "-" for r in found)])
    return table([*shape, *engines], rows)


def tables(run):
    """The results of each (workload, filesystem, device), without variants."""
    found = {where: [r for r in results if not is_variant(r)] for where, results in run.tables().items()}
    return {where: results for where, results in found.items() if results}


def overwrite(run, plots):
    yield from heading("Overwrite")
    yield from ("Durable writes per second: overwrite 4 KiB, fdatasync.", "")
    for name in ("throughput-1-file", "latency-1-file", "throughput-many-files", "latency-many-files"):
        yield from figure(name, plots)
    for (workload, *where), results in tables(run).items():
        results = [r for r in results if r["processes"] == 1]
        if workload != "overwrite" or where[0] == "tmpfs":
            continue
        yield from (f"{where_text(*where)}:", "")
        yield from by_shape(results, rate)
        if tuple(where) == FIRST:
            yield from ("Flushes of the disk for each of these writes:", "")
            yield from by_shape(results, lambda r: f"{r['flushes_per_op']:.3f}")


def processes(run):
    results = [r for r in run.tables()[("overwrite", *FIRST)] if r["processes"] > 1
               or r["depth"] == 1 and r["files"] == 16]
    yield from heading("Processes")
    yield from ("Durable writes per second of all processes together, each with one request "
                "outstanding,", f"{where_text(*FIRST)}:", "")
    yield from by_shape(results, rate, ("processes", "files"))
    results = run.tables().get(("brief", *FIRST))
    if results:
        yield from ("The same for processes that live for 12 operations each; the time includes the set-up and the end",
                    "of the interface that they use:", "")
        yield from by_shape(results, rate, ("processes", "files"))


def variants(run):
    found = run.tables()[("overwrite", *FIRST)]
    shape = ("processes", "files", "depth")
    shapes = {tuple(r[name] for name in shape) for r in found if r["engine"] in VARIANTS}
    if not shapes:
        return
    yield from heading("Variants")
    yield from ("The same work with other settings: writers that rewrite each other's blocks (same blocks), io_uring",
                "with its defaults or waiting for all outstanding requests, and a ring without ``INLINE``",
                f"(afsync_queued). Per second, {where_text(*FIRST)}:", "")
    yield from by_shape([r for r in found if tuple(r[name] for name in shape) in shapes], rate, shape,
                        ("fdatasync", "threads", "io_uring", "afsync", *VARIANTS))


def workers(run):
    found = [r for r in run.results if WORKERS.fullmatch(r["engine"])]
    if not found:
        return
    counts = sorted({r["engine"] for r in found}, key=lambda engine: int(WORKERS.fullmatch(engine)[1]))
    yield from heading("Workers")
    yield from (f"afsync with {found[0]['depth']} requests outstanding, each for a file of its own, with different",
                "limits of workers (``workers_per_fs``). Per second:", "")
    rows = {}
    for r in found:
        rows.setdefault((r["workload"], where_text(r["filesystem"], r["device"])), {})[r["engine"]] = rate(r)
    yield from table(["workload", "where", *counts],
                     [[*where, *(row.get(count, "-") for count in counts)] for where, row in sorted(rows.items())])


def others(run, plots):
    for name, text in (("append", "4 KiB at the end of the file, fsync; appends per second."),
                       ("log", "256 bytes at the end of one log, fdatasync; records per second. "
                               "Depth is the number of producers."),
                       ("tree", "Files per second, each open, fsync, close; ``syncfs`` is one for all.")):
        found = {where[1:]: results for where, results in tables(run).items() if where[0] == name}
        if not found:
            continue
        yield from heading(name.capitalize())
        yield from (text, "")
        for plot in PLOTS:
            if plot.startswith(name):
                yield from figure(plot, plots)
        for where, results in found.items():
            yield from (f"{where_text(*where)}:", "")
            yield from by_shape(results, rate)


def cost(run, plots):
    results = run.tables().get(("overwrite", "tmpfs", "none"), [])
    yield from heading("Cost")
    yield from ("Time of a write and a sync on tmpfs, whose sync does nothing, in us. The difference to",
                "fdatasync is the price of the interface.", "")
    for name in ("cost-1-file", "cost-many-files"):
        yield from figure(name, plots)
    yield from by_shape(results, lambda r: mark(r, f"{r['ns_per_op'] / 1000:.1f}"))


def several_cpus(run):
    if not run.pairs:
        return
    yield from heading("Several CPUs")
    yield from ("afsync against each, two CPUs in real time: median of the pairs, lowest and highest.", "")
    yield from table(
        ["filesystem", "engine", "files", "depth", "processes", "ratio", "lowest", "highest"],
        [[filesystem, engine, files, depth, count, *(f"{value:.2f}" for value in (
            statistics.median(values), min(values), max(values)))]
         for (filesystem, files, depth, count, engine), values in run.pairs.items()])


def wanted(run):
    yield from heading("Targets")
    yield from ("Ratios of afsync to the other, unless a unit is given; ext4 on a disk of 1 ms unless",
                "it says otherwise.", "")
    rows, group = [], ""
    for what, value, kind, limit in targets(run):
        # Indented ones continue the one above.
        if what.startswith("  "):
            what = f"{group}: {what.strip()}"
        else:
            group = what.split(":")[0]
        rows.append([what, "-" if value is None else f"{value:.3g}", f"at {kind} {limit}",
                     "yes" if is_met(value, kind, limit) else "no"])
    yield from table(["what", "reached", "wanted", "met"], rows)


def spread(run):
    wide = run.unsteady()
    yield from heading("How far the figures repeat")
    if run.boots == 1:
        yield from ("They are of one boot, so this is not known.", "")
        return
    yield from (f"Of {len(run.results)} figures from {run.boots} boots, {len(run.results) - len(wide)} repeat "
                f"within {REPEATABLE:.0%}.", f"{'These do not; ~ marks them above:' if wide else ''}", "")
    if wide:
        yield from table(["workload", "filesystem", "device", "engine", "files", "depth", "processes", "spread"],
                         [[*(r[name] for name in ("workload", "filesystem", "device", "engine", "files", "depth",
                                                  "processes")), f"{r['spread']:.1%}"] for r in wide])


def main():
    folder, out = (pathlib.Path(arg) for arg in sys.argv[1:])
    run = Run(folder)
    plots = sorted(path.stem for path in folder.glob("*.svg") if path.stem in PLOTS)
    kernel = ", ".join(sorted(run.kernels)) or "6.1"
    lines = [".. SPDX-License-Identifier: GPL-2.0-only", ".. Written by scripts/bench/doc.py: 'make bench-doc'.", "",
             *heading("Results", "="),
             f"These are the figures of {' and '.join(sorted(run.sources))}.",
             f"Debian's kernel {kernel}, {run.boots} boot{'s'[:run.boots > 1]}, virtual time unless it says "
             "otherwise.", ""]
    for part in (wanted(run), overwrite(run, plots), processes(run), variants(run), others(run, plots),
                 workers(run), cost(run, plots), several_cpus(run), spread(run)):
        lines += part
    (out / "performance").mkdir(parents=True, exist_ok=True)
    for old in (out / "performance").glob("*.svg"):
        old.unlink()
    for name in plots:
        shutil.copy(folder / f"{name}.svg", out / "performance")
    (out / "performance-results.rst").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
