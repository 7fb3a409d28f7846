"""What callers were told, what the ledger says and what reached the mailboxes, laid side by side.

Pure: the suite gathers the evidence, this says what is wrong with it. What it holds the three to is
docs/delivery.md's promise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

FINAL = frozenset({"sent", "unknown", "failed", "cancelled"})
WAITING = frozenset({"scheduled", "queued", "sending", "held"})
FINDING_OUT = "finding_out"
"""The reason of an `unknown` mail that is still looked for."""


@dataclass(frozen=True)
class Accepted:
    """One 202, as its caller got it."""

    mail_id: str
    subject: str
    key: str | None = None


@dataclass(frozen=True)
class Dropped:
    """A whole mail that an application put on the queue. Each has a subject of its own."""

    subject: str
    certain: bool = True
    """False where the storage service did not confirm it: then it may be missing."""


@dataclass(frozen=True)
class Entry:
    """One row of the ledger."""

    mail_id: str
    status: str
    account: str | None
    subject: str
    reason: str | None = None
    help: str | None = None


@dataclass(frozen=True)
class Copy:
    """One mail that was handed to transport. `mail_id` is the key that it carries."""

    mail_id: str | None
    mailbox: str
    subject: str


@dataclass(frozen=True)
class Mailbox:
    """An account, and whether what became of a mail can be found out (Mail.ReadWrite)."""

    alias: str
    address: str
    verified: bool = False


@dataclass(frozen=True)
class Evidence:
    """All that was seen in one run, after it came to rest."""

    accepted: Sequence[Accepted]
    dropped: Sequence[Dropped]
    ledger: Sequence[Entry]
    copies: Sequence[Copy]
    mailboxes: Mapping[str, Mailbox]


class Wrong(StrEnum):
    """The ways in which Postroom can break its promise."""

    LOST = "accepted, and not in the ledger"
    DROP_LOST = "dropped on the queue, and not in the ledger"
    TWICE = "one mail of a caller is several in the ledger"
    KEY_TWICE = "one key was answered with several ids"
    NO_STATUS = "in no status that there is"
    STUCK = "still waiting after everything came to rest"
    DOUBLED = "several copies"
    NOT_SENT = "called sent, and no copy"
    UNSENT_COPY = "called not sent, and a copy went out"
    UNSAID = "unknown without saying why and what to do"
    NOT_ONCE = "an account that can look, and not sent exactly once"
    ELSEWHERE = "sent from another mailbox"
    STRAY = "a copy of no mail in the ledger"


@dataclass(frozen=True)
class Violation:
    """One broken promise, and the mail that it concerns."""

    wrong: Wrong
    subject: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.wrong}: {self.subject} {self.detail}".rstrip()


def is_settled(entry: Entry) -> bool:
    """Whether nothing will change about a mail any more by itself."""
    return entry.status in FINAL and entry.reason != FINDING_OUT


def violations(seen: Evidence) -> list[Violation]:
    """Everything that must not be. Empty is what the promise is."""
    copies: dict[str | None, list[Copy]] = defaultdict(list)
    for copy in seen.copies:
        copies[copy.mail_id].append(copy)
    found = [*_intake(seen)]
    for entry in seen.ledger:
        box = seen.mailboxes.get(entry.account or "")
        found += _mail(entry, copies.pop(entry.mail_id, []), box)
    found += [
        Violation(Wrong.STRAY, copy.subject, str(mail_id))
        for mail_id, strays in copies.items()
        for copy in strays
    ]
    return found


def _intake(seen: Evidence) -> Iterable[Violation]:
    ids = {entry.mail_id for entry in seen.ledger}
    rows = Counter(entry.subject for entry in seen.ledger)
    for answer in seen.accepted:
        if answer.mail_id not in ids:
            yield Violation(Wrong.LOST, answer.subject, answer.mail_id)
    for drop in seen.dropped:
        if drop.certain and not rows[drop.subject]:
            yield Violation(Wrong.DROP_LOST, drop.subject)
    for subject, count in rows.items():
        if count > 1:
            yield Violation(Wrong.TWICE, subject, f"{count} rows")
    yield from _keys(seen)


def _keys(seen: Evidence) -> Iterable[Violation]:
    of_key: dict[str, set[str]] = defaultdict(set)
    for answer in seen.accepted:
        if answer.key is not None:
            of_key[answer.key].add(answer.mail_id)
    for key, answered in of_key.items():
        if len(answered) > 1:
            yield Violation(Wrong.KEY_TWICE, key, " ".join(sorted(answered)))


def _mail(entry: Entry, copies: Sequence[Copy], box: Mailbox | None) -> Iterable[Violation]:
    about = f"{entry.mail_id} {entry.status} {entry.reason or ''} with {len(copies)} copies"
    for wrong in _wrongs(entry, copies, box):
        yield Violation(wrong, entry.subject, about)


def _wrongs(entry: Entry, copies: Sequence[Copy], box: Mailbox | None) -> Iterable[Wrong]:
    if entry.status not in FINAL | WAITING:
        yield Wrong.NO_STATUS
    elif not is_settled(entry):
        yield Wrong.STUCK
    if len(copies) > 1:
        yield Wrong.DOUBLED
    if entry.status == "sent" and not copies:
        yield Wrong.NOT_SENT
    if entry.status not in ("sent", "unknown") and copies:
        yield Wrong.UNSENT_COPY
    if entry.status == "unknown" and not (entry.reason and entry.help):
        yield Wrong.UNSAID
    if box is not None and box.verified and (entry.status != "sent" or len(copies) != 1):
        yield Wrong.NOT_ONCE
    if box is not None and any(copy.mailbox != box.address for copy in copies):
        yield Wrong.ELSEWHERE
