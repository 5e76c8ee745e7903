# SPDX-License-Identifier: GPL-2.0-only
"""The plots of the benchmark, drawn by gnuplot. Imported by bench-report.py."""

import subprocess

ENGINES = ("by_hand", "fdatasync", "threads", "io_uring", "libaio", "glibc", "afsync")
STYLE = """set terminal svg size 760,440 font 'sans,12' background rgb 'white'
set output '{out}'
set title "{title}"
set xlabel '{xlabel}'
set ylabel '{ylabel}'
set key outside right
set grid
set logscale x 2
set logscale y
set format y '%.0s %c'
"""


def curve(results, engine, figure, files, disk, workload="overwrite"):
    points = [(r["depth"], r[figure]) for r in results
              if r["engine"] == engine and r["workload"] == workload and r["processes"] == 1
              and (r["filesystem"], r["device"]) == disk and r[figure]
              and (r["files"] == files or files is None and r["files"] == r["depth"])]
    return sorted(points)


def draw(folder, name, title, labels, curves):
    curves = {engine: points for engine, points in curves.items() if points}
    if not any(len(points) > 1 for points in curves.values()):
        return
    script = STYLE.format(out=folder / f"{name}.svg", title=title, xlabel=labels[0], ylabel=labels[1])
    script += "plot " + ", ".join(
        f"'-' with linespoints lw {3 if engine == 'afsync' else 1} title '{engine}' noenhanced"
        for engine in curves) + "\n"
    for points in curves.values():
        script += "".join(f"{x} {y}\n" for x, y in points) + "e\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def depth_plots(folder, results):
    disk = ("ext4", "null_blk-1ms")
    for files, text, suffix in ((1, "1 file", "1-file"), (None, "a file for each", "many-files")):
        draw(folder, f"throughput-{suffix}", f"4 KiB overwritten and synced, ext4, 1 ms disk, {text}",
             ("requests outstanding", "durable writes per second"),
             {e: curve(results, e, "ops_per_s", files, disk) for e in ENGINES})
        draw(folder, f"latency-{suffix}", f"Latency (median), ext4, 1 ms disk, {text}",
             ("requests outstanding", "nanoseconds"),
             {e: curve(results, e, "p50_ns", files, disk) for e in ENGINES})
        draw(folder, f"cost-{suffix}", f"Cost of a write and a sync that does nothing, tmpfs, {text}",
             ("requests outstanding", "CPU nanoseconds"),
             {e: curve(results, e, "ns_per_op", files, ("tmpfs", "none")) for e in ENGINES})
    draw(folder, "log", "Group commit of a log, ext4, 1 ms disk", ("producers", "records per second"),
         {e: curve(results, e, "ops_per_s", 1, disk, "log") for e in ENGINES})


def histogram_plot(folder, results, producers):
    """How many of the records took how long, for the log."""
    curves = {}
    for r in results:
        if r["workload"] == "log" and r["depth"] == producers and r["histogram"]:
            total = sum(count for _, _, count in r["histogram"])
            curves[r["engine"]] = [((low + high) / 2, 100 * count / total)
                                   for low, high, count in r["histogram"]]
    draw(folder, f"log-latency-{producers}", f"Log, {producers} producers: how long a record takes",
         ("nanoseconds", "percent of the records"), curves)


def plot(folder, results):
    depth_plots(folder, results)
    for producers in sorted({r["depth"] for r in results if r["histogram"]})[-2:]:
        histogram_plot(folder, results, producers)
    print(f"\nresults: {folder}/results.json; plots: "
          + " ".join(sorted(path.name for path in folder.glob('*.svg'))))
