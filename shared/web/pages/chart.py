"""The mails of the last 24 hours as bars, for the template `_chart.html`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shared.mail.status import Status
from shared.services.mails.ports import Hour

WIDTH = 480
HEIGHT = 72
_STEP = WIDTH / 24
_GAP = 3.0
_LEAST = 2.0
"""The least height: an hour with one mail is visible beside one with thousands."""

_KINDS = (
    ("sent", (Status.SENT,)),
    ("waits", (Status.SCHEDULED, Status.QUEUED, Status.SENDING, Status.CANCELLED)),
    ("trouble", (Status.HELD, Status.UNKNOWN, Status.FAILED)),
)


class Bar(msgspec.Struct, frozen=True):
    """The rectangle of one status group in an hour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Column(msgspec.Struct, frozen=True):
    """One hour: its bars, and its text."""

    x: float
    bars: tuple[Bar, ...]
    title: str


class Chart(msgspec.Struct, frozen=True):
    """A day of columns, with the totals."""

    columns: tuple[Column, ...]
    total: int
    sent: int
    waits: int
    trouble: int
    missing: str
    """What is not counted yet; empty if all is counted."""
    scale: str
    """The first hour of the chart, and the number of mails in the highest column."""

    @classmethod
    def of(cls, hours: Sequence[Hour]) -> Chart:
        """The chart of these hours, scaled to the highest one."""
        most = max((hour.total for hour in hours), default=0)
        sums = {kind: sum(_of_kind(hour, kind) for hour in hours) for kind, _ in _KINDS}
        return cls(
            tuple(_column(place, hour, most) for place, hour in enumerate(hours)),
            sum(sums.values()),
            sums["sent"],
            sums["waits"],
            sums["trouble"],
            _missing(hours),
            _scale(hours, most),
        )


def _missing(hours: Sequence[Hour]) -> str:
    past = sum(not hour.whole for hour in hours[:-1])
    if past:
        return f"{past} earlier {'hour is' if past == 1 else 'hours are'} still to be counted"
    if hours and not hours[-1].whole:
        return f"those since {_time(hours[-1])} are counted only in part"
    return ""


def _scale(hours: Sequence[Hour], most: int) -> str:
    if not hours:
        return ""
    return f"By the hour, since {_time(hours[0])}; the highest has {most:,}."


def _time(hour: Hour) -> str:
    return hour.begins.strftime("%H:%M UTC")


def _of_kind(hour: Hour, kind: str) -> int:
    return sum(hour.counts.get(status, 0) for status in dict(_KINDS)[kind])


def _column(place: int, hour: Hour, most: int) -> Column:
    x, base = place * _STEP, float(HEIGHT)
    bars = []
    for kind, _ in _KINDS:
        count = _of_kind(hour, kind)
        if count:
            height = max(_LEAST, count / most * (HEIGHT - 2 * _LEAST))
            base -= height
            bars.append(Bar(kind, round(x, 1), round(base, 1), _STEP - _GAP, round(height, 1)))
    return Column(round(x, 1), tuple(bars), _title(hour))


def _title(hour: Hour) -> str:
    words = [f"{count} {status.value}" for status, count in sorted(hour.counts.items()) if count]
    at = _time(hour)
    if not hour.whole and not words:
        return f"{at}: not counted yet"
    return f"{at}: {', '.join(words) or 'none'}{'' if hour.whole else ' or more'}"
