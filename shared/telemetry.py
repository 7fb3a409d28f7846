"""Structured log events: one JSON line each, with a stable name.

Only facts with known names are logged: ids, aliases, codes, counts, durations. Any other name is a
programming error and raises ValueError, so that no address, subject, body or token gets into the
log.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from pathlib import Path

# Not under `azure.functions`: the worker keeps such names for its own log and does not pass them to
# Application Insights.
_log = logging.getLogger("postroom")

FACTS = frozenset(
    [
        "account",
        "account_state",
        "after_seconds",
        "area",
        "behind_the_watermark",
        "cases",
        "drafts",
        "failed_parts",
        "flows",
        "grants",
        "keys",
        "mails",
        "needing_a_person",
        "orphans",
        "payloads",
        "attempts",
        "bytes",
        "caller",
        "code",
        "count",
        "days_left",
        "left",
        "held_until",
        "kind",
        "looks",
        "mail_id",
        "operation",
        "outcome",
        "problem",
        "reason",
        "released",
        "request_id",
        "retry_after",
        "rung",
        "sight",
        "status",
        "status_code",
        "system",
        "token_age",
        "version",
        "waited_ms",
        "where",
        "wait_seconds",
        "ms",
    ]
)

Fact = str | int | float | bool | None


def event(name: str, *, level: int = logging.INFO, **facts: Fact) -> None:
    """Log one event. Raises ValueError for a fact that is not in the list."""
    unknown = facts.keys() - FACTS
    if unknown:
        raise ValueError(f"not a fact that may be logged: {', '.join(sorted(unknown))}")
    _log.log(level, "%s", _line(name, facts))


def _line(name: str, facts: Mapping[str, Fact]) -> str:
    known = {key: value for key, value in facts.items() if value is not None}
    return json.dumps({"event": name, **known}, separators=(",", ":"))


def quiet_libraries() -> None:
    """Switch off the request logging of the libraries: it can contain URLs, names and addresses."""
    for name in ("azure", "msal", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.WARNING)


def where(error: Exception) -> str:
    """The file and line of an error. Its text is left out, because it may contain what must not be
    logged."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-6:]))
