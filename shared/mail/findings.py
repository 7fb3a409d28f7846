"""What a check of an account finds, and what of it is news."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec


class Result(StrEnum):
    """What came of one question."""

    OK = "ok"
    NOT_OK = "not_ok"
    UNSURE = "unsure"
    """It could not be found out this time: a passing trouble, which says nothing of the account."""
    NOTE = "note"
    """Nobody can tell but by sending; what it takes is said."""


class Topic(StrEnum):
    """What was asked."""

    GRANT = "grant"
    """Whether Microsoft gives a token for the account."""
    MAILBOX = "mailbox"
    """Whether the directory has the mailbox's user, and it is the one that was connected."""
    SCOPE = "scope"
    """A permission."""
    DRAFT = "draft"
    """Whether a draft can be made and removed."""
    SENDER = "from"
    """An address that may stand in From."""
    STATE = "state"
    """What stops the account besides."""


class Finding(msgspec.Struct, frozen=True):
    """One line of a check. Where nothing is wrong, nobody has to do anything."""

    topic: Topic
    result: Result
    meaning: str
    subject: str | None = None
    """Which permission or address."""
    code: str | None = None
    """Microsoft's code, or one of ours."""
    who: str | None = None
    step: str | None = None

    @property
    def trouble(self) -> str | None:
        """A name for what is wrong, the same as long as the same is wrong."""
        if self.result is not Result.NOT_OK:
            return None
        return ":".join(part for part in (self.topic.value, self.subject, self.code) if part)


class Check(msgspec.Struct, frozen=True):
    """What was found of one account at one time."""

    account_id: str
    alias: str
    checked_at: datetime
    ms: int
    """How long it took."""
    findings: tuple[Finding, ...]

    @property
    def troubles(self) -> tuple[str, ...]:
        """The names of what is wrong, each once."""
        return tuple(dict.fromkeys(one.trouble for one in self.findings if one.trouble))

    @property
    def result(self) -> Result:
        """The whole in one word: `not_ok` where anything is wrong, then `unsure`, else `ok`."""
        if self.troubles:
            return Result.NOT_OK
        unsure = any(one.result is Result.UNSURE for one in self.findings)
        return Result.UNSURE if unsure else Result.OK

    @property
    def is_settled(self) -> bool:
        """Whether every question was answered."""
        return all(one.result is not Result.UNSURE for one in self.findings)

    def is_ok(self, topic: Topic) -> bool:
        """Whether that was asked, and nothing about it is wrong or open."""
        found = [one.result for one in self.findings if one.topic is topic]
        return bool(found) and not {Result.NOT_OK, Result.UNSURE} & set(found)


class Change(msgspec.Struct, frozen=True):
    """What is news, compared with what was known."""

    known: tuple[str, ...]
    """What is known to be wrong from now on."""
    broken: tuple[str, ...] = ()
    """What is wrong and was not known before."""
    mended: bool = False
    """Nothing is wrong any more, and something was."""


def compared(known: Iterable[str], check: Check) -> Change:
    """What a check has brought to light.

    A question that was not answered mends nothing: what was wrong with it stays known, and is no
    news when it is seen again.
    """
    before = tuple(known)
    broken = tuple(one for one in check.troubles if one not in before)
    if check.is_settled:
        return Change(check.troubles, broken, mended=bool(before) and not check.troubles)
    return Change((*before, *broken), broken)
