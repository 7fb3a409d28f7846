"""Results as raw JSON and as the tables of docs/performance.md."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
PEERS_PYTHON = REPOSITORY / ".local" / "bench-peers" / "bin" / "python"
RESULTS = REPOSITORY / "bench" / "results"
PAGE = REPOSITORY / "docs" / "performance.md"
PACKAGES = (
    "azure-functions",
    "azure-core",
    "azure-data-tables",
    "azure-storage-queue",
    "azure-storage-blob",
    "requests",
    "urllib3",
    "msgspec",
)
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


@dataclass(frozen=True)
class Row:
    """One line of the table of budgets."""

    what: str
    budget: str
    measured: str
    holds: bool


@dataclass(frozen=True)
class Result:
    """What one part of the bench found."""

    part: str
    rows: Sequence[Row]
    raw: Mapping[str, object]
    shares: Mapping[str, Mapping[str, float]] | None = None
    """Milliseconds by part of a delivery, by kind of mail."""
    more: Sequence[str] = ()
    """Further paragraphs and tables of the page."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Versions of what Postroom was measured beside."""


def write(result: Result) -> Path:
    """The raw figures, with what they were measured with. No names of machines."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.part}.json"
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "peers": dict(result.peers),
        "processors": os.cpu_count(),
        "rows": [[row.what, row.budget, row.measured, row.holds] for row in result.rows],
        "shares": result.shares,
        "more": list(result.more),
        "raw": result.raw,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    # A list of figures takes one line, not a line for each.
    text = re.sub(r"\[\s+([\d.,\s]+?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def draw() -> None:
    """The pictures of the page, where the packages for that are installed."""
    if PEERS_PYTHON.exists():
        subprocess.run(  # noqa: S603 - our own program
            [str(PEERS_PYTHON), "-m", "bench.plots"], cwd=REPOSITORY, check=True
        )


def rewrite_page(parts: Iterable[str]) -> None:
    """Put the tables of all results that are there between the page's markers."""
    found = [json.loads(path.read_text("utf-8")) for path in map(_path, parts) if path.exists()]
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE.name} has lost its markers {BEGIN} and {END}")
    PAGE.write_text(f"{head}{BEGIN}\n{_page(found)}\n{END}{tail}", encoding="utf-8")


def table(rows: Iterable[Row]) -> str:
    """The table of budgets."""
    lines = ["| what | budget | measured | holds |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.what} | {row.budget} | {row.measured} | {'yes' if row.holds else '**no**'} |"
        for row in rows
    ]
    return "\n".join(lines)


def shares_table(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds of processor time by part; one column for each kind of mail."""
    names = list(dict.fromkeys(name for parts in shares.values() for name in parts))
    lines = [
        "| part of a whole delivery (ms of processor time) | " + " | ".join(shares) + " |",
        "| --- |" + " --- |" * len(shares),
    ]
    for name in names:
        cells = (f"{parts.get(name, 0):.2f}" for parts in shares.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """What was measured with."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    azurite = json.loads((REPOSITORY / "node_modules/azurite/package.json").read_text("utf-8"))
    return {"python": platform.python_version(), **found, "azurite": str(azurite["version"])}


def _path(part: str) -> Path:
    return RESULTS / f"{part}.json"


def _page(documents: Sequence[Mapping[str, object]]) -> str:
    rows: list[Row] = []
    more: list[str] = []
    for document in documents:
        rows += [
            Row(str(what), str(budget), str(measured), bool(holds))
            for what, budget, measured, holds in _list(document["rows"])
        ]
        if isinstance(document["shares"], dict):
            more.append(shares_table(document["shares"]))
        more += map(str, _list(document.get("more")))
    return "\n\n".join([table(rows), *more, _measured_with(documents)])


def _measured_with(documents: Sequence[Mapping[str, object]]) -> str:
    days = sorted({str(document["measured_at"])[:10] for document in documents})
    latest = max(documents, key=lambda document: str(document["measured_at"]))
    used = latest["versions"]
    named = ", ".join(f"{k} {v}" for k, v in used.items()) if isinstance(used, dict) else ""
    return f"Measured {' and '.join(days)} on {latest['processors']} processors: {named}."


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
