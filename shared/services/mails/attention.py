"""The mails that need a person, kept in an index beside the ledger.

An item is written before the ledger has the mail as held, unknown or failed, and removed after the
mail has left that status. An item may therefore stay longer than its reason, but none is missing.
What a process that died leaves behind is corrected once a day.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from shared.errors import RemoteError
from shared.mail.status import ATTENTION, Status
from shared.services.clock import BEGINNING, Clock
from shared.services.mails.ports import AttentionIndex, AttentionItem, Ledger, Versioned
from shared.services.upkeep.ports import Archive
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.mail.mail import Mail, MailFilter, MailPage
    from shared.services.mails.ports import MailSummary, Span, WaitingPage

MOST = 100_000


class IndexedLedger:
    """A ledger that keeps the index too. Fulfils `mails.ports.Ledger`. An item costs one call when
    a mail comes to need a person and one when it does not any more. A mail that is simply sent
    costs none."""

    def __init__(self, ledger: Ledger, attention: AttentionIndex) -> None:
        self._ledger = ledger
        self._cases = attention

    def insert(self, mail: Mail) -> str:
        """See `Ledger`."""
        self._note(mail)
        return self._ledger.insert(mail)

    def get(self, mail_id: str) -> Versioned | None:
        """See `Ledger`."""
        return self._ledger.get(mail_id)

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        """See `Ledger`."""
        self._note(mail)
        written = self._ledger.update(mail, etag, new_payload=new_payload)
        before = _status_before(mail)
        if before is not None and before in ATTENTION:
            try:
                self._cases.close(mail.mail_id, before)
            except RemoteError:
                event("case_not_closed", level=logging.WARNING, mail_id=mail.mail_id)
        return written

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """See `Ledger`."""
        return self._ledger.page(wanted, size, cursor)

    def summary(self, mail_id: str) -> MailSummary | None:
        """See `Ledger`."""
        return self._ledger.summary(mail_id)

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """See `Ledger`."""
        return self._ledger.waiting(span, most, cursor, held_for=held_for)

    def _note(self, mail: Mail) -> None:
        # A search without a result writes the mail too, without an event in its history.
        if mail.status in ATTENTION and _has_moved(mail):
            try:
                self._cases.open(case_of(mail))
            except RemoteError:
                # An index that is a day old is better than a mail that is not sent because of the
                # index.
                event("case_not_opened", level=logging.WARNING, mail_id=mail.mail_id)


class AttentionReconciler:
    """Corrects the differences between the index and the ledger, once a day."""

    def __init__(
        self, ledger: Ledger, archive: Archive, attention: AttentionIndex, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._cases = attention
        self._clock = clock

    def run(self, stop: datetime) -> int:
        """Add the missing items and remove the old ones, until `stop`. Returns how many of both."""
        begun = self._clock()
        noted = {(case.mail_id, case.status) for case in self._cases.newest(MOST)}
        missing, cursor = 0, None
        while True:
            page = self._archive.settled(frozenset(ATTENTION), BEGINNING, begun, cursor)
            for mail in page.mails:
                known = (mail.mail_id, mail.status) in noted
                noted.discard((mail.mail_id, mail.status))
                missing += not known and self._open(mail.mail_id)
            cursor = page.cursor
            if self._clock() >= stop:
                return missing
            if cursor is None:
                break
        # The remaining items have no mail in that status, or a mail that changed since this began.
        over = sum(self._close(mail_id, status) for mail_id, status in sorted(noted))
        return missing + over

    def _open(self, mail_id: str) -> bool:
        found = self._ledger.get(mail_id)
        if found is None or found.mail.status not in ATTENTION:
            return False
        self._cases.open(case_of(found.mail))
        return True

    def _close(self, mail_id: str, status: Status) -> bool:
        mail = self._ledger.summary(mail_id)
        if mail is not None and mail.status is status:
            return False
        self._cases.close(mail_id, status)
        return True


def case_of(mail: Mail) -> AttentionItem:
    """The item of a mail. A rejected queue message belongs to no account, even if it names one."""
    account = None if mail.is_refused_message else mail.account
    return AttentionItem(mail.mail_id, mail.status, mail.reason, account)


def _has_moved(mail: Mail) -> bool:
    return bool(mail.events) and mail.events[-1].at == mail.updated_at


def _status_before(mail: Mail) -> Status | None:
    """The status that this write takes a mail out of, by its history; None if the status stays."""
    if not _has_moved(mail) or len(mail.events) < 2:
        return None
    before = mail.events[-2].status
    return before if before is not mail.status else None
