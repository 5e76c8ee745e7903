# SPDX-License-Identifier: GPL-2.0-only
"""The conditions for the results of the short benchmark, at any speed.

Each check_NAME takes a Run and raises AssertionError. Used by examine.py.
"""

import json
import xml.etree.ElementTree

from results import all_of, read_lines

NAMES = ("workload", "filesystem", "device", "engine")
COUNTS = ("files", "depth", "processes", "ops")
FIGURES = ("ops_per_s", "ns_per_op", "cpu_ns_per_op", "syncs_per_op", "flushes_per_op",
           "switches_per_op", "p50_ns", "p99_ns")
DISKS = [(filesystem, device) for filesystem in ("ext4", "xfs")
         for device in ("null_blk-1ms", "null_blk-20us")]
TMPFS = ("tmpfs", "none")
FIRST = DISKS[0]
PEERS = ("fdatasync", "syncfs", "by_hand", "threads", "io_uring", "libaio", "glibc", "afsync",
         "afsync_threads", "libaio+afsync", "glibc+afsync")
PROCESSES = ("fdatasync", "io_uring", "libaio", "glibc", "afsync")
PLOTS = {f"{what}-{files}" for what in ("throughput", "latency", "cost")
         for files in ("1-file", "many-files")} | {"log", "log-latency-1", "log-latency-4"}


class Run:
    """The folder with the results of a run of the benchmark."""

    def __init__(self, folder):
        self.results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        self.table = (folder / "table.txt").read_text(encoding="utf-8")
        self.plots = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
        boots = [read_lines(folder / "boot-1.jsonl")]
        self.memory = all_of(boots, "memory")
        self.many = all_of(boots, "many")
        self.opener = all_of(boots, "opener")
        self.preemption_us = all_of(boots, "preemption_us")

    def cells(self, **where):
        return [r for r in self.results if all(r[name] == value for name, value in where.items())]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def name_of(row):
    return " ".join(str(row.get(name)) for name in NAMES + COUNTS)


def check_fields(run):
    """results.json is a list of objects with these fields and types, and no others"""
    assert isinstance(run.results, list), "not a list"
    assert run.results, "empty"
    for row in run.results:
        assert isinstance(row, dict), f"not an object: {row}"
        assert set(row) == {*NAMES, *COUNTS, *FIGURES}, f"fields: {sorted(row)}"
        for name in NAMES:
            assert isinstance(row[name], str) and row[name], f"{name} of {name_of(row)}"
        for name in COUNTS:
            assert type(row[name]) is int, f"{name} of {name_of(row)}: {row[name]!r}"
        for name in FIGURES:
            assert row[name] is None or is_number(row[name]), f"{name} of {name_of(row)}: {row[name]!r}"


def check_cells(run):
    """every engine, with every workload, on every disk, and none twice"""
    found = {tuple(row[name] for name in NAMES) for row in run.results}
    wanted = {("overwrite", *disk, engine) for disk in DISKS + [TMPFS] for engine in PEERS}
    wanted |= {("append", *disk, engine) for disk in DISKS for engine in PEERS}
    wanted |= {("log", *FIRST, engine) for engine in PEERS}
    wanted |= {("tree", *FIRST, engine) for engine in (*PEERS, "sync") if engine != "by_hand"}
    wanted |= {("brief", *FIRST, engine) for engine in PROCESSES}
    assert not wanted - found, f"missing: {sorted(wanted - found)}"
    assert not found - wanted, f"not known: {sorted(found - wanted)}"
    keys = [tuple(row[name] for name in NAMES + COUNTS[:3]) for row in run.results]
    assert len(keys) == len(set(keys)), "a cell is there twice"


def check_shapes(run):
    """one file and many, one request and many, one process and many"""
    for disk in (FIRST, TMPFS):
        for engine in PEERS[1:]:
            found = {(r["files"], r["depth"]) for r in run.cells(
                workload="overwrite", filesystem=disk[0], device=disk[1], engine=engine, processes=1)}
            assert {(1, 1), (1, 4), (4, 4)} <= found, f"{engine} on {disk}: {sorted(found)}"
    for engine in PROCESSES:
        assert run.cells(engine=engine, processes=4, files=2), f"{engine}: no processes"
    for engine in PEERS[1:]:
        found = {r["depth"] for r in run.cells(workload="log", engine=engine)}
        assert found == {1, 4}, f"{engine}: producers {sorted(found)}"


