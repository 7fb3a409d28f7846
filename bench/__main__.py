"""`python -m bench [imports] [calls] …`: measure against the budgets of docs/performance.md.

Without a name all of them. `QUICK=1` takes fewer runs, prints, and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from bench import (
    calls,
    cold_start,
    cpu,
    drain,
    imports,
    large,
    peer_rows,
    report,
    rows,
    sending,
)

PARTS = ("imports", "calls", "cpu", "cold_start", "sending", "drain", "large")


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
        print(f"\n{part} ({time.monotonic() - began:.0f} s)\n\n{report.table(result.rows)}")
        if result.shares:
            print(f"\n{report.shares_table(result.shares)}")
        for paragraph in result.more:
            print(f"\n{paragraph}")
        if not quick:
            print(f"\nraw figures: {report.write(result).relative_to(report.REPOSITORY)}")
    if not quick:
        report.rewrite_page(PARTS)
        report.draw()
    return 0


def _measure(part: str, *, quick: bool) -> report.Result:
    if part == "imports":
        return rows.of_imports(imports.measure(quick=quick))
    if part == "calls":
        return rows.of_calls(calls.measure(quick=quick))
    if part == "drain":
        return rows.of_drain(drain.measure(quick=quick))
    if part == "cold_start":
        return peer_rows.of_cold_start(cold_start.measure(quick=quick))
    if part == "sending":
        return peer_rows.of_sending(sending.measure(quick=quick))
    if part == "large":
        return rows.of_large(large.measure(quick=quick))
    return rows.of_cpu(cpu.measure(quick=quick))


if __name__ == "__main__":
    sys.exit(main())
