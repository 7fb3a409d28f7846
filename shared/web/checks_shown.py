"""What a check found, as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.mail.findings import Finding, Result, Topic
from shared.services.ports import CheckRecord, Remembered

_HEADS = {
    Result.OK: "works",
    Result.NOT_OK: "has trouble",
    Result.UNSURE: "could not be checked wholly",
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


@dataclass(frozen=True)
class FindingShown:
    """One line."""

    result: str
    words: str
    topic: str
    subject: str | None
    meaning: str
    code: str | None
    who: str | None
    step: str | None


@dataclass(frozen=True)
class CheckShown:
    """The whole."""

    alias: str
    result: str
    head: str
    at: str
    seconds: str
    findings: list[FindingShown]


def shown(record: CheckRecord) -> CheckShown:
    """A check in words."""
    check = record.check
    return CheckShown(
        alias=check.alias,
        result=check.result.value,
        head=_HEADS[check.result],
        at=moment(check.checked_at),
        seconds=f"{check.ms / 1000:.1f}",
        findings=[_finding(one) for one in check.findings],
    )


def warning(remembered: Remembered) -> str | None:
    """What to say of the app's credential on top of a page, once a threshold has passed."""
    found = remembered.credential
    if found is None or found.told is None:
        return None
    name = "client secret" if found.kind == "secret" else found.kind
    if found.expires_at is None:
        return (
            f"Nobody wrote down when the {name} expires, so Postroom cannot warn in time. Set its "
            "expiry date in Key Vault."
        )
    if found.told == 0:
        return f"The {name} expired on {moment(found.expires_at)}: no mailbox can send. Renew it."
    return f"The {name} expires on {moment(found.expires_at)}. Renew it before; then nothing waits."


def moment(at: datetime) -> str:
    """A time for people."""
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")


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
