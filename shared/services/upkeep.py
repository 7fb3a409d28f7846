"""What the timer does, and what a sign-in sets free."""

from __future__ import annotations

from shared.mail.account import Account
from shared.services.ports import Accounts, Bell, Clock, Ledger
from shared.telemetry import event

GRACE_SECONDS = 120.0
"""A mail that is due and has waited this long has lost its bell."""

MOST_RUNG = 500


class Upkeep:
    """Rings for mails that nobody else will ring for."""

    def __init__(self, ledger: Ledger, bell: Bell, accounts: Accounts, clock: Clock) -> None:
        self._ledger = ledger
        self._bell = bell
        self._accounts = accounts
        self._clock = clock

    def ring_again(self) -> int:
        """Ring for mails whose bell was lost, whose worker died, or whose account is well again.

        Returns for how many.
        """
        now = self._clock()
        overdue = list(self._ledger.overdue(now, GRACE_SECONDS, MOST_RUNG))
        for account in self._accounts.all(fresh=True):
            if account.can_send_at(now):
                overdue += self._ledger.held(account.alias, MOST_RUNG)
        for mail_id in overdue:
            self._bell.ring(mail_id)
        if overdue:
            event("rung_again", count=len(overdue))
        return len(overdue)

    def release(self, account: Account) -> int:
        """Ring for the mails that are held for an account. Returns for how many."""
        held = self._ledger.held(account.alias, MOST_RUNG)
        for mail_id in held:
            self._bell.ring(mail_id)
        if held:
            event("mails_released", account=account.alias, released=len(held))
        return len(held)
