"""The findings of an account check, and which of them are new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec


class Result(StrEnum):
    """The answer to one question of a check."""

    OK = "ok"
    NOT_OK = "not_ok"
    UNSURE = "unsure"
    """The check got no answer this time, for example in an outage. This says nothing about the
    account."""
    NOTE = "note"
    """Only a real send can show it; the finding says what sending needs."""


class Topic(StrEnum):
    """The question of a finding."""

    GRANT = "grant"
    """Whether Microsoft gives a token for the account."""
    MAILBOX = "mailbox"
    """Whether the directory has the mailbox's user, and whether it is the user that was
    connected."""
    SCOPE = "scope"
    """A permission."""
    DRAFT = "draft"
    """Whether a draft can be made and removed."""
    SENDER = "from"
    """An address that may stand in From."""
    STATE = "state"
    """Any other reason why the account cannot send."""


class Finding(msgspec.Struct, frozen=True):
    """One line of a check. If nothing is wrong, it asks nobody to act."""

    topic: Topic
    result: Result
    meaning: str
    subject: str | None = None
    """The permission or address that it is about."""
    code: str | None = None
    """Microsoft's code, or one of Postroom's."""
    who: str | None = None
    step: str | None = None

    @property
    def trouble(self) -> str | None:
        """A name for the fault; it stays the same as long as the fault is the same."""
        if self.result is not Result.NOT_OK:
            return None
        return ":".join(part for part in (self.topic.value, self.subject, self.code) if part)


class Check(msgspec.Struct, frozen=True):
    """What one check found out about one account."""

    account_id: str
    alias: str
    checked_at: datetime
    ms: int
    """How long the check took."""
    findings: tuple[Finding, ...]

    @property
    def troubles(self) -> tuple[str, ...]:
        """The names of the faults, each once."""
        return tuple(dict.fromkeys(one.trouble for one in self.findings if one.trouble))

    @property
    def result(self) -> Result:
        """The result of the whole check: `not_ok` if anything is wrong, else `unsure` if a question
        is open, else `ok`."""
        if self.troubles:
            return Result.NOT_OK
        unsure = any(one.result is Result.UNSURE for one in self.findings)
        return Result.UNSURE if unsure else Result.OK

    @property
    def is_settled(self) -> bool:
        """Whether every question was answered."""
        return all(one.result is not Result.UNSURE for one in self.findings)

    def is_ok(self, topic: Topic) -> bool:
        """Whether the question was asked, and its answer is neither a fault nor open."""
        found = [one.result for one in self.findings if one.topic is topic]
        return bool(found) and not {Result.NOT_OK, Result.UNSURE} & set(found)


class Change(msgspec.Struct, frozen=True):
    """The difference between a check and what was known before."""

    known: tuple[str, ...]
    """The faults that are known from now on."""
    broken: tuple[str, ...] = ()
    """The faults that were not known before."""
    mended: bool = False
    """Faults were known before, and there are none now."""


def compared(known: Iterable[str], check: Check) -> Change:
    """Compare a check with the faults known before.

    A question without an answer repairs nothing: its known fault stays known, and the next check
    that finds it again does not report it as new.
    """
    before = tuple(known)
    broken = tuple(one for one in check.troubles if one not in before)
    if check.is_settled:
        return Change(check.troubles, broken, mended=bool(before) and not check.troubles)
    return Change((*before, *broken), broken)
