"""Interfaces for the timers: the index of waiting mails, the archive, and the memory of the watch.

`shared.adapters` implements them. Every implementation raises only errors of `shared.errors`:
NotSent if a call had no effect, AnswerLost if that is not known, LostRace if a condition did not
hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.mail.status import Status
from shared.services.mails.ports import Span

if TYPE_CHECKING:
    from typing import Protocol

    from shared.mail.expiry import Expiry
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object


class Entry(msgspec.Struct, frozen=True):
    """A row of the index of waiting mails. The ledger decides; the index is a hint. Either `due_at`
    says when to look at the mail, or `held_for` names the account whose recovery it waits for."""

    mail_id: str
    noted_at: datetime
    etag: str
    due_at: datetime | None = None
    held_for: str | None = None


class HeldMark(msgspec.Struct, frozen=True):
    """The mark that mails are noted as held for an account."""

    alias: str
    noted_at: datetime
    etag: str


class Watermark(msgspec.Struct, frozen=True):
    """How far the sweep has come.

    Each waiting mail whose id is of a time before `noted_before` is in the index. Each mail whose
    `Mail.next_check_at` was not later than `looked_until` was looked at. With `under_way` a search
    has stopped at `cursor` and continues there.
    """

    noted_before: datetime
    looked_until: datetime
    under_way: Span | None = None
    cursor: str | None = None
    etag: str | None = None


class WaitingSnapshot(msgspec.Struct, frozen=True):
    """The index at one moment: how far the sweep has come (None before the first one), the accounts
    with held mails, and the due entries, longest due first."""

    watermark: Watermark | None
    held: Sequence[HeldMark]
    due: Sequence[Entry]


class WaitingIndex(Protocol):
    """Table `waiting`: the index of mails that wait, so that nobody has to search the ledger.

    A mail that begins to wait and whose id may lie before the watermark is noted here first; the
    ledger is changed within ten minutes (`docs/decisions/0012-index-of-waiting-mails.md`).
    """

    def note(self, mail_id: str, due_at: datetime) -> None:
        """Note when to look at a mail. Noting it again is harmless."""
        ...

    def note_all(self, search_count: Mapping[str, datetime]) -> None:
        """`note` for several mails: the times by mail id."""
        ...

    def hold_all(self, alias: str, mail_ids: Sequence[str]) -> None:
        """Note that mails must be looked at when their account can send again."""
        ...

    def snapshot(self, now: datetime, most: int) -> WaitingSnapshot:
        """The watermark, the accounts, and at most so many due entries; in one call."""
        ...

    def of_account(self, alias: str, most: int) -> Sequence[Entry]:
        """The mails that are noted as held for an account, oldest first."""
        ...

    def drop(self, entries: Sequence[Entry]) -> None:
        """Remove entries. An entry that was noted again since it was read stays."""
        ...

    def unmark(self, mark: HeldMark) -> None:
        """Remove an account's mark, unless mails were noted as held for it since the mark was
        read."""
        ...

    def advance(self, watermark: Watermark) -> Watermark:
        """Write how far the sweep has come, under the ETag that was read. Returns it with the new
        ETag. Raises LostRace if another sweep was first."""
        ...

    def mail_ids(self) -> Iterator[str]:
        """All mails of the index. A mail that is moved during the reading may be missed."""
        ...

    def bookmark(self, name: str) -> str | None:
        """Where work that takes several runs has stopped."""
        ...

    def set_bookmark(self, name: str, place: str | None) -> None:
        """Write where to continue; None means from the beginning."""
        ...


class SettledMail(msgspec.Struct, frozen=True):
    """The properties of a mail that are needed to remove it."""

    mail_id: str
    status: Status
    blobs: tuple[str, ...]
    """Its blobs in container `payloads`."""
    etag: str


class SettledPage(msgspec.Struct, frozen=True):
    """Some mails, and the cursor to further ones. A page without mails may have a cursor."""

    mails: Sequence[SettledMail]
    cursor: str | None


class Archive(Protocol):
    """Table `mails`, for removing old mails."""

    def settled(
        self, statuses: frozenset[Status], since: datetime, before: datetime, cursor: str | None
    ) -> SettledPage:
        """The mails in one of these statuses whose last change was at `since` or later, and before
        `before`."""
        ...

    def remove(self, mails: Sequence[SettledMail]) -> Sequence[SettledMail]:
        """Remove rows. A row that was changed since it was read stays. Returns the removed rows, as
        far as they are known."""
        ...


class StoredPayloads(Protocol):
    """Container `payloads`, for removing blobs that no row refers to."""

    def older_than(self, moment: datetime) -> Iterator[str]:
        """The names of blobs that were written before a moment, in order."""
        ...

    def delete(self, name: str) -> None:
        """Remove. Removing a name that does not exist is harmless."""
        ...


class Expiring(Protocol):
    """A table whose rows expire."""

    def forget_expired(self, now: datetime, most: int) -> int:
        """Remove about `most` expired rows. Returns how many were removed."""
        ...


class Remembered(msgspec.Struct, frozen=True):
    """What the watch remembers of the app's credential."""

    credential: Expiry | None = None
    """None before the first run, and if no credential can expire."""
    etag: str | None = None


class WatchMemory(Protocol):
    """Table `accounts`: what was announced, by any process."""

    def recall(self) -> Remembered:
        """The last written value."""
        ...

    def remember(self, remembered: Remembered) -> Remembered:
        """Insert (`etag` None) or replace under the ETag. Returns it with the new one. Raises
        LostRace."""
        ...


class ListedSecret(msgspec.Struct, frozen=True):
    """A secret in the vault's list, without its value."""

    name: str
    changed_at: datetime | None
    """When a version was last written or changed; None if the vault does not say."""


class SecretShelf(Protocol):
    """Key Vault, for secrets that no account uses."""

    def listed(self, prefix: str) -> Iterator[ListedSecret]:
        """All secrets whose names begin with this, without deleted ones. Raises RemoteRefused if
        the app may not list them, and NotSent."""
        ...

    def remove(self, name: str) -> None:
        """See `Vault`."""
        ...
