"""Drafts that an attempt may have made without learning their id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import zip_longest

from shared.mail.mail import Event, Mail
from shared.mail.outcome import CLOCKS_DIFFER
from shared.mail.status import Status

DRAFT_UNANSWERED = "draft_unanswered"
"""Why a mail is tried again whose draft was asked for, and no answer came."""

RUN = timedelta(minutes=10)
"""No attempt lasts longer: see `functionTimeout` in host.json."""

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
    """The minutes in which the attempt before this one may have made a draft of this mail whose id
    was not written down; None where it has not, or where the mail has a draft."""
    events = mail.events[:-1] if mail.status is Status.SENDING else mail.events
    if mail.draft_id is not None or not events or not _leaves_open(events[-1].reason):
        return None
    attempts = [*_attempts(events)]
    return attempts[-1] if attempts else None


def made_by(mail: Mail, created_at: datetime) -> bool:
    """Whether a message was created while an attempt for this mail ran. What a person made of a
    sent mail, and what carries its key as well, is younger than every attempt."""
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
