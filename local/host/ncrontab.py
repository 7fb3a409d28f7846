"""NCRONTAB schedules: `{second} {minute} {hour} {day} {month} {day-of-week}`, UTC.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
Five fields mean second 0. Unlike cron, a date must fit both its day and its day of the week
(github.com/atifaziz/NCrontab).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day", 1, 31, []),
    ("month", 1, 12, ["", *_MONTHS]),
    ("day of the week", 0, 6, _DAYS),
)
# Leap days on a given day of the week occur within 40 years (2100 has none).
_HORIZON = timedelta(days=366 * 41)


@dataclass(frozen=True)
class Schedule:
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def after(self, moment: datetime) -> datetime:
        """The first time strictly after `moment`; ValueError when there is none."""
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        while day - moment < _HORIZON:
            if self._falls_on(day):
                for candidate in self._times(day):
                    if candidate > moment:
                        return candidate
            day += timedelta(days=1)
        raise ValueError("the schedule names a date that never comes")

    def _falls_on(self, day: datetime) -> bool:
        # Python counts days of the week from Monday, NCRONTAB from Sunday.
        weekday = (day.weekday() + 1) % 7
        return day.month in self.months and day.day in self.days and weekday in self.weekdays

    def _times(self, day: datetime) -> list[datetime]:
        return [
            day.replace(hour=hour, minute=minute, second=second)
            for hour in sorted(self.hours)
            for minute in sorted(self.minutes)
            for second in sorted(self.seconds)
        ]


def parse(text: str) -> Schedule:
    """Raises ValueError, which says which field is wrong."""
    fields = text.split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ValueError("a schedule has six fields (second first), or five")
    return Schedule(*(_field(field, *spec) for field, spec in zip(fields, _FIELDS, strict=True)))


def _field(text: str, name: str, least: int, most: int, names: list[str]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        step = _number(step_text, name, []) if step_text else 1
        low, high = _span(span, name, least, most, names, stepped=bool(step_text))
        if step < 1 or low < least or high > most or low > high:
            raise ValueError(f"{part!r} does not fit the field {name} ({least} to {most})")
        values.update(range(low, high + 1, step))
    return frozenset(values)


def _span(
    span: str, name: str, least: int, most: int, names: list[str], *, stepped: bool
) -> tuple[int, int]:
    if span == "*":
        return least, most
    low_text, dash, high_text = span.partition("-")
    low = _number(low_text, name, names)
    if dash:
        return low, _number(high_text, name, names)
    # "5/15" means every fifteenth value from 5 on.
    return low, most if stepped else low


def _number(text: str, name: str, names: list[str]) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    if names and len(text) >= 3 and text[:3].lower() in names:
        return names.index(text[:3].lower())
    raise ValueError(f"{text!r} is not a value of the field {name}")
