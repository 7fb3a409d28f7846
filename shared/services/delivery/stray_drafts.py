"""Stray drafts: drafts of Postroom that nobody will send, left by workers that died or lost their
claim.

A draft without the id of a mail in the ledger belongs to a person and is never touched. A message
that a person made from a sent mail can carry the mail's key as well. Therefore only a draft in the
mail's own mailbox that was created during one of the mail's attempts counts as Postroom's.
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
"""A younger draft may be one whose id is about to be written into the row."""

NEEDS_NO_DRAFT = frozenset({Status.SENT, Status.FAILED, Status.CANCELLED})


class StrayDrafts:
    """Removes stray drafts from the mailboxes whose drafts Postroom may write."""

    def __init__(
        self, *, drafts: Drafts, tokens: Tokens, accounts: Accounts, ledger: Ledger, clock: Clock
    ) -> None:
        self._drafts = drafts
        self._tokens = tokens
        self._accounts = accounts
        self._ledger = ledger
        self._clock = clock

    def remove(self, stop: datetime) -> int:
        """Go through the mailboxes until `stop`. If one fails, the others are still cleaned.
        Returns how many drafts were removed."""
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
