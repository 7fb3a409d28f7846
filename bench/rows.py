"""What was measured, in the words of the table of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bench import cpu, drain, imports, large
from bench.calls import Case
from bench.cpu import Measured
from bench.drain import Drained
from bench.imports import Imports
from bench.large import Large
from bench.paired import Pair
from bench.report import Result, Row

_TIMES = "\N{MULTIPLICATION SIGN}"
MEGABYTE = 1024 * 1024


def of_imports(found: Imports) -> Result:
    """Wall clock, processor, and what was loaded too much."""
    budget = f"≤ {imports.BUDGET} {_TIMES} `import azure.functions`"
    rows = [
        Row(
            f"importing and indexing `function_app`, {name}",
            budget,
            f"{pair.ratio:.2f} {_TIMES} ({pair.median * 1000:.0f} ms)",
            pair.ratio <= imports.BUDGET,
        )
        for name, pair in (("by the clock", found.wall), ("processor time", found.cpu))
    ]
    rows.append(
        Row(
            f"heavy modules loaded by that, of {len(imports.HEAVY)} watched",
            "none",
            ", ".join(found.heavy) or "none",
            not found.heavy,
        )
    )
    raw = {
        "wall": found.wall.as_json(),
        "cpu": found.cpu.as_json(),
        "functions": found.functions,
        "watched": imports.HEAVY,
        "heavy": found.heavy,
    }
    return Result("imports", rows, raw)


def of_calls(cases: Sequence[Case]) -> Result:
    """One row for each way of a mail."""
    rows = [
        Row(
            case.title,
            f"≤ {case.storage_budget} storage, 0 vault, {case.graph_budget} Graph",
            f"{case.calls.storage_total} storage, {case.calls.of('key_vault')} vault, "
            f"{case.calls.of('graph')} Graph",
            case.holds,
        )
        for case in cases
    ]
    raw = {
        case.name: {"storage": dict(case.calls.storage), "microsoft": dict(case.calls.microsoft)}
        for case in cases
    }
    return Result("calls", rows, raw)


def of_cpu(found: Sequence[Measured]) -> Result:
    """The sender alone, then whole deliveries."""
    rows = [
        _cpu_row(f"processor time of the sender, {one.sample.title}", one.sender) for one in found
    ]
    rows += [
        _cpu_row(f"processor time of a whole delivery, {one.sample.title}", one.whole)
        for one in found
    ]
    raw = {
        one.sample.name: {
            "request_bytes": one.request_bytes,
            "sender": one.sender.as_json(),
            "sender_against_a_default_session": one.sender_default.as_json(),
            "whole": one.whole.as_json(),
        }
        for one in found
    }
    return Result("cpu", rows, raw, {one.sample.title: one.parts for one in found})


def of_large(found: Large) -> Result:
    """Memory and time of one large file."""
    size = f"a file of {found.size // MEGABYTE} MB"
    rows = [
        Row(
            f"memory that {size} takes, from storage to Graph",
            f"≤ {large.MEMORY_BUDGET // MEGABYTE} MB",
            f"{found.peak / MEGABYTE:.0f} MB",
            found.peak <= large.MEMORY_BUDGET,
        ),
        Row(
            f"time that {size} takes, from storage to Graph",
            f"≤ {large.TIME_BUDGET} {_TIMES} a bare chunk loop",
            f"{found.wall.ratio:.2f} {_TIMES} ({found.wall.median:.1f} s against "
            f"{found.wall.yardstick_median:.1f} s)",
            found.wall.ratio <= large.TIME_BUDGET,
        ),
    ]
    return Result("large", rows, {"peak_bytes": found.peak, "wall": found.wall.as_json()})


def _cpu_row(what: str, pair: Pair) -> Row:
    return Row(
        what,
        f"≤ {cpu.BUDGET:.0f} {_TIMES} a bare session",
        f"{pair.ratio:.2f} {_TIMES} ({pair.median * 1000:.1f} ms against "
        f"{pair.yardstick_median * 1000:.1f} ms)",
        pair.ratio <= cpu.BUDGET,
    )


def of_drain(found: Drained) -> Result:
    """How near it came to the limits, and that nothing was lost, doubled or poisoned."""
    what = f"{found.mails:,} mails over {found.mailboxes} mailboxes under Exchange's limits"
    sent = found.statuses.get("sent", 0)
    whole = sent == found.mails == found.copies and not found.doubled and not found.poisoned
    rows = [
        Row(
            what,
            f"≥ {drain.BUDGET:.0%} of what they allow",
            f"{found.share:.0%} ({found.seconds:.0f} s; the limits take {found.allowed_seconds:.0f})",
            found.share >= drain.BUDGET,
        ),
        Row(
            "of its calls to Graph, answered 429",
            f"< {drain.THROTTLED_BUDGET:.0%}",
            f"{found.throttled_share:.2%} ({found.throttled} of {found.calls:,})",
            found.throttled_share < drain.THROTTLED_BUDGET,
        ),
        Row(
            "of its mails, lost, doubled or poisoned",
            "none",
            f"{found.mails - sent} not sent, {found.doubled} doubled, {found.poisoned} poisoned",
            whole,
        ),
    ]
    part = "drain_full" if found.mails == drain.FULL_MAILS else "drain"
    return Result(part, rows, asdict(found))
