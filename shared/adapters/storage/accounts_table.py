"""Accounts in the table `accounts`, cached in memory for some seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from shared.adapters.storage.defaults_property import from_property, to_property
from shared.adapters.storage.table_service import Step
from shared.adapters.storage.timetable_rows import TIMETABLES, timetable_of
from shared.errors import AlreadyExists, LostRace
from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.account_list import AccountList, with_holders
from shared.services.accounts.ports import AccountsSnapshot, DisconnectedMailbox

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

_PARTITION = "account"
# Without the findings of checks: they are many times as large, and senders read this every 15
# seconds.
_WANTED = f"PartitionKey eq '{_PARTITION}' or PartitionKey eq '{TIMETABLES}'"
# This row sorts before every alias, so it is read before the accounts. An account that is
# registered during the read therefore makes the version out of date. No alias can have this name.
_ROLL = "!roll"
_DEPARTED = "!departed-"
"""The prefix of the row that says which mailbox had an alias before. No alias can have this name
either."""
KEPT_SECONDS = 15.0


class AccountsTable:
    """Implements `accounts.ports.Accounts`, `accounts.ports.AccountRegister` and
    `accounts.ports.AccountRemoval`."""

    def __init__(
        self, table: Callable[[], Table], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._table = table
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._cached = AccountList()
        self._read_at = float("-inf")

    def all(self, *, fresh: bool = False) -> AccountList:
        """See `Accounts`. One thread reads, and the others wait for its result."""
        asked = self._monotonic()
        if not fresh and asked < self._read_at + KEPT_SECONDS:
            return self._cached
        with self._lock:
            if self._read_at < asked:
                reading = self._monotonic()
                self._cached = self.snapshot().accounts
                self._read_at = reading
            return self._cached

    def save(self, account: Account) -> Account:
        """See `Accounts`."""
        try:
            etag = self._table().save("saving an account", _to_row(account), account.etag)
        finally:
            self._forget()
        return replace(account, etag=etag)

    def snapshot(self) -> AccountsSnapshot:
        """See `AccountRegister`."""
        everything = list(self._table().rows("reading the accounts", _WANTED))
        rows = [row for row in everything if row["PartitionKey"] == _PARTITION]
        etags = {row["RowKey"]: row.etag for row in rows}
        version = etags.pop(_ROLL, None)
        # The pauses come with the accounts: a query of their own would be another call.
        rests = {
            row["RowKey"]: timetable_of(row).resting_until
            for row in everything
            if row["PartitionKey"] == TIMETABLES
        }
        accounts = (_from_row(row, etags[row["RowKey"]]) for row in rows if row["RowKey"][0] != "!")
        return AccountsSnapshot(
            with_holders(replace(one, resting_until=rests.get(one.account_id)) for one in accounts),
            version,
            tuple(_departed(row) for row in rows if row["RowKey"].startswith(_DEPARTED)),
        )

    def register(self, account: Account, snapshot: AccountsSnapshot, *beside: Account) -> Account:
        """See `AccountRegister`. One transaction writes the accounts and the new version of the
        register."""
        steps = [
            Step.write({"PartitionKey": _PARTITION, "RowKey": _ROLL}, snapshot.version),
            *(Step.write(_to_row(one), one.etag) for one in (account, *beside)),
        ]
        _, etag, *_ = self._together("enrolling an account", steps)
        return replace(account, etag=etag)

    def remove_account(
        self, account: Account, snapshot: AccountsSnapshot, new_default: str | None, now: datetime
    ) -> None:
        """See `AccountRemoval`. One transaction, on condition of the register's version."""
        steps = [
            Step.write({"PartitionKey": _PARTITION, "RowKey": _ROLL}, snapshot.version),
            Step("remove", {"PartitionKey": _PARTITION, "RowKey": account.alias}, account.etag),
            Step("upsert", _departed_row(DisconnectedMailbox.of(account, now))),
        ]
        steps += [
            Step.write(_to_row(replace(one, is_default=True)), one.etag)
            for one in snapshot.accounts
            if one.alias == new_default
        ]
        self._together("removing an account", steps)

    def _together(self, what: str, steps: Sequence[Step]) -> Sequence[str]:
        """Make all changes or none. Raises LostRace if a row has changed since it was read."""
        try:
            return self._table().together(what, steps)
        except AlreadyExists as error:
            raise LostRace(f"{what}: the accounts were changed meanwhile") from error
        finally:
            self._forget()

    def _forget(self) -> None:
        with self._lock:
            self._read_at = float("-inf")


def _departed_row(gone: DisconnectedMailbox) -> dict[str, Any]:
    row: dict[str, Any] = {
        "PartitionKey": _PARTITION,
        "RowKey": f"{_DEPARTED}{gone.alias}",
        "account_id": gone.account_id,
        "tenant_id": gone.tenant_id,
        "object_id": gone.object_id,
        "departed_at": gone.departed_at.isoformat(),
        "kind": gone.kind.value if gone.kind else None,
        "address_hash": gone.address_hash,
    }
    return {name: value for name, value in row.items() if value is not None}


def _departed(row: Mapping[str, Any]) -> DisconnectedMailbox:
    return DisconnectedMailbox(
        alias=row["RowKey"].removeprefix(_DEPARTED),
        account_id=row["account_id"],
        tenant_id=row["tenant_id"],
        object_id=row["object_id"],
        departed_at=datetime.fromisoformat(row["departed_at"]),
        kind=AccountKind(row["kind"]) if "kind" in row else None,
        address_hash=row.get("address_hash", ""),
    )


def _to_row(account: Account) -> dict[str, Any]:
    row: dict[str, Any] = {
        "PartitionKey": _PARTITION,
        "RowKey": account.alias,
        "account_id": account.account_id,
        "tenant_id": account.tenant_id,
        "object_id": account.object_id,
        "address": account.address,
        "display_name": account.display_name,
        "kind": account.kind.value,
        "authority": account.authority,
        "scopes": " ".join(sorted(account.scopes)),
        "allowed_from": json.dumps(account.allowed_from),
        "defaults": to_property(account.defaults),
        "state": account.state.value,
        "reason": account.reason,
        "held_until": account.held_until.isoformat() if account.held_until else None,
        "is_default": account.is_default,
        "signed_in_at": account.signed_in_at.isoformat() if account.signed_in_at else None,
        "grant": account.grant,
        "through": account.through,
    }
    return {name: value for name, value in row.items() if value is not None}


def _from_row(row: Mapping[str, Any], etag: str) -> Account:
    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(row[name]) if name in row else None

    return Account(
        alias=row["RowKey"],
        account_id=row["account_id"],
        tenant_id=row["tenant_id"],
        object_id=row["object_id"],
        address=row["address"],
        display_name=row.get("display_name", ""),
        kind=AccountKind(row["kind"]),
        authority=row["authority"],
        scopes=frozenset(str(row["scopes"]).split()),
        allowed_from=tuple(json.loads(row.get("allowed_from", "[]"))),
        defaults=from_property(row),
        state=AccountState(row["state"]),
        reason=row.get("reason"),
        held_until=moment("held_until"),
        is_default=bool(row.get("is_default", False)),
        signed_in_at=moment("signed_in_at"),
        grant=row.get("grant"),
        through=row.get("through"),
        etag=etag,
    )
