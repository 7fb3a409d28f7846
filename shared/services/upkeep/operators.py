"""Notices by mail to the people who run Postroom, sent through Postroom itself.

Each notice has a key, so that a second instance or a second run sends none. It is sent from an
account that can send; if there is none, the log and the pages must do. A notice that fails causes
no further notice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from shared.errors import RequestRejected
from shared.mail.account import Account, AccountState
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.intake.mail_document import own_place, read_json
from shared.services.intake.submission import Submission
from shared.telemetry import event

TAG = "postroom"


class Operators:
    """Sends notices."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        submission: Submission,
        accounts: Accounts,
        clock: Clock,
        accounts_page: str,
    ) -> None:
        """`addresses` may be empty: then nobody gets a notice. `accounts_page` is the link in
        it."""
        self._addresses = tuple(addresses)
        self._submission = submission
        self._accounts = accounts
        self._clock = clock
        self._page = accounts_page

    def tell(self, key: str, subject: str, text: str, *, broken: str | None = None) -> bool:
        """Accept one notice. Returns whether it is accepted, now or earlier. Raises RemoteError if
        storage failed; then it may be tried again.

        `key` is the same for the same news, and no caller can claim it first. `broken` is the id of
        an account that must not send it.
        """
        if not self._addresses:
            return False
        account = self._carrier(broken)
        if account is None:
            event("operators_not_told", level=logging.WARNING, reason="no_account")
            return False
        document = {
            "account": account.alias,
            "to": self._addresses,
            "subject": f"Postroom: {subject}",
            "text": f"{text}\n\n{self._page}\n",
            "tags": [TAG],
        }
        try:
            order = read_json(json.dumps(document).encode(), self._clock())
            self._submission.accept(replace(order, place=own_place(key)))
        except RequestRejected as refused:
            if refused.kind.code == "idempotency_conflict":
                return True  # accepted earlier, from another account or in other words
            event("operators_not_told", level=logging.WARNING, reason=refused.kind.code)
            return False
        return True

    def _carrier(self, broken: str | None) -> Account | None:
        """An account that can send; the default account first."""
        able = [
            account
            for account in self._accounts.all(fresh=True)
            if account.state is AccountState.READY
            and broken not in (account.account_id, account.grant_id)
        ]
        return next(iter(sorted(able, key=lambda one: (not one.is_default, one.alias))), None)
