"""Writing an account's row on a roll that nobody changes meanwhile.

All that concerns other accounts, such as one alias for a mailbox and one default, is decided on that
very roll: of those that are connected at one moment, each but the first sees what came before it.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import AnswerLost, LostRace, RemoteError
from shared.mail.account import Account
from shared.services.accounts.ports import AccountRegister, AccountsSnapshot

ATTEMPTS = 10
"""Of rows that are written at the same moment, one at least gets through at each attempt."""


def registered(accounts: AccountRegister, row_on: Callable[[AccountsSnapshot], Account]) -> Account:
    """Write the row that `row_on` makes for a roll; it is asked anew where the roll has moved on.

    Raises what `row_on` raises, and LostRace or RemoteError where the row was not written.
    """
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
    """The row whose write was answered by silence, if it got through after all."""
    try:
        found = accounts.snapshot().accounts.by_alias(row.alias)
    except RemoteError:
        found = None
    if found is not None and _marks(found) == _marks(row):
        return found
    raise lost


def _marks(row: Account) -> tuple[object, ...]:
    return row.account_id, row.signed_in_at, row.through
