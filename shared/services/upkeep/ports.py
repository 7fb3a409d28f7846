"""What the timers need: the index of waiting mails, the archive, and what the watch remembers.

Interfaces, which `shared.adapters` fulfils. Every implementation raises only errors of
`shared.errors`: NotSent where a call had no effect, AnswerLost where that is not known, LostRace
where a condition did not hold.
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
    """A row of the index of waiting mails: a hint, for the ledger is the truth.

    Either `due_at` says when somebody must look, or `held_for` which account's recovery it is
    waiting for.
    """

    mail_id: str
    noted_at: datetime
    etag: str
    due_at: datetime | None = None
    held_for: str | None = None


class HeldMark(msgspec.Struct, frozen=True):
    """Says that mails are noted as held for an account."""

    alias: str
    noted_at: datetime
    etag: str


class Watermark(msgspec.Struct, frozen=True):
    """How far the sweep has come. Each mail that waits, and whose id is of a time before
    `noted_before`, is in the index; each whose `Mail.next_check_at` was not later than `looked_until`
    was looked at. With `under_way` a look has stopped at `cursor` and goes on there."""

    noted_before: datetime
    looked_until: datetime
    under_way: Span | None = None
    cursor: str | None = None
    etag: str | None = None


class WaitingSnapshot(msgspec.Struct, frozen=True):
    """The index at one moment: how far the sweep has come (None before the first one), for which
    accounts mails are noted as held, and what is due, the longest due first."""

    watermark: Watermark | None
    held: Sequence[HeldMark]
    due: Sequence[Entry]


class WaitingIndex(Protocol):
    """Table `waiting`: where to look for mails that wait, so that nobody looks through the ledger.

    Whoever makes a mail wait whose id may lie before the watermark notes it first, and changes the
    ledger within ten minutes (`docs/decisions/0012-index-of-waiting-mails.md`).
    """

    def note(self, mail_id: str, due_at: datetime) -> None:
        """Have somebody look at a mail at a time; doing it again is harmless."""
        ...

    def note_all(self, search_count: Mapping[str, datetime]) -> None:
        """`note` for many: when to look, by mail id."""
        ...

    def hold_all(self, alias: str, mail_ids: Sequence[str]) -> None:
        """Have somebody look at mails when their account can send again."""
        ...

    def snapshot(self, now: datetime, most: int) -> WaitingSnapshot:
        """The watermark, the accounts, and at most so many entries that are due; in one call."""
        ...

    def of_account(self, alias: str, most: int) -> Sequence[Entry]:
        """Mails noted as held for an account, oldest first."""
        ...

    def drop(self, entries: Sequence[Entry]) -> None:
        """Remove entries; one that was noted anew since it was read stays."""
        ...

    def unmark(self, mark: HeldMark) -> None:
        """Remove an account's mark, unless mails were noted as held for it since it was read."""
        ...

    def advance(self, watermark: Watermark) -> Watermark:
        """Write how far the sweep has come, under the ETag that it was read with; returns it with
        the new one. Raises LostRace where another sweep was first."""
        ...

    def mail_ids(self) -> Iterator[str]:
        """Every mail of the index; one that is moved meanwhile may be missed."""
        ...

    def bookmark(self, name: str) -> str | None:
        """Where some work that takes several runs has stopped."""
        ...

    def set_bookmark(self, name: str, place: str | None) -> None:
        """Write down where to go on; None for the beginning."""
        ...


class SettledMail(msgspec.Struct, frozen=True):
    """What has to be known of a mail to throw it away."""

    mail_id: str
    status: Status
    blobs: tuple[str, ...]
    """What it has in container `payloads`."""
    etag: str


class SettledPage(msgspec.Struct, frozen=True):
    """Some mails, and the cursor that leads to more; there may be more after none."""

    mails: Sequence[SettledMail]
    cursor: str | None


class Archive(Protocol):
    """Table `mails`, for what is past keeping."""

    def settled(
        self, statuses: frozenset[Status], since: datetime, before: datetime, cursor: str | None
    ) -> SettledPage:
        """Mails in one of these statuses whose last change was at `since` or later, and before
        `before`."""
        ...

    def remove(self, mails: Sequence[SettledMail]) -> Sequence[SettledMail]:
        """Remove rows; one that was changed since it was read stays. Returns those that went, as far
        as that is known."""
        ...


class StoredPayloads(Protocol):
    """Container `payloads`, for what nobody refers to."""

    def older_than(self, moment: datetime) -> Iterator[str]:
        """Names of what was written before a moment, by name."""
        ...

    def delete(self, name: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class Expiring(Protocol):
    """A table whose rows expire."""

    def forget_expired(self, now: datetime, most: int) -> int:
        """Remove about `most` rows that have expired. Returns how many went."""
        ...


class Remembered(msgspec.Struct, frozen=True):
    """What the watch remembers of the app's credential."""

    credential: Expiry | None = None
    """None before the first look, and where there is none that can expire."""
    etag: str | None = None


class WatchMemory(Protocol):
    """Table `accounts`: what the watch has told, whatever process told it."""

    def recall(self) -> Remembered:
        """What was written last."""
        ...

    def remember(self, remembered: Remembered) -> Remembered:
        """Insert (`etag` None) or replace under the ETag; returns it with the new one. Raises
        LostRace."""
        ...


class ListedSecret(msgspec.Struct, frozen=True):
    """What the vault's list says of a secret: nothing of its value."""

    name: str
    changed_at: datetime | None
    """When a version was last written or changed; None where the vault does not say."""


class SecretShelf(Protocol):
    """Key Vault, for secrets that nobody refers to."""

    def listed(self, prefix: str) -> Iterator[ListedSecret]:
        """Every secret whose name begins with this, without those that are deleted. Raises
        RemoteRefused where the app may not list them, and NotSent."""
        ...

    def remove(self, name: str) -> None:
        """See `Vault`."""
        ...
