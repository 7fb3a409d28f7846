"""The clock of the use cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Now, as an aware UTC time."""


BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""A time before every mail."""


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)
