"""What was measured about many mails, in the words of the tables of docs/performance.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from bench import accepting, beside, cost, growth, scaling
from bench.accepting import Accepted
from bench.beside import Added
from bench.growth import Growth, Line
from bench.report import Result, Row
from bench.scaling import Run, Scaling

_TIMES = "\N{MULTIPLICATION SIGN}"
_MEGABYTE = 1024 * 1024


def of_accepting(found: Accepted) -> Result:
    """Whether it is flat, for each number of callers."""
    most = found.ledgers[-1]
    rows = []
    for callers in accepting.CALLERS:
        ratio = found.against_empty(callers)
        rows.append(
            Row(
                f"accepting with {most:,} mails in the ledger against none, "
                f"{_callers(callers)}: requests a second",
                f"1 {_TIMES}, ± {accepting.FLAT:.0%}",
                f"{ratio:.2f} {_TIMES} ({found.cell(most, callers).rate:.0f} against "
                f"{found.cell(found.ledgers[0], callers).rate:.0f})",
                ratio >= 1 - accepting.FLAT,
            )
        )
    if found.warm:
        own = found.own_against_empty()
        rows.append(
            Row(
                f"accepting one mail beside the insert of its row, {most:,} mails against none",
                f"1 {_TIMES}, ± {accepting.FLAT:.0%}",
                f"{own:.2f} {_TIMES} (the insert itself, which is Azurite's: "
                f"{_ms(found.warm[-1].insert)} against {_ms(found.warm[0].insert)})",
                own <= 1 + accepting.FLAT,
            )
        )
    more = [_accepting_table(found), _warm_table(found)]
    return Result("accepting", rows, accepting.as_json(found), more=more)


def _callers(callers: int) -> str:
    return "1 caller" if callers == 1 else f"{callers} callers"


def _accepting_table(found: Accepted) -> str:
    def cells(callers: int) -> Iterable[str]:
        for ledger in found.ledgers:
            cell = found.cell(ledger, callers)
            times = " / ".join(f"{cell.percentile(p) * 1000:.0f}" for p in (50, 95, 99))
            yield f"{cell.rate:.0f} a second, {times} ms"

    return _table(
        (
            "`POST /api/send`, one process: requests a second, p50 / p95 / p99",
            *(f"{ledger:,} mails in the ledger" for ledger in found.ledgers),
        ),
        [(_callers(callers), *cells(callers)) for callers in accepting.CALLERS],
    )


def _warm_table(found: Accepted) -> str:
    return _table(
        ("one mail after the other, median", *(f"{one.ledger:,} mails" for one in found.warm)),
        [
            ("inserting a row, storage alone", *(_ms(one.insert) for one in found.warm)),
            ("accepting", *(_ms(one.accept) for one in found.warm)),
            ("delivering", *(_ms(one.deliver) for one in found.warm)),
            ("memory of delivering", *(f"{one.peak / 1024:.0f} KB" for one in found.warm)),
        ],
    )


def of_scaling(found: Scaling) -> Result:
    """From one process to two, and the operations."""
    rows = []
    for latency in sorted({run.setting.latency for run in found.runs}):
        mailboxes = max(run.setting.mailboxes for run in found.runs)
        one, two = (found.run(mailboxes, latency, workers) for workers in (1, 2))
        if one is not None and two is not None:
            rows.append(_scaling_row(one, two))
    rows.append(
        Row(
            "storage operations of a mail while many are drained, the host's included",
            f"≤ {scaling.OPERATIONS_BUDGET}",
            f"{found.operations_each:.1f} ({found.counted} mails)",
            found.operations_each <= scaling.OPERATIONS_BUDGET,
        )
    )
    raw = {
        "runs": [
            {
                **asdict(run.setting),
                "mails": run.mails,
                "sent": run.sent,
                "mails_a_second": round(run.rate, 2),
                "allowed": run.setting.allowed,
                "machine": round(run.machine, 1),
                "share": round(run.rate / run.limit, 3),
                "calls": run.calls,
                "throttled": run.throttled,
                "spent_seconds": {name: round(value, 2) for name, value in run.spent.items()},
                "busy_processors": round(run.busy, 2),
            }
            for run in found.runs
        ],
        "operations": dict(found.operations),
        "counted": found.counted,
    }
    part = "scaling_full" if found.runs[0].mails == scaling.FULL_MAILS else "scaling"
    return Result(part, rows, raw, more=[_scaling_table(found.runs)])


def _scaling_row(one: Run, two: Run) -> Row:
    ratio = two.rate / one.rate
    setting = one.setting
    # Where one process needs more than half of the machine, a second one cannot bring as much again.
    most = one.machine / one.rate
    bound = most < scaling.SCALING_BUDGET
    return Row(
        f"mails a second of two processes against one, {setting.mailboxes} mailboxes, "
        f"latency {setting.latency * 1000:.0f} ms",
        f"≥ {scaling.SCALING_BUDGET} {_TIMES}" + (", until the processors are full" * bound),
        f"{ratio:.2f} {_TIMES} ({two.rate:.0f} against {one.rate:.0f}"
        + (f"; the machine has no more than {one.machine:.0f}" * bound)
        + ")",
        ratio >= scaling.SCALING_BUDGET or (bound and ratio >= scaling.LIMIT_BUDGET * most),
    )


def _scaling_table(runs: Sequence[Run]) -> str:
    return _table(
        (
            "draining without a pace: mailboxes, latency, processes",
            "mails a second",
            "of the limit",
            "whose limit",
            "answered 429",
            "ms of processor time a mail: workers, Azurite, simulator",
        ),
        [
            (
                f"{run.setting.mailboxes}, {run.setting.latency * 1000:.0f} ms, "
                f"{run.setting.workers}",
                f"{run.rate:.0f}",
                f"{run.rate / run.limit:.0%} of {run.limit:.0f}",
                "this machine" if run.is_machines else "requests at a time",
                f"{run.throttled_share:.1%}",
                ", ".join(
                    f"{run.spent[name] / run.mails * 1000:.0f}"
                    for name in ("workers", "Azurite", "simulator")
                ),
            )
            for run in runs
        ],
    )


def of_growth(found: Growth) -> Result:
    """Straight lines against the size of a mail's file, and an end to the memory of delivering."""
    largest = found.sizes[-1]
    rows = [
        _line_row(f"time of {name} against the size of the file", found.line(of), 1000, "ms")
        for of, name in (("accept", "accepting"), ("deliver", "delivering"))
    ]
    rows.append(
        _line_row(
            "memory of accepting against the size of the file",
            found.line("accept_peak"),
            1 / growth.MEGABYTE,
            "MB",
        )
    )
    most = max(one.deliver_peak for one in found.sizes)
    rows.append(
        Row(
            f"memory of delivering, files up to {largest.size // growth.MEGABYTE} MB",
            f"≤ {growth.MEMORY_BUDGET // _MEGABYTE} MB",
            f"{most / _MEGABYTE:.0f} MB",
            most <= growth.MEMORY_BUDGET,
        )
    )
    table = _table(
        ("one mail with a file of", "accepting", "delivering", "memory of each"),
        [
            (
                _size(one.size),
                _ms(one.accept),
                _ms(one.deliver),
                f"{one.accept_peak / _MEGABYTE:.1f} MB, {one.deliver_peak / _MEGABYTE:.1f} MB",
            )
            for one in found.sizes
        ],
    )
    return Result("growth", rows, growth.as_json(found), more=[table])


