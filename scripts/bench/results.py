# SPDX-License-Identifier: GPL-2.0-only
"""The results of a run of the benchmark. Imported by report.py and doc.py.

A figure is called repeatable if the boots are at most 2 % apart.
"""

import json
import re
import statistics

KEY = ("workload", "filesystem", "device", "engine", "files", "depth", "processes")
FIGURES = ("ops", "ops_per_s", "ns_per_op", "cpu_ns_per_op", "syncs_per_op", "flushes_per_op",
           "switches_per_op", "p50_ns", "p99_ns")
REPEATABLE = 0.02

# The same work with other settings: writers that rewrite each other's blocks, io_uring
# without settings, or waiting for all outstanding requests, and a ring without INLINE.
VARIANTS = ("threads (same blocks)", "fdatasync (same blocks)", "afsync (same blocks)", "io_uring_default",
            "io_uring_all", "afsync_queued")
# afsync with another limit of workers: "afsync (16 workers)".
WORKERS = re.compile(r"afsync \((\d+) workers\)")


def is_variant(result):
    return result["engine"] in VARIANTS or bool(WORKERS.fullmatch(result["engine"]))


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def all_of(boots, name):
    """The values of that name in their lines."""
    return [line[name] for boot in boots for line in boot if name in line]


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def merge(boots):
    """One result for each cell, with the median of each figure."""
    cells = {}
    for boot in boots:
        for run in boot:
            if "engine" in run:
                cells.setdefault(tuple(run[name] for name in KEY), []).append(run)
    results = []
    for key, runs in cells.items():
        result = dict(zip(KEY, key))
        for name in FIGURES:
            result[name] = median([run[name] for run in runs])
        result["ops"] = runs[0]["ops"]
        times = [run["ns_per_op"] for run in runs]
        # One boot has no spread.
        result["spread"] = (max(times) - min(times)) / statistics.median(times) if len(runs) > 1 else None
        result["histogram"] = runs[0].get("histogram")
        results.append(result)
    return results


def repeats(result):
    return result["spread"] is None or result["spread"] <= REPEATABLE


class Run:
    """The results of a run in a folder."""

    def __init__(self, folder):
        boots = [read_lines(path) for path in sorted(folder.glob("boot-*.jsonl"))]
        # A boot that failed before its first result does not count.
        boots = [boot for boot in boots if any("engine" in run for run in boot)]
        self.boots = len(boots)
        self.results = merge(boots)
        self.memory = all_of(boots, "memory")
        self.many = all_of(boots, "many")
        self.opener = all_of(boots, "opener")
        self.preemption_us = all_of(boots, "preemption_us")
        self.kernels = set(all_of(boots, "kernel"))
        self.sources = set(all_of(boots, "source"))
        pairs = folder / "smp.jsonl"
        self.pairs = self.ratios(read_lines(pairs)) if pairs.exists() else {}

    @staticmethod
    def ratios(lines):
        """Pairs of runs: each peer, and afsync right after it."""
        runs = [run for run in lines if "engine" in run]
        ratios = {}
        for peer, ours in zip(runs[::2], runs[1::2]):
            key = tuple(peer[name] for name in ("filesystem", "files", "depth", "processes", "engine"))
            ratios.setdefault(key, []).append(ours["ops_per_s"] / peer["ops_per_s"])
        return ratios

    def tables(self):
        """The results of each (workload, filesystem, device)."""
        tables = {}
        for result in self.results:
            where = tuple(result[name] for name in KEY[:3])
            tables.setdefault(where, []).append(result)
        return tables

    def unsteady(self):
        return sorted((r for r in self.results if not repeats(r)), key=lambda r: -r["spread"])
