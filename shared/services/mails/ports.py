"""Interfaces for keeping mails: the ledger, its indexes, the payloads and the files.

`shared.adapters` implements them. Every implementation raises only errors of `shared.errors`:
NotSent if a call had no effect, AnswerLost if that is not known, LostRace if a condition did not
hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.mail.mail import Mail, MailFilter, MailPage
from shared.mail.message import StoredFile
from shared.mail.status import Status

if TYPE_CHECKING:
    from typing import Protocol
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object


class Versioned(msgspec.Struct, frozen=True):
    """A mail of the ledger, with the ETag for a conditional write."""

    mail: Mail
    etag: str


class Span(msgspec.Struct, frozen=True):
    """The part of the ledger that one search covers: mails whose ids are of `since` or later. Of
    the mails before `before`, all that wait; of the others, those whose `Mail.next_check_at` is
    later than `after` and not later than `until`."""

    since: datetime
    before: datetime
    after: datetime
    until: datetime


class MailSummary(msgspec.Struct, frozen=True):
    """The properties of a mail that a sweep needs."""

    mail_id: str
    status: Status
    account: str | None
    next_check_at: datetime | None
    """See `Mail.next_check_at`."""


class WaitingPage(msgspec.Struct, frozen=True):
    """Some waiting mails, and the cursor to further ones. A page without mails may have a
    cursor."""

    mails: Sequence[MailSummary]
    cursor: str | None


class Ledger(Protocol):
    """Table `mails`, which decides about every mail."""

    def insert(self, mail: Mail) -> str:
        """Write a new mail and return its ETag. Raises AlreadyExists."""
        ...

    def get(self, mail_id: str) -> Versioned | None:
        """One mail, with its payload if that is in the row."""
        ...

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        """Replace a mail if nobody has changed it since it was read. Returns the new ETag. Raises
        LostRace. A payload in the row stays as it was first written, or is removed; only
        `new_payload` replaces it."""
        ...

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """Mails without payload, newest first, at most `size`; with a cursor there may be fewer or
        none. Mails that were found by a part of an address have only the properties that a list
        shows. Raises ValueError for a malformed cursor."""
        ...

    def summary(self, mail_id: str) -> MailSummary | None:
        """The properties of one mail that a sweep needs."""
        ...

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """The waiting mails of a span, or only those that are held for an account; about `most` at
        a time. The order is not defined."""
        ...


class AttentionItem(msgspec.Struct, frozen=True):
    """A mail that waits for a person or for its account, as the index has it. The ledger decides;
    the index is a hint."""

    mail_id: str
    status: Status
    reason: str | None
    account: str | None


class AttentionIndex(Protocol):
    """Table `waiting`: the mails that are held, unknown or failed, so that a page need not search
    the ledger."""

    def open(self, case: AttentionItem) -> None:
        """Write an item. Writing it again is harmless."""
        ...

    def close(self, mail_id: str, status: Status) -> None:
        """Remove the item of a mail that was in this status. It may not exist."""
        ...

    def newest(self, most: int) -> Sequence[AttentionItem]:
        """The items, those of the latest mails first."""
        ...


class Hour(msgspec.Struct, frozen=True):
    """How many mails were accepted in one hour, by their status when they were counted."""

    begins: datetime
    counts: Mapping[Status, int]
    whole: bool = True
    """Whether all of them were counted."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class MailCounter(Protocol):
    """Table `mails`, for counting."""

    def count(self, since: datetime, until: datetime, most: int | None = None) -> Hour:
        """Count the mails whose ids are of `since` or later and before `until`, both on one UTC
        day. At most about `most` mails are counted, the newest ones."""
        ...


class Hours(Protocol):
    """Table `waiting`: the counts of each hour."""

    def read(self, since: datetime) -> Sequence[Hour]:
        """The hours that were counted, from `since` on, oldest first."""
        ...

    def write(self, hour: Hour) -> None:
        """Write the count of an hour. It replaces an earlier one."""
        ...

    def forget(self, before: datetime) -> None:
        """Remove the hours before a time."""
        ...


class Payloads(Protocol):
    """Container `payloads`: content that does not fit into a ledger row."""

    def put(self, name: str, content: bytes) -> None:
        """Write; writing the same name again with the same content is harmless."""
        ...

    def get(self, name: str) -> bytes:
        """Read. Raises RemoteRefused if it does not exist."""
        ...

    def delete(self, name: str) -> None:
        """Remove. Removing a name that does not exist is harmless."""
        ...


class Files(Protocol):
    """Files in blob storage: those that callers put into container `attachments`, and those of
    requests that are too large for the payload."""

    def head(self, container: str, name: str) -> StoredFile | None:
        """A file as it is now; None if it does not exist."""
        ...

    def keep(self, name: str, content: bytes) -> StoredFile:
        """Write a file into container `payloads`; the same name with the same content is harmless."""
        ...

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        """The file in pieces of `chunk_bytes`, the last one shorter, with one piece in memory at a
        time. Raises FileChanged before it returns bytes of another version, and RemoteError."""
        ...
