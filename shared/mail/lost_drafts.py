"""Finds the time span in which an attempt may have made a draft without learning its id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import zip_longest

from shared.mail.mail import Event, Mail
from shared.mail.outcome import CLOCKS_DIFFER
from shared.mail.status import Status

DRAFT_UNANSWERED = "draft_unanswered"
"""Why a mail is tried again after Postroom asked for its draft and got no answer."""

RUN = timedelta(minutes=10)
"""The longest that an attempt can take: see `functionTimeout` in host.json."""

Span = tuple[datetime, datetime]

_OPEN = frozenset(
    {
        DRAFT_UNANSWERED,
        "worker_lost",
        "worker_failed",
        "UnknownError",
        "ErrorInternalServerError",
        "ErrorMessageTimeout",
    }
)


def lost_between(mail: Mail) -> Span | None:
    """The minutes in which the last attempt may have made a draft of this mail whose id was not
    stored; None if it made none, or if the mail has a draft."""
    events = mail.events[:-1] if mail.status is Status.SENDING else mail.events
    if mail.draft_id is not None or not events or not _leaves_open(events[-1].reason):
        return None
    attempts = [*_attempts(events)]
    return attempts[-1] if attempts else None


def made_by(mail: Mail, created_at: datetime) -> bool:
    """Whether a message was created while an attempt for this mail ran. A person's copy of a sent
    mail also carries the mail's key, but it is younger than every attempt."""
    return any(since <= created_at <= until for since, until in _attempts(mail.events))


def _attempts(events: tuple[Event, ...]) -> Iterator[Span]:
    for one, following in zip_longest(events, events[1:]):
        if one.status is Status.SENDING:
            until = one.at + RUN
            if following is not None:
                until = min(until, following.at)
            yield one.at - CLOCKS_DIFFER, until + CLOCKS_DIFFER


def _leaves_open(reason: str | None) -> bool:
    return reason is not None and (reason in _OPEN or reason.startswith("http_5"))
