"""What the use cases need to keep mails: the ledger, its indexes, the payloads and the files.

Interfaces, which `shared.adapters` fulfils. Every implementation raises only errors of
`shared.errors`: NotSent where a call had no effect, AnswerLost where that is not known, LostRace
where a condition did not hold.
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
    """A mail as it stands in the ledger, with the ETag that a conditional write needs."""

    mail: Mail
    etag: str


class Span(msgspec.Struct, frozen=True):
    """What one look through the ledger covers: mails whose ids are of `since` or later. Of those
    before `before` every one that waits; of the others those whose `Mail.next_check_at` is later than
    `after` and not later than `until`."""

    since: datetime
    before: datetime
    after: datetime
    until: datetime


class MailSummary(msgspec.Struct, frozen=True):
    """What a sweep needs to know of a mail."""

    mail_id: str
    status: Status
    account: str | None
    next_check_at: datetime | None
    """See `Mail.next_check_at`."""


class WaitingPage(msgspec.Struct, frozen=True):
    """Some mails that wait, and the cursor that leads to more; there may be more after none."""

    mails: Sequence[MailSummary]
    cursor: str | None


class Ledger(Protocol):
    """Table `mails`: the truth about every mail."""

    def insert(self, mail: Mail) -> str:
        """Write a new mail and return its ETag. Raises AlreadyExists."""
        ...

    def get(self, mail_id: str) -> Versioned | None:
        """One mail with its payload, where that is kept in the row."""
        ...

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        """Replace a mail if nobody changed it since. Returns the new ETag. Raises LostRace.

        A payload in the row stays as it was written first, or goes; only `new_payload` puts
        another one in its place.
        """
        ...

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """Mails without payload, newest first; `size` of them at most, where the cursor goes on also
        fewer or none. Those found by a part of an address have no more than a list shows. Raises
        ValueError for a malformed cursor."""
        ...

    def summary(self, mail_id: str) -> MailSummary | None:
        """What a sweep needs to know of one mail."""
        ...

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """Mails of a span that wait, or only those that are held for an account, in no order worth
        a promise; about `most` at a time."""
        ...


class AttentionItem(msgspec.Struct, frozen=True):
    """A mail that waits for a person or for its account, as the index of such mails has it: a hint,
    for the ledger is the truth."""

    mail_id: str
    status: Status
    reason: str | None
    account: str | None


class AttentionIndex(Protocol):
    """Table `waiting`: which mails are held, unknown or failed, so that a page need not look
    through the ledger for them."""

    def open(self, case: AttentionItem) -> None:
        """Write a case down; doing it again is harmless."""
        ...

    def close(self, mail_id: str, status: Status) -> None:
        """Remove the case of a mail that was in this status; there may be none."""
        ...

    def newest(self, most: int) -> Sequence[AttentionItem]:
        """Open cases, the latest mail first."""
        ...


class Hour(msgspec.Struct, frozen=True):
    """How many mails were accepted in one hour, by the status that they had when they were counted."""

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
        """Count the mails whose ids are of `since` or later and before `until`, both of one UTC day;
        about `most` of them at most, the newest."""
        ...


class Hours(Protocol):
    """Table `waiting`: what was counted, hour by hour."""

    def read(self, since: datetime) -> Sequence[Hour]:
        """The hours that were counted, from `since` on, oldest first."""
        ...

    def write(self, hour: Hour) -> None:
        """Write an hour down, in the place of an earlier count."""
        ...

    def forget(self, before: datetime) -> None:
        """Remove the hours before a time."""
        ...


class Payloads(Protocol):
    """Container `payloads`: what does not fit into a ledger row."""

    def put(self, name: str, content: bytes) -> None:
        """Write; writing the same name again with the same content is harmless."""
        ...

    def get(self, name: str) -> bytes:
        """Read. Raises RemoteRefused where it is gone."""
        ...

    def delete(self, name: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class Files(Protocol):
    """Files in blob storage: what callers put into container `attachments`, and what came with a
    request and is too large for its payload."""

    def head(self, container: str, name: str) -> StoredFile | None:
        """A file as it stands now, or None where it is not there."""
        ...

    def keep(self, name: str, content: bytes) -> StoredFile:
        """Write a file into container `payloads`; the same name with the same content is harmless."""
        ...

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        """The file piece by piece, each but the last of `chunk_bytes`; one at a time in memory.

        Raises FileChanged, before it gives another file's bytes, and RemoteError.
        """
        ...
