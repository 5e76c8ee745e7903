#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks the results of the short benchmark, and that the checks can fail.

    scripts/bench/examine.py DIR

Prints TAP. The second half breaks the results, in one point after the other, and
expects the check of that point to fail.
"""

import copy
import pathlib
import sys

import conditions


def set_field(name, value):
    return lambda run: run.results[0].update({name: value})


def without(**where):
    def spoil(run):
        gone = run.cells(**where)
        run.results = [r for r in run.results if r not in gone]
    return spoil


# (a change to the results, the check that must detect it)
BREAKS = {
    "not a list": (lambda run: setattr(run, "results", {}), "fields"),
    "nothing at all": (lambda run: run.results.clear(), "fields"),
    "a field missing": (lambda run: run.results[-1].pop("p99_ns"), "fields"),
    "a field more": (set_field("more", 1), "fields"),
    "a count as text": (set_field("ops", "8"), "fields"),
    "a count with a fraction": (set_field("ops", 8.0), "fields"),
    "a figure that is true": (set_field("ns_per_op", True), "fields"),
    "no afsync": (without(engine="afsync"), "cells"),
    "no glibc+afsync on xfs": (without(engine="glibc+afsync", filesystem="xfs"), "cells"),
    "no sync": (without(engine="sync"), "cells"),
    "no log": (without(workload="log"), "cells"),
    "no tmpfs": (without(filesystem="tmpfs"), "cells"),
    "no device of 20 us": (without(device="null_blk-20us"), "cells"),
    "an engine that is not known": (set_field("engine", "other"), "cells"),
    "a cell twice": (lambda run: run.results.append(run.results[0]), "cells"),
    "a depth missing": (without(engine="libaio", filesystem="ext4", files=4, workload="overwrite"),
                        "shapes"),
    "no processes": (without(engine="afsync", processes=4), "shapes"),
    "no producers": (without(engine="afsync", workload="log", depth=4), "shapes"),
    "zero operations": (set_field("ops", 0), "figures"),
    "a negative time": (set_field("ns_per_op", -1.0), "figures"),
    "no rate": (set_field("ops_per_s", None), "figures"),
    "a rate that is not that of the time": (set_field("ops_per_s", 1.0), "figures"),
    "more CPU time than time": (set_field("cpu_ns_per_op", 1e12), "figures"),
    "more syncs than operations": (set_field("syncs_per_op", 2), "figures"),
    "no switches": (set_field("switches_per_op", None), "figures"),
    "no flush": (set_field("flushes_per_op", 0), "flushes"),
    "flushes null on a disk": (set_field("flushes_per_op", None), "flushes"),
    "flushes of tmpfs": (lambda run: run.cells(device="none")[0].update(flushes_per_op=1), "flushes"),
    "a latency missing": (set_field("p50_ns", None), "latency"),
    "p50 above p99": (set_field("p50_ns", 1e15), "latency"),
    "no memory": (lambda run: run.memory.clear(), "memory"),
    "no request among many": (lambda run: run.many.clear(), "many"),
    "no other opener": (lambda run: run.opener.clear(), "others"),
    "no time without preemption": (lambda run: run.preemption_us.clear(), "others"),
    "a plot missing": (lambda run: run.plots.pop("log"), "plots"),
    "a plot cut short": (lambda run: run.plots.update(log=run.plots["log"][:2000]), "plots"),
    "an empty plot": (lambda run: run.plots.update(log='<svg xmlns="x:y"/>'), "plots"),
    "no targets": (lambda run: setattr(run, "table", run.table.split("\ntargets (")[0]), "table"),
    "no pairs": (lambda run: setattr(run, "table", run.table.replace("several CPUs", "")), "table"),
}


def complaint(check, run):
    try:
        check(run)
    except (AssertionError, SyntaxError, LookupError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def main():
    run = conditions.Run(pathlib.Path(sys.argv[1]))
    checks = {check.__name__.removeprefix("check_"): check for check in conditions.CHECKS}
    failed = number = 0
    for name, check in checks.items():
        number += 1
        bad = complaint(check, run)
        if bad:
            failed += 1
            print("# " + bad.replace("\n", "\n# "))
        print(f"{'not ok' if bad else 'ok'} {number} - bench: {name}: {check.__doc__}")
    for what, (spoil, name) in {} if failed else BREAKS.items():
        number += 1
        spoilt = copy.deepcopy(run)
        spoil(spoilt)
        seen = complaint(checks[name], spoilt)
        failed += not seen
        print(f"{'ok' if seen else 'not ok'} {number} - bench: {name} sees: {what}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
