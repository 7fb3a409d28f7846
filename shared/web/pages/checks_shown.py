"""Turns the findings of a check into what the pages show."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from shared.mail.findings import Check, Finding, Result, Topic
from shared.services.accounts.ports import CheckRecord
from shared.services.upkeep.ports import Remembered

_HEADS = {
    Result.OK: "works",
    Result.NOT_OK: "has trouble",
    Result.UNSURE: "could not be checked completely",
}
_WORDS = {
    Result.OK: "All right",
    Result.NOT_OK: "Trouble",
    Result.UNSURE: "Not known",
    Result.NOTE: "To know",
}
_TOPICS = {
    Topic.GRANT: "Sign-in",
    Topic.MAILBOX: "Mailbox",
    Topic.SCOPE: "Permission",
    Topic.DRAFT: "Drafts",
    Topic.SENDER: "From",
    Topic.STATE: "Sending",
}


class FindingShown(msgspec.Struct, frozen=True):
    """One finding."""

    result: str
    words: str
    topic: str
    subject: str | None
    meaning: str
    code: str | None
    who: str | None
    step: str | None


class CheckShown(msgspec.Struct, frozen=True):
    """A whole check."""

    alias: str
    result: str
    head: str
    at: str
    seconds: str
    findings: list[FindingShown]


def shown(record: CheckRecord) -> CheckShown:
    """A check in the words of the pages."""
    check = record.check
    return CheckShown(
        alias=check.alias,
        result=check.result.value,
        head=_head(check),
        at=moment(check.checked_at),
        seconds=f"{check.ms / 1000:.1f}",
        findings=[_finding(one) for one in check.findings],
    )


def warning(remembered: Remembered) -> str | None:
    """The warning about the app's credential on top of a page, once a threshold has passed."""
    found = remembered.credential
    if found is None or found.told is None:
        return None
    name = "client secret" if found.kind == "secret" else found.kind
    if found.expires_at is None:
        return (
            f"No expiry date of the {name} is entered, so Postroom cannot warn in time. Set its "
            "expiry date in Key Vault; /setup says how."
        )
    if found.told == 0:
        return f"The {name} expired on {moment(found.expires_at)}: no mailbox can send. /setup says how to renew it."
    return f"The {name} expires on {moment(found.expires_at)}. /setup says how to renew it; if it is renewed before, no mail waits."


def is_expired(remembered: Remembered) -> bool:
    """Whether the app's secret or certificate is known to have expired."""
    found = remembered.credential
    return found is not None and found.expires_at is not None and found.told == 0


def moment(at: datetime) -> str:
    """A time in words, in UTC."""
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")


def _head(check: Check) -> str:
    """The result in few words. That the directory has a mailbox does not show that it works."""
    tried = any(one.topic is Topic.DRAFT for one in check.findings)
    if check.result is Result.OK and not tried:
        return "shows no trouble, as far as that is seen without sending"
    return _HEADS[check.result]


def _finding(one: Finding) -> FindingShown:
    return FindingShown(
        result=one.result.value,
        words=_WORDS[one.result],
        topic=_TOPICS[one.topic],
        subject=one.subject,
        meaning=one.meaning,
        code=one.code if one.result is not Result.OK else None,
        who=one.who,
        step=one.step,
    )
