"""Changing the settings of an account: its defaults, its From addresses, and which account is the
default.

Each change is decided on the present row. A caller who has read the account names its version, and
the change is rejected if somebody else has changed it since: nothing is overwritten without being
seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from shared.errors import AnswerLost, FieldProblem, LostRace, RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.defaults import NO_DEFAULTS, allowed_from_problems, problems_of
from shared.services.accounts.ports import AccountRegister, AccountsSnapshot
from shared.telemetry import event

ATTEMPTS = 10
"""Another process, for example a worker that holds the account, may write the row at the same
time."""


class AccountChange(msgspec.Struct, frozen=True):
    """The fields to change. The others stay."""

    defaults: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """New values by their names in `Defaults`."""
    forgets_defaults: bool = False
    """Remove all present defaults first."""
    allowed_from: tuple[str, ...] | None = None
    """Lower case."""
    becomes_default: bool = False

    def applied(self, account: Account) -> Account:
        """The account with this change."""
        before = NO_DEFAULTS if self.forgets_defaults else account.defaults
        allowed = account.allowed_from if self.allowed_from is None else self.allowed_from
        others = (one for one in allowed if one != account.address.lower())
        return replace(
            account,
            defaults=replace(before, **self.defaults),
            allowed_from=tuple(dict.fromkeys(others)),
            is_default=account.is_default or self.becomes_default,
        )


def version_of(account: Account) -> str:
    """The version of the fields that can be edited. A hold or a sign-in does not change it."""
    defaults = account.defaults
    content = msgspec.json.encode(
        [
            replace(defaults, overridable=frozenset()),
            sorted(defaults.overridable),
            account.allowed_from,
        ]
    )
    return hashlib.sha256(content).hexdigest()[:16]


class AccountChanges:
    """Changes accounts for administrators."""

    def __init__(self, accounts: AccountRegister) -> None:
        self._accounts = accounts

    def find(self, alias: str) -> Account:
        """The account as it is now. Raises RequestRejected if there is none."""
        return _named(self._accounts.snapshot(), alias)

    def change(self, alias: str, change: AccountChange, version: str | None = None) -> Account:
        """Change an account. `version` is the version that the change was made for; None means any.
        Raises RequestRejected, which names the fields; then nothing was changed. If several callers
        change different fields without a version, all changes are made."""
        wanted: Account | None = None
        for _ in range(ATTEMPTS):
            snapshot = self._accounts.snapshot()
            account = _named(snapshot, alias)
            if wanted is not None and _is_same(account, wanted):
                # This is our own write, whose answer was lost or which the storage client repeated.
                return account
            if version not in (None, version_of(account)):
                raise RequestRejected(
                    problems.ACCOUNT_EDITED,
                    f"The account '{account.alias}' is not any more as it was read.",
                )
            wanted = change.applied(account)
            _refuse_faults(wanted)
            if wanted == account:
                return account
            try:
                found = self._accounts.register(wanted, snapshot, *_stepping_down(wanted, snapshot))
            except (LostRace, AnswerLost):
                continue
            event("account_edited", account=found.alias)
            return found
        raise RequestRejected(
            problems.UNAVAILABLE,
            "The account was changed by others again and again, or storage did not answer.",
            retry_after=1.0,
        )


def _named(snapshot: AccountsSnapshot, alias: str) -> Account:
    account = snapshot.accounts.by_alias(alias)
    if account is not None:
        return account
    raise RequestRejected(problems.UNKNOWN_ALIAS, "No account has this alias.")


def _stepping_down(account: Account, snapshot: AccountsSnapshot) -> list[Account]:
    """The accounts that have been the default until now."""
    if not account.is_default:
        return []
    return [
        replace(other, is_default=False)
        for other in snapshot.accounts
        if other.is_default and other.alias != account.alias
    ]


def _is_same(account: Account, wanted: Account) -> bool:
    return (
        version_of(account) == version_of(wanted)
        and account.is_default is wanted.is_default
        and account.account_id == wanted.account_id
    )


def _refuse_faults(account: Account) -> None:
    found = [
        FieldProblem(f"defaults.{one.field}", one.message) for one in problems_of(account.defaults)
    ]
    found += allowed_from_problems(account.allowed_from)
    if found:
        raise RequestRejected(
            problems.INVALID_REQUEST, "The account cannot be changed like this.", found
        )
