"""Stray grants: secrets of sign-ins that no account uses.

One is left behind if a process ends after storing a grant and before writing the account's row, or
if the vault does not answer when an account gets another grant.
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
"""A younger one may belong to a sign-in that is about to write its row."""


class StrayGrants:
    """Removes stray grants from the vault."""

    def __init__(self, *, shelf: SecretShelf, accounts: AccountRegister, clock: Clock) -> None:
        self._shelf = shelf
        self._accounts = accounts
        self._clock = clock

    def remove(self, stop: datetime) -> int:
        """Disable and delete stray grants, until `stop`. Returns how many were removed. Raises
        RemoteError if the vault or the table does not answer; the rest is removed the next time."""
        old = [
            one.name
            for one in self._shelf.listed(GRANTS)
            if one.changed_at is not None and self._clock() - one.changed_at > OLD
        ]
        # The rows are read after the names: no row can begin to use a secret that is older than
        # this.
        snapshot = self._accounts.snapshot()
        if snapshot.version is None:
            # This table never had an account: it may be the wrong table.
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
