"""The ports that storage fulfils, in memory: what is left is the sender alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.errors import AlreadyExists, LostRace, RemoteRefused
from shared.mail.account import Account
from shared.mail.account_list import AccountList
from shared.mail.mail import Mail, MailFilter, MailPage
from shared.mail.message import StoredFile
from shared.mail.pace import Timetable
from shared.services.intake.ports import KeyClaim
from shared.services.mails.ports import MailSummary, Span, Versioned, WaitingPage


class MemoryLedger:
    """Fulfils `mails.ports.Ledger` as far as one worker needs it."""

    def __init__(self) -> None:
        self._rows: dict[str, Versioned] = {}
        self._writes = 0

    def insert(self, mail: Mail) -> str:
        """See `Ledger`."""
        if mail.mail_id in self._rows:
            raise AlreadyExists("it is there already")
        return self._put(mail)

    def get(self, mail_id: str) -> Versioned | None:
        """See `Ledger`."""
        return self._rows.get(mail_id)

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        """See `Ledger`."""
        found = self._rows.get(mail.mail_id)
        if found is None or found.etag != etag:
            raise LostRace("it was changed meanwhile")
        return self._put(mail)

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """Nobody lists here."""
        raise NotImplementedError

    def summary(self, mail_id: str) -> MailSummary | None:
        """Nobody looks."""
        raise NotImplementedError

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """Nothing waits here."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()

    def _put(self, mail: Mail) -> str:
        self._writes += 1
        etag = str(self._writes)
        self._rows[mail.mail_id] = Versioned(mail, etag)
        return etag


class MemoryTimetables:
    """Fulfils `delivery.ports.Timetables` for a mailbox without a pace."""

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        """See `Timetables`."""
        return Timetable(), None

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        """See `Timetables`."""
        return "1"

    def forget(self, account_id: str) -> None:
        """See `Timetables`."""


class MemoryPayloads:
    """Fulfils `mails.ports.Payloads`."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, name: str, content: bytes) -> None:
        """See `Payloads`."""
        self._blobs[name] = content

    def get(self, name: str) -> bytes:
        """See `Payloads`."""
        try:
            return self._blobs[name]
        except KeyError as error:
            raise RemoteRefused("storage", "the payload is gone") from error

    def delete(self, name: str) -> None:
        """See `Payloads`."""
        self._blobs.pop(name, None)


class NoFiles:
    """Fulfils `mails.ports.Files` for mails whose files are all in their payload."""

    def head(self, container: str, name: str) -> StoredFile | None:
        """See `Files`."""
        return None

    def keep(self, name: str, content: bytes) -> StoredFile:
        """Nothing here is that large."""
        raise NotImplementedError

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        """Nothing here is stored."""
        raise NotImplementedError


class MemoryKeys:
    """Fulfils `intake.ports.IdempotencyKeys`: every key is free."""

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        """See `IdempotencyKeys`."""
        return claim

    def find(self, key: str) -> KeyClaim | None:
        """See `IdempotencyKeys`."""
        return None


class SilentWakeUps:
    """Fulfils `intake.ports.WakeUps`; whoever measures says when to deliver."""

    def enqueue(self, mail_id: str, after_seconds: float = 0) -> None:
        """See `WakeUps`."""


class MemoryAccounts:
    """Fulfils `accounts.ports.Accounts`."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._accounts = AccountList(accounts)

    def all(self, *, fresh: bool = False) -> AccountList:
        """See `Accounts`."""
        return self._accounts

    def save(self, account: Account) -> Account:
        """See `Accounts`."""
        others = [row for row in self._accounts if row.alias != account.alias]
        self._accounts = AccountList([*others, account])
        return account
