# SPDX-License-Identifier: GPL-2.0-only
"""The targets of the benchmark, and whether they are met. Imported by report.py.

All are of one run in virtual time, and on ext4 on a disk of 1 ms unless they say otherwise.
"""

import statistics



class Results:
    def __init__(self, results):
        self.cells = {(r["workload"], r["filesystem"], r["device"], r["engine"], r["files"],
                       r["depth"], r["processes"]): r for r in results}

    def get(self, engine, files, depth, figure="ops_per_s", processes=1, workload="overwrite",
            disk=("ext4", "null_blk-1ms")):
        cell = self.cells.get((workload, *disk, engine, files, depth, processes))
        return cell[figure] if cell else None

    def ratio(self, peer, files, depth, our="afsync", their_depth=None, figure="ops_per_s", **where):
        ours = self.get(our, files, depth, figure, **where)
        theirs = self.get(peer, files, their_depth or depth, figure, **where)
        return ours / theirs if ours and theirs else None

    def best(self, peers, files, depth, **where):
        """Against the fastest of them."""
        ratios = [self.ratio(peer, files, depth, **where) for peer in peers]
        return None if None in ratios else min(ratios)

    def worst_dropin(self, engine, tmpfs):
        """With the drop-in library compared with without it, in the worst of all cells."""
        ratios = []
        for (*where, label, files, depth, processes), r in self.cells.items():
            alone = self.cells.get((*where, engine, files, depth, processes))
            if label == f"{engine}+afsync" and alone and (r["filesystem"] == "tmpfs") == tmpfs:
                ratios.append(r["ops_per_s"] / alone["ops_per_s"])
        return min(ratios, default=None)

    def above(self, files, depth, base_depth, our="afsync"):
        """The cost of a sync on tmpfs above that of one in the caller, in us."""
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


PEERS = ("libaio", "io_uring", "threads")


def flatness(found):
    costs = [found.above(files, files, files) for files in (16, 64, 256, 1024, 4096)]
    if None in costs or min(costs) <= 0:
        return None
    return max(costs) / min(costs)


def many_queued(found):
    many, few = (found.above(files, files, files) for files in (24576, 256))
    return many / few if many and few and few > 0 else None


def targets_of_threads(found):
    """Without the module."""
    our = "afsync_threads"
    yield ("no module, 1 file, depth 64: against fdatasync",
           found.ratio("fdatasync", 1, 64, our, 1), "least", 5)
    yield "  against glibc", found.ratio("glibc", 1, 64, our), "least", 1
    yield "no module, tree: against fsync each", found.tree("fdatasync", our), "least", 4
    yield ("no module, tmpfs, 1 file, depth 1: us above the caller", found.above(1, 1, 1, our),
           "most", 25)


def targets_of_peers(found):
    """Against each, set up as its experts would."""
    yield "1 file, depth 64: against by hand", found.ratio("by_hand", 1, 64), "least", 0.985
    yield "  against the best of libaio, io_uring, threads", found.best(PEERS, 1, 64), "least", 1.39
    yield "64 files, depth 64: against the best", found.best(PEERS, 64, 64), "least", 1.0
    # The figures of threads do not repeat there.
    yield "256 files, depth 256: against libaio", found.ratio("libaio", 256, 256), "least", 1.15
    yield ("append, 64 files, depth 64: against the best",
           found.best(PEERS, 64, 64, workload="append"), "least", 1.15)
    for files, limit in (64, 0.55), (256, 0.6):
        yield (f"{files} files, depth {files}: p99 against threads",
               found.ratio("threads", files, files, figure="p99_ns"), "most", limit)
    for files, limit in (1, 1.6), (16, 1.5):
        yield (f"64 processes, {files} file{'s'[:files > 1]}: against fdatasync",
               found.ratio("fdatasync", files, 1, processes=64), "least", limit)
    yield ("64 brief processes, 1 file: against fdatasync",
           found.ratio("fdatasync", 1, 1, processes=64, workload="brief"), "least", 1.2)
    yield "1 file, depth 1: against fdatasync", found.ratio("fdatasync", 1, 1), "least", 0.995
    for peer, name, limit in (("fdatasync", "fsync each", 5), ("sync", "sync FILE...", 15),
                              ("syncfs", "one syncfs", 0.8)):
        yield f"tree: against {name}", found.tree(peer), "least", limit