def check_figures(run):
    """counts and times are above zero, and fit together"""
    for row in run.results:
        for name in COUNTS + FIGURES[:4]:
            assert is_number(row[name]) and row[name] > 0, f"{name} of {name_of(row)}: {row[name]}"
        switches = row["switches_per_op"]
        assert is_number(switches) and switches >= 0, f"switches_per_op of {name_of(row)}: {switches}"
        product = row["ops_per_s"] * row["ns_per_op"]
        assert abs(product - 1e9) < 1e6, f"ops_per_s and ns_per_op of {name_of(row)}"
        assert row["cpu_ns_per_op"] <= row["ns_per_op"] * 1.01, f"more than one CPU: {name_of(row)}"
        assert row["syncs_per_op"] <= 1, f"syncs_per_op of {name_of(row)}: {row['syncs_per_op']}"


def check_flushes(run):
    """flushes reach every disk, and are null without one"""
    for row in run.results:
        flushes = row["flushes_per_op"]
        if row["device"] == "none":
            assert flushes is None, f"{name_of(row)}: {flushes}"
        else:
            assert is_number(flushes) and flushes > 0, f"{name_of(row)}: {flushes}"


def check_latency(run):
    """p50 and p99 are there where each operation has a time of its own"""
    for row in run.results:
        whole = row["workload"] == "tree" and row["engine"] in ("syncfs", "sync")
        times = row["p50_ns"], row["p99_ns"]
        if row["filesystem"] == "tmpfs" or whole:
            assert times == (None, None), f"{name_of(row)}: {times}"
        else:
            assert None not in times and 0 < times[0] <= times[1], f"{name_of(row)}: {times}"


def check_memory(run):
    """the memory of a request has been counted"""
    assert len(run.memory) == 1, f"{len(run.memory)} times"
    assert run.memory[0]["queued_bytes"] > 0, run.memory
    assert run.memory[0]["with_file_bytes"] > run.memory[0]["queued_bytes"], run.memory
    assert is_number(run.memory[0]["idle_bytes"]), run.memory


def check_many(run):
    """one request among many has been timed"""
    assert len(run.many) == 1, f"{len(run.many)} times"
    assert len(run.many[0]) == 4 and all(us > 0 for us in run.many[0].values()), run.many


def check_others(run):
    """what others on the machine notice has been timed"""
    assert len(run.opener) == 1 and len(run.preemption_us) == 1, f"{run.opener}, {run.preemption_us}"
    assert len(run.opener[0]) == 3 and all(us > 0 for us in run.opener[0].values()), run.opener
    assert run.preemption_us[0] > 0, run.preemption_us


def check_plots(run):
    """every plot is an SVG with lines"""
    assert not PLOTS - set(run.plots), f"missing: {sorted(PLOTS - set(run.plots))}"
    for name, text in run.plots.items():
        root = xml.etree.ElementTree.fromstring(text)
        assert root.tag.endswith("}svg"), f"{name}: {root.tag}"
        assert any(element.tag.endswith("}path") for element in root.iter()), f"{name}: empty"
        assert "afsync" in text, f"{name}: no afsync"


def check_table(run):
    """the table has every part, engine and target"""
    for text in ("overwrite, ext4 on null_blk-1ms:", "overwrite, tmpfs on none:", "several CPUs, real time",
                 "\ntargets (", "targets met"):
        assert text in run.table, f"no '{text.strip()}'"
    for engine in PEERS:
        assert f"\n  {engine} " in run.table, f"no {engine}"
    pairs = run.table.split("several CPUs, real time")[1].split("\n\n")[0]
    assert len(pairs.splitlines()) == 13, "pairs: " + pairs
    targets = run.table.split("\ntargets (")[1]
    assert targets.count("  at least ") + targets.count("  at most ") == 40, "targets: " + targets


CHECKS = [check for name, check in globals().items() if name.startswith("check_")]
