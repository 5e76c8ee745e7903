#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Has afsync become slower?

    scripts/bench/gate.py DIR           compare the run in DIR with scripts/bench/gate.txt
    scripts/bench/gate.py --renew DIR   write that file

Prints TAP, a line for each cell. A figure is the speed of afsync against a peer of the same
boot, so another kernel or compiler changes both. If it is more than 5 % below the figure in
the file, the cell fails. A commit that makes a cell slower on purpose renews the file and says
why. A cell that is more than 5 % faster passes, with a remark to renew the file.
"""

import json
import pathlib
import sys

KEPT = pathlib.Path(__file__).with_name("gate.txt")
TOLERANCE = 0.05
DISK, TMPFS = ("ext4", "null_blk-1ms"), ("tmpfs", "none")
# Cells that repeat within 2 %; trees and many processes do not. (workload, disk, files, depth,
# processes, ours, peer, depth of the peer)
CELLS = [
    ("overwrite", DISK, 1, 1, 1, "afsync", "fdatasync", 1),
    ("overwrite", DISK, 1, 64, 1, "afsync", "by_hand", 64),
    ("overwrite", TMPFS, 1, 1, 1, "afsync", "fdatasync", 1),
    ("overwrite", TMPFS, 1, 64, 1, "afsync", "by_hand", 64),
    ("overwrite", TMPFS, 64, 64, 1, "afsync", "fdatasync", 64),
    ("overwrite", TMPFS, 1, 1, 1, "libaio+afsync", "libaio", 1),
    ("overwrite", TMPFS, 1, 64, 1, "libaio+afsync", "libaio", 64),
    ("overwrite", TMPFS, 64, 64, 1, "libaio+afsync", "libaio", 64),
    ("overwrite", TMPFS, 1, 1, 1, "glibc+afsync", "glibc", 1),
    ("overwrite", TMPFS, 1, 64, 1, "glibc+afsync", "glibc", 64),
    ("overwrite", TMPFS, 64, 64, 1, "glibc+afsync", "glibc", 64),
    ("overwrite", TMPFS, 1, 1, 1, "afsync_threads", "fdatasync", 1),
    ("overwrite", TMPFS, 1, 64, 1, "afsync_threads", "by_hand", 64),
]


def name_of(cell):
    workload, where, files, depth, processes, ours, peer, _ = cell
    return (f"{workload} on {where[0]}, {files} file{'s'[:files > 1]}, depth {depth}, "
            f"{processes} process{'es'[:2 * (processes > 1)]}: {ours} against {peer}")


def measured(results):
    """{name: ratio, or None} of all cells."""
    rates = {(r["workload"], r["filesystem"], r["device"], r["files"], r["depth"], r["processes"],
              r["engine"]): r["ops_per_s"] for r in results}
    ratios = {}
    for cell in CELLS:
        workload, where, files, depth, processes, ours, peer, peer_depth = cell
        mine = rates.get((workload, *where, files, depth, processes, ours))
        theirs = rates.get((workload, *where, files, peer_depth, processes, peer))
        ratios[name_of(cell)] = mine / theirs if mine and theirs else None
    return ratios


def kept():
    ratios = {}
    for line in KEPT.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            ratio, name = line.split(maxsplit=1)
            ratios[name] = float(ratio)
    return ratios


def renew(ratios):
    head = ["# SPDX-License-Identifier: GPL-2.0-only",
            "# Speed against a peer of the same boot. Written by 'make bench-gate RENEW=1'."]
    KEPT.write_text("\n".join(head + [f"{ratio:8.4f}  {name}" for name, ratio in ratios.items()]) + "\n",
                    encoding="utf-8")


def compare(ratios, before):
    failed = 0
    for number, (name, ratio) in enumerate(ratios.items(), 1):
        old = before.get(name)
        change = ratio / old - 1 if ratio and old else None
        good = change is not None and change >= -TOLERANCE
        failed += not good
        text = "not measured or not kept" if change is None else f"{ratio:.4f}, {change:+.1%}"
        if change is not None and change > TOLERANCE:
            text += "; renew the figure that is kept"
        print(f"{'ok' if good else 'not ok'} {number} - bench-gate: {name}: {text}")
    return failed


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--renew"]
    results = json.loads((pathlib.Path(args[0]) / "results.json").read_text(encoding="utf-8"))
    ratios = measured(results)
    if "--renew" not in sys.argv:
        sys.exit(1 if compare(ratios, kept()) else 0)
    missing = [name for name, ratio in ratios.items() if ratio is None]
    if missing:
        sys.exit("gate.py: not measured: " + "; ".join(missing))
    renew(ratios)


if __name__ == "__main__":
    main()