def targets_of_dropins(found):
    for engine in "libaio", "glibc":
        for tmpfs, where in (False, "worst cell on a disk"), (True, "worst cell on tmpfs"):
            limit = 0.95 if tmpfs and engine == "libaio" else 1
            yield (f"{engine} with the drop-in: {where}, against without it",
                   found.worst_dropin(engine, tmpfs), "least", limit)


def targets_of_memory(memory):
    def most(name):
        # A decrease counts as 0.
        return max((max(m[name], 0) for m in memory if name in m), default=None)

    yield "bytes per queued request, on one file", most("queued_bytes"), "most", 256
    yield "  with a file of its own", most("with_file_bytes"), "most", 256
    # A page or two of slabs may remain.
    yield "bytes per file without pending work", most("idle_bytes"), "most", 2


def targets_of_many(many):
    """One request among many, in the worst boot."""
    def most(figure):
        return max(map(figure, many), default=None)

    yield "start of one request among 32,768: us", most(lambda m: m["start_us"]), "most", 10
    yield "cancel of one request among 32,768: us", most(lambda m: m["cancel_us"]), "most", 10
    yield ("8,192 open files of one inode that fail: cost against 256",
           most(lambda m: m["many_failing_us"] / m["few_failing_us"]), "most", 1.2)


def targets_of_others(opener, preemption_us):
    """What others on the machine notice, in the worst boot."""
    for user in "same", "other":
        yield (f"16,384 requests of another opener, {user} user: our median against alone",
               max((o[f"{user}_user_us"] / o["alone_us"] for o in opener), default=None), "most", 1.5)
    yield ("longest time without preemption, 32,768 requests: us", max(preemption_us, default=None),
           "most", 1000)


def targets_of_cost(found):
    for files, depth, base, limit in (1, 1, 1, 6.5), (1, 64, 1, 0.58), (64, 64, 64, 3):
        yield (f"tmpfs, {files} file{'s'[:files > 1]}, depth {depth}: us above the caller",
               found.above(files, depth, base), "most", limit)
    yield ("1 file, depth 64: flushes per sync", found.get("afsync", 1, 64, "flushes_per_op"),
           "most", 0.017)
    yield "16 to 4,096 files queued: highest by lowest cost", flatness(found), "most", 1.2
    yield "24,576 files queued: cost against 256", many_queued(found), "most", 1.1


def targets_of_cpus(pairs):
    """On two CPUs in real time: the median of the pairs."""
    for name, key, limit in (
            ("ext4, 64 files: against threads", ("ext4", 64, 64, 1, "threads"), 1.05),
            ("tmpfs, 64 files: against threads", ("tmpfs", 64, 64, 1, "threads"), 0.6),
            ("ext4, 64 processes, 16 files: against fdatasync", ("ext4", 16, 1, 64, "fdatasync"), 1.3)):
        ratios = pairs.get(key)
        yield f"two CPUs, {name}", statistics.median(ratios) if ratios else None, "least", limit


def targets(run):
    """(what, value, "least" or "most", limit) of each, of a results.Run."""
    found = Results(run.results)
    for part in (targets_of_peers(found), targets_of_cost(found), targets_of_dropins(found),
                 targets_of_memory(run.memory), targets_of_many(run.many),
                 targets_of_others(run.opener, run.preemption_us),
                 targets_of_cpus(run.pairs), targets_of_threads(found)):
        yield from part


def is_met(value, kind, limit):
    return value is not None and (value >= limit if kind == "least" else value <= limit)


def print_targets(run):
    """True if all of them are met."""
    met = total = 0
    print("\ntargets (ratios of afsync to the other, unless a unit is given)")
    for what, value, kind, limit in targets(run):
        total += 1
        if value is None:
            print(f"  {what:60} {'-':>10}  at {kind} {limit:<6}  not measured")
            continue
        good = is_met(value, kind, limit)
        met += good
        print(f"  {what:60} {value:10.4g}  at {kind} {limit:<6}  {'met' if good else 'MISSED'}")
    print(f"{met} of {total} targets met")
    return met == total
