# SPDX-License-Identifier: GPL-2.0-only
"""The plots of the benchmark, drawn by gnuplot. Imported by report.py."""

import subprocess

# Each engine has the same colour everywhere; a drop-in has that of the engine it replaces.
STYLES = {
    "by_hand": "lc rgb '#000000' dt 2 pt 2",
    "fdatasync": "lc rgb '#888888' pt 1",
    "syncfs": "lc rgb '#000000' dt 3 pt 3",
    "threads": "lc rgb '#0072b2' pt 4",
    "io_uring": "lc rgb '#009e73' pt 6",
    "libaio": "lc rgb '#e69f00' pt 8",
    "libaio+afsync": "lc rgb '#e69f00' dt 3 pt 9",
    "glibc": "lc rgb '#cc79a7' pt 10",
    "glibc+afsync": "lc rgb '#cc79a7' dt 3 pt 11",
    "afsync_threads": "lc rgb '#d62728' dt 3 pt 5",
    "afsync": "lc rgb '#d62728' pt 7",
}
SCRIPT = """set terminal svg size 800,460 font 'sans,13' background rgb 'white'
set output '{out}'
set title "{title}" font ',15'
set xlabel '{xlabel}'
set ylabel '{ylabel}'
set key outside right reverse Left samplen 3 spacing 1.2
set border 3
set tics nomirror
set grid lc rgb '#dddddd' lt 1
set logscale {log}
set format y '%.0s{yformat}'
{more}
"""
DEPTHS = "set xtics (1, 4, 16, 64, 256, '1,024' 1024, '4,096' 4096)"
SECONDS = " %cs"
COUNTS = "%c"


def curve(results, engine, figure, files, disk, workload="overwrite", unit=1):
    """One figure by depth; with files None, for as many files as requests."""
    points = [(r["depth"], r[figure] * unit) for r in results
              if r["engine"] == engine and r["workload"] == workload and r["processes"] == 1
              and (r["filesystem"], r["device"]) == disk and r[figure]
              and (r["files"] == files or files is None and r["files"] == r["depth"])]
    return sorted(points)


def draw(folder, name, title, labels, curves, yformat=COUNTS, more=DEPTHS, log="xy"):
    curves = {engine: curves[engine] for engine in STYLES if curves.get(engine)}
    if not any(len(points) > 1 for points in curves.values()):
        return
    out = folder / f"{name}.svg"
    if more.startswith(DEPTHS):
        more += f"\nset xrange [0.9:{max(points[-1][0] for points in curves.values()) * 1.15}]"
    script = SCRIPT.format(out=out, title=title, xlabel=labels[0], ylabel=labels[1], yformat=yformat,
                           more=more, log=log)
    script += "plot " + ", ".join(
        f"'-' with linespoints lw {3 if engine == 'afsync' else 1.5} {STYLES[engine]}"
        f" title '{engine}' noenhanced" for engine in curves) + "\n"
    for points in curves.values():
        script += "".join(f"{x} {y:.9g}\n" for x, y in points) + "e\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    # The SPDX line that every file of the project has.
    first, rest = out.read_text(encoding="utf-8").split("\n", 1)
    out.write_text(f"{first}\n<!-- SPDX-License-Identifier: GPL-2.0-only -->\n"
                   + "\n".join(line.rstrip() for line in rest.splitlines()) + "\n", encoding="utf-8")


def depth_plots(folder, results):
    disk = ("ext4", "null_blk-1ms")
    for files, text, suffix in ((1, "one file", "1-file"), (None, "a file for each request", "many-files")):
        where = "overwrite, ext4, 1 ms disk, " + text
        draw(folder, f"throughput-{suffix}", f"Throughput: {where}",
             ("requests outstanding", "durable writes per second"),
             {e: curve(results, e, "ops_per_s", files, disk) for e in STYLES})
        draw(folder, f"latency-{suffix}", f"Latency: {where}",
             ("requests outstanding", "median time until a write is durable"),
             # With syncs one by one nothing is outstanding.
             {e: curve(results, e, "p50_ns", files, disk, unit=1e-9) for e in STYLES
              if e != "fdatasync"}, SECONDS)
        draw(folder, f"cost-{suffix}", f"Cost: overwrite, tmpfs, {text}",
             ("requests outstanding", "time per write and sync"),
             {e: curve(results, e, "ns_per_op", files, ("tmpfs", "none"), unit=1e-9) for e in STYLES},
             SECONDS, DEPTHS + "\nset yrange [8e-6:*]\nset ytics (10e-6, 20e-6, 50e-6, 100e-6, "
             "200e-6, 500e-6)")
    draw(folder, "log", "Group commit: one log, ext4, 1 ms disk",
         ("producers", "durable records per second"),
         {e: curve(results, e, "ops_per_s", 1, disk, "log") for e in STYLES})


def histogram_plot(folder, results, producers):
    """The distribution of the times of records, for the log."""
    curves = {}
    for r in results:
        if r["workload"] == "log" and r["depth"] == producers and r["histogram"]:
            total = sum(count for _, _, count in r["histogram"])
            done, points = 0, []
            for low, high, count in r["histogram"]:
                points.append((low * 1e-9, 100 * done / total))
                done += count
                points.append((high * 1e-9, 100 * done / total))
            curves[r["engine"]] = points
    draw(folder, f"log-latency-{producers}", f"Group commit, {producers} producers: how long a record takes",
         ("time until a record is durable", "percent of the records"), curves, "",
         "set format x '%.0s %cs'\nset yrange [0:100]\nset xtics (1e-3, 4e-3, 16e-3, "
         "64e-3, 256e-3, 1.024)", log="x")


def plot(folder, results):
    depth_plots(folder, results)
    for producers in sorted({r["depth"] for r in results if r["histogram"]})[-2:]:
        histogram_plot(folder, results, producers)
    print(f"\nresults: {folder}/results.json; plots: "
          + " ".join(sorted(path.name for path in folder.glob('*.svg'))))
