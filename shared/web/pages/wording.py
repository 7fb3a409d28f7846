"""Times, durations and statuses in words, as the pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.mail import known_errors
from shared.mail.mail import DAILY_CAP, Mail
from shared.mail.status import Status

STATUSES = {
    Status.SCHEDULED: "Scheduled",
    Status.QUEUED: "Waiting",
    Status.SENDING: "Sending",
    Status.SENT: "Sent",
    Status.HELD: "Held",
    Status.UNKNOWN: "Unknown",
    Status.FAILED: "Failed",
    Status.CANCELLED: "Cancelled",
}

MEANINGS = {
    Status.SCHEDULED: "It is sent at the time that the caller asked for.",
    Status.QUEUED: "It is sent at the next slot of its mailbox.",
    Status.SENDING: "Postroom is handing it to Microsoft now.",
    Status.SENT: "Microsoft took it.",
    Status.HELD: "The mail is not at fault; its account cannot send now.",
    Status.UNKNOWN: "The answer was lost: it is not known yet whether it was sent.",
    Status.FAILED: "It was not sent, and cannot be sent as it is.",
    Status.CANCELLED: "It was cancelled and will not be sent.",
}

REASONS = {
    DAILY_CAP: "The daily cap of its account is used up.",
    "rescheduled": "It was given another time.",
}
"""Postroom's own reasons for the wait of a mail, in words."""

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def moment(at: datetime) -> str:
    """A time in words: to the second, in UTC."""
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M:%S UTC")


def iso(at: datetime) -> str:
    """A time for the attribute `datetime` of `<time>`."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def lasting(span: timedelta) -> str:
    """A duration in words, with at most two units."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    words: list[str] = []
    for size, unit in _UNITS:
        if rest >= size and len(words) < 2:
            words.append(f"{rest // size} {unit}")
            rest %= size
    if len(words) < 2 and rest and seconds < 3600:
        words.append(f"{rest} s")
    return " ".join(words)


def recipients(mail: Mail) -> str:
    """The recipients of a mail in one line."""
    first = mail.recipients[0] if mail.recipients else ""
    more = mail.recipient_count - 1
    return (
        f"{first} and {more} more" if first and more > 0 else first or "nobody that could be read"
    )


def subject(mail: Mail) -> str:
    """The subject of a mail, or what to show in its place."""
    return mail.subject or ("(queue message)" if mail.is_refused_message else "(no subject)")


def reason(code: str | None) -> str | None:
    """A mail's reason in words, if there are any."""
    if code is None:
        return None
    if code in REASONS:
        return REASONS[code]
    return known_errors.find(code).meaning if known_errors.is_known(code) else None


def waits(mail: Mail) -> str | None:
    """Until when a mail waits and why; None if it goes at once or waits for a person."""
    if mail.status not in (Status.SCHEDULED, Status.QUEUED) or mail.due_at <= mail.updated_at:
        return None
    until = f"until {moment(mail.due_at)}"
    why = reason(mail.reason)
    if mail.status is Status.QUEUED and why is None:
        why = "Its mailbox has no slot for it before."
    return f"{until}: {why}" if why else until
