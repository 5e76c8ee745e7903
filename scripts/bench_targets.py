# SPDX-License-Identifier: GPL-2.0-only
"""The targets of the benchmark, and whether they are met. Imported by bench-report.py.

All are of one run in virtual time, and on ext4 on a disk of 1 ms unless they say otherwise.
"""


class Results:
    def __init__(self, results):
        self.cells = {(r["workload"], r["filesystem"], r["device"], r["engine"], r["files"],
                       r["depth"], r["processes"]): r for r in results}

    def get(self, engine, files, depth, figure="ops_per_s", processes=1, workload="overwrite",
            disk=("ext4", "null_blk-1ms")):
        cell = self.cells.get((workload, *disk, engine, files, depth, processes))
        return cell[figure] if cell else None

    def ratio(self, peer, files, depth, our="afsync", their_depth=None, **where):
        ours = self.get(our, files, depth, **where)
        theirs = self.get(peer, files, their_depth or depth, **where)
        return ours / theirs if ours and theirs else None

    def above(self, files, depth, base_depth, our="afsync"):
        """What a sync costs on tmpfs above doing it in the caller, in us."""
        disk = ("tmpfs", "none")
        ours = self.get(our, files, depth, "ns_per_op", disk=disk)
        caller = self.get("fdatasync", files, base_depth, "ns_per_op", disk=disk)
        return (ours - caller) / 1000 if ours and caller else None

    def tree(self, peer, our="afsync"):
        """At the depth that is best for each."""
        best = {}
        for r in self.cells.values():
            if (r["workload"], r["filesystem"], r["device"]) == ("tree", "ext4", "null_blk-1ms"):
                best[r["engine"]] = max(r["ops_per_s"], best.get(r["engine"], 0))
        if peer not in best or our not in best:
            return None
        return best[our] / best[peer]


def flatness(found):
    costs = [found.above(files, files, files) for files in (16, 64, 256, 1024, 4096)]
    if None in costs or min(costs) <= 0:
        return None
    return max(costs) / min(costs)


def targets_of_threads(found):
    """Without the module."""
    our = "afsync_threads"
    yield ("no module, 1 file, depth 64: against fdatasync",
           found.ratio("fdatasync", 1, 64, our, 1), "least", 5)
    yield "  against glibc", found.ratio("glibc", 1, 64, our), "least", 1
    yield "no module, tree: against fsync each", found.tree("fdatasync", our), "least", 4
    yield ("no module, tmpfs, 1 file, depth 1: us above the caller", found.above(1, 1, 1, our),
           "most", 25)


def targets(found, memory):
    """(what, value, "least" or "most", limit) of each."""
    yield "1 file, depth 64: against by hand", found.ratio("by_hand", 1, 64), "least", 0.98
    for peer, limit in ("io_uring", 10), ("libaio", 1.75), ("threads", 5):
        yield f"  against {peer}", found.ratio(peer, 1, 64), "least", limit
    for files, limits in ((64, (1.3, 1.1, 6.5)), (256, (1.35, 1.5, 7.5))):
        for peer, limit in zip(("libaio", "threads", "io_uring"), limits):
            yield (f"{files} files, depth {files}: against {peer}",
                   found.ratio(peer, files, files), "least", limit)
    for files, limit in (1, 4), (16, 1.2):
        yield (f"64 processes, {files} file{'s'[:files > 1]}: against fdatasync",
               found.ratio("fdatasync", files, 1, processes=64), "least", limit)
    yield "1 file, depth 1: against fdatasync", found.ratio("fdatasync", 1, 1), "least", 0.995
    for files, depth, base, limit in (1, 1, 1, 7), (1, 64, 1, 0.6), (64, 64, 64, 1.5):
        yield (f"tmpfs, {files} file{'s'[:files > 1]}, depth {depth}: us above the caller",
               found.above(files, depth, base), "most", limit)
    yield ("1 file, depth 64: flushes per sync", found.get("afsync", 1, 64, "flushes_per_op"),
           "most", 0.017)
    yield "16 to 4,096 files queued: highest by lowest cost", flatness(found), "most", 1.2
    def most(name):
        # Less than before is none.
        return max((max(m[name], 0) for m in memory if name in m), default=None)

    yield "bytes per queued request, on one file", most("queued_bytes"), "most", 256
    yield "  with a file of its own", most("with_file_bytes"), "most", 256
    # A page or two of slabs may stay.
    yield "bytes per file without pending work", most("idle_bytes"), "most", 2
    for peer, name in ("fdatasync", "fsync each"), ("sync", "sync FILE..."):
        yield f"tree: against {name}", found.tree(peer), "least", 5
    yield from targets_of_threads(found)


def is_met(value, kind, limit):
    return value is not None and (value >= limit if kind == "least" else value <= limit)


def print_targets(results, memory):
    met = total = 0
    print("\ntargets (ratios of afsync to the other, unless a unit is given)")
    for what, value, kind, limit in targets(Results(results), memory):
        total += 1
        if value is None:
            print(f"  {what:50} {'-':>10}  at {kind} {limit:<6}  not measured")
            continue
        good = is_met(value, kind, limit)
        met += good
        print(f"  {what:50} {value:10.4g}  at {kind} {limit:<6}  {'met' if good else 'MISSED'}")
    print(f"{met} of {total} targets met")
