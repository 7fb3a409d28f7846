"""`python -m bench [imports] [calls] …`: measure against the budgets of docs/performance.md.

Without a name all of them. `QUICK=1` takes fewer runs, prints, and writes nothing. `FULL=1` drains as
many mails as the figures of a release are of, which takes half an hour.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from bench import (
    accepting,
    beside,
    calls,
    cold_start,
    cost,
    cpu,
    drain,
    flow_rows,
    growth,
    imports,
    large,
    peer_rows,
    report,
    rows,
    scaling,
    sending,
)

PARTS = (
    "imports",
    "calls",
    "cpu",
    "cold_start",
    "sending",
    "accepting",
    "scaling",
    "drain",
    "large",
    "growth",
    "cost",
)
FULL_PARTS = ("scaling_full", "drain_full")
"""What `FULL=1` writes; the page shows it as well."""


def main() -> int:
    """Run what was asked for. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    wanted = parser.parse_args().parts or PARTS
    for part in wanted:
        if part not in PARTS:
            parser.error(f"there is no part {part}; there are {', '.join(PARTS)}")
    quick = os.environ.get("QUICK", "") not in ("", "0")
    for part in wanted:
        began = time.monotonic()
        result = _measure(part, quick=quick)
        print(f"\n{part} ({time.monotonic() - began:.0f} s)\n")
        if result.rows:
            print(report.table(result.rows))
        if result.shares:
            print(f"\n{report.shares_table(result.shares)}")
        for paragraph in result.more:
            print(f"\n{paragraph}")
        if not quick:
            print(f"\nraw figures: {report.write(result).relative_to(report.REPOSITORY)}")
    if not quick:
        report.rewrite_page((*PARTS, *FULL_PARTS))
        cost.write()
        report.draw()
    return 0


def _measure(part: str, *, quick: bool) -> report.Result:
    full = os.environ.get("FULL", "") not in ("", "0")
    measures: dict[str, Callable[[], report.Result]] = {
        "imports": lambda: rows.of_imports(imports.measure(quick=quick)),
        "calls": lambda: rows.of_calls(calls.measure(quick=quick)),
        "cpu": lambda: rows.of_cpu(cpu.measure(quick=quick)),
        "cold_start": lambda: peer_rows.of_cold_start(cold_start.measure(quick=quick)),
        "sending": lambda: peer_rows.of_sending(sending.measure(quick=quick)),
        "accepting": lambda: flow_rows.of_accepting(accepting.measure(quick=quick)),
        "scaling": lambda: flow_rows.of_scaling(scaling.measure(quick=quick, full=full)),
        "drain": lambda: rows.of_drain(drain.measure(quick=quick, full=full)),
        "large": lambda: rows.of_large(large.measure(quick=quick)),
        "growth": lambda: flow_rows.of_growth(growth.measure(quick=quick)),
        "cost": lambda: flow_rows.of_cost(beside.added()),
    }
    return measures[part]()


if __name__ == "__main__":
    sys.exit(main())