def _line_row(what: str, line: Line, factor: float, unit: str) -> Row:
    return Row(
        what,
        f"a straight line, R² ≥ {growth.STRAIGHT}",
        f"R² {line.r_squared:.3f} ({line.base * factor:.1f} {unit} and "
        f"{line.slope * factor * growth.MEGABYTE:.1f} {unit} a MB)",
        line.r_squared >= growth.STRAIGHT,
    )


def _size(size: int) -> str:
    return f"{size / growth.MEGABYTE:g} MB" if size >= growth.MEGABYTE else f"{size // 1000} KB"


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def of_cost(found: Sequence[Added]) -> Result:
    """No budget: tables of what a million mails add, and of list prices."""
    raw = {
        "added": [{"way": one.title, "used": dict(one.used), "usd": one.usd} for one in found],
        "services": [asdict(one) for one in beside.SERVICES],
    }
    return Result("cost", [], raw, more=[_added_table(found), _services_table(found)])


def _added_table(found: Sequence[Added]) -> str:
    meters = list(found[0].used)
    return _table(
        ("what one mail adds, and a million of them cost", *(one.title for one in found)),
        [
            *(
                (
                    cost.PRICES[meter].unit,
                    *(f"{one.each(meter):.2g}" if meter in one.used else "0" for one in found),
                )
                for meter in meters
            ),
            ("**US dollars for a million**", *(f"**{one.usd:,.0f}**" for one in found)),
        ],
    )


def _services_table(found: Sequence[Added]) -> str:
    ours = sorted(one.usd for one in found)
    return _table(
        ("a million short mails in a month", "US dollars", "how", "source", "confirmed"),
        [
            (
                "**Postroom**, in Azure",
                f"**{ours[0]:,.0f} to {ours[-1]:,.0f}**",
                "the table above; mailboxes that are there already",
                "counts of `bench/results`, prices and assumptions of `bench/cost.py`",
                "prices as in docs/deploy.md",
            ),
            *(
                (
                    one.service,
                    f"{one.lowest:,.0f}"
                    + (f" to {one.highest:,.0f}" if one.highest > one.lowest else ""),
                    one.how,
                    one.source,
                    "in the source" if one.confirmed else "**UNCONFIRMED**",
                )
                for one in beside.SERVICES
            ),
        ],
    )
