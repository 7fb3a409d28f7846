"""Secrets of sign-ins that no account refers to.

A process that ends between storing a grant and writing the account's row leaves one behind, and so
does a vault that did not answer when an account got another grant.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from shared.errors import RemoteRefused
from shared.services.accounts.access_tokens import GRANTS, grant_secret
from shared.services.accounts.ports import AccountRegister
from shared.services.clock import Clock
from shared.services.upkeep.ports import SecretShelf
from shared.telemetry import event

OLD = timedelta(days=1)
"""A younger one may be of a sign-in that is under way, whose row is about to be written."""


class StrayGrants:
    """Takes them out of the vault."""

    def __init__(self, *, shelf: SecretShelf, accounts: AccountRegister, clock: Clock) -> None:
        self._shelf = shelf
        self._accounts = accounts
        self._clock = clock

    def remove(self, stop: datetime) -> int:
        """Disable and delete what is stray, until `stop`; returns how many went.

        Raises RemoteError where the vault or the table does not answer; what is left goes the next
        time.
        """
        old = [
            one.name
            for one in self._shelf.listed(GRANTS)
            if one.changed_at is not None and self._clock() - one.changed_at > OLD
        ]
        # Read after the names: no row comes to refer to a secret that is older than it.
        snapshot = self._accounts.snapshot()
        if snapshot.version is None:
            # No account was ever written to this table: it may be the wrong one.
            return 0
        used = {grant_secret(account) for account in snapshot.accounts}
        removed = 0
        for name in old:
            if name in used:
                continue
            if self._clock() >= stop:
                break
            try:
                self._shelf.remove(name)
            except RemoteRefused:
                event("unused_grant_kept", level=logging.WARNING)
                continue
            removed += 1
        return removed
