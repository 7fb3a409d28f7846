"""What a month in Azure costs: counted operations times a table of prices. `python -m bench.cost`

Operations come from `bench/results` (counted at the wire), the timer's runs from its schedule in
`function_app.py`. What nobody has counted is an assumption and is printed as one. `--write` puts the
tables into docs/deploy.md; a test holds that page to this module.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.host import ncrontab

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "deploy.md"
BEGIN, END = "<!-- cost:begin -->", "<!-- cost:end -->"
DAYS = 30
MONTH_SECONDS = DAYS * 86400
SCENARIOS = (0, 1_000, 1_000_000)

INFRA = ROOT / "infra"


@dataclass(frozen=True)
class Template:
    """What the templates of infra/ set up, with their parameters as they come."""

    memory_mb: int
    log_alerts: int
    metric_alerts: int
    probes: float
    """Runs of the availability test in a month."""
    endpoints: int
    """Private ones, with network private."""


@functools.cache
def template() -> Template:
    """Read from the templates; SystemExit where they have changed beyond recognition."""
    alerts = (INFRA / "modules" / "alerts.bicep").read_text(encoding="utf-8")
    network = (INFRA / "modules" / "network.bicep").read_text(encoding="utf-8")
    main = (INFRA / "main.bicep").read_text(encoding="utf-8")
    if "evaluationFrequency: 'PT15M'" not in alerts:
        raise SystemExit(
            "log alerts are not looked at every 15 minutes any more: correct the price"
        )
    concurrency = len(re.findall(r"'[a-z]+-[a-z]+-[a-z0-9]+-azr'", alerts))
    return Template(
        memory_mb=int(_only(r"param instanceMemoryMB int = (\d+)", main)),
        log_alerts=len(re.findall(r"^    query: ", alerts, re.MULTILINE)),
        metric_alerts=len(re.findall(r"'Microsoft\.Insights/metricAlerts@", alerts)),
        probes=concurrency * MONTH_SECONDS / int(_only(r"Frequency: (\d+)", alerts)),
        endpoints=len(re.findall(r"^    group: '", network, re.MULTILINE)),
    )


@dataclass(frozen=True)
class Price:
    """US dollars for `per` units beyond `free` a month, in a cheap region of the United States."""

    usd: float
    per: float
    unit: str
    source: str
    free: float = 0
    confirmed: bool = True

    def of(self, units: float) -> float:
        """Of a month's use."""
        return max(0.0, units - self.free) / self.per * self.usd


_RETAIL = "Retail Prices API, quoted by public repositories"
PRICES: Mapping[str, Price] = {
    "compute": Price(0.000026, 1, "GB-s on demand", f"{_RETAIL}, September 2026", 100_000),
    "executions": Price(0.40, 1e6, "executions", f"{_RETAIL}, September 2026", 250_000),
    "table": Price(0.00036, 10_000, "table operations", "a public repository, 2026-09-22"),
    "stored": Price(0.045, 1, "GB in tables", "a public repository, 2026-09-22"),
    "queue": Price(
        0.004, 10_000, "queue operations", "upper end of what is quoted, 2026", confirmed=False
    ),
    "blob_write": Price(0.05, 10_000, "blob writes", f"{_RETAIL}, 2026"),
    "blob_read": Price(0.004, 10_000, "blob reads", f"{_RETAIL}, 2026"),
    "vault": Price(0.03, 10_000, "vault operations", "several public notes, 2026"),
    "logs": Price(2.30, 1, "GB of logs", f"{_RETAIL}, 2026", 5),
    "endpoint": Price(
        0.01 * MONTH_SECONDS / 3600 + 0.50,
        1,
        "private endpoints, each with its DNS zone",
        f"{_RETAIL}, 2026",
    ),
    "log_alert": Price(0.50, 1, "log alerts, every 15 minutes", "a public repository, 2026"),
    "metric_alert": Price(0.10, 1, "metric alerts", f"{_RETAIL}, 2026", 10),
    "probe": Price(0.0005, 1, "availability probes", f"{_RETAIL}, 2026-07-28, East US 2"),
}


