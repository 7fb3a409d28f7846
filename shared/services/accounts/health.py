"""The state of an account after Microsoft's answer to one of its mails."""

from __future__ import annotations

import logging
from datetime import timedelta

from msgspec.structs import replace

from shared.errors import LostRace, RemoteError
from shared.mail.account import Account, AccountState
from shared.mail.backoff import LONGEST_ASKED_SECONDS
from shared.mail.outcome import Outcome, Verdict
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.telemetry import event


class AccountHealth:
    """Keeps the states of the accounts."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def apply(self, account: Account, outcome: Outcome) -> None:
        """Give the account the state that an outcome implies. Never raises for storage."""
        try:
            self._mark(account, outcome)
        except (LostRace, RemoteError):
            # The mail is held anyway; the next attempt of any mail marks the account.
            event("account_not_marked", level=logging.WARNING, account=account.alias)

    def _mark(self, account: Account, outcome: Outcome) -> None:
        """One alert for each change. If a grant has ended, the account that was signed in is
        marked: for a shared mailbox, its holder."""
        marked = account.account_id
        until = None
        match outcome.verdict:
            case Verdict.NEEDS_SIGN_IN:
                state, marked = AccountState.NEEDS_SIGN_IN, account.grant_id
            case Verdict.SENT:
                state = AccountState.READY
            case _:
                state = AccountState.HELD
                wait = min(outcome.retry_after or 900.0, LONGEST_ASKED_SECONDS)
                until = self._clock() + timedelta(seconds=wait)
        for current in self._accounts.all(fresh=True):
            if current.account_id != marked:
                continue
            if current.state is AccountState.NEEDS_SIGN_IN or (
                current.signed_in_at != account.signed_in_at
            ):
                return  # known already, or signed in again during this attempt
            if state is AccountState.READY and not current.can_send_at(self._clock()):
                return  # another mail of the account has reached a new limit meanwhile
            self._accounts.save(
                replace(current, state=state, reason=outcome.reason, held_until=until)
            )
            # Only the process that changed the row logs it: many mails reach the same limit at
            # once.
            if current.state is not state and state is not AccountState.READY:
                event(
                    "account_cannot_send",
                    level=logging.ERROR,
                    account=current.alias,
                    account_state=state.value,
                    reason=outcome.reason,
                )
