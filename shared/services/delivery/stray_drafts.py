"""Drafts of ours that nobody will send: left by workers that died, or lost their claim.

What carries no id of a mail in the ledger is a person's own and is never touched. Nor is what a person
made of a sent mail, which can carry the mail's key as well: a draft of ours lies in the mail's own
mailbox, and was created while one of its attempts ran.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from shared.errors import PostroomError
from shared.mail import ids
from shared.mail.account import Account
from shared.mail.lost_drafts import made_by
from shared.mail.status import Status
from shared.services.accounts.ports import Accounts, Tokens
from shared.services.clock import Clock
from shared.services.delivery.ports import Drafts, MarkedDraft
from shared.services.mails.ports import Ledger
from shared.telemetry import event

OLD = timedelta(days=1)
"""A younger one may be about to be written into its row."""

NEEDS_NO_DRAFT = frozenset({Status.SENT, Status.FAILED, Status.CANCELLED})


class StrayDrafts:
    """Removes them from the mailboxes whose drafts Postroom may write."""

    def __init__(
        self, *, drafts: Drafts, tokens: Tokens, accounts: Accounts, ledger: Ledger, clock: Clock
    ) -> None:
        self._drafts = drafts
        self._tokens = tokens
        self._accounts = accounts
        self._ledger = ledger
        self._clock = clock

    def remove(self, stop: datetime) -> int:
        """Go through the mailboxes until `stop`; one that fails leaves the others. Returns how many
        drafts went."""
        removed = 0
        for account in self._accounts.all(fresh=True):
            if self._clock() >= stop:
                break
            if not account.can_write_drafts or not account.can_send_at(self._clock()):
                continue
            try:
                removed += self._remove_of(account, stop)
            except PostroomError as error:
                event(
                    "sweep_part_failed",
                    level=logging.WARNING,
                    operation="drafts",
                    account=account.alias,
                    kind=type(error).__name__,
                )
        return removed

    def _remove_of(self, account: Account, stop: datetime) -> int:
        token = self._tokens.access_token(account)
        removed = 0
        for draft in self._drafts.marked(token, account.graph_path, self._clock() - OLD):
            if self._clock() >= stop:
                break
            if self._is_stray(draft, account):
                removed += (
                    self._drafts.remove(token, account.graph_path, draft.draft_id).status == 204
                )
        return removed

    def _is_stray(self, draft: MarkedDraft, account: Account) -> bool:
        found = self._ledger.get(draft.mail_id) if ids.is_id(draft.mail_id) else None
        if found is None or found.mail.account_id not in (None, account.account_id):
            return False
        mail = found.mail
        if not made_by(mail, draft.created_at):
            return False
        return mail.status in NEEDS_NO_DRAFT or mail.draft_id != draft.draft_id