@dataclass(frozen=True)
class Assumption:
    """A number that nobody has measured on a real subscription."""

    value: float
    what: str


ASSUMED: Mapping[str, Assumption] = {
    "accept_seconds": Assumption(
        1, "seconds that an accepted request is billed: the least there is"
    ),
    "deliver_seconds": Assumption(2, "seconds that a delivery is billed, Graph's answer included"),
    "run_seconds": Assumption(1, "seconds that a run of a timer is billed: the least there is"),
    "row_bytes": Assumption(2_000, "bytes that a sent mail's row keeps"),
    "item_bytes": Assumption(1_200, "bytes of one item of telemetry"),
    "mail_items": Assumption(9, "items of telemetry for a mail: requests, the host's lines, ours"),
    "run_items": Assumption(4, "items of telemetry for a run of the timer or a probe"),
    "timer_writes": Assumption(3, "blob writes of the host for a run of the timer: lock, status"),
    "timer_reads": Assumption(2, "blob reads of the host for a run of the timer"),
    "alive_seconds": Assumption(300, "seconds that an instance lives on, polling, after a mail"),
    "scaler_looks": Assumption(
        2 * MONTH_SECONDS / 10, "queue operations of the scale controller: two queues, every 10 s"
    ),
}


@dataclass(frozen=True)
class Month:
    """What is used in a month, by meter."""

    mails: int
    used: Mapping[str, float]

    @property
    def costs(self) -> dict[str, float]:
        """US dollars, by meter."""
        return {meter: PRICES[meter].of(units) for meter, units in self.used.items()}

    @property
    def total(self) -> float:
        """US dollars."""
        return sum(self.costs.values())


def month(
    mails: int,
    *,
    memory_mb: int | None = None,
    together: int = 1,
    path: str = "life_http_key",
    private: bool = False,
    probed: bool = True,
) -> Month:
    """A month of short mails; `together` of them share an instance's billed time."""
    made = template()
    probes = made.probes if probed else 0
    per_mail = _operations(_results("calls")[path]["storage"])
    idle = _results("idle")
    per_run = _operations(idle["timer"])
    vault_per_process = sum(n for name, n in idle["first_mail"].items() if "key_vault" in name)
    runs = timer_runs()
    processes = min(mails, MONTH_SECONDS / _of("alive_seconds"))
    http = 0 if path == "life_queue" else 1
    mail_seconds = (http * _of("accept_seconds") + _of("deliver_seconds")) / together
    seconds = mails * mail_seconds + runs * _of("run_seconds") + probes
    polls = min(mails * _of("alive_seconds"), MONTH_SECONDS) / polling_seconds()
    items = mails * _of("mail_items") + (runs + probes) * _of("run_items")
    return Month(
        mails,
        {
            "compute": seconds * (memory_mb or made.memory_mb) / 1024,
            "executions": mails * (http + 1) + runs + probes,
            "table": mails * per_mail["table"] + runs * per_run["table"],
            "stored": mails * _of("row_bytes") / 2 / 1e9,
            "queue": mails * per_mail["queue"] + polls + _of("scaler_looks"),
            "blob_write": runs * _of("timer_writes"),
            "blob_read": runs * _of("timer_reads"),
            "vault": processes * vault_per_process,
            "logs": items * _of("item_bytes") / 1e9,
            "log_alert": made.log_alerts,
            "metric_alert": made.metric_alerts,
            "probe": probes,
            "endpoint": made.endpoints if private else 0,
        },
    )


