"""Writes of a worker. Each has a condition on the ETag, so the write of a second worker changes
nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from shared.errors import AnswerLost, LostRace, NotSent
from shared.mail.mail import Mail
from shared.mail.status import Status, may_follow
from shared.services.mails.ports import Ledger
from shared.telemetry import event

WRITES = 3
"""How often a write is tried again if its answer was lost and it had no effect."""


class LedgerWrites:
    """Writes mails into the ledger."""

    def __init__(self, ledger: Ledger, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ledger = ledger
        self._sleep = sleep

    def write(self, mail: Mail, etag: str, *, claiming: bool = False) -> str | None:
        """Write if the row still has this ETag. Returns the new ETag, or None if another worker was
        first.

        If the answer to a write was lost and the storage client repeated it, the second one fails
        like a lost race: the row then shows whether the write is ours. Raises NotSent and
        AnswerLost if the ledger did not confirm the write.
        """
        for attempt in range(WRITES):
            try:
                return self._ledger.update(mail, etag)
            except NotSent:
                # The next wake-up repeats a claim. It does not repeat what the worker did after the
                # claim.
                if claiming or attempt + 1 == WRITES:
                    raise
                self._sleep(2.0**attempt)
                continue
            except (LostRace, AnswerLost):
                found = self._ledger.get(mail.mail_id)
            if found is None:
                return None
            if _is_same_move(found.mail, mail):
                return found.etag
            if found.etag != etag:
                if mail.status is not Status.SENT or not may_follow(found.mail.status, Status.SENT):
                    if mail.status not in (Status.SENDING, found.mail.status):
                        # A second claim or search is normal; a second outcome is reported.
                        event("outcome_superseded", level=logging.WARNING, mail_id=mail.mail_id)
                    return None
                # Another worker decided that this one was dead. Graph's answer is better evidence.
                mail = found.mail.moved(Status.SENT, mail.updated_at, request_id=mail.request_id)
                etag = found.etag
        raise AnswerLost("storage", "the ledger did not confirm what became of a mail")


def _is_same_move(found: Mail, wanted: Mail) -> bool:
    return (
        found.status is wanted.status
        and found.updated_at == wanted.updated_at
        and found.lease_id == wanted.lease_id
        and found.lease_until == wanted.lease_until
        and found.draft_id == wanted.draft_id
        and found.search_count == wanted.search_count
    )
