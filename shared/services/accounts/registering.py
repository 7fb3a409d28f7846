"""Writing an account's row while no other account changes.

Rules about other accounts, such as one alias for a mailbox and one default, are decided on one
snapshot. If several are connected at the same moment, each sees those that were written before it.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import AnswerLost, LostRace, RemoteError
from shared.mail.account import Account
from shared.services.accounts.ports import AccountRegister, AccountsSnapshot

ATTEMPTS = 10
"""Of several rows that are written at the same moment, at least one is written at each attempt."""


def registered(accounts: AccountRegister, row_on: Callable[[AccountsSnapshot], Account]) -> Account:
    """Write the row that `row_on` makes for a snapshot. If the snapshot has changed, `row_on` is
    called again. Raises what `row_on` raises, and LostRace or RemoteError if the row was not
    written."""
    for _ in range(ATTEMPTS):
        snapshot = accounts.snapshot()
        row = row_on(snapshot)
        try:
            return accounts.register(row, snapshot)
        except LostRace:
            continue
        except AnswerLost as error:
            return _found_again(accounts, row, error)
    raise LostRace("other accounts were registered at the same time, again and again")


def _found_again(accounts: AccountRegister, row: Account, lost: AnswerLost) -> Account:
    """The row after a write without an answer, if it was written after all."""
    try:
        found = accounts.snapshot().accounts.by_alias(row.alias)
    except RemoteError:
        found = None
    if found is not None and _marks(found) == _marks(row):
        return found
    raise lost


def _marks(row: Account) -> tuple[object, ...]:
    return row.account_id, row.signed_in_at, row.through