@functools.cache
def timer_runs() -> int:
    """How often the timers run in a month, from their schedules in function_app.py."""
    tree = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    schedules = [
        str(node.args[1].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("timer_trigger", "schedule")
        and isinstance(node.args[1], ast.Constant)
    ]
    first = datetime(2026, 11, 1, tzinfo=UTC)
    runs = 0
    for schedule in map(ncrontab.parse, schedules):
        a_day = len(schedule.hours) * len(schedule.minutes) * len(schedule.seconds)
        for day in (first + timedelta(days=n) for n in range(DAYS)):
            # Python counts days of the week from Monday, NCRONTAB from Sunday.
            falls = (day.weekday() + 1) % 7 in schedule.weekdays
            runs += a_day * (falls and day.month in schedule.months and day.day in schedule.days)
    return runs


def polling_seconds() -> float:
    """How often a live instance asks an empty queue, from host.json."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    hours, minutes, seconds = host["extensions"]["queues"]["maxPollingInterval"].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def tables() -> str:
    """What docs/deploy.md shows."""
    months = [month(mails) for mails in SCENARIOS]
    return "\n\n".join(
        [
            _table(
                ("a month, US dollars", "idle", "1,000 mails", "1,000,000 mails"),
                [
                    *(
                        (PRICES[meter].unit, *(_money(m.costs[meter]) for m in months))
                        for meter in PRICES
                    ),
                    ("**together**", *(f"**{_money(m.total)}**" for m in months)),
                ],
            ),
            _table(
                ("the same, otherwise", "idle", "1,000 mails", "1,000,000 mails"),
                [
                    (what, *(_money(month(mails, **options).total) for mails in SCENARIOS))
                    for what, options in _VARIANTS
                ],
            ),
            _table(
                ("what is used", "idle", "1,000 mails", "1,000,000 mails"),
                [
                    (PRICES[meter].unit, *(_amount(m.used[meter]) for m in months))
                    for meter in PRICES
                ],
            ),
            _table(
                ("price", "US dollars", "free each month", "from", "confirmed"),
                [
                    (
                        p.unit,
                        f"{p.usd:.6f}".rstrip("0") + (f" for {p.per:,.0f}" if p.per > 1 else ""),
                        f"{p.free:,.0f}" if p.free else "none",
                        p.source,
                        "in the source" if p.confirmed else "**UNCONFIRMED**",
                    )
                    for p in PRICES.values()
                ],
            ),
            _table(
                ("assumed, **UNCONFIRMED**", "value"),
                [(one.what, f"{one.value:,.0f}") for one in ASSUMED.values()],
            ),
        ]
    )


_VARIANTS: Sequence[tuple[str, dict[str, Any]]] = (
    ("as above: each mail alone, by HTTP with a key", {}),
    ("without the availability test (`availabilityTest=false`)", {"probed": False}),
    ("instances of 512 MB (`instanceMemoryMB=512`)", {"memory_mb": 512}),
    ("mails in bursts, 16 at a time", {"together": 16}),
    ("dropped on the queue", {"path": "life_queue"}),
    ("512 MB, bursts, by the queue", {"memory_mb": 512, "together": 16, "path": "life_queue"}),
    ("private network (`network=private`)", {"private": True}),
)


def rewritten(page: str) -> str:
    """The page with today's tables between its markers."""
    head, _, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE.name} has lost its markers {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


def write() -> None:
    """Put the tables into docs/deploy.md."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> int:
    """Print, or write. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/deploy.md")
    if parser.parse_args().write:
        write()
    else:
        print(tables())
    return 0


def _results(part: str) -> dict[str, Any]:
    path = ROOT / "bench" / "results" / f"{part}.json"
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["raw"]
    return raw


def _operations(counts: Mapping[str, int]) -> dict[str, int]:
    """By meter."""
    found = {"table": 0, "queue": 0}
    for name, count in counts.items():
        service = name.split()[0]
        if service not in found:
            raise SystemExit(f"{name} has no price here: only short mails are counted")
        found[service] += count
    return found


def _only(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    if len(found) != 1:
        raise SystemExit(f"{pattern} is in the templates {len(found)} times, not once")
    return str(found[0])


def _of(name: str) -> float:
    return ASSUMED[name].value


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.005 else "0"


def _amount(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10 or amount == int(amount) else f"{amount:,.2f}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    sys.exit(main())
