#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Prints the results of fio.sh as tables.

    scripts/bench/fio-report.py results.jsonl
"""

import json
import sys

JOBS = {"overwrite": "Overwrite random 4 KiB blocks of one file, fdatasync after each write",
        "append": "Append 4 KiB to each of N files in turn, fsync after each write"}


def cells(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            cell = json.loads(line)
            job = cell["fio"]["jobs"][0]
            writes = job["write"]["total_ios"]
            yield {**cell, "rate": writes / job["write"]["runtime"] * 1000,
                   "syncs": job["sync"]["lat_ns"]["N"] / writes, "flushes": cell["flushes"] / writes}


def table(found, job, filesystem):
    found = [c for c in found if (c["job"], c["fs"]) == (job, filesystem)]
    depths = sorted({c["depth"] for c in found})
    if not depths:
        return
    print(f"{JOBS[job]}, {filesystem}\n")
    print(f"{'':20}" + f"{'writes per second':>{9 * len(depths)}}" + f"   with {depths[-1]}, for each write")
    print(f"{'N outstanding':20}" + "".join(f"{d:9}" for d in depths) + f"{'syncs':>10}{'flushes':>10}")
    for engine in dict.fromkeys(c["engine"] for c in found):
        row = {c["depth"]: c for c in found if c["engine"] == engine}
        rates = "".join(f"{row[d]['rate']:9,.0f}" if d in row else f"{'-':>9}" for d in depths)
        last = row.get(depths[-1])
        print(f"{engine:20}{rates}" + (f"{last['syncs']:10.2f}{last['flushes']:10.3f}" if last else ""))
    print()


def main():
    found = list(cells(sys.argv[1]))
    for job in JOBS:
        for filesystem in ("ext4", "xfs"):
            table(found, job, filesystem)


main()
