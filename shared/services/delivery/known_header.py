"""Making the header that carries our key in MIME known to a mailbox.

Exchange drops an `X-` header of MIME whose name the mailbox has not yet seen in JSON
(microsoft-graph-docs-contrib#424). One draft in JSON makes it known for ever.
"""

from __future__ import annotations

import logging

from shared.errors import RemoteError
from shared.mail.account import Account
from shared.mail.graph_payload import JSON, trial_request
from shared.services.delivery.ports import Drafts
from shared.telemetry import event


class KnownHeader:
    """Makes the trial draft of a mailbox that was just signed in, and removes it."""

    def __init__(self, drafts: Drafts) -> None:
        self._drafts = drafts

    def make_known(self, account: Account, access_token: str) -> None:
        """Never raises for what Microsoft answers: the daily check makes the same draft, and mails
        are also found without the header."""
        if not account.can_write_drafts:
            return
        try:
            made = self._drafts.create(access_token, account.graph_path, JSON, trial_request())
            if made.draft_id is not None:
                # A draft that is not removed here is removed by the next check.
                self._drafts.remove(access_token, account.graph_path, made.draft_id)
                return
        except RemoteError:
            pass
        event("header_not_made_known", level=logging.WARNING, account=account.alias)
