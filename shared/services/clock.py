"""The time, as the use cases are given it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Now, as an aware UTC time."""


BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every mail."""


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)
